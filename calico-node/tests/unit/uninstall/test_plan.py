"""What uninstallation takes for ours: never a thing of others."""

from hypothesis import given
from hypothesis import strategies as st

from calico_node.felix.routes import ipip
from calico_node.uninstall import plan
from calico_node.uninstall.model import Found, Running
from libcalico.net.addresses import parse_cidr
from libcalico.netlink.links import Link
from libcalico.netlink.routes import (
    BLACKHOLE,
    PROTOCOL_BIRD,
    PROTOCOL_BOOT,
    PROTOCOL_FELIX,
    PROTOCOL_KERNEL,
    PROTOCOL_STATIC,
    TABLE_LOCAL,
    TABLE_MAIN,
    UNICAST,
    Route,
)

PROGRAM = ["/opt/calico/bin/calico-node"]
LINKS = st.builds(
    Link,
    ifindex=st.integers(1, 20),
    name=st.sampled_from(["cali1", "calico-br", "eth0", "vxlan.calico", "vxlan.theirs", "docker0"]),
    kind=st.sampled_from(["veth", "vxlan", "bridge", ""]),
)
ROUTES = st.builds(
    Route,
    dst=st.sampled_from([parse_cidr(text) for text in ("10.0.0.0/26", "fd00::/122", "0.0.0.0/0")]),
    oif=st.integers(1, 20),
    protocol=st.sampled_from(
        [PROTOCOL_BIRD, PROTOCOL_BOOT, PROTOCOL_FELIX, PROTOCOL_KERNEL, PROTOCOL_STATIC]
    ),
    type=st.sampled_from([UNICAST, BLACKHOLE]),
    table=st.sampled_from([TABLE_MAIN, TABLE_LOCAL]),
)


@given(st.lists(LINKS))
def test_bridges_and_hardware_stay(links):
    for link in plan.interfaces(links):
        assert (link.kind, link.name) in {
            ("veth", "cali1"),
            ("veth", "calico-br"),
            ("vxlan", "vxlan.calico"),
        }


def test_the_kernels_own_ipip_device_is_ours_only_while_we_have_taken_it_over():
    device = Link(3, "tunl0", kind="ipip")
    assert plan.interfaces([device, device._replace(alias="vpn")]) == ()
    taken = device._replace(alias=ipip.OURS)
    assert plan.interfaces([taken]) == (taken,)


def test_routes_to_other_nodes_go_as_those_to_nowhere_do():
    direct = Route(parse_cidr("10.65.0.64/26"), 2, parse_cidr("10.0.0.7/32"))
    nowhere = Route(parse_cidr("10.65.0.0/26"), type=BLACKHOLE)
    assert plan.routes([direct, nowhere], [], had_bird=False) == (direct, nowhere)


@given(st.lists(ROUTES), st.lists(LINKS), st.booleans())
def test_only_routes_that_felix_or_bird_made_go(routes, links, had_bird):
    going = plan.interfaces(links)
    ours = plan.routes(routes, going, had_bird=had_bird)
    for route in ours:
        assert route.table == TABLE_MAIN
        assert route.protocol in ({PROTOCOL_BIRD, PROTOCOL_FELIX} if had_bird else {PROTOCOL_FELIX})
        assert route.oif not in {link.ifindex for link in going}
    assert [route for route in routes if route in ours] == list(ours)


def test_processes():
    running = [
        Running(10, ("/usr/bin/python3", PROGRAM[0], "felix")),
        Running(11, (PROGRAM[0], "workloads")),
        Running(12, (PROGRAM[0], "status")),
        Running(13, ("bird", "-c", "/var/run/calico/bird.conf", "-s", "x")),
        Running(14, ("bird", "-c", "/etc/bird/bird.conf")),
        Running(15, ("vi", "felix")),
        Running(16, ("/usr/bin/python3", "-m", "other.cli", "felix")),
        Running(17, ("",)),
        Running(18, ()),
    ]
    ours = plan.processes(running, PROGRAM, ["/var/run/calico/bird.conf"])
    assert [process.pid for process in ours] == [10, 11, 13]


def test_all_is_shown():
    found = Found(
        processes=(Running(7, ("bird", "-f")),),
        interfaces=(Link(3, "cali1"),),
        routes=(Route(parse_cidr("10.0.0.0/26")),),
        tables=("calico",),
        paths=("/var/lib/calico",),
    )
    assert found.lines() == [
        "process 7: bird -f",
        "interface cali1",
        "route 10.0.0.0/26",
        "nftables table inet calico with its rules and sets",
        "/var/lib/calico",
    ]
