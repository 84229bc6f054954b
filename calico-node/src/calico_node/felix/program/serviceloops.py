"""What is for an address of a service that nothing translates goes nowhere.

Routers send what is for advertised addresses of services to this host. Where nothing translates it (the
service is gone, or has no backend) the host's default route would send it back to them, over and over.

Source: calico-dataplane reference, section 2.4 (the end of the forward chain).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from calico_node.felix.nft.keys import merge_prefixes
from calico_node.felix.nft.model import DROP, Chain, Field, Match, Reject, Rule, Statement, one_of
from calico_node.felix.program import names
from calico_node.felix.program.sets import prefix_of
from calico_node.felix.program.settings import RuleSettings
from libcalico.net.addresses import Cidr

_OWNER: Final = "static"
_DESTINATION: Final = {4: Field.IP_DADDR, 6: Field.IP6_DADDR}
_ACTIONS: Final[dict[str, Statement]] = {"Drop": DROP, "Reject": Reject()}


def chain(services: Iterable[Cidr], settings: RuleSettings) -> Chain | None:
    """Return the chain that ends what is forwarded to services; None if there is nothing to end."""
    action = _ACTIONS.get(settings.service_loops)
    rules = () if action is None else tuple(_rules(list(services), action))
    return Chain(names.SERVICE_LOOPS, rules, owner=_OWNER) if rules else None


def _rules(services: list[Cidr], action: Statement) -> Iterator[Rule]:
    for version, destination in _DESTINATION.items():
        if nets := [prefix_of(net) for net in services if net.version == version]:
            there = Match(destination, one_of(merge_prefixes(nets)))
            yield Rule((there, action), comment="service that nothing translates")
