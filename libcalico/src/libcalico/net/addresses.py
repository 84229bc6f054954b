"""IP addresses and CIDRs as integers with a prefix length: parse, canonical text, containment.

Cheap enough for hot paths: a :class:`Cidr` is a tuple, so it hashes, compares and sorts at C speed.
Text is read by ``inet_pton``: no leading zeros, no zone, no short forms (as Go's ``net`` does), and
written as RFC 5952 asks. IPv4-mapped IPv6 addresses are refused: they would name an IPv4 host twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final, Literal, NamedTuple

from libcalico.errors import ValidationError

Version = Literal[4, 6]

#: IP version → bits of an address.
BITS: Final[dict[int, int]] = {4: 32, 6: 128}
_MAPPED: Final = 0xFFFF  # the upper 96 bits of ::ffff:0:0/96
_FIRST_COMPATIBLE, _LAST_COMPATIBLE = 0x10000, 0xFFFFFFFF


class Cidr(NamedTuple):
    """An address with a prefix length: a network, one address (/32, /128), or an interface's address.

    Sorts by version, then value, then prefix length.

    Attributes:
        version: 4 or 6.
        value: the address as an integer; host bits may be set only in an interface's address.
        prefix: length in bits.
    """

    version: int
    value: int
    prefix: int

    @classmethod
    def from_packed(cls, address: bytes, prefix: int | None = None) -> Cidr:
        """Build from 4 or 16 bytes in network order; without a prefix length it is one address.

        Raises:
            ValidationError: the length is neither 4 nor 16 bytes, or the prefix is too long.
        """
        if len(address) not in (4, 16):
            raise ValidationError(
                f"{address!r} is no address: it has {len(address)} bytes, not 4 or 16"
            )
        version = 4 if len(address) == 4 else 6
        bits = BITS[version]
        if prefix is not None and not 0 <= prefix <= bits:
            raise ValidationError(f"prefix length {prefix} is not between 0 and {bits}")
        return cls(version, int.from_bytes(address, "big"), bits if prefix is None else prefix)

    @property
    def bits(self) -> int:
        """Bits of an address of this version: 32 or 128."""
        return BITS[self.version]

    @property
    def address(self) -> str:
        """Text of the address without the prefix length, canonical."""
        return address_text(self.version, self.value)

    @property
    def is_address(self) -> bool:
        """Whether this is one address."""
        return self.prefix == BITS[self.version]

    @property
    def is_masked(self) -> bool:
        """Whether no host bit is set."""
        return self.first == self.value

    @property
    def size(self) -> int:
        """Number of addresses."""
        return 1 << (BITS[self.version] - self.prefix)

    @property
    def first(self) -> int:
        """First address, as an integer."""
        host_bits = BITS[self.version] - self.prefix
        return self.value >> host_bits << host_bits

    @property
    def last(self) -> int:
        """Last address, as an integer, inclusive."""
        return self.first + self.size - 1

    def masked(self) -> Cidr:
        """Return the network: the same with host bits cleared."""
        return Cidr(self.version, self.first, self.prefix)

    def supernet(self, prefix: int) -> Cidr:
        """Return the network of that shorter (or equal) prefix length that this one lies in."""
        return masked(self.version, self.value, prefix)

    def host(self) -> Cidr:
        """Return the address alone, as a /32 or /128."""
        return Cidr(self.version, self.value, BITS[self.version])

    def contains(self, other: Cidr) -> bool:
        """Return whether every address of the other is in this network."""
        return (
            self.version == other.version
            and self.prefix <= other.prefix
            and not (self.value ^ other.value) >> (BITS[self.version] - self.prefix)
        )

    def overlaps(self, other: Cidr) -> bool:
        """Return whether some address is in both."""
        return self.contains(other) or other.contains(self)

    def hosts(self) -> Iterator[Cidr]:
        """Yield every address in order, as /32 or /128; the first and the last included."""
        bits = BITS[self.version]
        for value in range(self.first, self.last + 1):
            yield Cidr(self.version, value, bits)

    def ordinal(self, address: Cidr) -> int:
        """Return the address's place in this network, from 0.

        Raises:
            ValidationError: it is not inside.
        """
        if not self.contains(address):
            raise ValidationError(f"{address} is not in {self}")
        return address.value - self.first

    def nth(self, ordinal: int) -> Cidr:
        """Return the address at a place, from 0, as /32 or /128.

        Raises:
            ValidationError: the network has no such place.
        """
        if not 0 <= ordinal < self.size:
            raise ValidationError(f"{self} has no address number {ordinal}")
        return Cidr(self.version, self.first + ordinal, BITS[self.version])

    def packed(self) -> bytes:
        """Return the address in network order, 4 or 16 bytes."""
        return self.value.to_bytes(BITS[self.version] // 8, "big")

    def text(self) -> str:
        """Return ``address/prefix``, canonical."""
        return f"{address_text(self.version, self.value)}/{self.prefix}"

    def __str__(self) -> str:
        return self.text()


def masked(version: int, value: int, prefix: int) -> Cidr:
    """Return the network of an address: its host bits cleared."""
    host_bits = BITS[version] - prefix
    return Cidr(version, value >> host_bits << host_bits, prefix)


def address_text(version: int, value: int) -> str:
    """Return the canonical text of an address (RFC 5952; ``::1:2`` as Go prints it, never ``::0.1.0.2``).

    Args:
        version: 4 or 6.
        value: the address as an integer.
    """
    if version == 4:
        return inet_ntop(AF_INET, value.to_bytes(4, "big"))
    if _FIRST_COMPATIBLE <= value <= _LAST_COMPATIBLE:
        return f"::{value >> 16:x}:{value & 0xFFFF:x}"
    return inet_ntop(AF_INET6, value.to_bytes(16, "big"))


def parse_address(text: str) -> Cidr:
    """Read one address, as a /32 or /128.

    Raises:
        ValidationError: the text is no address.
    """
    if (address := _address(text)) is None:
        raise ValidationError(f"{text!r} is not an IP address such as 10.0.0.1 or fd00::1")
    return address


def parse_cidr(text: str, *, strict: bool = True) -> Cidr:
    """Read a network, or one address without a prefix length.

    Args:
        text: such as ``10.0.0.0/24``, ``fd00::/64``, ``10.0.0.1``.
        strict: refuse host bits; otherwise they are cleared.

    Raises:
        ValidationError: the text is no CIDR, or has host bits in strict mode.
    """
    cidr = parse_interface(text)
    network = cidr.masked()
    if strict and network != cidr:
        raise ValidationError(f"{text!r} has host bits set; the network is {network}")
    return network


def parse_interface(text: str) -> Cidr:
    """Read an address with the length of its network, keeping host bits; bare is /32 or /128.

    Raises:
        ValidationError: the text is no such thing.
    """
    head, slash, tail = text.partition("/")
    if (address := _address(head)) is None:
        raise ValidationError(f"{text!r} is not a CIDR such as 10.0.0.0/24 or fd00::/64")
    if not slash:
        return address
    # A length of three digits at most, without signs, spaces, leading zeros or foreign digits.
    if not (
        tail.isascii()
        and tail.isdigit()
        and str(int(tail[:4])) == tail
        and int(tail) <= address.prefix
    ):
        raise ValidationError(f"{text!r}: the prefix length must be 0 to {address.prefix}")
    return Cidr(address.version, address.value, int(tail))


def split_interface(text: str) -> tuple[Cidr, int]:
    """Return the network of an interface's address such as ``10.0.0.5/24``, and the address's value.

    Raises:
        ValidationError: it is no address with or without prefix length.
    """
    interface = parse_interface(text)
    return interface.masked(), interface.value


def _address(text: str) -> Cidr | None:
    try:
        if ":" not in text:
            return Cidr(4, int.from_bytes(inet_pton(AF_INET, text), "big"), 32)
        value = int.from_bytes(inet_pton(AF_INET6, text), "big")
    except (OSError, ValueError):  # ValueError: a zero byte or a lone surrogate within the text
        return None
    return None if value >> 32 == _MAPPED else Cidr(6, value, 128)
