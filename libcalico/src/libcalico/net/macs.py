"""MAC addresses: text, bytes, and the ones that Calico gives."""

from __future__ import annotations

import re
from hashlib import sha1
from typing import Final

from libcalico.errors import ValidationError

#: The host end of every workload's veth pair has this one. Source: Calico's CNI plugin, Felix.
WORKLOAD_HOST_MAC: Final = b"\xee\xee\xee\xee\xee\xee"

_TEXT: Final = re.compile(r"[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}")


def parse_mac(text: str) -> bytes:
    """Read ``ee:ee:ee:ee:ee:ee`` (also with dashes) as 6 bytes.

    Raises:
        ValidationError: the text is no MAC address.
    """
    if not _TEXT.fullmatch(text):
        raise ValidationError(f"{text!r} is not a MAC address such as ee:ee:ee:ee:ee:ee")
    return bytes.fromhex(text.replace(text[2], ""))


def mac_text(mac: bytes) -> str:
    """Return the canonical text: lower case, with colons."""
    return mac.hex(":")


def vxlan_mac(node: str, *, is_ipv6: bool = False) -> bytes:
    """Return the MAC of a node's VXLAN device: the same on every run, different on every node.

    Source: Felix's VXLAN manager: byte 0x66, then five bytes of SHA-1 of the node's name, with
    ``-v6`` appended for IPv6.
    """
    name = f"{node}-v6" if is_ipv6 else node
    return b"\x66" + sha1(name.encode(), usedforsecurity=False).digest()[:5]
