"""Routes and interface settings on the real kernel."""

import json
import select
from contextlib import closing

import pytest

from calico_node.felix import metrics
from calico_node.felix.dataplane.router import Router
from calico_node.felix.messages import EndpointId, EndpointPolicies, LocalEndpoint
from calico_node.felix.routes.plan import Target
from calico_node.felix.routes.settings import RouteSettings
from libcalico.net.addresses import parse_cidr

ME = EndpointId("ns", "a")
V4, V6 = parse_cidr("10.65.0.1"), parse_cidr("fd65::1")
BLOCKS = {parse_cidr("10.65.0.0/26"): True, parse_cidr("fd65::/122"): True}
ENDPOINT = LocalEndpoint("cali1", (V4, V6), "", EndpointPolicies((), ()))
DEADLINE_S = 5.0


@pytest.fixture
def router(netns):
    with closing(netns.call(lambda: Router(RouteSettings()))) as made:
        netns.call(made.start)
        yield made


def add_interface(netns, name="cali1"):
    netns.run(["ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}-in"])
    netns.run(["ip", "link", "set", f"{name}-in", "up"])
    netns.run(["ip", "link", "set", name, "up"])


def routes(netns, version: int) -> dict[str, dict]:
    listed = json.loads(netns.run(["ip", "-json", f"-{version}", "route"]).stdout)
    return {r["dst"]: r for r in listed if r["dst"] not in ("fe80::/64", "ff00::/8")}


def follow(netns, router, until) -> None:
    """Let the router take events until something holds, within a deadline."""
    while not until():
        assert select.select([router.monitor], [], [], DEADLINE_S)[0], "no event came"
        netns.call(router.take_events)


def apply(netns, router, endpoint=ENDPOINT, blocks=None):
    netns.call(lambda: router.apply({ME: endpoint}, blocks or {}))


def test_an_address_leads_to_its_interface_and_a_block_nowhere(netns, router):
    add_interface(netns)
    netns.call(router.take_events)
    apply(netns, router, blocks=BLOCKS)
    four, six = routes(netns, 4), routes(netns, 6)
    assert (four["10.65.0.1"]["dev"], four["10.65.0.1"]["scope"]) == ("cali1", "link")
    assert four["10.65.0.1"]["metric"] == six["fd65::1"]["metric"] == 1024
    assert six["fd65::1"]["dev"] == "cali1"
    assert four["10.65.0.0/26"]["type"] == six["fd65::/122"]["type"] == "blackhole"
    assert router.is_ready(ENDPOINT)


def test_routes_wait_for_the_interface_and_go_with_it(netns, router):
    apply(netns, router)
    assert not routes(netns, 4)
    assert not router.is_ready(ENDPOINT)
    add_interface(netns)
    follow(netns, router, lambda: router.is_ready(ENDPOINT))
    assert "10.65.0.1" in routes(netns, 4)
    netns.run(["ip", "link", "delete", "cali1"])
    follow(netns, router, lambda: not router.is_ready(ENDPOINT))
    add_interface(netns)
    follow(netns, router, lambda: router.is_ready(ENDPOINT))
    assert {"10.65.0.1"} == set(routes(netns, 4))


def test_an_interface_that_flaps_gets_its_routes_back(netns, router):
    add_interface(netns)
    apply(netns, router)
    follow(netns, router, lambda: router.is_ready(ENDPOINT))
    netns.run(["ip", "link", "set", "cali1", "down"])
    netns.run(["ip", "link", "set", "cali1", "up"])
    follow(
        netns,
        router,
        lambda: {"10.65.0.1"} == set(routes(netns, 4)) and "fd65::1" in routes(netns, 6),
    )
    assert router.is_ready(ENDPOINT)


@pytest.mark.parametrize(
    "tampering",
    [
        ["ip", "route", "delete", "10.65.0.1"],
        ["ip", "-6", "route", "delete", "fd65::1"],
        ["ip", "route", "delete", "blackhole", "10.65.0.0/26"],
        ["ip", "route", "flush", "proto", "boot"],
    ],
)
def test_a_route_that_others_remove_comes_back(netns, router, tampering):
    add_interface(netns)
    apply(netns, router, blocks=BLOCKS)
    follow(netns, router, lambda: router.is_ready(ENDPOINT))
    netns.call(router.take_events)
    before = routes(netns, 4), routes(netns, 6)
    netns.run(tampering)
    assert (routes(netns, 4), routes(netns, 6)) != before
    follow(netns, router, lambda: (routes(netns, 4), routes(netns, 6)) == before)


def test_an_endpoint_that_goes_takes_its_routes(netns, router):
    add_interface(netns)
    apply(netns, router, blocks=BLOCKS)
    follow(netns, router, lambda: router.is_ready(ENDPOINT))
    netns.call(lambda: router.apply({ME: None}, dict.fromkeys(BLOCKS)))
    assert not routes(netns, 4)
    assert not routes(netns, 6)


def test_a_new_router_takes_over_and_removes_blackholes_that_are_not_wanted(netns, router):
    add_interface(netns)
    apply(netns, router, blocks=BLOCKS)
    follow(netns, router, lambda: router.is_ready(ENDPOINT))
    successor = netns.call(lambda: Router(RouteSettings()))
    apply(netns, successor)
    netns.call(successor.start)
    assert set(routes(netns, 4)) == {"10.65.0.1"}
    assert successor.is_ready(ENDPOINT)
    successor.close()


def test_interfaces_answer_for_their_gateway_and_forward(netns, router):
    add_interface(netns)
    netns.call(router.take_events)
    apply(netns, router)

    def sysctl(key: str) -> str:
        return netns.run(["sysctl", "-n", key]).stdout.strip()

    assert sysctl("net.ipv4.ip_forward") == sysctl("net.ipv6.conf.all.forwarding") == "1"
    assert sysctl("net.ipv4.conf.cali1.proxy_arp") == "1"
    assert sysctl("net.ipv4.neigh.cali1.proxy_delay") == "0"
    assert sysctl("net.ipv6.conf.cali1.proxy_ndp") == "1"
    assert sysctl("net.ipv6.conf.cali1.accept_ra") == "0"


def test_an_interface_that_was_away_is_set_up_anew_though_it_has_its_number_again(netns, router):
    make = "ip link add cali1 index 77 type veth peer name in1; ip link set cali1 up"
    answers = ["cat", "/proc/sys/net/ipv4/conf/cali1/proxy_arp"]
    netns.run(["sh", "-c", make])
    apply(netns, router)
    follow(netns, router, lambda: netns.run(answers).stdout.strip() == "1")
    netns.call(router.take_events)
    netns.run(["sh", "-c", f"ip link delete cali1; {make}"])
    assert netns.run(answers).stdout.strip() == "0"
    netns.call(router.take_events)
    assert netns.run(answers).stdout.strip() == "1"


def test_routes_of_others_on_interfaces_of_others_are_left_alone(netns, router):
    add_interface(netns)
    add_interface(netns, "eth0")
    netns.run(["ip", "address", "add", "198.51.100.1/24", "dev", "eth0"])
    netns.run(["ip", "route", "add", "192.0.2.1", "dev", "eth0", "metric", "1024"])
    netns.run(["ip", "route", "add", "192.0.2.128/25", "via", "198.51.100.9", "proto", "bird"])
    netns.run(["ip", "route", "add", "192.0.2.7", "dev", "eth0", "proto", "80"])
    netns.run(["ip", "route", "add", "blackhole", "203.0.113.0/24"])
    before = routes(netns, 4).keys()
    reconfigure(netns, router, grace_s=0.0)
    apply(netns, router)
    netns.call(router.retry)
    assert routes(netns, 4).keys() == before | {"10.65.0.1"}


STRAYS = {
    "192.0.2.0/24": [],
    "192.0.2.9": ["metric", "5", "proto", "bird"],
    "192.0.2.10": ["metric", "1024"],
    "10.65.0.1": ["metric", "7"],
    "fd99::/64": [],
    "fd99::9": ["metric", "1024"],
}


def add_strays(netns, interface="cali1"):
    for destination, more in STRAYS.items():
        netns.run(["ip", "route", "add", destination, "dev", interface, *more])


def strays(netns):
    """Return the destinations of those strays that are there."""
    listed = netns.run(["ip", "route"]).stdout + netns.run(["ip", "-6", "route"]).stdout
    ours = "10.65.0.1 dev cali1 scope link metric 1024"
    lines = [line for line in listed.splitlines() if not line.startswith(ours)]
    return STRAYS.keys() & {line.split()[0] for line in lines}


def reconfigure(netns, router, **fields):
    netns.call(lambda: router.reconfigure(RouteSettings(**fields)))


def test_routes_of_others_on_workload_interfaces_are_removed_after_the_grace_period(netns, router):
    add_interface(netns)
    apply(netns, router)
    follow(netns, router, lambda: router.is_ready(ENDPOINT))
    add_strays(netns)
    netns.call(router.take_events)
    repairs = repaired("routes")
    netns.call(router.retry)
    assert strays(netns) == STRAYS.keys()
    assert repaired("routes") == repairs
    reconfigure(netns, router, grace_s=0.0)
    netns.call(router.retry)
    assert strays(netns) == set()
    assert {"10.65.0.1"} == set(routes(netns, 4))
    assert {"fd65::1"} == set(routes(netns, 6))
    assert repaired("routes") == repairs + len(STRAYS)


def test_only_what_looks_like_ours_is_removed_if_it_is_so_configured(netns, router):
    add_interface(netns)
    apply(netns, router)
    reconfigure(netns, router, removes_strays=False, grace_s=0.0)
    add_strays(netns)
    netns.call(router.take_events)
    netns.call(router.retry)
    assert strays(netns) == STRAYS.keys() - {"192.0.2.10", "fd99::9"}
    reconfigure(netns, router, grace_s=0.0)
    netns.call(router.retry)
    assert strays(netns) == set()


def test_a_route_that_was_there_before_its_endpoint_stays_without_a_break(netns, router):
    add_interface(netns)
    netns.call(router.take_events)
    netns.run(["ip", "route", "add", "10.65.0.1", "dev", "cali1", "metric", "1024"])
    netns.call(router.take_events)
    netns.call(router.audit)
    assert "10.65.0.1" in routes(netns, 4)
    apply(netns, router)
    reconfigure(netns, router, grace_s=0.0)
    netns.call(router.retry)
    assert "10.65.0.1" in routes(netns, 4)
    assert router.is_ready(ENDPOINT)


def test_what_a_previous_run_left_goes_after_the_grace_period(netns, router):
    add_interface(netns)
    apply(netns, router)
    follow(netns, router, lambda: router.is_ready(ENDPOINT))
    with closing(netns.call(lambda: Router(RouteSettings(grace_s=0.0)))) as successor:
        netns.call(successor.start)
        assert "10.65.0.1" in routes(netns, 4)
        netns.call(successor.retry)
        assert not routes(netns, 4)
        assert not routes(netns, 6)


def test_an_address_elsewhere_leads_through_a_tunnel_by_way_of_a_host_that_is_not_on_it(
    netns, router
):
    add_interface(netns, "tunl0")  # what kind it is matters to nobody here
    netns.call(router.take_events)
    block, host = parse_cidr("10.65.0.64/26"), parse_cidr("192.0.2.7/32")
    through = {block: Target("tunl0", host, onlink=True)}
    netns.call(lambda: router.apply({}, {}, through))
    route = routes(netns, 4)["10.65.0.64/26"]
    assert (route["gateway"], route["dev"], route["protocol"]) == ("192.0.2.7", "tunl0", "80")
    assert "onlink" in route["flags"]
    netns.run(["ip", "route", "delete", "10.65.0.64/26"])
    follow(netns, router, lambda: "10.65.0.64/26" in routes(netns, 4))
    netns.call(lambda: router.apply({}, {}, {block: None}))
    assert not routes(netns, 4)


def test_routes_are_left_as_they_are_while_they_are_others(netns, router):
    add_interface(netns)
    apply(netns, router, blocks=BLOCKS)
    follow(netns, router, lambda: router.is_ready(ENDPOINT))
    netns.call(router.take_events)
    before = routes(netns, 4), routes(netns, 6)
    netns.call(lambda: router.reconfigure(RouteSettings(is_disabled=True)))
    assert (routes(netns, 4), routes(netns, 6)) == before
    netns.run(["ip", "route", "delete", "10.65.0.1"])
    netns.call(router.take_events)
    netns.call(router.audit)
    apply(netns, router, None, dict.fromkeys(BLOCKS))
    apply(netns, router)
    assert routes(netns, 4) == {d: r for d, r in before[0].items() if d != "10.65.0.1"}
    assert router.is_ready(ENDPOINT)
    assert router.is_in_sync
    netns.call(lambda: router.reconfigure(RouteSettings()))
    assert routes(netns, 4) == {"10.65.0.1": before[0]["10.65.0.1"]}


def test_an_audit_puts_right_what_nothing_told_of(netns, router):
    add_interface(netns)
    apply(netns, router, blocks=BLOCKS)
    follow(netns, router, lambda: router.is_ready(ENDPOINT))
    netns.call(router.audit)
    before, repairs = (routes(netns, 4), routes(netns, 6)), repaired("routes")
    netns.run(["ip", "route", "delete", "10.65.0.1"])
    netns.run(["ip", "-6", "route", "delete", "blackhole", "fd65::/122"])
    router.monitor.read()  # as if the notifications had never come
    netns.call(router.audit)
    assert (routes(netns, 4), routes(netns, 6)) == before
    assert repaired("routes") == repairs + 2


def test_an_audit_puts_settings_of_interfaces_right(netns, router):
    add_interface(netns)
    apply(netns, router)
    follow(netns, router, lambda: router.is_ready(ENDPOINT))
    repairs = repaired("sysctls")
    netns.call(router.audit_interfaces)
    assert repaired("sysctls") == repairs
    netns.run(["sysctl", "-w", "net.ipv4.conf.cali1.proxy_arp=0"])
    netns.run(["sysctl", "-w", "net.ipv4.conf.cali1.forwarding=0"])
    netns.call(router.audit_interfaces)
    assert netns.run(["sysctl", "-n", "net.ipv4.conf.cali1.proxy_arp"]).stdout == "1\n"
    assert netns.run(["sysctl", "-n", "net.ipv4.conf.cali1.forwarding"]).stdout == "1\n"
    assert repaired("sysctls") == repairs + 2


def repaired(what):
    return metrics.REPAIRS.labels(what)._value.get()
