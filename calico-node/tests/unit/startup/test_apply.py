"""Start-up against the in-memory store; the host is the machine's own."""

import pytest

from calico_node import paths
from calico_node.startup import apply
from calico_node.startup.identity import NodeClashError
from calico_node.startup.model import HOST_ID_ANNOTATION
from calico_node.startup.settings import parse
from libcalico.client.client import Client
from libcalico.datastore.memory import MemoryBackend
from libcalico.errors import ConfigError, UnavailableError

ENVIRON = {"NODENAME": "one", "IP": "192.0.2.1/24"}


@pytest.fixture
def client():
    with MemoryBackend() as backend:
        yield Client(backend)


def places(directory):
    return paths.from_environ(
        {f"CALICO_{name}_DIR": str(directory / name) for name in ("RUN", "LIB", "LOG", "CONFIG")}
    )


def start(client, directory, **environ):
    return apply.run(parse({**ENVIRON, **environ}), places(directory), client)


def test_start_up_stores_everything_and_remembers_its_name(client, tmp_path):
    start(client, tmp_path)
    assert client.nodes.get("one").spec.bgp.ipv4_address == "192.0.2.1/24"
    assert {pool.name for pool in client.ippools.list()} >= {"default-ipv4-ippool"}
    assert client.clusterinformations.get("default").spec.datastore_ready
    assert client.felixconfigurations.get("node.one")
    assert places(tmp_path).nodename.read_text() == "one"


def test_starting_again_writes_nothing(client, tmp_path):
    start(client, tmp_path)
    before = client.backend.read("/calico/")
    start(client, tmp_path)
    assert client.backend.read("/calico/") == before


def test_the_hosts_identity_outlives_restarts(client, tmp_path):
    start(client, tmp_path)
    identity = places(tmp_path).host_id.read_text().strip()
    assert client.nodes.get("one").metadata.annotations[HOST_ID_ANNOTATION] == identity
    start(client, tmp_path)
    assert places(tmp_path).host_id.read_text().strip() == identity


def test_a_second_host_with_the_same_name_or_address_is_refused(client, tmp_path):
    start(client, tmp_path / "a")
    with pytest.raises(NodeClashError, match="node name 'one' is in use by another host"):
        start(client, tmp_path / "b", IP="192.0.2.2/24")
    with pytest.raises(NodeClashError, match="already using the IPv4 address"):
        start(client, tmp_path / "b", NODENAME="two")
    assert {node.name for node in client.nodes.list()} == {"one"}


class Rival(MemoryBackend):
    """A store in which another host takes the address just before our Node is written."""

    armed = True

    def create(self, key, value):
        if self.armed and key.endswith("/nodes/two"):
            self.armed = False
            super().create(key.replace("two", "rival"), value.replace(b'"two"', b'"rival"'))
        return super().create(key, value)


def test_of_two_hosts_that_start_at_once_the_later_gives_its_address_up(tmp_path):
    with Rival() as backend:
        client = Client(backend)
        with pytest.raises(NodeClashError, match="'rival' is already using"):
            start(client, tmp_path, NODENAME="two")
        assert client.nodes.get("two").spec.bgp is None
        assert client.nodes.get("rival").spec.bgp.ipv4_address == "192.0.2.1/24"


class Late(MemoryBackend):
    """A store that answers from the third question on."""

    questions = 0

    def read(self, *prefixes):
        self.questions += 1
        if self.questions < 3:
            raise UnavailableError("not yet")
        return super().read(*prefixes)


def test_a_datastore_is_waited_for_when_asked(tmp_path):
    pauses = []
    settings = parse({**ENVIRON, "WAIT_FOR_DATASTORE": "true"})
    with Late() as backend:
        apply.run(settings, places(tmp_path), Client(backend), pauses.append)
    assert pauses == [1.0, 1.0]


def test_without_waiting_an_absent_datastore_is_an_error(tmp_path):
    with Late() as backend, pytest.raises(UnavailableError, match="not yet"):
        start(Client(backend), tmp_path)


def test_an_empty_identity_file_is_refused(client, tmp_path):
    where = places(tmp_path)
    where.lib.mkdir(parents=True)
    where.host_id.write_text("\n")
    with pytest.raises(ConfigError, match="host-id"):
        start(client, tmp_path)
