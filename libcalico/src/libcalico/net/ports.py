"""IP protocols by name and number; ports: one number, a range, or a name.

Source: Calico's ``numorstring`` package and the policy reference.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from libcalico.errors import ValidationError

#: Canonical name → number, as Calico writes them. Numbers: IANA.
PROTOCOLS: Final[dict[str, int]] = {
    "ICMP": 1,
    "TCP": 6,
    "UDP": 17,
    "ICMPv6": 58,
    "SCTP": 132,
    "UDPLite": 136,
}
#: Numbers of the protocols that have ports and can be matched by port.
WITH_PORTS: Final = frozenset({6, 17, 132})

_NUMBER_BY_LOWER: Final = {name.lower(): number for name, number in PROTOCOLS.items()}
_NAME_BY_NUMBER: Final = {number: name for name, number in PROTOCOLS.items()}
_DIGITS: Final = re.compile(r"[0-9]{1,10}")
_RANGE: Final = re.compile(r"([0-9]{1,10}):([0-9]{1,10})")
_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
_LAST_PORT: Final = 65535


class PortRange(NamedTuple):
    """Ports from ``first`` to ``last``, both included."""

    first: int
    last: int

    def __contains__(self, port: object) -> bool:
        return isinstance(port, int) and self.first <= port <= self.last

    def text(self) -> str:
        """Return ``80`` or ``80:90``."""
        return str(self.first) if self.first == self.last else f"{self.first}:{self.last}"

    def __str__(self) -> str:
        return self.text()


def protocol_number(protocol: int | str) -> int:
    """Return the number of a protocol given by name (in any case), number or digits.

    Raises:
        ValidationError: the name is unknown, or the number is not 1 to 255.
    """
    if isinstance(protocol, str):
        if (number := _NUMBER_BY_LOWER.get(protocol.lower())) is not None:
            return number
        if not _DIGITS.fullmatch(protocol):
            raise ValidationError(
                f"unknown protocol {protocol!r}; known are {', '.join(PROTOCOLS)} and 1 to 255"
            )
        protocol = int(protocol)
    if not 1 <= protocol <= 255:
        raise ValidationError(f"protocol {protocol} is not between 1 and 255")
    return protocol


def protocol_name(number: int) -> str:
    """Return the canonical name of a protocol number; its digits if it has none here."""
    return _NAME_BY_NUMBER.get(number) or str(number)


def parse_port(port: int | str) -> PortRange | str:
    """Read a port: ``80`` and ``"80:90"`` are ranges; a name stays a name.

    Raises:
        ValidationError: a number is outside 0 to 65535, a range is backwards, or the name has other
            characters than letters, digits, ``_``, ``.``, ``-``, or more than 128.
    """
    if isinstance(port, int):
        return _range(port, port)
    if match := _RANGE.fullmatch(port):
        return _range(int(match[1]), int(match[2]))
    if _DIGITS.fullmatch(port):
        return _range(int(port), int(port))
    if not _NAME.fullmatch(port):
        raise ValidationError(f"{port!r} is not a port: a number, a range such as 80:90, or a name")
    return port


def _range(first: int, last: int) -> PortRange:
    if not 0 <= first <= last <= _LAST_PORT:
        shown = PortRange(first, last).text()
        raise ValidationError(f"port {shown} is not within 0 to {_LAST_PORT}, lowest first")
    return PortRange(first, last)
