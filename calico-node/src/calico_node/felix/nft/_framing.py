"""Temporary framing."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_ATTR = struct.Struct("=HH")


def attr(type_: int, payload: bytes) -> bytes:
    size = 4 + len(payload)
    return _ATTR.pack(size, type_) + payload + bytes(-size % 4)


def nested(type_: int, payload: bytes) -> bytes:
    return _ATTR.pack(4 + len(payload), type_ | 0x8000) + payload


def attributes(payload: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(payload):
        size, type_ = _ATTR.unpack_from(payload, at)
        if size < 4:
            return
        yield type_ & 0x3FFF, payload[at + 4 : at + size]
        at += (size + 3) & ~3


@dataclass(frozen=True, slots=True)
class Message:
    type: int
    flags: int
    seq: int
    port: int
    payload: bytes


def messages(data: bytes) -> Iterator[Message]:
    at = 0
    while at + 16 <= len(data):
        size, type_, flags, seq, port = struct.unpack_from("=IHHII", data, at)
        yield Message(type_, flags, seq, port, data[at + 16 : at + size])
        at += (size + 3) & ~3
