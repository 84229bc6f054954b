"""Netlink messages and attributes as bytes, for every family; pure.

A message is a 16-byte header, a header of the family's own, and attributes, which may hold attributes.
Everything is padded to 4 bytes. Numbers are in host order unless a family says otherwise.

Source: include/uapi/linux/netlink.h; Documentation/userspace-api/netlink/intro.rst.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from os import strerror
from struct import Struct
from struct import error as struct_error
from typing import Final, NamedTuple

from libcalico.errors import NetlinkError
from libcalico.net.addresses import Cidr

# Message types that every family knows.
NLMSG_NOOP, NLMSG_ERROR, NLMSG_DONE, NLMSG_OVERRUN = 1, 2, 3, 4
# Flags of every message.
NLM_F_REQUEST, NLM_F_MULTI, NLM_F_ACK, NLM_F_ECHO, NLM_F_DUMP_INTR = 0x1, 0x2, 0x4, 0x8, 0x10
# Flags of requests to read.
NLM_F_ROOT, NLM_F_MATCH, NLM_F_DUMP = 0x100, 0x200, 0x300
# Flags of requests to make.
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x100, 0x200, 0x400, 0x800
# Flags of an error: the request is not repeated in full; attributes follow.
NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x100, 0x200

#: A message's header: size, type, flags, sequence number, port.
HEADER: Final = Struct("=IHHII")
HEADER_BYTES: Final = 16
#: The longest attribute, header included (its size is 16 bits).
MAX_ATTR_BYTES: Final = 0xFFFF

_ATTR: Final = Struct("=HH")
_ATTR_NESTED: Final = 0x8000
_ATTR_TYPE_MASK: Final = 0x3FFF
_U8, _U16, _U32, _U64 = Struct("=B"), Struct("=H"), Struct("=I"), Struct("=Q")
_S32: Final = Struct("=i")
_BE16, _BE32 = Struct(">H"), Struct(">I")
_PADDING: Final = (b"", b"\0\0\0", b"\0\0", b"\0")  # by size modulo 4
_ERRMSG_ATTR_MSG, _ERRMSG_ATTR_OFFS = 1, 2
_MAX_ERRNO: Final = 4095  # include/linux/err.h


class Message(NamedTuple):
    """One message from the kernel.

    Attributes:
        type: of the family, or NLMSG_ERROR, NLMSG_DONE...
        flags: NLM_F_...
        seq: of the request that it answers; 0 for notifications.
        port: of the socket that it is for, or that caused it.
        payload: what follows the header.
    """

    type: int
    flags: int
    seq: int
    port: int
    payload: bytes


class Answer(NamedTuple):
    """What an NLMSG_ERROR says: an acknowledgement if ``errno`` is 0, a refusal otherwise.

    Attributes:
        errno: positive error number.
        seq: of the request.
        reason: the kernel's own words, empty if it has none.
        offset: of the attribute in the request that it complains about, in bytes; 0 if it does not say.
    """

    errno: int
    seq: int
    reason: str = ""
    offset: int = 0

    @property
    def text(self) -> str:
        """The error and the reason, for people."""
        return f"{strerror(self.errno)} ({self.reason})" if self.reason else strerror(self.errno)


def attr(type_: int, payload: bytes) -> bytes:
    """Return an attribute, padded.

    Raises:
        NetlinkError: the payload is longer than an attribute can be (EMSGSIZE).
    """
    size = 4 + len(payload)
    if size > MAX_ATTR_BYTES:
        raise NetlinkError(
            f"attribute {type_} of {size} bytes does not fit a message", errno.EMSGSIZE
        )
    return _ATTR.pack(size, type_) + payload + _PADDING[size & 3]


def nested(type_: int, *attrs: bytes) -> bytes:
    """Return an attribute that holds attributes.

    Raises:
        NetlinkError: they are longer than an attribute can be (EMSGSIZE).
    """
    return attr(type_ | _ATTR_NESTED, b"".join(attrs))


def u8(type_: int, value: int) -> bytes:
    """Return an attribute of one byte."""
    return attr(type_, _U8.pack(value))


def u16(type_: int, value: int) -> bytes:
    """Return an attribute of two bytes in host order."""
    return attr(type_, _U16.pack(value))


def u32(type_: int, value: int) -> bytes:
    """Return an attribute of four bytes in host order."""
    return attr(type_, _U32.pack(value))


def u64(type_: int, value: int) -> bytes:
    """Return an attribute of eight bytes in host order."""
    return attr(type_, _U64.pack(value))


def be16(type_: int, value: int) -> bytes:
    """Return an attribute of two bytes in network order."""
    return attr(type_, _BE16.pack(value))


def be32(type_: int, value: int) -> bytes:
    """Return an attribute of four bytes in network order."""
    return attr(type_, _BE32.pack(value))


def text(type_: int, value: str) -> bytes:
    """Return an attribute with a text and its final zero."""
    return attr(type_, value.encode() + b"\0")


def message(type_: int, flags: int, seq: int, payload: bytes, port: int = 0) -> bytes:
    """Return a message, padded. Requests are made with ``seq`` 0: the socket numbers what it sends."""
    size = HEADER_BYTES + len(payload)
    return HEADER.pack(size, type_, flags, seq, port) + payload + _PADDING[size & 3]


def request(type_: int, flags: int, payload: bytes) -> bytes:
    """Return a message to the kernel, not yet numbered."""
    return message(type_, flags | NLM_F_REQUEST, 0, payload)


def parse_messages(data: bytes) -> list[Message]:
    """Split what one receive returned.

    Raises:
        NetlinkError: a header is cut short or lies about the size (EBADMSG).
    """
    found = []
    at, end = 0, len(data)
    unpack = HEADER.unpack_from
    while at < end:
        if end - at < HEADER_BYTES:
            raise _malformed(f"{end - at} bytes are no message", at)
        size, type_, flags, seq, port = unpack(data, at)
        if not HEADER_BYTES <= size <= end - at:
            raise _malformed(f"message of {size} bytes where there are {end - at}", at)
        found.append(Message(type_, flags, seq, port, data[at + HEADER_BYTES : at + size]))
        at += (size + 3) & ~3
    return found


def parse_attr_list(data: bytes, offset: int = 0) -> list[tuple[int, bytes]]:
    """Return the attributes from an offset on, in order, as (type without its flag bits, payload).

    Raises:
        NetlinkError: an attribute is cut short or lies about its size (EBADMSG).
    """
    found = []
    at, end = offset, len(data)
    unpack = _ATTR.unpack_from
    while at < end:
        if end - at < 4:
            raise _malformed(f"{end - at} bytes are no attribute", at)
        size, type_ = unpack(data, at)
        if not 4 <= size <= end - at:
            raise _malformed(f"attribute of {size} bytes where there are {end - at}", at)
        found.append((type_ & _ATTR_TYPE_MASK, data[at + 4 : at + size]))
        at += (size + 3) & ~3
    return found


def parse_attrs(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """Return the attributes from an offset on: type → payload; the last of a type counts.

    Raises:
        NetlinkError: as :func:`parse_attr_list`.
    """
    return dict(parse_attr_list(data, offset))


def parse_header(layout: Struct, data: bytes) -> tuple[int, ...]:
    """Read a family's own header from the beginning of a payload.

    Raises:
        NetlinkError: the payload is shorter (EBADMSG).
    """
    try:
        return layout.unpack_from(data)
    except struct_error as error:
        raise _malformed(f"header of {layout.size} bytes in {len(data)} bytes", 0) from error


def parse_answer(answer: Message) -> Answer:
    """Read an NLMSG_ERROR, or the result at the end of a dump (NLMSG_DONE).

    Raises:
        NetlinkError: it is cut short (EBADMSG).
    """
    payload = answer.payload
    if answer.type == NLMSG_DONE and not payload:
        return Answer(0, answer.seq)
    number = -as_s32(payload[:4])
    if not 0 <= number <= _MAX_ERRNO:
        raise _malformed(f"error number {number}", 0)
    if not answer.flags & NLM_F_ACK_TLVS:
        return Answer(number, answer.seq)
    start = 4
    if answer.type == NLMSG_ERROR:
        repeated = as_u32(payload[4:8])
        start += HEADER_BYTES if answer.flags & NLM_F_CAPPED else (repeated + 3) & ~3
    attrs = parse_attrs(payload, start)
    reason = as_text(attrs.get(_ERRMSG_ATTR_MSG, b""))
    offset = as_u32(attrs[_ERRMSG_ATTR_OFFS]) if _ERRMSG_ATTR_OFFS in attrs else 0
    return Answer(number, answer.seq, reason, offset)


def as_u8(payload: bytes) -> int:
    """Read a byte; NetlinkError (EBADMSG) if it is of another size, as for the ones below."""
    return _number(_U8, payload)


def as_u16(payload: bytes) -> int:
    """Read two bytes in host order."""
    return _number(_U16, payload)


def as_u32(payload: bytes) -> int:
    """Read four bytes in host order."""
    return _number(_U32, payload)


def as_s32(payload: bytes) -> int:
    """Read four bytes in host order, signed."""
    return _number(_S32, payload)


def as_u64(payload: bytes) -> int:
    """Read eight bytes in host order."""
    return _number(_U64, payload)


def as_be16(payload: bytes) -> int:
    """Read two bytes in network order."""
    return _number(_BE16, payload)


def as_be32(payload: bytes) -> int:
    """Read four bytes in network order."""
    return _number(_BE32, payload)


def as_text(payload: bytes) -> str:
    """Read a text up to its final zero; bytes that are no UTF-8 stay visible as escapes."""
    return payload.split(b"\0", 1)[0].decode(errors="backslashreplace")


def as_address(payload: bytes) -> Cidr:
    """Read 4 or 16 bytes as one address."""
    size = len(payload)
    if size not in (4, 16):
        raise _malformed(f"{size} bytes where an address has 4 or 16", 0)
    return Cidr(4 if size == 4 else 6, int.from_bytes(payload, "big"), size * 8)


def with_prefix(address: Cidr, prefix: int) -> Cidr:
    """Return an address with a prefix length; NetlinkError (EBADMSG) if that is too long for it."""
    if prefix > address.prefix:
        raise _malformed(f"prefix length {prefix} of {address.address}", 0)
    return Cidr(address.version, address.value, prefix)


def number_requests(requests: Iterable[bytes], first_seq: int, last_flags: int = 0) -> bytearray:
    """Join requests and give them consecutive sequence numbers.

    Args:
        requests: one whole message each.
        first_seq: number of the first.
        last_flags: flags to add to the last, such as NLM_F_ACK.
    """
    joined = bytearray()
    last = 0
    for seq, item in enumerate(requests, first_seq):
        last = len(joined)
        joined += item
        _U32.pack_into(joined, last + 8, seq)
    if joined and last_flags:
        flags = _U16.unpack_from(joined, last + 6)[0]
        _U16.pack_into(joined, last + 6, flags | last_flags)
    return joined


def _number(layout: Struct, payload: bytes) -> int:
    if len(payload) != layout.size:
        raise _malformed(f"{len(payload)} bytes where a number has {layout.size}", 0)
    value: int = layout.unpack(payload)[0]
    return value


def _malformed(what: str, at: int) -> NetlinkError:
    return NetlinkError(f"malformed netlink data at byte {at}: {what}", errno.EBADMSG)
