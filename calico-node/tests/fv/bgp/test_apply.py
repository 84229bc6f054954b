"""One real BIRD in a namespace of its own: configurations come into force, or leave the former there."""

import asyncio
import os
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from calico_node.bgp import control
from calico_node.bgp.apply import Bird, BirdRefusedError, find_program
from calico_node.bgp.model import BirdConfig, Block, Family, Session
from calico_test import processes
from libcalico.errors import ConfigError, UnavailableError

SESSION = Session(
    name="Mesh_10_0_0_2",
    neighbor=ip_address("10.0.0.2"),
    port=179,
    remote_as=1,
    local_as=1,
    source=ip_address("10.0.0.1"),
)
FAMILY = Family(version=4, address=ip_address("10.0.0.1"), sessions=(SESSION,))
CONFIG = BirdConfig(node="a", router_id=ip_address("10.0.0.1"), families=(FAMILY,))
REFUSED = replace(CONFIG, ignored_interfaces=('eth0" nonsense',))


@pytest.fixture
def bird(tmp_path):
    return Bird(find_program(os.environ["PATH"]), tmp_path / "bird.conf", tmp_path / "bird.ctl")


@pytest.fixture
def running(bird, netns):
    bird.install(CONFIG)
    argv = [str(bird.program), "-f", "-c", str(bird.config_file), "-s", str(bird.socket)]
    with netns.popen(argv) as process:
        processes.wait_until(lambda: control.is_listening(bird.socket), "BIRD")
        yield bird
        process.kill()


def names(bird):
    return {state.name for state in asyncio.run(control.show_protocols(bird.socket))}


def test_a_change_comes_into_force_and_the_same_again_changes_nothing(running):
    other = replace(FAMILY, sessions=(replace(SESSION, name="Mesh_10_0_0_3"),))
    changed = replace(CONFIG, families=(other,))
    assert asyncio.run(running.apply(changed)) is True
    assert "Mesh_10_0_0_3" in names(running)
    assert "Mesh_10_0_0_2" not in names(running)
    assert asyncio.run(running.apply(changed)) is False


def test_routes_of_blocks_are_seen(running):
    block = Block(ip_network("10.65.0.0/26"))
    asyncio.run(running.apply(replace(CONFIG, families=(replace(FAMILY, blocks=(block,)),))))
    routes = asyncio.run(control.show_routes(running.socket))
    assert ("10.65.0.0/26", "blackhole") in {(route.destination, route.kind) for route in routes}


def test_what_bird_refuses_leaves_the_former_in_force(running):
    before = running.config_file.read_text()
    with pytest.raises(BirdRefusedError, match=r"refuses .*syntax error.*bird\.conf\.refused"):
        asyncio.run(running.apply(REFUSED))
    assert running.config_file.read_text() == before
    assert "Mesh_10_0_0_2" in names(running)
    assert "nonsense" in running.config_file.with_name("bird.conf.refused").read_text()


def test_without_bird_the_file_is_put_in_place_for_its_start(bird):
    with pytest.raises(UnavailableError, match="BIRD does not answer"):
        asyncio.run(bird.apply(CONFIG))
    assert "Mesh_10_0_0_2" in bird.config_file.read_text()
    assert bird.config_file.stat().st_mode & 0o777 == 0o600


def test_a_first_configuration_does_not_replace_one_from_before(bird):
    bird.install(CONFIG)
    bird.install(replace(CONFIG, node="other"))
    assert "BIRD on a," in bird.config_file.read_text()


def test_missing_sessions_are_noticed(running):
    more = replace(FAMILY, sessions=(SESSION, replace(SESSION, name="Mesh_10_0_0_3")))
    wanted = replace(CONFIG, families=(more,))
    assert asyncio.run(running.missing_sessions(wanted)) == ["Mesh_10_0_0_3"]


def test_a_bird_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("calico_node.bgp.apply._SEARCH_PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="bird2"):
        find_program(str(tmp_path))
