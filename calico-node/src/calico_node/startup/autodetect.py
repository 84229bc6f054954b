"""Choose the node's address among those of the host's interfaces. Pure.

Methods, as in ``IP_AUTODETECTION_METHOD``: ``first-found``, ``can-reach=<address or name>``,
``interface=<regex>,...``, ``skip-interface=<regex>,...``, ``cidr=<cidr>,...``. Only global unicast
addresses count. Interfaces are walked from the last to the first that the kernel names.

Source: Calico's documentation of IP autodetection methods.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network

from calico_node.startup.model import Address, HostFacts, HostInterface, Interfaced, Version
from libcalico.errors import ConfigError

#: Interfaces that never carry the node's own address, as whole-name patterns.
EXCLUDED_INTERFACES = (
    "docker.*", "cbr.*", "dummy.*", "virbr.*", "lxcbr.*", "veth.*", "lo", "cali.*", "tunl.*",
    "flannel.*", "kube-ipvs.*", "cni.*", "podman.*", "vxlan.calico.*", "vxlan-v6.calico.*",
    "wireguard.cali", "wg-v6.cali", "nodelocaldns.*", "br-.*",
)  # fmt: skip
_METHODS = "first-found, can-reach=, interface=, skip-interface= or cidr="
Found = tuple[HostInterface, Interfaced]


def detect(method: str, version: Version, facts: HostFacts) -> Interfaced | None:
    """Return the address that a method finds, with its interface's prefix length; None if none does.

    Raises:
        ConfigError: the method is unknown, or what it was given cannot be used.
    """
    name, _, argument = method.partition("=")
    words = [word.strip() for word in argument.split(",") if word.strip()]
    if name != "first-found" and not words:
        raise ConfigError(f"autodetection method {method!r}: use {_METHODS} with a value")
    choose = _chooser(name, words, version, facts)
    return next((address for _, address in choose), None)


def _chooser(name: str, words: list[str], version: Version, facts: HostFacts) -> Iterable[Found]:
    candidates = _candidates(facts.interfaces, version)
    match name:
        case "first-found":
            return (found for found in candidates if not is_excluded(found[0].name))
        case "can-reach":
            return _with_address(candidates, facts.source_by_target.get(words[0]))
        case "interface":
            wanted = _pattern(words).search
            return (found for found in candidates if wanted(found[0].name))
        case "skip-interface":
            skipped = _pattern(words).fullmatch
            return (f for f in candidates if not (is_excluded(f[0].name) or skipped(f[0].name)))
        case "cidr":
            return _within(candidates, _cidrs(words))
        case _:
            raise ConfigError(f"autodetection method {name!r} is unknown; use {_METHODS}")


def reach_target(method: str) -> str | None:
    """Return what a ``can-reach`` method wants to reach, None for the other methods."""
    name, _, target = method.partition("=")
    return target.strip() if name == "can-reach" and target.strip() else None


def local_interface(address: Address, interfaces: Iterable[HostInterface]) -> Interfaced | None:
    """Return an address of the host with its prefix length, None if the host does not have it."""
    held = (held for interface in interfaces for held in interface.addresses)
    return next((candidate for candidate in held if candidate.ip == address), None)


def node_interfaces(
    interfaces: Iterable[HostInterface], versions: Iterable[Version]
) -> Mapping[str, tuple[str, ...]]:
    """Return interface name → bare addresses of the wanted families, without excluded interfaces."""
    wanted = frozenset(versions)
    shown = {
        interface.name: tuple(
            str(held.ip)
            for held in interface.addresses
            if held.version in wanted and is_global_unicast(held)
        )
        for interface in interfaces
        if not is_excluded(interface.name)
    }
    return {name: addresses for name, addresses in sorted(shown.items()) if addresses}


def is_excluded(name: str) -> bool:
    """Whether an interface never carries the node's own address."""
    return bool(_EXCLUDED.fullmatch(name))


def is_global_unicast(held: Interfaced) -> bool:
    """Whether other hosts can be told to send to the address (private ranges included)."""
    ip = held.ip
    return not (ip.is_unspecified or ip.is_loopback or ip.is_link_local or ip.is_multicast)


def _candidates(interfaces: tuple[HostInterface, ...], version: Version) -> Iterator[Found]:
    for interface in reversed(interfaces):
        for held in interface.addresses:
            if held.version == version and is_global_unicast(held):
                yield interface, held


def _with_address(candidates: Iterator[Found], address: Address | None) -> Iterator[Found]:
    return (found for found in candidates if found[1].ip == address)


def _within(candidates: Iterator[Found], cidrs: list[IPv4Network | IPv6Network]) -> Iterator[Found]:
    for interface, held in candidates:
        inside = any(held.ip in cidr for cidr in cidrs if cidr.version == held.version)
        if inside and not is_excluded(interface.name):
            yield interface, held


def _cidrs(words: list[str]) -> list[IPv4Network | IPv6Network]:
    try:
        return [ip_network(word) for word in words]
    except ValueError as error:
        raise ConfigError(f"autodetection method cidr: {error}") from None


def _pattern(words: list[str]) -> re.Pattern[str]:
    try:
        return re.compile("|".join(f"(?:{word})" for word in words))
    except re.error as error:
        raise ConfigError(
            f"autodetection method: {','.join(words)!r} is no regex: {error}"
        ) from None


_EXCLUDED = _pattern(list(EXCLUDED_INTERFACES))
