"""Queueing disciplines: token buckets that shape what a device sends, and redirection of what it receives.

What a device receives cannot be queued. It is redirected to a device of kind "ifb", whose sending is shaped.

Source: rtnetlink(7), tc-tbf(8), tc-mirred(8); include/uapi/linux/pkt_sched.h, pkt_cls.h, tc_act/tc_mirred.h.
"""

from __future__ import annotations

import errno
from struct import Struct
from typing import Final, NamedTuple

from libcalico.netlink import codec
from libcalico.netlink.codec import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Message
from libcalico.netlink.sockets import NetlinkSocket

RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC, RTM_NEWTFILTER = 36, 37, 38, 44
#: Parent of the discipline that sends, and of the one that receives.
ROOT, INGRESS = 0xFFFFFFFF, 0xFFFFFFF1

_TCMSG: Final = Struct("=B3xiIII")  # family, interface, handle, parent, info
_KIND, _OPTIONS = 1, 2
_TBF_PARMS, _TBF_RATE64, _TBF_PRATE64, _TBF_BURST, _TBF_PBURST = 1, 4, 5, 6, 7
_RATESPEC: Final = Struct("=BBHhHI")  # cell log, link layer, overhead, cell align, mpu, bytes/s
_ETHERNET: Final = 1
_TBF_SIZES: Final = Struct("=III")  # limit in bytes; buffer and mtu, which BURST and PBURST replace
_MAX_RATE: Final = 0xFFFFFFFF
_INGRESS_HANDLE: Final = 0xFFFF0000
_ALL_PROTOCOLS: Final = 0x0300  # ETH_P_ALL in network order
_U32_SELECTOR, _U32_ACTIONS = 5, 7
#: A selector of one key that every packet has; the first byte ends the search.
_EVERY_PACKET: Final = Struct("=BBBxHHhhI" + "IIii").pack(1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
_ACTION_KIND, _ACTION_OPTIONS, _MIRRED_PARMS = 1, 2, 2
_MIRRED: Final = Struct(
    "=IIiiiiI"
)  # index, capabilities, action, two counts, what to do, interface
_STOLEN, _EGRESS_REDIRECT = 4, 1


class TokenBucket(NamedTuple):
    """How fast a device may send.

    Attributes:
        rate: bytes/s in the long run.
        burst: bytes that may go at once after silence; at least one packet.
        limit: bytes that may wait; what comes beyond is dropped.
        peak: bytes/s at which a burst may go; 0: at once.
        peak_burst: bytes that may go at once at that rate; at least one packet.
    """

    rate: int
    burst: int
    limit: int
    peak: int = 0
    peak_burst: int = 0


class Qdisc(NamedTuple):
    """A discipline as the kernel has it; a ``handle`` of 0 is the kernel's own choice.

    Attributes:
        ifindex: of its device.
        kind: "tbf", "ingress", "noqueue"...
        handle: its number; 16 bits, then 16 zeros.
        parent: ROOT, INGRESS, or the class that it hangs on.
    """

    ifindex: int
    kind: str
    handle: int
    parent: int


def encode_bucket(ifindex: int, handle: int, bucket: TokenBucket) -> bytes:
    """Return the request that puts a token bucket, of that number, in place of what sends."""
    parms = _rate(bucket.rate) + _rate(bucket.peak) + _TBF_SIZES.pack(bucket.limit, 0, 0)
    options = [codec.attr(_TBF_PARMS, parms), codec.u32(_TBF_BURST, bucket.burst)]
    if bucket.rate >= _MAX_RATE:
        options.append(codec.u64(_TBF_RATE64, bucket.rate))
    if bucket.peak:
        options.append(codec.u32(_TBF_PBURST, bucket.peak_burst))
    if bucket.peak >= _MAX_RATE:
        options.append(codec.u64(_TBF_PRATE64, bucket.peak))
    payload = _TCMSG.pack(0, ifindex, handle, ROOT, 0) + codec.text(_KIND, "tbf")
    payload += codec.nested(_OPTIONS, *options)
    return codec.request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, payload)


def encode_ingress(ifindex: int) -> bytes:
    """Return the request that lets filters see what a device receives."""
    payload = _TCMSG.pack(0, ifindex, _INGRESS_HANDLE, INGRESS, 0) + codec.text(_KIND, "ingress")
    return codec.request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, payload)


def encode_redirect(ifindex: int, target: int) -> bytes:
    """Return the request that sends all that a device receives to another one.

    Filters must see it already, by :func:`encode_ingress`.
    """
    mirred = _MIRRED.pack(0, 0, _STOLEN, 0, 0, _EGRESS_REDIRECT, target)
    action = codec.nested(
        1,
        codec.text(_ACTION_KIND, "mirred"),
        codec.nested(_ACTION_OPTIONS, codec.attr(_MIRRED_PARMS, mirred)),
    )
    options = codec.attr(_U32_SELECTOR, _EVERY_PACKET) + codec.nested(_U32_ACTIONS, action)
    info = 1 << 16 | _ALL_PROTOCOLS
    payload = _TCMSG.pack(0, ifindex, 0, _INGRESS_HANDLE, info) + codec.text(_KIND, "u32")
    payload += codec.nested(_OPTIONS, options)
    return codec.request(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, payload)


def encode_delete(ifindex: int, parent: int) -> bytes:
    """Return the request that removes what sends (ROOT), or what filters what is received (INGRESS)."""
    return codec.request(RTM_DELQDISC, 0, _TCMSG.pack(0, ifindex, 0, parent, 0))


def list_qdiscs(socket: NetlinkSocket, ifindex: int = 0) -> list[Qdisc]:
    """Return the disciplines of a device, 0: of all devices.

    Raises:
        NetlinkError: the kernel refused.
    """
    messages = socket.dump(codec.request(RTM_GETQDISC, 0, _TCMSG.pack(0, ifindex, 0, 0, 0)))
    return [q for q in map(parse_qdisc, messages) if ifindex in (0, q.ifindex)]


def delete(socket: NetlinkSocket, ifindex: int, parent: int) -> None:
    """Remove a discipline, ROOT or INGRESS; none is no error.

    Raises:
        NetlinkError: the kernel refused.
    """
    absent = (errno.ENOENT, errno.EINVAL, errno.ENODEV)
    socket.request(encode_delete(ifindex, parent), tolerated=absent)


def parse_qdisc(message: Message) -> Qdisc:
    """Read an RTM_NEWQDISC.

    Raises:
        NetlinkError: it is malformed (EBADMSG).
    """
    _, ifindex, handle, parent, _ = codec.parse_header(_TCMSG, message.payload)
    attrs = codec.parse_attrs(message.payload, _TCMSG.size)
    return Qdisc(ifindex, codec.as_text(attrs.get(_KIND, b"")), handle, parent)


def _rate(bytes_per_second: int) -> bytes:
    """Return a rate of the first structure; with a link layer the kernel needs no table of costs."""
    layer = _ETHERNET if bytes_per_second else 0
    return _RATESPEC.pack(0, layer, 0, 0, 0, min(bytes_per_second, _MAX_RATE))
