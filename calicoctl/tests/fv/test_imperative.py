"""The imperative commands, on the resources that apply writes."""

import pytest


def pools(ctl):
    rows = ctl.ok("get", "pools", "-o", "custom-columns=CIDR,IPIPMODE,NAT").split()[3:]
    return sorted(zip(rows[::3], rows[1::3], rows[2::3], strict=True))


def test_pools(ctl):
    assert ctl.ok("pool", "add", "10.65.0.0/16", "fd80::/64", "--nat-outgoing") == ""
    assert pools(ctl) == [("10.65.0.0/16", "Never", "true"), ("fd80::/64", "Never", "true")]
    ctl.ok("pool", "add", "10.65.0.0/16", "--ipip")
    assert pools(ctl)[0] == ("10.65.0.0/16", "Always", "false")
    assert ctl.ok("pool", "show", "--ipv4") == (
        "+--------------+---------+\n"
        "|  IPv4 CIDR   | Options |\n"
        "+--------------+---------+\n"
        "| 10.65.0.0/16 | ipip    |\n"
        "+--------------+---------+\n"
    )
    assert ctl.ok("pool", "show").count("Options") == 2
    assert ctl.ok("pool", "show", "--ipv4", "--ipv6") == ctl.ok("pool", "show")
    ctl.ok("pool", "range", "add", "10.70.0.0", "10.70.2.255")
    assert [cidr for cidr, _, _ in pools(ctl)[1:3]] == ["10.70.0.0/23", "10.70.2.0/24"]
    ctl.ok("pool", "remove", "10.65.0.0/16", "10.70.0.0/23")
    assert len(pools(ctl)) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "10.65.0.0/27"), "at least one block"),
        (("add", "10.65.0.0/16", "10.65.1.0/24"), "overlap"),
        (("add", "10.9.0.0/16", "10.0.0.0/8"), "overlap"),
        (("add", "10.9.0.0/16", "fd00::/64", "--ipip"), "IPv4 only"),
        (("add", "10.9.0.0/16", "10.1.2.0/24"), "overlaps with IPPool(taken)"),
        (("add", "x"), "'x'"),
        (("range", "add", "10.9.0.0", "10.9.0.9"), "at least one block"),
        (("range", "add", "10.9.1.0", "10.9.0.0"), "no range"),
        (("range", "add", "10.9.1.0", "fd00::"), "no range"),
        (("remove", "10.1.0.0/16", "10.9.0.0/16"), "10.9.0.0/16 is no pool"),
    ],
)
def test_a_wrong_call_changes_no_pool(ctl, make, arguments, said):
    ctl.apply(make("IPPool", "taken", {"cidr": "10.1.0.0/16"}))
    before = pools(ctl)
    done = ctl("pool", *arguments)
    assert (done.code, done.out) == (1, "")
    assert said in done.err
    assert pools(ctl) == before


def test_bgp(ctl, make):
    ctl.apply(make("Node", "n1", {"bgp": {"ipv4Address": "10.0.0.1/24"}}))
    assert ctl.ok("bgp", "node-mesh") == "on\n"
    assert ctl.ok("bgp", "default-node-as") == "64512\n"
    assert ctl.ok("bgp", "node-mesh", "off") == ctl.ok("bgp", "default-node-as", "1.10") == ""
    assert ctl.ok("bgp", "node-mesh") == "off\n"
    assert ctl.ok("bgp", "default-node-as") == "65546\n"
    ctl.ok("bgp", "peer", "add", "192.0.2.1", "as", "64513")
    ctl.ok("bgp", "peer", "add", "192.0.2.1", "as", "64514")
    ctl.ok("node", "bgp", "peer", "add", "2001:db8::1", "as", "64515", NODENAME="n1")
    assert "| 192.0.2.1            |  64514 |" in ctl.ok("bgp", "peer", "show", "--ipv4")
    assert ctl.ok("bgp", "peer", "show", "--ipv6") == "No Global IPv6 BGP Peers defined.\n"
    assert "2001:db8::1" in ctl.ok("node", "bgp", "peer", "show", NODENAME="n1")
    shown = ctl.ok("node", "show")
    assert "65546 (inherited)" in shown
    assert "2001:db8::1 as 64515" in shown
    assert ctl.ok("bgp", "peer", "remove", "192.0.2.1") == "BGP peer 192.0.2.1 removed\n"
    assert ctl("bgp", "peer", "remove", "192.0.2.1").code == 1
    for arguments in (("192.0.2.1", "as", "x"), ("x", "as", "1"), ("192.0.2.1", "is", "1")):
        assert ctl("bgp", "peer", "add", *arguments).code == 1
    assert ctl("node", "bgp", "peer", "add", "192.0.2.1", "as", "1", NODENAME="gone").code == 1


def test_levels(ctl):
    assert ctl.ok("config", "felix", "loglevel") == "The value is not configured\n"
    assert ctl.ok("config", "felix", "loglevel", "warning") == ""
    assert ctl.stored("felixconfigurations", "default")["spec"]["logSeverityScreen"] == "Warning"
    assert ctl.ok("config", "felix", "loglevel") == "warning\n"
    assert ctl.ok("config", "felix", "loglevel", "--remove") == "Value removed\n"
    ctl.ok("config", "bgp", "loglevel", "debug")
    ctl.ok("config", "node", "bgp", "loglevel", "info", NODENAME="n1")
    assert ctl.stored("bgpconfigurations", "node.n1")["spec"]["logSeverityScreen"] == "Info"
    assert "'debugxyz' is no level" in ctl("config", "bgp", "loglevel", "debugxyz").err


def test_a_node_with_endpoints_is_removed_only_when_told(ctl, make):
    ctl.apply(
        make("Node", "n1", {"bgp": {"ipv4Address": "10.0.0.1/24"}}),
        make(
            "WorkloadEndpoint",
            "n1-cni-abc-eth0",
            {
                "node": "n1",
                "orchestrator": "cni",
                "containerID": "abc",
                "endpoint": "eth0",
                "ipNetworks": ["10.65.0.1/32"],
                "interfaceName": "cali123",
            },
            namespace="default",
        ),
    )
    done = ctl("node", "remove", "--hostname=n1")
    assert (done.code, "has 1 workload endpoint(s)" in done.err) == (1, True)
    removed = ctl.ok("node", "remove", "--hostname=n1", "--remove-endpoints")
    assert removed == "Node configuration removed\n"
    assert len(ctl.ok("get", "nodes").split()) == 1
    assert ctl.ok("get", "wep", "-A", "-o", "custom-columns=NAME").split() == ["NAME"]
    assert ctl("node", "remove", "--hostname=n1").code == 1


def test_profiles(ctl, make):
    assert ctl.ok("profile", "add", "web") == "Created profile web\n"
    assert ctl("profile", "add", "web").code == 1
    spec = ctl.stored("profiles", "web")["spec"]
    assert spec["labelsToApply"] == {"web": ""}
    assert spec["ingress"][0]["source"]["selector"] == "has(web)"
    assert ctl.ok("profile", "web", "tag", "add", "public") == "Tag public added to profile web\n"
    assert ctl.ok("profile", "web", "tag", "show") == "public\nweb\n"
    rule = ("allow", "tcp", "from", "tag", "lb", "to", "ports", "80,443")
    assert ctl.ok("profile", "web", "rule", "add", "inbound", "--at=1", *rule) == ""
    assert "already" in ctl("profile", "web", "rule", "add", "inbound", *rule).err
    assert ctl.ok("profile", "web", "rule", "show") == (
        "Inbound rules:\n   1 allow tcp from tag lb to ports 80,443\n   2 allow from tag web\n"
        "Outbound rules:\n   1 allow\n"
    )
    text = ctl.ok("profile", "web", "rule", "json")
    ctl.ok("profile", "web", "rule", "remove", "inbound", "--at=2")
    ctl.ok("profile", "web", "rule", "remove", "inbound", *rule)
    assert (
        ctl.ok("profile", "web", "rule", "update", stdin=text) == "Rules of profile web updated\n"
    )
    assert ctl.ok("profile", "web", "rule", "json") == text
    for wrong in (
        ("remove", "inbound", "--at=3"),
        ("add", "inbound", "--at=0", "deny"),
        ("add", "in", "deny"),
    ):
        assert ctl("profile", "web", "rule", *wrong).code == 1
    assert "web" in ctl.ok("profile", "show", "--detailed")
    assert ctl.ok("profile", "remove", "web") == "Deleted profile web\n"
    assert ctl("profile", "remove", "web").code == 1
