"""Protocols and ports as policies write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from libcalico.errors import ValidationError

#: Protocol names that policies may use → IP protocol number (IANA).
PROTOCOLS: Final = {"ICMP": 1, "TCP": 6, "UDP": 17, "ICMPv6": 58, "SCTP": 132, "UDPLite": 136}
_NUMBERS: Final = {name.lower(): number for name, number in PROTOCOLS.items()}
_NAMES: Final = {number: name for name, number in PROTOCOLS.items()}
#: Protocols whose packets have ports.
WITH_PORTS: Final = frozenset({6, 17, 132})
_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
_LAST: Final = 65535


@dataclass(frozen=True, slots=True, order=True)
class PortRange:
    """Inclusive range of port numbers; a single port has ``first == last``."""

    first: int
    last: int

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last

    def __str__(self) -> str:
        """Text as in manifests: ``80`` or ``8080:8090``."""
        return str(self.first) if self.first == self.last else f"{self.first}:{self.last}"


def protocol_number(protocol: int | str) -> int:
    """Return the number of a protocol given by name (any case) or number.

    Raises:
        ValidationError: there is no such protocol.
    """
    if isinstance(protocol, str):
        number = _NUMBERS.get(protocol.lower())
        if number is None and protocol.isascii() and protocol.isdigit():
            number = int(protocol)
    else:
        number = protocol
    if number is None or not 0 < number <= 255:
        names = ", ".join(PROTOCOLS)
        raise ValidationError(
            f"unknown protocol {protocol!r}; use {names} or a number from 1 to 255"
        )
    return number


def protocol_name(number: int) -> str:
    """Return the name of a protocol, or its number as text if it has none."""
    return _NAMES.get(number, str(number))


def parse_port(port: int | str) -> PortRange | str:
    """Return a range for a number or ``first:last``, or the name of a named port.

    Raises:
        ValidationError: it is none of these.
    """
    if isinstance(port, str) and not re.fullmatch(r"[0-9]+(:[0-9]+)?", port, re.ASCII):
        if _NAME.fullmatch(port):
            return port
        raise ValidationError(f"{port!r} is no port; use a number, 'first:last' or a port's name")
    first, _, last = str(port).partition(":")
    low, high = int(first), int(last or first)
    if not 0 <= low <= high <= _LAST:
        raise ValidationError(f"{port!r} is no port range within 0 to {_LAST}, lowest first")
    return PortRange(low, high)
