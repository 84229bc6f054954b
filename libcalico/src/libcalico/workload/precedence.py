"""Which of several interfaces a workload's packets leave by, inside its namespace. Pure.

The first interface has the default route, and an address of another one answers by that one; see the
record on rules by source. Sources: ip-rule(8), python-era-calico reference, sections 1.4 and 9.4 (metrics).
"""

from __future__ import annotations

from collections.abc import Sequence

from libcalico.net.addresses import Cidr
from libcalico.netlink import addresses, routes, rules
from libcalico.netlink.routes import Route
from libcalico.netlink.rules import Rule

#: Destination of default routes.
EVERYTHING = {4: Cidr(4, 0, 0), 6: Cidr(6, 0, 0)}
#: The table of an interface that has one of its own is this number and its index; the kernel's end at 255.
FIRST_TABLE = 1000
#: Priority of the rules that lead there: before the kernel's for the main table.
RULE_PRIORITY = 1000
#: Metric of a route that was made without one.
_UNNAMED_PRIORITY = {4: 0, 6: routes.DEFAULT_PRIORITY_V6}


def priority_behind(link: int, present: Sequence[Route]) -> int:
    """Return the metric for the routes of an interface inside: 0, or behind those of an earlier interface.

    So a workload on several networks keeps its way out, and the next network's takes over when that one goes.

    Args:
        link: its index there.
        present: the routes that are there.
    """
    others = any(route.dst in EVERYTHING.values() and route.oif != link for route in present)
    return routes.DEFAULT_PRIORITY_V6 + link if others else 0


def stepping_back(
    link: int, present: Sequence[Route], held: Sequence[addresses.Address]
) -> list[bytes]:
    """Return the requests that put the default routes of other interfaces behind those of ours.

    Their metrics are raised. Who was reached by another interface's address goes on to answer by that
    interface: Docker's published ports, for one, stay open.

    Args:
        link: index of our interface.
        present: the routes of the main table.
        held: the addresses of all interfaces.
    """
    requests = []
    for version, everything in EVERYTHING.items():
        ways = [route for route in present if route.dst == everything and route.oif != link]
        if any(way.priority <= _UNNAMED_PRIORITY[version] for way in ways):
            for other in sorted({way.oif for way in ways if way.oif}):
                requests += _kept_by_source(version, other, present, held)
            requests += _raised(ways)
    return requests


def _kept_by_source(
    version: int, link: int, present: Sequence[Route], held: Sequence[addresses.Address]
) -> list[bytes]:
    """Return the requests that let what has an interface's address leave by it."""
    table = FIRST_TABLE + link
    own = [route for route in present if route.oif == link and route.dst.version == version]
    ways = sorted(own, key=lambda route: route.gateway is not None)  # first what gateways need
    sources = [
        address.cidr.host()
        for address in held
        if address.link == link
        and address.cidr.version == version
        and address.scope == addresses.SCOPE_GLOBAL
    ]
    return [
        *(routes.encode_replace(way._replace(table=table)) for way in ways),
        *(rules.encode_add(Rule(source, table, RULE_PRIORITY)) for source in sources),
    ]


def _raised(ways: Sequence[Route]) -> list[bytes]:
    """Return the requests that raise the metrics by one; the highest first, so that none meets another."""
    requests = []
    for way in sorted(ways, key=lambda way: way.priority, reverse=True):
        behind = way._replace(priority=way.priority + 1)
        requests += [routes.encode_replace(behind), routes.encode_delete(way)]
    return requests


def left_rules(present: Sequence[Rule], links_inside: Sequence[int]) -> list[Rule]:
    """Return the rules inside that were made for interfaces which are gone."""
    tables = {FIRST_TABLE + link for link in links_inside}
    ours = (rule for rule in present if rule.priority == RULE_PRIORITY)
    return [rule for rule in ours if rule.table > FIRST_TABLE and rule.table not in tables]
