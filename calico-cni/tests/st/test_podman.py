"""Podman runs containers through the plugins, on two hosts."""

import json

import pytest


def test_containers_on_two_hosts_reach_each_other(cluster):
    one, two = cluster.machines
    near, far = one.start_container("web"), two.start_container("api")
    assert near.startswith("10.65.")
    assert far.startswith("10.65.")
    two.serve("api")
    cluster.until(lambda: one.pings("web", far), "ping across hosts")
    assert two.pings("api", near)
    assert one.fetches("web", far)
    far6 = two.inspect("api")["NetworkSettings"]["Networks"]["calico"]["GlobalIPv6Address"]
    assert far6.startswith("fd00:65::")
    cluster.until(lambda: one.fetches("web", far6), "IPv6 across hosts")


def test_a_container_is_no_pod_though_podman_names_one(cluster):
    one = cluster.machines[0]
    address = one.start_container("web")
    [endpoint] = cluster.endpoints()
    spec = endpoint["spec"]
    assert endpoint["metadata"]["namespace"] == "default"
    assert spec["orchestrator"] == "cni"
    assert "pod" not in spec
    assert spec["containerID"] == one.inspect("web")["Id"]
    assert spec["node"] == one.name
    assert spec["profiles"] == ["calico"]
    assert f"{address}/32" in spec["ipNetworks"]
    assert one.links() == {spec["interfaceName"]}


def test_policy_selects_by_the_labels_of_a_network_and_by_its_name(cluster, networks):
    one, two = networks
    one.start_container("web", "web")
    one.start_container("other")
    database = two.start_container("db", "db")
    two.serve("db")
    assert not one.pings("web", database)
    rule = {"action": "Allow", "protocol": "TCP", "source": {"selector": "has(web)"}}
    spec = {"selector": "app == 'db'", "types": ["Ingress"]}
    with cluster.policy(spec | {"ingress": [rule]}):
        cluster.until(lambda: one.fetches("web", database), "the policy allows it")
        assert not one.pings("web", database)
        assert not one.fetches("other", database)
    with cluster.policy(spec | {"ingress": []}):
        cluster.until(lambda: not one.fetches("web", database), "the policy denies it")


def test_an_address_that_is_asked_for(cluster):
    one, two = cluster.machines
    mac = "02:11:22:33:44:55"
    options = ["--ip=10.65.200.7", f"--mac-address={mac}"]
    assert one.start_container("web", "calico", *options) == "10.65.200.7"
    assert mac in one.execute("web", "ip", "link", "show", "eth0").stdout
    command = ["podman", "run", "--rm", "--network=calico", f"--cgroup-parent=/{two.cgroup}"]
    taken = two.run(*command, "--ip=10.65.200.7", "busybox", "true", check=False)
    assert taken.returncode != 0
    assert "Address 10.65.200.7 already assigned" in taken.stderr
    foreign = two.run(*command, "--ip=10.99.0.1", "busybox", "true", check=False)
    assert "10.99.0.1 is not in a configured pool" in foreign.stderr
    assert [endpoint["spec"]["node"] for endpoint in cluster.endpoints()] == [one.name]


def test_a_container_on_two_networks_answers_on_both(cluster, networks):
    one, two = networks
    one.start_container("web", "web")
    one.podman("network", "connect", "db", "web")
    two.start_container("api", "web")
    two.start_container("db", "db")
    one.serve("web")
    for client, network in (("api", "web"), ("db", "db")):
        addresses = one.inspect("web")["NetworkSettings"]["Networks"][network]
        for key in ("IPAddress", "GlobalIPv6Address"):
            target = addresses[key]
            cluster.until(lambda a=target, c=client: two.fetches(c, a), f"{client} to {target}")
    for _ in range(3):
        one.podman("network", "disconnect", "db", "web")
        one.podman("network", "connect", "db", "web")
    pid = one.podman("inspect", "-f", "{{.State.Pid}}", "web")
    shown = one.run("nsenter", f"--net=/proc/{pid}/ns/net", "ip", "rule").stdout
    assert shown.count("lookup 10") == 1  # those of earlier interfaces are gone
    again = one.address("web", "db")
    cluster.until(lambda: two.fetches("db", again), "connected anew")


@pytest.mark.parametrize("leaves", ["db", "web"])
def test_a_running_container_is_connected_and_disconnected(cluster, networks, leaves):
    one, two = networks
    targets = {"web": two.start_container("api", "web"), "db": two.start_container("db", "db")}
    one.start_container("web", "web")
    cluster.until(lambda: one.pings("web", targets["web"]), "before")
    one.podman("network", "connect", "db", "web")
    assert len(one.links()) == 2
    assert len(cluster.endpoints()) == 4
    [stays] = {"web", "db"} - {leaves}
    one.podman("network", "disconnect", leaves, "web")
    cluster.until(lambda: one.pings("web", targets[stays]), f"{stays} is still connected")
    cluster.until(lambda: not one.pings("web", targets[leaves]), f"{leaves} is disconnected")
    assert len(one.links()) == 1
    assert len(cluster.endpoints()) == 3
    assert len(cluster.handles()) == 3


def test_a_restart_attaches_again(cluster):
    one, two = cluster.machines
    one.start_container("web")
    far = two.start_container("api")
    one.podman("restart", "--time=0", "web")
    cluster.until(lambda: one.pings("web", far), "after the restart")
    assert len(one.links()) == 1
    assert len(cluster.handles()) == 2
    [endpoint] = [e for e in cluster.endpoints() if e["spec"]["node"] == one.name]
    assert f"{one.address('web')}/32" in endpoint["spec"]["ipNetworks"]


def test_what_is_removed_leaves_nothing(cluster):
    one, two = cluster.machines
    one.start_container("web")
    two.start_container("api")
    one.podman("rm", "--force", "--time=0", "web")
    cluster.until(lambda: one.leftovers() == {}, "nothing is left")
    assert [endpoint["spec"]["node"] for endpoint in cluster.endpoints()] == [two.name]
    assert len(cluster.handles()) == 1
    one.podman("rm", "--force", "--ignore", "web")
    again = one.run("podman", "rm", "web", check=False)
    assert "no such container" in again.stderr.lower()
    assert len(cluster.endpoints()) == 1


def test_an_exhausted_pool_says_so_and_leaves_nothing(cluster, tiny):
    one, two = cluster.machines
    assert one.start_container("web", "tiny") == "10.66.0.0"
    for machine in (one, two):
        machine.podman("create", "--name=more", "--network=tiny", "busybox")
        refused = machine.run("podman", "start", "more", check=False)
        assert refused.returncode != 0
        assert "no address was assigned" in refused.stderr
    assert len(cluster.endpoints()) == 1
    assert len(cluster.handles()) == 1
    assert len(one.links()) == 1
    assert two.links() == set()
    one.podman("rm", "--force", "--time=0", "web")
    one.podman("start", "more")
    assert one.address("more", "tiny") == "10.66.0.0"


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.3.1", "0.4.0", "1.0.0", ""])
def test_every_version_that_podman_speaks(cluster, version):
    one = cluster.machines[0]
    path = "/etc/cni/net.d/30-old.conflist"
    one.install("30-old.conflist", "old")
    document = json.loads(one.host.read_text(path)) | {"cniVersion": version}
    one.host.write_text(path, json.dumps(document))
    try:
        one.start_container("web", "old")
        [endpoint] = cluster.endpoints()
        shown = one.execute("web", "ip", "address", "show", "eth0").stdout
        assert all(address in shown for address in endpoint["spec"]["ipNetworks"])
        one.remove_everything()
        assert cluster.endpoints() == []
    finally:
        one.host.path(path).unlink()
