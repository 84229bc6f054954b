"""Requests to read and change rules in iptables-nft's tables, as bytes. Pure.

To nftables they are tables like any other. Unlike our own they are shared: rules of ours are added and
deleted one by one, by their handles.

Source: Linux uapi/linux/netfilter/nf_tables.h; net/netfilter/nf_tables_api.c.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from calico_node.felix.firewall.model import TABLE, Delete, Insert, Operation
from calico_node.felix.nft.expressions import encode_rule
from calico_node.felix.nft.wire import (
    BATCH_BEGIN,
    BATCH_END,
    DELRULE,
    NEWRULE,
    NFNL_SUBSYS_NFTABLES,
    NFPROTO_IPV4,
    NFPROTO_IPV6,
)
from libcalico.netlink import codec
from libcalico.netlink.codec import NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST

#: nft's words for the families of an IP version.
FAMILIES: Final = {4: "ip", 6: "ip6"}
_SUBSYSTEM: Final = NFNL_SUBSYS_NFTABLES << 8
_FRAME: Final = bytes((0, 0, 0, NFNL_SUBSYS_NFTABLES))
#: The numbers of the families.
PROTOCOLS: Final = {4: NFPROTO_IPV4, 6: NFPROTO_IPV6}
_TABLE, _CHAIN, _HANDLE = 1, 2, 3  # NFTA_RULE_...


def encode_batch(version: int, operations: Iterable[Operation]) -> bytes:
    """Return the operations as one atomic batch, whose every request asks for an answer."""
    messages = [codec.message(BATCH_BEGIN, NLM_F_REQUEST, 0, _FRAME)]
    for seq, operation in enumerate(operations, 1):
        kind, flags, body = _request(operation)
        messages.append(
            codec.message(
                _SUBSYSTEM | kind,
                NLM_F_REQUEST | NLM_F_ACK | flags,
                seq,
                bytes((PROTOCOLS[version], 0, 0, 0)) + _place(operation.chain) + body,
            )
        )
    messages.append(codec.message(BATCH_END, NLM_F_REQUEST, len(messages), _FRAME))
    return b"".join(messages)


def _request(operation: Operation) -> tuple[int, int, bytes]:
    """Return message type, flags, and what follows the place."""
    match operation:
        case Insert(acceptance=acceptance, at_end=at_end):
            flags = NLM_F_CREATE | (NLM_F_APPEND if at_end else 0)
            return NEWRULE, flags, encode_rule(acceptance.rule).attributes
        case Delete(handle=handle):
            return DELRULE, 0, codec.attr(_HANDLE, handle.to_bytes(8, "big"))


def _place(chain: str) -> bytes:
    return codec.text(_TABLE, TABLE) + codec.text(_CHAIN, chain)
