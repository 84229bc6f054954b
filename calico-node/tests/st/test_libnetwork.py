"""Docker networks, with the driver inside calico/node (``--libnetwork``)."""

from pathlib import Path

from calico_test import processes

IMAGES = Path(__file__).parents[3] / "build/images"


def test_one_host(node, all_reach_each_other):
    node.start("--libnetwork")
    node.create_network("net1")
    first, second = (node.join(name, "net1") for name in ("c1", "c2"))
    all_reach_each_other(first, second)
    assert len(node.endpoints()) == 2
    assert "net1" in node.calicoctl("get", "profiles").stdout
    node.docker("network", "disconnect", "net1", "c1")
    assert len(node.endpoints()) == 1
    for name in ("c1", "c2"):
        node.engine.remove(name)
    node.docker("network", "rm", "net1")
    assert node.endpoints() == []
    assert "net1" not in node.calicoctl("get", "profiles").stdout


def test_two_hosts(pair, all_reach_each_other):
    for node in pair:
        node.start("--libnetwork")
        node.create_network("net1")
    here, there = (node.join(f"on-{node.host.name}", "net1") for node in pair)
    all_reach_each_other(here, there)
    refused = pair[0].docker("network", "rm", "net1", check=False)
    assert refused.returncode == 1
    assert "has active endpoints" in refused.stderr
    assert len(pair[0].endpoints()) == 2


def test_the_driver_from_its_own_image(node, all_reach_each_other):
    node.start()
    node.engine.load(IMAGES / "node-libnetwork.tar")
    mounts = [f"{path}:{path}" for path in ("/run", "/var/run/calico", "/var/lib/calico")]
    node.docker(
        *("run", "-d", "--net=host", "--privileged", "--name=calico-libnetwork"),
        *("-e", "ETCD_ENDPOINTS", *(word for mount in mounts for word in ("-v", mount))),
        "calico/node-libnetwork",
    )
    processes.wait_until(
        lambda: node.host.exists("/run/docker/plugins/calico.sock"), "driver", deadline_s=20.0
    )
    node.create_network("net1")
    first, second = (node.join(name, "net1") for name in ("c1", "c2"))
    all_reach_each_other(first, second)
    for name in ("c1", "c2"):
        node.engine.remove(name)
    node.docker("network", "rm", "net1")
    node.docker("rm", "-f", "calico-libnetwork")
