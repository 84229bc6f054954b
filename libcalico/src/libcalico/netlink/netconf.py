"""Settings of interfaces that the kernel announces to everybody who listens, whoever changed them how.

Source: include/uapi/linux/netconf.h; net/ipv4/devinet.c (devinet_conf_proc), net/ipv6/addrconf.c.
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6
from struct import Struct
from typing import Final, NamedTuple

from libcalico.netlink import codec
from libcalico.netlink.codec import Message

RTM_NEWNETCONF: Final = 80
#: In place of a link's index: the settings of all interfaces, and of those to come.
ALL_LINKS, DEFAULT_LINKS = -1, -2

_NETCONFMSG: Final = Struct("=B3x")  # family
_IFINDEX: Final = 1
_FORWARDING, _RP_FILTER, _PROXY_NEIGH = 2, 3, 5
_VERSION: Final = {int(AF_INET): 4, int(AF_INET6): 6}
#: IP version → attribute → name of the setting below ``conf/<interface>``.
_NAMES: Final = {
    4: {_FORWARDING: "forwarding", _RP_FILTER: "rp_filter", _PROXY_NEIGH: "proxy_arp"},
    6: {_FORWARDING: "forwarding", _PROXY_NEIGH: "proxy_ndp"},
}


class Settings(NamedTuple):
    """Settings that were changed.

    Attributes:
        version: of IP.
        link: index of the interface, ALL_LINKS or DEFAULT_LINKS.
        values: name below ``conf/<interface>`` → value now.
    """

    version: int
    link: int
    values: dict[str, int]


def parse_settings(message: Message) -> Settings | None:
    """Read an RTM_NEWNETCONF; None for another family's.

    Raises:
        NetlinkError: it is malformed (EBADMSG).
    """
    (family,) = codec.parse_header(_NETCONFMSG, message.payload)
    version = _VERSION.get(family)
    if version is None:
        return None
    attrs = codec.parse_attrs(message.payload, _NETCONFMSG.size)
    names = _NAMES[version]
    values = {name: codec.as_s32(attrs[type_]) for type_, name in names.items() if type_ in attrs}
    return Settings(version, codec.as_s32(attrs.get(_IFINDEX, b"")), values)
