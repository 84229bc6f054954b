"""IP addresses and CIDRs as integers with a prefix length; canonical text in RFC 5952 form.

A single address is a CIDR of full length. Parsing goes through ``inet_pton``, which is an order of
magnitude faster than :mod:`ipaddress` (calico-dataplane reference, section 12.8).
"""

from __future__ import annotations

import socket
from typing import Final, Literal, NamedTuple

from libcalico.errors import ValidationError

Version = Literal[4, 6]
BITS: Final = {4: 32, 6: 128}
_FAMILY: Final = {4: socket.AF_INET, 6: socket.AF_INET6}


class Cidr(NamedTuple):
    """A network, or a single address. ``value`` has no bits set beyond ``prefix``."""

    version: int
    value: int
    prefix: int

    def __str__(self) -> str:
        """Canonical text with prefix length, e.g. ``10.0.0.0/26``, ``fd00::1/128``."""
        return f"{self.address}/{self.prefix}"

    @property
    def address(self) -> str:
        """Canonical text of the first address, without prefix length."""
        return address_text(self.version, self.value)

    @property
    def is_address(self) -> bool:
        """Whether it is one single address."""
        return self.prefix == BITS[self.version]

    @property
    def size(self) -> int:
        """How many addresses it holds."""
        return int(1 << BITS[self.version] - self.prefix)

    def packed(self) -> bytes:
        """Return the first address in network byte order: 4 or 16 bytes."""
        return self.value.to_bytes(BITS[self.version] // 8, "big")

    def contains(self, other: Cidr) -> bool:
        """Return whether every address of ``other`` is in this network."""
        return (
            self.version == other.version
            and self.prefix <= other.prefix
            and (self.value ^ other.value) >> BITS[self.version] - self.prefix == 0
        )

    def overlaps(self, other: Cidr) -> bool:
        """Return whether the two have an address in common."""
        return self.contains(other) or other.contains(self)

    def nth(self, ordinal: int) -> Cidr:
        """Return the address at an ordinal, from 0.

        Raises:
            IndexError: the network has no such ordinal.
        """
        if not 0 <= ordinal < self.size:
            raise IndexError(f"{self} has no address number {ordinal}")
        return Cidr(self.version, self.value + ordinal, BITS[self.version])

    def ordinal(self, address: Cidr) -> int:
        """Return the ordinal of an address of this network, from 0.

        Raises:
            IndexError: the address is not in the network.
        """
        if not self.contains(address):
            raise IndexError(f"{address.address} is not in {self}")
        return address.value - self.value

    def supernet(self, prefix: int) -> Cidr:
        """Return the network of that shorter (or equal) prefix length that this one lies in."""
        return masked(self.version, self.value, prefix)


def masked(version: int, value: int, prefix: int) -> Cidr:
    """Return the network of an address, its host bits cleared."""
    host_bits = BITS[version] - prefix
    return Cidr(version, value >> host_bits << host_bits, prefix)


def address_text(version: int, value: int) -> str:
    """Return the canonical text of an address (RFC 5952 for IPv6)."""
    return socket.inet_ntop(_FAMILY[version], value.to_bytes(BITS[version] // 8, "big"))


def parse_address(text: str) -> Cidr:
    """Return a single address, given without prefix length.

    Raises:
        ValidationError: it is none.
    """
    version = 6 if ":" in text else 4
    try:
        packed = socket.inet_pton(_FAMILY[version], text)
    except (OSError, ValueError, UnicodeError) as error:
        raise ValidationError(f"{text!r} is not an IP address") from error
    return Cidr(version, int.from_bytes(packed, "big"), BITS[version])


def parse_cidr(text: str, *, strict: bool = True) -> Cidr:
    """Return a CIDR; an address without prefix length is a network of one.

    Args:
        text: ``10.0.0.0/26``, ``fd00::/64`` or ``10.0.0.1``.
        strict: whether host bits must be clear; if not, they are cleared.

    Raises:
        ValidationError: it is none, or has host bits set.
    """
    network, host_bits = split_interface(text)
    if strict and host_bits != network.value:
        raise ValidationError(f"{text!r} has host bits set; the network is {network}")
    return network


def split_interface(text: str) -> tuple[Cidr, int]:
    """Return the network of an interface address such as ``10.0.0.5/24``, and the address's value.

    Raises:
        ValidationError: it is no address with or without prefix length.
    """
    address_part, slash, length = text.partition("/")
    try:
        address = parse_address(address_part)
    except ValidationError as error:
        raise ValidationError(f"{text!r} is not an IP address or CIDR") from error
    if not slash:
        return address, address.value
    if not (length.isascii() and length.isdigit()) or int(length) > BITS[address.version]:
        raise ValidationError(f"{text!r} has no prefix length from 0 to {BITS[address.version]}")
    return masked(address.version, address.value, int(length)), address.value
