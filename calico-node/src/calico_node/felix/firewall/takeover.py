"""Takes away what Go Felix left on the host, once our own policy is in force. Synchronous."""

from __future__ import annotations

import logging
from dataclasses import replace

from calico_node.felix.firewall import gofelix
from calico_node.felix.firewall.gofelix import Leftovers
from calico_node.felix.nft import wire
from calico_node.felix.nft.apply import Nftables
from libcalico.errors import NetlinkError

log = logging.getLogger(__name__)


def take_over(nftables: Nftables) -> None:
    """Remove what there is, family by family.

    Raises:
        NetlinkError: the kernel refused; what is of that family, and of those after it, is still there.
    """
    for family in gofelix.FAMILIES:
        found = read(nftables, family)
        if not found:
            continue
        if refused := nftables.exchange(gofelix.encode_removal(family, found)):
            raise NetlinkError(
                f"the kernel did not remove what Go Felix left in {family}: {refused[0].text}",
                refused[0].errno,
            )
        log.info(
            "removed what Go Felix left family=%s tables=%s chains=%s rules=%s",
            family,
            len(found.tables),
            len(found.chains),
            len(found.links),
        )


def read(nftables: Nftables, family: str) -> Leftovers:
    """Return what there is of a family.

    Raises:
        NetlinkError: the kernel refused.
    """
    number = gofelix.FAMILIES[family]
    there = gofelix.places(nftables.dump(wire.encode_dump_chains(number)))
    found = gofelix.find(there)
    links = (
        (place, handle)
        for place in filter(gofelix.may_link, there)
        for handle in gofelix.links(nftables.dump(wire.encode_dump_rules(number, *place)))
    )
    return replace(found, links=tuple(links)) if found.chains else found
