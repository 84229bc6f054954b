"""Networks of scope ``global``: made once, there on every host, as the Python era had them.

What of it there is depends on Docker. Up to 20.10, engines can share a store of networks
(``--cluster-store``, etcd's v2 API), and such networks work as they did; Docker 23 took the store out. What
is left since then is swarm, which takes other drivers only as managed plugins, and this one is none: an
engine refuses its networks of that scope. There, networks are ``local``: made on every host, and one network
to Calico by their name (``test_docker.py``).

Source: platform reference, section 3 (scope global); python-era-calico reference, section 9.2.
"""

import subprocess

import pytest

from calico_test.lab import Lab

STORE = "10.233.0.11:4001"


@pytest.fixture(scope="module")
def store_is_known(docker_is_there):
    """Skip where Docker has no ``--cluster-store`` any more."""
    command = ["dockerd", f"--cluster-store=etcd://{STORE}", "--version"]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("this Docker has no --cluster-store: 23 took it out")


@pytest.fixture(scope="module")
def shared(store_is_known, archive, cluster_class, engine_class):
    """Two hosts whose engines share a store of networks, on the first of them."""

    def make(lab, host):
        store = [f"--cluster-store=etcd://{STORE}", f"--cluster-advertise={host.addresses[0]}:2376"]
        return engine_class(lab, host, docker=store, plugin=["--scope=global"])

    with Lab(2) as lab:
        client = f"http://{STORE}"
        options = ["--enable-v2", "--data-dir=/run/store", f"--listen-client-urls={client}"]
        peers = "--listen-peer-urls=http://10.233.0.11:4002"
        lab.hosts[0].popen(["etcd", *options, peers, f"--advertise-client-urls={client}"])
        cluster = cluster_class(lab, archive, make)
        try:
            yield cluster
        finally:
            cluster.stop()


def test_an_engine_without_a_store_refuses(docker_is_there, archive, cluster_class, engine_class):
    with Lab(1) as lab:
        cluster = cluster_class(
            lab, archive, lambda *where: engine_class(*where, plugin=["--scope=global"])
        )
        create = ["network", "create", "-d", "calico", "--ipam-driver", "calico", "net1"]
        try:
            said = cluster.engines[0].refused(*create)
            assert "This node is not a swarm manager" in said
            assert cluster.engines[0].docker("network", "ls", "-q", "-f", "driver=calico") == ""
            assert cluster.profile_names().isdisjoint({"net1"})
        finally:
            cluster.stop()


@pytest.fixture
def hosts(shared):
    """Both engines, with a network that the first has made."""
    one, two = shared.engines
    one.docker("network", "create", "-d", "calico", "--ipam-driver", "calico", "net1")
    yield one, two
    shared.empty()


def test_a_network_is_made_once_and_is_everywhere(shared, hosts):
    one, two = hosts
    shown = two.docker("network", "ls", "-f", "driver=calico", "--format", "{{.Name}} {{.Scope}}")
    assert shown == "net1 global"
    near, far = one.run("web", "net1"), two.run("db", "net1")
    shared.until(lambda: one.pings("web", far) and two.pings("db", near), "by address")
    shared.until(lambda: one.pings("web", "db") and two.pings("db", "web"), "by name")
    assert {endpoint["spec"]["node"] for endpoint in shared.endpoints()} == {one.name, two.name}
    assert "net1" in shared.profile_names()
    for engine in hosts:
        assert "has active endpoints" in engine.refused("network", "rm", "net1")


def test_a_network_ends_once_for_all(shared, hosts):
    one, two = hosts
    one.run("web", "net1")
    two.run("db", "net1")
    shared.until(lambda: len(shared.endpoints()) == 2, "both endpoints")
    two.docker("network", "disconnect", "net1", "db")
    assert [endpoint["spec"]["node"] for endpoint in shared.endpoints()] == [one.name]
    one.docker("rm", "-f", "web")
    two.docker("network", "rm", "net1")
    assert one.docker("network", "ls", "-q", "-f", "driver=calico") == ""
    shared.until(lambda: "net1" not in shared.profile_names(), "the profile's end")
    assert shared.endpoints() == []
    assert shared.assigned() == 0


def test_addresses_that_are_asked_for_across_hosts(shared, hosts):
    one, two = hosts
    one.docker(
        *("network", "create", "-d", "calico", "--ipam-driver", "calico"),
        *("--subnet", "10.65.0.0/16", "net2"),
    )
    assert one.run("web", "net2", "--ip=10.65.200.7") == "10.65.200.7"
    assert two.run("db", "net2", "--ip=10.65.200.8") == "10.65.200.8"
    shared.until(lambda: one.pings("web", "10.65.200.8"), "across hosts")
    said = two.refused("run", "--net=net2", "--ip=10.65.200.7", "busybox", "true")
    assert "already" in said or "in use" in said
