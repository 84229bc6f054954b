"""calico/node on Docker: one host and two, as the historical mainlines had it, and what goes wrong."""

import re
import shlex
from pathlib import Path

import pytest

from calico_test import processes
from calico_test.connectivity import Matrix
from calico_test.probes import ICMP, Probe

DEADLINE_S = 20.0
HTTP = Probe("tcp", 80)
IMAGE = "calico/node:latest"

README = Path(__file__).parents[2] / "README.md"

ALLOW_ALL = {"ingress": [{"action": "Allow"}], "egress": [{"action": "Allow"}]}
STOPPED = "Calico process is not running."


def install_plugin(node):
    node.host.run(["calico-cni", "install", "--network-name=net1"])


def open_profile(node):
    node.apply("Profile", "net1", ALLOW_ALL)


def test_one_host(node, all_reach_each_other):
    assert "Calico node started successfully" in node.start()
    assert "Calico process is running." in node.calicoctl("node", "status").stdout
    install_plugin(node)
    open_profile(node)
    first, second = node.attach("w1"), node.attach("w2")
    all_reach_each_other(first, second)
    assert first.address(4) != second.address(4)
    for container in (first, second):
        node.detach(container)
    assert "cali" not in node.host.sh("ip -o link")
    refused = node.host.run(["calico-node", "uninstall", "--yes"], check=False)
    assert refused.returncode == 1
    assert "runs in a container; stop it first" in refused.stderr
    assert node.calicoctl("node", "stop").stdout == "Calico node stopped\n"
    status = node.calicoctl("node", "status", check=False)
    assert (status.returncode, status.stdout.strip()) == (1, STOPPED)
    assert node.docker("ps", "-aq").stdout == ""
    node.host.run(["calico-node", "uninstall", "--yes"])
    assert node.host.sh("nft list tables") == ""
    assert (
        node.host.sh("ls /run/calico /var/lib/calico /var/log/calico 2>&1 || true").count("host-id")
        == 0
    )
    node.calicoctl("delete", "node", node.host.name)


def test_the_lines_of_the_readme_work_as_pasted(node):
    lines = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)[1]
    assert len(lines.splitlines()) <= 10
    # Only the lab's etcd is elsewhere.
    shown = node.host.sh(lines.replace("http://10.0.0.1:2379", node.lab.etcd.endpoint))
    assert "Calico process is running." in shown
    assert shown.endswith("Calico node stopped\n")
    assert node.docker("ps", "-aq").stdout == ""


def test_two_hosts(pair, all_reach_each_other):
    """One host is started by calicoctl, the other by docker alone; policy holds across them."""
    one, two = pair
    one.start()
    two.start_without_calicoctl()
    for node in (one, two):
        install_plugin(node)
    open_profile(one)
    here, there = one.attach("here", app="web"), two.attach("there", app="db")
    all_reach_each_other(here, there)
    for node, peer in ((one, two), (two, one)):
        status = node.calicoctl("node", "status").stdout
        assert peer.host.addresses[0] in status
        assert "Established" in status
    one.apply(
        "NetworkPolicy",
        "db",
        {
            "selector": "app == 'db'",
            "types": ["Ingress"],
            "ingress": [{"action": "Allow", "protocol": "TCP"}],
        },
        namespace="default",
    )
    matrix = Matrix([here, there], [ICMP, HTTP])
    matrix.until(lambda _, to, probe: to == "here" or probe == HTTP, deadline_s=DEADLINE_S)


def test_a_killed_container_comes_back_and_policy_stays_meanwhile(node, all_reach_each_other):
    node.start()
    install_plugin(node)
    open_profile(node)
    first, second = node.attach("w1"), node.attach("w2")
    all_reach_each_other(first, second)
    node.host.sh("nft list table inet calico >/dev/null")
    pid = node.docker("inspect", "-f", "{{.State.Pid}}", "calico-node").stdout.strip()
    node.host.run(["nsenter", f"--pid={node.engine.root}/proc/1/ns/pid", "kill", "-9", pid])
    node.host.sh("nft list table inet calico >/dev/null")
    processes.wait_until(
        lambda: node.calicoctl("node", "status", check=False).returncode == 0,
        "the container's return",
        deadline_s=DEADLINE_S,
    )
    all_reach_each_other(first, second, node.attach("w3"))


def test_start_up_that_fails_is_told_and_leaves_no_container(node):
    refused = node.calicoctl("node", "run", "--ip-autodetection-method=first-fond", check=False)
    assert refused.returncode == 1
    assert "calico/node did not start (its container was removed):" in refused.stderr
    assert "autodetection method 'first-fond': use first-found, " in refused.stderr
    assert node.docker("ps", "-aq").stdout == ""
    assert node.host.sh("nft list tables") == ""


def test_what_is_missing_is_told(node):
    refused = node.calicoctl("node", "run", "--node-image=calico/none:1", check=False)
    assert refused.returncode == 1
    assert "Docker has no image calico/none:1 here" in refused.stderr
    refused = node.calicoctl(
        "node", "run", check=False, env={"DOCKER_HOST": "unix:///run/none.sock"}
    )
    assert refused.returncode == 1
    assert "no Docker engine answers here" in refused.stderr
    assert "--runtime=native" in refused.stderr


def test_two_ways_of_running_exclude_each_other_and_a_second_start_replaces_the_first(node):
    node.start()
    first = node.docker("inspect", "--format", "{{.Id}}", "calico-node").stdout
    node.calicoctl("node", "run")
    assert node.docker("inspect", "--format", "{{.Id}}", "calico-node").stdout != first
    refused = node.calicoctl("node", "run", "--runtime=native", check=False)
    assert refused.returncode == 1
    assert "calico/node runs in Docker on this host already" in refused.stderr
    node.calicoctl("node", "stop")
    node.calicoctl("node", "run", "--runtime=native", "--name=host1")
    refused = node.calicoctl("node", "run", check=False)
    assert refused.returncode == 1
    assert "run on this host already, outside Docker" in refused.stderr
    node.calicoctl("node", "stop")


@pytest.mark.parametrize("libnetwork", [False, True])
def test_what_dryrun_prints_works_as_pasted(node, libnetwork):
    options = ["--libnetwork"] if libnetwork else []
    shown = node.calicoctl("node", "run", "--dryrun", "--name=host1", *options).stdout
    assert shlex.split(shown)[-1] == IMAGE
    node.host.sh(shown)
    node.docker("exec", "calico-node", "calico-node", "wait")
    assert node.host.exists("/run/docker/plugins/calico.sock") is libnetwork
