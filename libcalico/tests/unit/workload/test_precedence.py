"""Default routes inside a workload: whose come first, and what the others keep."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from libcalico.net.addresses import parse_cidr, parse_interface
from libcalico.netlink import routes, rules
from libcalico.netlink.addresses import SCOPE_LINK, Address
from libcalico.netlink.codec import parse_messages
from libcalico.netlink.routes import Route
from libcalico.workload import precedence

EVERYTHING = parse_cidr("0.0.0.0/0")
GATEWAY = parse_cidr("172.17.0.1/32")
BRIDGE = Route(parse_cidr("172.17.0.0/16"), 2, scope=routes.SCOPE_LINK)
DEFAULT = Route(EVERYTHING, 2, GATEWAY)
OURS = 7


def table_after(present, requests):
    """What the kernel would have after the requests, and the rules that were added."""
    table = {route.key: route for route in present}
    sources = []
    for request in requests:
        (message,) = parse_messages(request)
        if message.type == rules.RTM_NEWRULE:
            sources.append(rules.parse_rule(message, 4))
            continue
        route = routes.parse_route(message)
        if message.type == routes.RTM_NEWROUTE:
            table[route.key] = route
        else:
            assert table.pop(route.key) == route
    return sorted(table.values()), sources


def test_the_earlier_interface_is_left_by_its_own_address_only():
    held = [
        Address(parse_interface("172.17.0.5/16"), 2),
        Address(parse_interface("fe80::1/64"), 2, SCOPE_LINK),
    ]
    requests = precedence.stepping_back(OURS, [BRIDGE, DEFAULT], held)
    table, sources = table_after([BRIDGE, DEFAULT], requests)
    assert [r._replace(table=0) for r in table if r.table == 1002] == [
        r._replace(table=0) for r in sorted([BRIDGE, DEFAULT])
    ]
    main = [r for r in table if r.table == routes.TABLE_MAIN]
    assert main == sorted([BRIDGE, DEFAULT._replace(priority=1)])
    assert sources == [rules.Rule(parse_cidr("172.17.0.5/32"), 1002, 1000)]
    assert precedence.stepping_back(OURS, main, held) == []


@given(st.sets(st.integers(0, 5)))
def test_after_stepping_back_no_route_is_lost_and_ours_is_first(priorities):
    present = [DEFAULT._replace(oif=p + 20, priority=p) for p in priorities]
    table, _ = table_after(present, precedence.stepping_back(OURS, present, []))
    main = [route for route in table if route.table == routes.TABLE_MAIN]
    assert sorted(r.oif for r in main) == sorted(r.oif for r in present)
    assert all(route.priority > 0 for route in main)
    before = sorted(present, key=lambda r: r.priority)
    assert [r.oif for r in sorted(main, key=lambda r: r.priority)] == [r.oif for r in before]


def test_our_own_route_does_not_step_back():
    assert precedence.stepping_back(2, [BRIDGE, DEFAULT], []) == []
    assert precedence.stepping_back(OURS, [BRIDGE], []) == []
