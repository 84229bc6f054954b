"""Network interfaces: veth pairs, bridges, VXLAN and IPIP devices; read, change, delete.

A veth pair is born with its peer in the target namespace already: moving it there later costs the kernel
tens of milliseconds. A peer cannot be born up; the host end can.

Source: rtnetlink(7); include/uapi/linux/if_link.h, if_link's veth.h, rtnetlink.h.
"""

from __future__ import annotations

import errno
from struct import Struct
from typing import Final, NamedTuple

from libcalico.errors import NetlinkError
from libcalico.net.addresses import Cidr
from libcalico.netlink import codec
from libcalico.netlink.codec import NLM_F_CREATE, NLM_F_EXCL, Message
from libcalico.netlink.sockets import NetlinkSocket

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
IFF_UP, IFF_LOOPBACK, IFF_RUNNING, IFF_LOWER_UP = 0x1, 0x8, 0x40, 0x10000

_IFINFO: Final = Struct("=BxHiII")  # family, type, index, flags, which flags to change
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK = 1, 3, 4, 5
_IFLA_MASTER, _IFLA_OPERSTATE, _IFLA_LINKINFO, _IFLA_IFALIAS = 10, 16, 18, 20
_IFLA_GROUP, _IFLA_NET_NS_FD, _IFLA_EXT_MASK, _IFLA_LINK_NETNSID = 27, 28, 29, 37
_IFLA_INFO_KIND, _IFLA_INFO_DATA = 1, 2
_VETH_INFO_PEER: Final = 1
_VXLAN_ID, _VXLAN_LINK, _VXLAN_LOCAL, _VXLAN_LEARNING, _VXLAN_PORT, _VXLAN_LOCAL6 = (
    1,
    3,
    4,
    7,
    15,
    17,
)
_SKIP_STATISTICS: Final = 8  # RTEXT_FILTER_SKIP_STATS: half of a link's bytes
_OPERSTATE_UP: Final = 6


class Link(NamedTuple):
    """An interface as the kernel has it.

    Attributes:
        ifindex: number within its namespace, from 1.
        name: unique within its namespace.
        flags: IFF_... bits.
        mac: 6 bytes; empty or longer for devices without Ethernet addresses.
        mtu: in bytes.
        kind: "veth", "bridge", "vxlan"...; empty for hardware and the loopback.
        master: index of the bridge or VRF that it is enslaved to; 0 without.
        peer: index of a veth's other end, or of the device below; 0 without.
        peer_netns: the kernel's number for the namespace of ``peer``; -1 if that is the link's own.
        group: number to address many at once; 0 unless set.
        is_running: whether it is operational, as far as the driver tells.
        data: a VXLAN device's own attributes, undecoded; see :func:`vxlan_of`. Empty for other kinds, whose
            counters and timers would make equal links differ.
        alias: a text for people that somebody has given it; empty unless set.
    """

    ifindex: int
    name: str
    flags: int = 0
    mac: bytes = b""
    mtu: int = 0
    kind: str = ""
    master: int = 0
    peer: int = 0
    peer_netns: int = -1
    group: int = 0
    is_running: bool = False
    data: bytes = b""
    alias: str = ""

    @property
    def is_up(self) -> bool:
        """Whether it is administratively up."""
        return bool(self.flags & IFF_UP)


class Veth(NamedTuple):
    """A veth pair to be made.

    Attributes:
        name: of the near end.
        peer: name of the far end.
        peer_netns: file descriptor of the far end's namespace; None for the near end's.
        mac: of the near end; the kernel chooses when None. ``peer_mac`` likewise.
        mtu: of both ends; 0 for the kernel's default.
        group: of the near end.
        is_up: whether the near end is born up.
    """

    name: str
    peer: str
    peer_netns: int | None = None
    mac: bytes | None = None
    peer_mac: bytes | None = None
    mtu: int = 0
    group: int = 0
    is_up: bool = True


class Vxlan(NamedTuple):
    """A VXLAN device.

    Attributes:
        name: of the device.
        vni: VXLAN network identifier.
        port: UDP port, of both ends.
        local: source address of the outer packets, as /32 or /128; decides the outer family.
        device: index of the interface below; 0 for whichever the route leads to.
        mac: its MAC; the kernel chooses when None.
        mtu: 0 for the kernel's default.
        is_learning: whether senders' addresses are learned from packets.
    """

    name: str
    vni: int
    port: int = 4789
    local: Cidr | None = None
    device: int = 0
    mac: bytes | None = None
    mtu: int = 0
    is_learning: bool = False


class Ipip(NamedTuple):
    """A device that puts IPv4 packets into IPv4 packets, to whichever host the route names.

    A kernel has a first one of its own, ``tunl0``, in each namespace, from when it has the module; such a one
    is changed, not made, and cannot be deleted.

    Attributes:
        name: of the device.
        mtu: 0 for the kernel's default.
        alias: a text for people; empty for none.
    """

    name: str
    mtu: int = 0
    alias: str = ""


class Change(NamedTuple):
    """What to change of a link; None leaves as it is.

    Attributes:
        is_up: administrative state.
        name: new name; the link must be down on kernels before 6.2.
        mtu: in bytes.
        mac: 6 bytes.
        master: index of a bridge, 0 to leave it.
        group: new group.
        netns: file descriptor of the namespace to move to.
        alias: a text for people; empty to remove it.
    """

    is_up: bool | None = None
    name: str | None = None
    mtu: int | None = None
    mac: bytes | None = None
    master: int | None = None
    group: int | None = None
    netns: int | None = None
    alias: str | None = None


def encode_veth(veth: Veth) -> bytes:
    """Return the request that makes a veth pair."""
    peer = [codec.text(_IFLA_IFNAME, veth.peer), *_mtu_and_mac(veth.mtu, veth.peer_mac)]
    if veth.peer_netns is not None:
        peer.append(codec.u32(_IFLA_NET_NS_FD, veth.peer_netns))
    data = codec.nested(_VETH_INFO_PEER, _IFINFO.pack(0, 0, 0, 0, 0), *peer)
    near = _mtu_and_mac(veth.mtu, veth.mac)
    if veth.group:
        near.append(codec.u32(_IFLA_GROUP, veth.group))
    return _encode_new("veth", veth.name, data, near, is_up=veth.is_up)


def encode_bridge(
    name: str, *, mac: bytes | None = None, mtu: int = 0, is_up: bool = True
) -> bytes:
    """Return the request that makes a bridge."""
    return _encode_new("bridge", name, b"", _mtu_and_mac(mtu, mac), is_up=is_up)


def encode_ifb(name: str) -> bytes:
    """Return the request that makes a device, up, which sends what is redirected to it on its way."""
    return _encode_new("ifb", name, b"", [], is_up=True)


def encode_vxlan(vxlan: Vxlan, *, is_up: bool = True) -> bytes:
    """Return the request that makes a VXLAN device."""
    data = [
        codec.u32(_VXLAN_ID, vxlan.vni),
        codec.be16(_VXLAN_PORT, vxlan.port),
        codec.u8(_VXLAN_LEARNING, int(vxlan.is_learning)),
    ]
    if vxlan.local is not None:
        type_ = _VXLAN_LOCAL if vxlan.local.version == 4 else _VXLAN_LOCAL6
        data.append(codec.attr(type_, vxlan.local.packed()))
    if vxlan.device:
        data.append(codec.u32(_VXLAN_LINK, vxlan.device))
    rest = _mtu_and_mac(vxlan.mtu, vxlan.mac)
    return _encode_new("vxlan", vxlan.name, b"".join(data), rest, is_up=is_up)


def encode_ipip(ipip: Ipip, *, is_up: bool = True) -> bytes:
    """Return the request that makes an IPIP device; EOPNOTSUPP where the kernel has none."""
    rest = _mtu_and_mac(ipip.mtu, None)
    if ipip.alias:
        rest.append(_alias(ipip.alias))
    return _encode_new("ipip", ipip.name, b"", rest, is_up=is_up)


def encode_change(link: int | str, change: Change) -> bytes:
    """Return the request that changes a link, given by index or name.

    A link that is given by name cannot be renamed in the same request: give its index then.
    """
    attrs = _mtu_and_mac(change.mtu, change.mac)
    if change.master is not None:
        attrs.append(codec.u32(_IFLA_MASTER, change.master))
    if change.group is not None:
        attrs.append(codec.u32(_IFLA_GROUP, change.group))
    if change.netns is not None:
        attrs.append(codec.u32(_IFLA_NET_NS_FD, change.netns))
    if change.alias is not None:
        attrs.append(_alias(change.alias))
    if change.name is not None:
        attrs.append(codec.text(_IFLA_IFNAME, change.name))
    flags = IFF_UP if change.is_up else 0
    mask = 0 if change.is_up is None else IFF_UP
    return codec.request(RTM_NEWLINK, 0, _header(link, flags, mask) + b"".join(attrs))


def encode_delete(link: int | str) -> bytes:
    """Return the request that deletes a link by index or name; a veth's other end goes with it."""
    return codec.request(RTM_DELLINK, 0, _header(link))


def encode_delete_group(group: int) -> bytes:
    """Return the request that deletes all links of a group, as cheaply as one."""
    return codec.request(RTM_DELLINK, 0, _header(0) + codec.u32(_IFLA_GROUP, group))


def create_veth(socket: NetlinkSocket, veth: Veth) -> None:
    """Make a veth pair.

    Raises:
        NetlinkError: a name is taken (EEXIST), or the kernel refused otherwise.
    """
    socket.request(encode_veth(veth))


def create_bridge(
    socket: NetlinkSocket, name: str, *, mac: bytes | None = None, mtu: int = 0, is_up: bool = True
) -> None:
    """Make a bridge.

    Raises:
        NetlinkError: the name is taken (EEXIST), or the kernel refused otherwise.
    """
    socket.request(encode_bridge(name, mac=mac, mtu=mtu, is_up=is_up))


def create_vxlan(socket: NetlinkSocket, vxlan: Vxlan, *, is_up: bool = True) -> None:
    """Make a VXLAN device.

    Raises:
        NetlinkError: the name or the port with this VNI is taken (EEXIST), or the kernel refused otherwise.
    """
    socket.request(encode_vxlan(vxlan, is_up=is_up))


def change_link(socket: NetlinkSocket, link: int | str, change: Change) -> None:
    """Change a link, given by index or name.

    Raises:
        NetlinkError: there is no such link (ENODEV), or the kernel refused.
    """
    socket.request(encode_change(link, change))


def set_up(socket: NetlinkSocket, link: int | str, *, is_up: bool = True) -> None:
    """Set a link up or down.

    Raises:
        NetlinkError: there is no such link (ENODEV), or the kernel refused.
    """
    change_link(socket, link, Change(is_up=is_up))


def delete_link(socket: NetlinkSocket, link: int | str, *, missing_ok: bool = True) -> None:
    """Delete a link, given by index or name.

    Raises:
        NetlinkError: the kernel refused, or there is no such link (ENODEV) and that was not to be.
    """
    socket.request(encode_delete(link), tolerated=(errno.ENODEV,) if missing_ok else ())


def delete_group(socket: NetlinkSocket, group: int) -> None:
    """Delete all links of a group; none is no error.

    Raises:
        NetlinkError: the kernel refused.
    """
    socket.request(encode_delete_group(group), tolerated=(errno.ENODEV,))


def get_link(socket: NetlinkSocket, link: int | str) -> Link | None:
    """Return a link by index or name; None if there is none.

    Raises:
        NetlinkError: the kernel refused.
    """
    skip = codec.u32(_IFLA_EXT_MASK, _SKIP_STATISTICS)
    try:
        replies = socket.request(codec.request(RTM_GETLINK, 0, _header(link) + skip))
    except NetlinkError as error:
        if error.errno == errno.ENODEV:
            return None
        raise
    return parse_link(replies[0])


def list_links(socket: NetlinkSocket) -> list[Link]:
    """Return all links of the namespace.

    Raises:
        NetlinkError: the kernel refused.
    """
    skip = codec.u32(_IFLA_EXT_MASK, _SKIP_STATISTICS)
    messages = socket.dump(codec.request(RTM_GETLINK, 0, _header(0) + skip))
    return [parse_link(message) for message in messages]


def parse_link(message: Message) -> Link:
    """Read an RTM_NEWLINK or RTM_DELLINK.

    Raises:
        NetlinkError: it is malformed (EBADMSG).
    """
    _, _, index, flags, _ = codec.parse_header(_IFINFO, message.payload)
    attrs = codec.parse_attrs(message.payload, _IFINFO.size)
    details = codec.parse_attrs(attrs.get(_IFLA_LINKINFO, b""))

    kind = codec.as_text(details.get(_IFLA_INFO_KIND, b""))

    def number(type_: int) -> int:
        return codec.as_u32(attrs[type_]) if type_ in attrs else 0

    return Link(
        ifindex=index,
        name=codec.as_text(attrs.get(_IFLA_IFNAME, b"")),
        flags=flags,
        mac=attrs.get(_IFLA_ADDRESS, b""),
        mtu=number(_IFLA_MTU),
        kind=kind,
        master=number(_IFLA_MASTER),
        peer=number(_IFLA_LINK),
        peer_netns=codec.as_s32(attrs[_IFLA_LINK_NETNSID]) if _IFLA_LINK_NETNSID in attrs else -1,
        group=number(_IFLA_GROUP),
        is_running=attrs.get(_IFLA_OPERSTATE) == bytes([_OPERSTATE_UP])
        or bool(flags & IFF_LOWER_UP),
        data=details.get(_IFLA_INFO_DATA, b"") if kind == "vxlan" else b"",
        alias=codec.as_text(attrs.get(_IFLA_IFALIAS, b"")),
    )


def vxlan_of(link: Link) -> Vxlan | None:
    """Return the settings of a VXLAN device; None for another kind of link.

    Raises:
        NetlinkError: they are malformed (EBADMSG).
    """
    if link.kind != "vxlan":
        return None
    attrs = codec.parse_attrs(link.data)
    local = attrs.get(_VXLAN_LOCAL) or attrs.get(_VXLAN_LOCAL6)
    return Vxlan(
        name=link.name,
        vni=codec.as_u32(attrs.get(_VXLAN_ID, b"")),
        port=codec.as_be16(attrs.get(_VXLAN_PORT, b"")),
        local=codec.as_address(local) if local else None,
        device=codec.as_u32(attrs[_VXLAN_LINK]) if _VXLAN_LINK in attrs else 0,
        mac=link.mac,
        mtu=link.mtu,
        is_learning=attrs.get(_VXLAN_LEARNING) == b"\1",
    )


def _encode_new(kind: str, name: str, data: bytes, attrs: list[bytes], *, is_up: bool) -> bytes:
    details = [codec.text(_IFLA_INFO_KIND, kind)]
    if data:
        details.append(codec.nested(_IFLA_INFO_DATA, data))
    flags = IFF_UP if is_up else 0
    payload = _IFINFO.pack(0, 0, 0, flags, flags) + codec.text(_IFLA_IFNAME, name)
    payload += b"".join(attrs) + codec.nested(_IFLA_LINKINFO, *details)
    return codec.request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, payload)


def _mtu_and_mac(mtu: int | None, mac: bytes | None) -> list[bytes]:
    attrs = [codec.u32(_IFLA_MTU, mtu)] if mtu else []
    if mac is not None:
        attrs.append(codec.attr(_IFLA_ADDRESS, mac))
    return attrs


def _alias(text: str) -> bytes:
    """Return the attribute with a link's alias. Its length ends it, and an empty one removes it."""
    return codec.attr(_IFLA_IFALIAS, text.encode())


def _header(link: int | str, flags: int = 0, mask: int = 0) -> bytes:
    """Return the header that addresses a link, with its name behind if it is given by name."""
    if isinstance(link, int):
        return _IFINFO.pack(0, 0, link, flags, mask)
    return _IFINFO.pack(0, 0, 0, flags, mask) + codec.text(_IFLA_IFNAME, link)
