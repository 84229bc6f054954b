"""The words of ``calicoctl profile P rule`` ⇄ rules of a profile. Pure.

.. code-block:: text

    rule  = ("allow" | "deny") [ proto ] [ "from" side ] [ "to" side ]
    proto = "tcp" | "udp" | ("icmp" | "icmpv6") [ "type" N [ "code" N ] ]
    side  = [ "ports" P ] [ "tag" T ] [ "cidr" C ]        not empty; ports with tcp and udp only

A tag is a label that profiles apply, without a value: ``tag db`` is the selector ``has(db)``. Source of
the grammar: python-era reference, section 1.6.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence

from libcalico.errors import ValidationError
from libcalico.net.addresses import parse_cidr
from libcalico.net.ports import PortRange, parse_port
from libcalico.resources.policy import EntityRule, ICMPFields, Rule

_ACTIONS = {"allow": "Allow", "deny": "Deny"}
_PROTOCOLS = {"tcp": "TCP", "udp": "UDP", "icmp": "ICMP", "icmpv6": "ICMPv6"}
_WITH_PORTS = ("tcp", "udp")
_VERSION = {"icmp": 4, "icmpv6": 6}
_TAG = re.compile(r"[A-Za-z0-9_.-]+")
_HAS = re.compile(r"has\(([A-Za-z0-9_.-]+)\)")


def check_tag(text: str) -> str:
    """Return a tag. Raises ValidationError if it is none."""
    if not _TAG.fullmatch(text):
        raise ValidationError(f"{text!r} is no tag: letters, digits, '_', '.' and '-'")
    return text


def parse(words: Sequence[str]) -> Rule:
    """Return the rule that the words describe.

    Raises:
        ValidationError: they describe none, or one whose addresses are of two families.
    """
    rest = deque(words)
    action = _ACTIONS.get(rest.popleft() if rest else "")
    if action is None:
        raise ValidationError("a rule begins with allow or deny")
    protocol = rest.popleft() if rest and rest[0] in _PROTOCOLS else ""
    icmp = _icmp(rest) if protocol in _VERSION else None
    sides = {word: _side(word, rest, protocol) for word in ("from", "to")}
    if rest:
        raise ValidationError(f"{' '.join(rest)!r} cannot be there in a rule")
    rule = Rule(
        action=action,  # type: ignore[arg-type] # one of two literals
        protocol=_PROTOCOLS.get(protocol),
        icmp=icmp,
        source=sides["from"],
        destination=sides["to"],
    )
    return rule.with_(ip_version=_version(rule, protocol))


def _icmp(rest: deque[str]) -> ICMPFields | None:
    kind = _number("type", rest)
    return None if kind is None else ICMPFields(type=kind, code=_number("code", rest))


def _number(word: str, rest: deque[str]) -> int | None:
    text = _after(word, rest)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text) < 256):
        raise ValidationError(f"{word} {text!r} is not a number from 0 to 255")
    return int(text)


def _after(word: str, rest: deque[str]) -> str | None:
    """Return what follows a word, if the word is next."""
    if not rest or rest[0] != word:
        return None
    rest.popleft()
    if not rest:
        raise ValidationError(f"something must follow {word!r}")
    return rest.popleft()


def _side(word: str, rest: deque[str], protocol: str) -> EntityRule:
    if not rest or rest[0] != word:
        return EntityRule()
    rest.popleft()
    ports, tag, cidr = (_after(part, rest) for part in ("ports", "tag", "cidr"))
    if ports is None and tag is None and cidr is None:
        raise ValidationError(f"{word!r} needs ports, tag or cidr, in this order")
    if ports is not None and protocol not in _WITH_PORTS:
        raise ValidationError("ports go with tcp and udp only")
    return EntityRule(
        ports=[] if ports is None else [_port(text) for text in ports.split(",")],
        selector="" if tag is None else f"has({check_tag(tag)})",
        nets=[] if cidr is None else [str(parse_cidr(cidr))],
    )


def _port(text: str) -> int | str:
    parsed = parse_port(text.replace("-", ":"))
    if not isinstance(parsed, PortRange):
        raise ValidationError(f"{text!r} is no port: N, N:M or N-M")
    return parsed.first if parsed.first == parsed.last else parsed.text()


def _version(rule: Rule, protocol: str) -> int | None:
    nets = (*rule.source.nets, *rule.destination.nets)
    versions = {6 if ":" in net else 4 for net in nets}
    versions |= {_VERSION[protocol]} if protocol in _VERSION else set()
    if len(versions) > 1:
        raise ValidationError("the addresses of a rule, and its protocol, must be of one family")
    return versions.pop() if versions else None


def text(rule: Rule) -> str:
    """Return a rule in these words; what they cannot say is told in those of manifests."""
    words = [rule.action.lower()]
    if rule.protocol is not None:
        words.append(str(rule.protocol).lower())
    if rule.icmp is not None and rule.icmp.type is not None:
        words += ["type", str(rule.icmp.type)]
        words += ["code", str(rule.icmp.code)] if rule.icmp.code is not None else []
    for word, side in (("from", rule.source), ("to", rule.destination)):
        described = list(_described(side))
        words += [word, *described] if described else []
    return " ".join(words)


def _described(side: EntityRule) -> Iterator[str]:
    if side.ports:
        yield f"ports {','.join(map(str, side.ports))}"
    if side.selector:
        tag = _HAS.fullmatch(side.selector)
        yield f"tag {tag[1]}" if tag else f"selector {side.selector!r}"
    if side.nets:
        yield f"cidr {','.join(side.nets)}"
    others = ("not_nets", "not_selector", "not_ports", "namespace_selector", "services")
    yield from (f"{name}={getattr(side, name)!r}" for name in others if getattr(side, name))
