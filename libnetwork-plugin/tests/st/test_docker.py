"""The driver as Docker uses it, on two hosts with an engine each."""

import pytest

SELECTABLE = ["--label", "app=db", "--label", "org.projectcalico.label.tier=back"]


def create(engine, name="net1", *options):
    engine.docker("network", "create", "-d", "calico", "--ipam-driver", "calico", *options, name)


@pytest.fixture
def hosts(cluster):
    """Both engines, with a network of the same name."""
    for engine in cluster.engines:
        create(engine)
    return cluster.engines


def test_a_container_is_an_endpoint_that_policy_can_select(cluster, hosts):
    address = hosts[0].run("web", "net1", *SELECTABLE)
    [endpoint] = cluster.until(
        lambda: [e for e in cluster.endpoints() if e["spec"].get("profiles")], "completion"
    )
    container = hosts[0].inspect("web")
    spec, labels = endpoint["spec"], endpoint["metadata"]["labels"]
    assert spec["orchestrator"] == spec["workload"] == "libnetwork"
    assert spec["endpoint"] == container["NetworkSettings"]["Networks"]["net1"]["EndpointID"]
    assert spec["containerID"] == container["Id"]
    assert spec["node"] == hosts[0].name
    assert spec["ipNetworks"] == [f"{address}/32"]
    assert spec["profiles"] == ["net1"]
    assert labels["app"] == "db"
    assert labels["tier"] == "back"
    assert spec["interfaceName"] in hosts[0].links()


def test_inside_a_container_everything_goes_to_the_host(hosts):
    address = hosts[0].run("web", "net1")
    routes = hosts[0].execute("web", "ip", "route").splitlines()
    assert [line.strip() for line in routes] == [
        "default via 169.254.1.1 dev cali0",
        "169.254.1.1 dev cali0 scope link",
    ]
    assert f"inet {address}/32" in hosts[0].execute("web", "ip", "addr", "show", "cali0")


def test_the_mac_is_known_unless_docker_or_ipv6_decides(cluster, hosts):
    one, two = hosts
    one.run("web", "net1")
    assert one.mac("web", "net1") == "ee:ee:ee:ee:ee:ee"
    target = two.run("db", "net1", "--mac-address", "02:42:aa:bb:cc:dd")
    assert two.mac("db", "net1") == "02:42:aa:bb:cc:dd"
    cluster.until(lambda: one.pings("web", target), "across hosts")
    create(one, "net6", "--ipv6", "--subnet", "fd00:65::/112")
    one.run("six", "net6")
    assert one.mac("six", "net6") != "ee:ee:ee:ee:ee:ee"
    said = one.refused("run", "--net=net6", "--mac-address=ee:ee:ee:ee:ee:ee", "busybox", "true")
    assert "that of the IPv6 gateway" in said


def test_containers_of_a_network_reach_each_other_across_hosts_and_by_name(cluster, hosts):
    one, two = hosts
    one.run("web", "net1")
    near, far = one.run("api", "net1"), two.run("db", "net1")
    cluster.until(lambda: one.pings("web", near), "on one host")
    cluster.until(lambda: one.pings("web", far), "across hosts")
    assert one.pings("web", "api")


def test_networks_are_apart_until_policy_connects_them(cluster, hosts):
    one, two = hosts
    create(two, "net2")
    one.run("web", "net1", "--label", "app=web")
    target = two.run("db", "net2", "--label", "app=db")
    inside = two.run("api", "net1")
    cluster.until(lambda: one.pings("web", inside), "the network itself")
    assert not one.pings("web", target)
    rule = {"action": "Allow", "source": {"selector": "app == 'web'"}}
    spec = {"selector": "app == 'db'", "types": ["Ingress"], "ingress": [rule]}
    cluster.apply("NetworkPolicy", "db-from-web", spec, "libnetwork")
    try:
        cluster.until(lambda: one.pings("web", target), "after policy")
        assert not two.pings("api", target)
    finally:
        cluster.calicoctl("delete", "networkpolicy", "db-from-web", "-n", "libnetwork")


def test_policy_isolates_by_label_on_both_hosts(cluster, hosts):
    one, two = hosts
    addresses = [one.run("near", "net1", "--label", "app=db")]
    addresses.append(two.run("far", "net1", "--label", "app=db"))
    one.run("web", "net1")
    for address in addresses:
        cluster.until(lambda a=address: one.pings("web", a), "before policy")
    spec = {"selector": "app == 'db'", "types": ["Ingress"], "ingress": []}
    cluster.apply("NetworkPolicy", "alone", spec, "libnetwork")
    try:
        for address in addresses:
            cluster.until(lambda a=address: not one.pings("web", a), "after policy")
    finally:
        cluster.calicoctl("delete", "networkpolicy", "alone", "-n", "libnetwork")


def test_what_is_removed_leaves_nothing(cluster, hosts):
    one, two = hosts
    one.run("web", "net1")
    two.run("db", "net1")
    cluster.until(lambda: len(cluster.endpoints()) == 2, "endpoints")
    cluster.until(lambda: "net1" in cluster.profile_names(), "profile")
    one.docker("rm", "-f", "web")
    one.docker("network", "rm", "net1")
    assert [e["spec"]["node"] for e in cluster.endpoints()] == [two.name]
    assert one.links() == set()
    assert cluster.assigned() == 1
    assert "net1" in cluster.profile_names()  # the other host's network has it, too
    two.docker("rm", "-f", "db")
    two.docker("network", "rm", "net1")
    assert cluster.endpoints() == []
    assert cluster.assigned() == 0
    assert "net1" not in cluster.profile_names()


def test_a_network_and_its_profile_come_together(cluster, hosts):
    cluster.until(lambda: "net1" in cluster.profile_names(), "profile")
    shown = hosts[0].docker("network", "inspect", "-f", "{{.Driver}} {{.IPAM.Driver}}", "net1")
    assert shown == "calico calico"
    assert "has active endpoints" in hosts[0].refused_after(
        lambda: hosts[0].run("web", "net1"), "network", "rm", "net1"
    )


def test_an_address_that_is_asked_for_is_given_once(cluster):
    for engine in cluster.engines:
        create(engine, "net1", "--subnet", "10.65.0.0/16")
    one, two = cluster.engines
    assert one.run("web", "net1", "--ip", "10.65.200.7") == "10.65.200.7"
    assert two.run("db", "net1", "--ip", "10.65.200.8") == "10.65.200.8"
    cluster.until(lambda: one.pings("web", "10.65.200.8"), "across hosts")
    said = two.refused("run", "--net", "net1", "--ip", "10.65.200.7", "busybox", "true")
    assert "already assigned" in said
    one.docker("restart", "-t0", "web")
    assert one.address("web", "net1") == "10.65.200.7"


def test_a_part_of_a_pool_with_range_gateway_and_reserved_addresses(cluster):
    engine = cluster.engines[0]
    options = ["--subnet=10.65.50.0/24", "--ip-range=10.65.50.64/30", "--gateway=10.65.50.1"]
    create(engine, "net1", *options, "--aux-address=x=10.65.50.65")
    given = {engine.run(name, "net1") for name in ("web", "api", "db")}
    assert given == {"10.65.50.64", "10.65.50.66", "10.65.50.67"}
    assert "No IPs available" in engine.refused("run", "--net", "net1", "busybox", "true")
    assert engine.run("gate", "net1", "--ip", "10.65.50.2") == "10.65.50.2"
    said = engine.refused("run", "--net", "net1", "--ip", "10.65.50.1", "busybox", "true")
    assert "already assigned" in said
    engine.docker("rm", "-f", "web", "api", "db", "gate")
    engine.docker("network", "rm", "net1")
    assert cluster.assigned() == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--subnet", "10.99.0.0/24"],
            "is in no enabled IP pool of Calico; use one of 10.65.0.0/16",
        ),
        (["--ipv6", "--subnet", "fd99::/64"], "is in no enabled IP pool of Calico"),
    ],
)
def test_a_subnet_that_is_not_calicos_is_refused(cluster, options, said):
    create_it = ["network", "create", "-d", "calico", "--ipam-driver", "calico"]
    assert said in cluster.engines[0].refused(*create_it, *options, "net1")


def test_addresses_of_another_ipam_driver_are_refused(cluster):
    said = cluster.engines[0].refused("network", "create", "-d", "calico", "net1")
    assert "--ipam-driver" in said


def test_ipv6_reaches_across_hosts(cluster):
    for engine in cluster.engines:
        create(engine, "net1", "--ipv6", "--subnet", "fd00:65::/112")
    one, two = cluster.engines
    one.run("web", "net1")
    two.run("db", "net1")
    address = two.inspect("db")["NetworkSettings"]["Networks"]["net1"]["GlobalIPv6Address"]
    assert address.startswith("fd00:65::")
    cluster.until(lambda: one.pings("web", address), "IPv6 across hosts")
    cluster.until(lambda: one.pings("web", two.address("db", "net1")), "IPv4 across hosts")


def test_connect_and_disconnect_a_running_container(cluster, hosts):
    one, two = hosts
    target = two.run("db", "net1")
    one.run("web", "none")
    one.docker("network", "disconnect", "none", "web")
    one.docker("network", "connect", "net1", "web")
    cluster.until(lambda: one.pings("web", target), "connected")
    one.docker("network", "disconnect", "net1", "web")
    assert not one.pings("web", target)
    assert one.links() == set()
    assert [e["spec"]["node"] for e in cluster.endpoints()] == [two.name]


def test_a_container_is_on_one_of_our_networks_only(cluster, hosts):
    one, two = hosts
    create(one, "net2")
    one.run("web", "net1")
    target = two.run("db", "net1")
    assert "it can be on one only" in one.refused("network", "connect", "net2", "web")
    cluster.until(lambda: one.pings("web", target), "the first network still works")
    assert len(cluster.endpoints()) == 2
    assert cluster.assigned() == 2


def test_a_restarted_container_is_back_with_labels_and_profile(cluster, hosts):
    one, two = hosts
    one.run("web", "net1", "--label", "app=web")
    target = two.run("db", "net1")
    one.docker("restart", "-t0", "web")
    cluster.until(lambda: one.pings("web", target), "after the restart")
    [endpoint] = [e for e in cluster.endpoints() if e["spec"]["node"] == one.name]
    assert endpoint["metadata"]["labels"]["app"] == "web"
    assert endpoint["spec"]["profiles"] == ["net1"]
    assert cluster.assigned() == 2


def test_a_restart_of_the_plugin_loses_nothing(cluster, hosts):
    one, two = hosts
    one.run("web", "net1", "--label", "app=web")
    target = two.run("db", "net1")
    cluster.until(lambda: one.pings("web", target), "before")
    assert one.stop_plugin() == 0
    assert not one.host.exists("/run/docker/plugins/calico.sock")
    assert one.pings("web", target)
    starting = one.start_docker_command(
        "run", "-d", "--name", "api", "--net", "net1", "busybox", "sleep", "1000"
    )
    one.start_plugin()
    assert starting.wait(60) == 0
    cluster.until(lambda: one.pings("api", target), "started while the plugin was down")
    assert one.pings("web", target)
    one.docker("rm", "-f", "web", "api")
    assert one.links() == set()
    assert cluster.assigned() == 1


def test_a_killed_plugin_leaves_a_socket_that_the_next_one_takes(cluster, hosts):
    one, two = hosts
    one.run("web", "net1")
    one.stop_plugin(9)
    one.start_plugin()
    target = two.run("db", "net1")
    cluster.until(lambda: one.pings("web", target), "after the kill")


def test_without_a_datastore_docker_says_so(cluster, hosts, announced):
    one = hosts[0]
    cluster.lab.etcd.pause()
    try:
        said = one.refused("run", "--net", "net1", "busybox", "true")
    finally:
        cluster.lab.etcd.resume()
    assert "datastore http:" in said
    one.run("web", "net1")
    cluster.until(lambda: len(cluster.endpoints()) == 1, "one endpoint")
    cluster.until(lambda: cluster.assigned() == 1, "nothing leaked")


def test_a_restart_of_the_engine_brings_its_containers_back(cluster, hosts):
    one, two = hosts
    one.run("web", "net1", "--restart=always", "--label", "app=web")
    target = two.run("db", "net1")
    cluster.until(lambda: one.pings("web", target), "before")
    one.stop_docker()
    one.start_docker()
    cluster.until(lambda: one.pings("web", target), "after")
    cluster.until(lambda: len(cluster.endpoints()) == 2, "endpoints")
    [endpoint] = [e for e in cluster.endpoints() if e["spec"]["node"] == one.name]
    assert endpoint["metadata"]["labels"]["app"] == "web"
    assert cluster.assigned() == 2


def test_the_driver_runs_inside_calico_node(cluster, hosts):
    one, two = hosts
    one.stop_plugin()
    one.stop_node()
    one.start_node("--libnetwork")
    try:
        one.run("web", "net1")
        target = two.run("db", "net1")
        cluster.until(lambda: one.pings("web", target), "across hosts")
        one.docker("rm", "-f", "web")
    finally:
        one.stop_node()
        one.start_node()
        one.start_plugin()
