"""Rules: which routing table is asked for packets from an address.

Source: ip-rule(8); include/uapi/linux/fib_rules.h.
"""

from __future__ import annotations

import errno
from socket import AF_INET, AF_INET6
from struct import Struct
from typing import Final, NamedTuple

from libcalico.net.addresses import BITS, Cidr
from libcalico.netlink import codec
from libcalico.netlink.codec import NLM_F_CREATE, NLM_F_EXCL, Message
from libcalico.netlink.sockets import NetlinkSocket

RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
# The kernel's own rules are at 0 (local), 32766 (main) and 32767 (default).
_HEADER: Final = Struct("=BBBBBxxBI")  # family, dst and src length, tos, table, action, flags
_FRA_SRC, _FRA_PRIORITY, _FRA_TABLE = 2, 6, 15
_TO_TABLE: Final = 1
_FAMILY: Final = {4: int(AF_INET), 6: int(AF_INET6)}


class Rule(NamedTuple):
    """Packets from a network are routed by a table.

    Attributes:
        src: source network; everything if its prefix is 0.
        table: number of the routing table; if it has no route, later rules are asked.
        priority: of the rule; lower comes first.
    """

    src: Cidr
    table: int
    priority: int


def encode_add(rule: Rule) -> bytes:
    """Return the request that adds a rule; EEXIST if the same is there."""
    return codec.request(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, _payload(rule))


def encode_delete(rule: Rule) -> bytes:
    """Return the request that deletes a rule; ENOENT if there is none."""
    return codec.request(RTM_DELRULE, 0, _payload(rule))


def list_rules(socket: NetlinkSocket, version: int) -> list[Rule]:
    """Return the rules of a version that lead to a table by the source, the kernel's own among them.

    Raises:
        NetlinkError: the kernel refused.
    """
    payload = _HEADER.pack(_FAMILY[version], 0, 0, 0, 0, 0, 0)
    found = (parse_rule(m, version) for m in socket.dump(codec.request(RTM_GETRULE, 0, payload)))
    return [rule for rule in found if rule is not None]


def delete_rule(socket: NetlinkSocket, rule: Rule) -> None:
    """Delete a rule; none is no error.

    Raises:
        NetlinkError: the kernel refused.
    """
    socket.request(encode_delete(rule), tolerated=(errno.ENOENT,))


def parse_rule(message: Message, version: int) -> Rule | None:
    """Read an RTM_NEWRULE; None if it does something else than to lead to a table.

    Raises:
        NetlinkError: it is malformed (EBADMSG).
    """
    header = codec.parse_header(_HEADER, message.payload)
    family, _, prefix, _, table, action, _ = header
    if family != _FAMILY[version] or action != _TO_TABLE:
        return None
    attrs = codec.parse_attrs(message.payload, _HEADER.size)
    packed = attrs.get(_FRA_SRC)
    src = codec.as_address(packed) if packed is not None else Cidr(version, 0, BITS[version])
    return Rule(
        codec.with_prefix(src, prefix),
        codec.as_u32(attrs[_FRA_TABLE]) if _FRA_TABLE in attrs else table,
        codec.as_u32(attrs[_FRA_PRIORITY]) if _FRA_PRIORITY in attrs else 0,
    )


def _payload(rule: Rule) -> bytes:
    family = _FAMILY[rule.src.version]
    table = rule.table if rule.table <= 0xFF else 0
    attrs = [
        _HEADER.pack(family, 0, rule.src.prefix, 0, table, _TO_TABLE, 0),
        codec.u32(_FRA_PRIORITY, rule.priority),
        codec.u32(_FRA_TABLE, rule.table),
    ]
    if rule.src.prefix:
        attrs.append(codec.attr(_FRA_SRC, rule.src.packed()))
    return b"".join(attrs)
