"""What the kernel lists of iptables-nft's tables → values. Pure.

Source: Linux uapi/linux/netfilter/nf_tables.h; libnftnl's udata.h for comments.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from calico_node.felix.firewall.model import TABLE, Chain, Listed
from calico_node.felix.nft.parse import GENERIC_HEADER
from libcalico.netlink.codec import Message, as_be32, as_text, parse_attr_list, parse_attrs

_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_POLICY = 1, 3, 5  # NFTA_CHAIN_...
_RULE_HANDLE, _RULE_EXPRESSIONS, _RULE_USERDATA = 3, 4, 7  # NFTA_RULE_...
_EXPR_NAME, _EXPR_DATA = 1, 2
_IMMEDIATE_DATA, _DATA_VERDICT, _VERDICT_CHAIN = 2, 2, 2
_MATCH_NAME, _MATCH_INFO = 1, 3
_NF_DROP: Final = 0
_UDATA_COMMENT: Final = 0


def chains(messages: Iterable[Message]) -> dict[str, Chain]:
    """Return name → chain, without rules, of table filter.

    Raises:
        NetlinkError: a message is malformed (EBADMSG).
    """
    listed = (parse_attrs(message.payload, GENERIC_HEADER) for message in messages)
    found = (_chain(attrs) for attrs in listed if as_text(attrs.get(_CHAIN_TABLE, b"")) == TABLE)
    return {chain.name: chain for chain in found}


def rules(messages: Iterable[Message]) -> tuple[Listed, ...]:
    """Return the rules of a chain, in order. Raises as :func:`chains`."""
    return tuple(_rule(parse_attrs(message.payload, GENERIC_HEADER)) for message in messages)


def _chain(attrs: dict[int, bytes]) -> Chain:
    drops = _CHAIN_POLICY in attrs and as_be32(attrs[_CHAIN_POLICY]) == _NF_DROP
    return Chain(as_text(attrs.get(_CHAIN_NAME, b"")), drops)


def _rule(attrs: dict[int, bytes]) -> Listed:
    handle = int.from_bytes(attrs.get(_RULE_HANDLE, b""), "big")
    listed = parse_attr_list(attrs.get(_RULE_EXPRESSIONS, b""))
    expressions = [parse_attrs(expression) for _, expression in listed]
    target = next(filter(None, map(_target, expressions)), "")
    comment = _comment(attrs.get(_RULE_USERDATA, b""))
    return Listed(handle, comment or next(filter(None, map(_remark, expressions)), ""), target)


def _target(expression: dict[int, bytes]) -> str:
    """Return the chain that an expression jumps or goes to."""
    if as_text(expression.get(_EXPR_NAME, b"")) != "immediate":
        return ""
    data = parse_attrs(parse_attrs(expression.get(_EXPR_DATA, b"")).get(_IMMEDIATE_DATA, b""))
    return as_text(parse_attrs(data.get(_DATA_VERDICT, b"")).get(_VERDICT_CHAIN, b""))


def _remark(expression: dict[int, bytes]) -> str:
    """Return what iptables' match ``comment`` says, which matches everything."""
    if as_text(expression.get(_EXPR_NAME, b"")) != "match":
        return ""
    data = parse_attrs(expression.get(_EXPR_DATA, b""))
    is_comment = as_text(data.get(_MATCH_NAME, b"")) == "comment"
    return as_text(data.get(_MATCH_INFO, b"")) if is_comment else ""


def _comment(data: bytes) -> str:
    """Return the comment in a rule's user data: entries of type, length, value."""
    while len(data) >= 2:
        type_, size, rest = data[0], data[1], data[2:]
        if type_ == _UDATA_COMMENT:
            return as_text(rest[:size])
        data = rest[size:]
    return ""
