"""What Go Felix leaves in nftables and in iptables-nft, and the requests that take it away. Pure.

In nftables it has tables of its own. In iptables' tables it has chains whose names begin with ``cali-``, and
rules in the chains of others that jump there or whose comment begins with ``cali:``. All of that would go on
deciding beside our table, and it drops whatever comes from or goes to an interface that it does not know.

Source: calico-dataplane reference, sections 2, 2.2 and 2.3; Linux uapi/linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from calico_node.felix.firewall import parse
from calico_node.felix.nft.parse import GENERIC_HEADER
from calico_node.felix.nft.wire import (
    BATCH_BEGIN,
    BATCH_END,
    DELCHAIN,
    DELRULE,
    DELTABLE,
    NFNL_SUBSYS_NFTABLES,
    NFPROTO_ARP,
    NFPROTO_IPV4,
    NFPROTO_IPV6,
)
from libcalico.netlink import codec
from libcalico.netlink.codec import NLM_F_ACK, NLM_F_REQUEST, Message, as_text, parse_attrs

#: nft's words for families → their numbers.
FAMILIES: Final = {"ip": NFPROTO_IPV4, "ip6": NFPROTO_IPV6, "arp": NFPROTO_ARP}
_TABLES: Final = frozenset({"calico", "calico-arp"})
_IPTABLES: Final = frozenset({"raw", "mangle", "nat", "filter"})
_CHAINS_BEGIN, _COMMENTS_BEGIN = "cali-", "cali:"
_SUBSYSTEM: Final = NFNL_SUBSYS_NFTABLES << 8
_FRAME: Final = bytes((0, 0, 0, NFNL_SUBSYS_NFTABLES))


class Place(NamedTuple):
    """A chain of a table."""

    table: str
    chain: str


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What there is of one family.

    Attributes:
        tables: whole ones.
        chains: in the tables of iptables.
        links: rules in the chains of others there, each with its number.
    """

    tables: tuple[str, ...] = ()
    chains: tuple[Place, ...] = ()
    links: tuple[tuple[Place, int], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.tables or self.chains or self.links)


def places(messages: Iterable[Message]) -> list[Place]:
    """Return the chains that the kernel lists.

    Raises:
        NetlinkError: a message is malformed (EBADMSG).
    """
    listed = (parse_attrs(message.payload, GENERIC_HEADER) for message in messages)
    return [Place(as_text(attrs.get(1, b"")), as_text(attrs.get(3, b""))) for attrs in listed]


def find(there: Sequence[Place]) -> Leftovers:
    """Return the leftovers among the chains of a family, without links."""
    tables = dict.fromkeys(place.table for place in there if place.table in _TABLES)
    chains = (
        place
        for place in there
        if place.table in _IPTABLES and place.chain.startswith(_CHAINS_BEGIN)
    )
    return Leftovers(tuple(tables), tuple(chains))


def may_link(place: Place) -> bool:
    """Return whether rules that lead to leftovers may be in a chain."""
    return place.table in _IPTABLES and not place.chain.startswith(_CHAINS_BEGIN)


def links(messages: Iterable[Message]) -> list[int]:
    """Return the numbers of the rules, of a chain of others, that are leftovers. Raises as :func:`places`."""
    return [
        rule.handle
        for rule in parse.rules(messages)
        if rule.target.startswith(_CHAINS_BEGIN) or rule.comment.startswith(_COMMENTS_BEGIN)
    ]


def encode_removal(family: str, found: Leftovers) -> bytes:
    """Return the atomic batch that removes leftovers: links, then rules, then what held them."""
    requests = [
        *((DELRULE, _rules_of(place) + _number(handle)) for place, handle in found.links),
        *((DELRULE, _rules_of(place)) for place in found.chains),
        *(
            (DELCHAIN, codec.text(1, place.table) + codec.text(3, place.chain))
            for place in found.chains
        ),
        *((DELTABLE, codec.text(1, name)) for name in found.tables),
    ]
    messages = [codec.message(BATCH_BEGIN, NLM_F_REQUEST, 0, _FRAME)]
    for seq, (kind, body) in enumerate(requests, 1):
        flags = NLM_F_REQUEST | NLM_F_ACK
        messages.append(codec.message(_SUBSYSTEM | kind, flags, seq, _header(family) + body))
    messages.append(codec.message(BATCH_END, NLM_F_REQUEST, len(messages), _FRAME))
    return b"".join(messages)


def _header(family: str) -> bytes:
    return bytes((FAMILIES[family], 0, 0, 0))


def _rules_of(place: Place) -> bytes:
    return codec.text(1, place.table) + codec.text(2, place.chain)


def _number(handle: int) -> bytes:
    return codec.attr(3, handle.to_bytes(8, "big"))
