"""The host endpoints: what is stored of them, and which one governs which interface of this host.

What cannot be read never opens a host: an endpoint of which only a part is readable is closed but
for the failsafe ports, as one without policies and profiles is; a missing address or port is left out.
Source: calico-control-plane reference, section 2.8, and calico-dataplane reference, section 2.9.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any, Final, NamedTuple

import msgspec

from calico_node.felix.calc.active import Users
from calico_node.felix.calc.decode import NO_JSON, Metadata, Port, Reading, named_port
from calico_node.felix.calc.ipsets import NamedPort, Owner
from calico_node.felix.calc.policies import HostId, PolicyResolver
from calico_node.felix.calc.told import Told
from calico_node.felix.messages import HostEndpoint, HostLinks, HostPolicies
from libcalico.errors import ValidationError
from libcalico.net.addresses import Cidr, parse_address
from libcalico.resources.hostendpoints import ALL_INTERFACES

_LOOPBACK: Final = "lo"
#: What the kernel takes for an interface's name (dev_valid_name); more than our own tools give.
_INTERFACE: Final = re.compile(rb"[^\x00-\x20/:]{1,15}")
_ABSENT: Final = "it is treated as absent"
_CLOSED: Final = "nothing but the failsafe ports is open"


class StoredHost(NamedTuple):
    """A host endpoint, as far as it is needed; ``is_closed``: not all of it could be read."""

    node: str
    interface: str
    owner: Owner
    labels: dict[str, str]
    profiles: tuple[str, ...]
    is_closed: bool = False


class _Spec(msgspec.Struct, rename="camel"):
    node: str = ""
    interface_name: str = ""
    expected_ips: list[str] | None = msgspec.field(default=None, name="expectedIPs")
    profiles: list[str] | None = None
    ports: list[Port] | None = None


class _Host(msgspec.Struct):
    metadata: Metadata = msgspec.field(default_factory=Metadata)
    spec: _Spec = msgspec.field(default_factory=_Spec)


_decoder: Final = msgspec.json.Decoder(_Host)


def read(value: bytes) -> Reading[StoredHost]:
    """Read a HostEndpoint; of what has a wrong form, only which interface is meant is kept."""
    try:
        stored = _decoder.decode(value)
    except NO_JSON as error:
        meant = _what_is_meant(value)
        return Reading(meant, f"{error}; {_CLOSED if meant.node else _ABSENT}")
    spec, problems = stored.spec, list[str]()
    addresses = _readable("spec.expectedIPs", spec.expected_ips, parse_address, problems)
    ports: list[NamedPort] = _readable("spec.ports", spec.ports, named_port, problems)
    labels, profiles = stored.metadata.labels or {}, tuple(spec.profiles or ())
    owner = Owner(tuple(dict.fromkeys(addresses)), tuple(ports))
    host = StoredHost(spec.node, spec.interface_name, owner, labels, profiles)
    return Reading(host, "; ".join(problems))


def _readable(
    path: str, values: Iterable[Any] | None, parse: Any, problems: list[str]
) -> list[Any]:
    found = []
    for number, value in enumerate(values or ()):
        try:
            found.append(parse(value))
        except ValidationError as error:
            problems.append(f"{path}[{number}]: {error}; it is left out")
    return found


def _what_is_meant(value: bytes) -> StoredHost:
    try:
        spec = msgspec.json.decode(value, type=dict[str, Any])["spec"]
        node, interface = spec.get("node"), spec.get("interfaceName")
        texts = spec.get("expectedIPs")
    except (*NO_JSON, LookupError, AttributeError, TypeError):
        node = interface = texts = None
    named = [text for text in texts if isinstance(text, str)] if isinstance(texts, list) else []
    addresses = _readable("", named, parse_address, [])
    return StoredHost(
        node if isinstance(node, str) else "",
        interface if isinstance(interface, str) else "",
        Owner(tuple(addresses)),
        {},
        (),
        is_closed=True,
    )


class HostEndpoints:
    """Keeps the host endpoints of this host, and which of them govern an interface now.

    Args:
        hostname: this node's name.
    """

    def __init__(self, hostname: str, resolver: PolicyResolver, profiles: Users[str]) -> None:
        self._hostname = hostname
        self._resolver = resolver
        self._profiles = profiles
        self._hosts: dict[str, StoredHost] = {}
        self._addresses: dict[str, frozenset[Cidr]] = {}
        self._down: set[str] = set()
        self._governing: dict[str, str] = {}
        self._active: dict[HostId, StoredHost] = {}
        self._told: Told[str, HostEndpoint] = Told()
        self._links: Told[str, HostLinks] = Told()
        self._is_stale = False

    def put(self, name: str, host: StoredHost | None) -> str:
        """A host endpoint is so, or, None, gone; return why it is of no use here, or nothing."""
        self._is_stale |= self._hosts.pop(name, None) is not None
        if host is None or host.node != self._hostname:
            return ""
        self._hosts[name] = host
        self._is_stale = True
        return _problem_with(host.interface)

    def on_interface(
        self, name: str, addresses: Collection[Cidr] | None, *, is_up: bool = True
    ) -> None:
        """An interface has these addresses, or, None, is gone."""
        (self._down.discard if is_up else self._down.add)(name)
        if addresses is None:
            self._addresses.pop(name, None)
        else:
            self._addresses[name] = frozenset(addresses)
        self._is_stale |= bool(self._hosts)

    def settle(self) -> dict[str, HostEndpoint | None]:
        """Return what is to be told anew since the last call: by interface."""
        is_dirty = self._is_stale
        if self._is_stale:
            self._is_stale = False
            self._governing = self._choose()
            self._tell_links()
            self._activate({self._id(name): self._hosts[name] for name in self._governing.values()})
        is_dirty |= bool(self._resolver.take_dirty_hosts())
        if is_dirty:
            self._tell()
        return self._told.take()

    def take_links(self) -> dict[str, HostLinks | None]:
        """Return how the interfaces are that each host endpoint of this host governs, if that changed."""
        return self._links.take()

    def _tell_links(self) -> None:
        for gone in self._links.names() - self._hosts.keys():
            self._links.put(gone, None)
        for name in self._hosts:
            self._links.put(name, self._links_of(name))

    def _links_of(self, name: str) -> HostLinks:
        """Return how its interfaces are; all together are never down.

        Source: Go Felix's states of host endpoints, which are those of the interfaces that they resolve to.
        """
        governed = {interface for interface, chosen in self._governing.items() if chosen == name}
        there = governed & (self._addresses.keys() | {ALL_INTERFACES})
        if not there:
            return "missing"
        return "up" if there.isdisjoint(self._down) else "down"

    def _choose(self) -> dict[str, str]:
        """Return interface → name of the endpoint that governs it: the first that means it."""
        names = sorted(self._hosts)
        named = {host.interface for host in self._hosts.values()}
        interfaces = self._addresses.keys() | {n for n in named if not _problem_with(n)}
        chosen = {}
        for interface in interfaces - {_LOOPBACK, ""}:
            meant = (name for name in names if self._is_meant(self._hosts[name], interface))
            if (first := next(meant, None)) is not None:
                chosen[interface] = first
        return chosen

    def _is_meant(self, host: StoredHost, interface: str) -> bool:
        if host.interface:
            return host.interface == interface
        return not self._addresses.get(interface, frozenset()).isdisjoint(host.owner.nets)

    def _id(self, name: str) -> HostId:
        return HostId(name, self._hosts[name].interface == ALL_INTERFACES)

    def _activate(self, active: dict[HostId, StoredHost]) -> None:
        """Let policies see the endpoints that govern an interface, and no others."""
        for host_id in self._active.keys() - active.keys():
            self._profiles.change(self._active[host_id].profiles, ())
            self._resolver.on_endpoint_removed(host_id)
        for host_id, host in active.items():
            old = self._active.get(host_id)
            self._profiles.change(old.profiles if old is not None else (), host.profiles)
            if not host.is_closed:
                self._resolver.on_endpoint(host_id, host.labels, host.profiles)
            elif old is not None:
                self._resolver.on_endpoint_removed(host_id)
        self._active = active

    def _tell(self) -> None:
        policies = {host_id.name: self._policies(host_id) for host_id in self._active}
        for interface in self._told.names() - self._governing.keys():
            self._told.put(interface, None)
        for interface, name in self._governing.items():
            self._told.put(interface, HostEndpoint(name, policies[name]))

    def _policies(self, host_id: HostId) -> HostPolicies:
        if self._active[host_id].is_closed:
            return HostPolicies()
        return self._resolver.host_policies_of(host_id)


def _problem_with(interface: str) -> str:
    """Return why an endpoint that names this interface is of no use, or nothing."""
    if interface == _LOOPBACK:
        return "spec.interfaceName: what a host sends to itself is never policed"
    if not interface or _INTERFACE.fullmatch(interface.encode(errors="replace")):
        return ""
    return f"spec.interfaceName: {interface!r} is no interface's name; the endpoint governs nothing"
