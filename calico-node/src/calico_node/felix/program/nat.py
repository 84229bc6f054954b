"""Network address translation: what leaves the pools, and floating addresses of workloads.

::

    prerouting, output ── to a floating address? to the workload's own
    postrouting        ── from a workload to its own floating address? let the answer come back here

Only outgoing traffic of pools that ask for it is translated; that of a workload with a floating
address keeps its own source. Source: calico-dataplane reference, sections 2.4 and 3.8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from calico_node.felix.messages import FloatingAddress
from calico_node.felix.nft.model import (
    BaseHook,
    Chain,
    Field,
    Masquerade,
    Match,
    Named,
    NamePrefix,
    Nat,
    NfProto,
    Rule,
    Statement,
    jump,
)
from calico_node.felix.program import names
from calico_node.felix.program.pending import Pending
from calico_node.felix.program.settings import RuleSettings
from libcalico.net.addresses import Cidr

_OWNER: Final = "static"
_TCP, _UDP = 6, 17
_SOURCE: Final = {4: Field.IP_SADDR, 6: Field.IP6_SADDR}
_DESTINATION: Final = {4: Field.IP_DADDR, 6: Field.IP6_DADDR}
_NFPROTO: Final = {4: NfProto.IPV4, 6: NfProto.IPV6}
#: Hooks of the chains that translate floating addresses; source translation before that of outgoing traffic.
_FLOATING_HOOKS: Final = {
    "nat-PREROUTING": (BaseHook("nat", "prerouting", -100), names.FLOATING_DNAT),
    "nat-OUTPUT": (BaseHook("nat", "output", -100), names.FLOATING_DNAT),
    "nat-POSTROUTING-floating": (BaseHook("nat", "postrouting", 99), names.FLOATING_SNAT),
}


def outgoing(settings: RuleSettings) -> list[Rule]:
    """Return the rules that hide pools behind this host.

    With a range of ports, which only TCP and UDP have, the rest is translated without one.
    """
    return [rule for version in (4, 6) for rule in _outgoing(version, settings)]


def _outgoing(version: int, settings: RuleSettings) -> Iterator[Rule]:
    conditions = (
        Match(Field.NFPROTO, _NFPROTO[version]),
        Match(_SOURCE[version], Named(names.MASQUERADE_POOLS[version])),
        Match(_DESTINATION[version], Named(names.ALL_POOLS[version]), negate=True),
        *_exclusions(version, settings),
    )
    if settings.nat_ports is not None:
        for protocol in (_TCP, _UDP):
            limited = (*conditions, Match(Field.L4PROTO, protocol))
            yield Rule((*limited, _target(version, settings, limited=True)), comment="NAT outgoing")
    target = _target(version, settings, limited=False)
    yield Rule((*conditions, target), comment="NAT outgoing")


def _exclusions(version: int, settings: RuleSettings) -> Iterator[Statement]:
    if settings.exclude_hosts_from_nat:
        yield Match(_DESTINATION[version], Named(names.ALL_HOSTS[version]), negate=True)
    yield from _way_out(settings.nat_outgoing_interface)


def _way_out(filtered: str) -> Iterator[Statement]:
    """Yield the match of an interface filter; ``+`` at its end stands for any end, as in iptables."""
    name = filtered.removesuffix("+")
    if name:
        yield Match(Field.OIFNAME, name if name == filtered else NamePrefix(name))


def _target(version: int, settings: RuleSettings, *, limited: bool) -> Statement:
    ports = settings.nat_ports if limited else None
    address = settings.nat_outgoing_address
    if address is None or address.version != version:
        return Masquerade(ports, fully_random=True)
    return Nat("snat", address.packed(), ports, fully_random=True)


class FloatingAddresses:
    """Keeps the chains that translate the floating addresses of local endpoints."""

    def __init__(self, pending: Pending) -> None:
        self._pending = pending
        self._by_interface: dict[str, tuple[FloatingAddress, ...]] = {}
        self._is_enabled = False

    def enable(self, *, is_enabled: bool) -> None:
        """Floating addresses are wanted, or, whatever endpoints ask for, not."""
        if is_enabled != self._is_enabled:
            self._is_enabled = is_enabled
            self._write()

    def put(self, interface: str, floating: tuple[FloatingAddress, ...]) -> None:
        """The endpoint behind an interface has these floating addresses."""
        if floating == self._by_interface.get(interface, ()):
            return
        if floating:
            self._by_interface[interface] = floating
        else:
            del self._by_interface[interface]
        self._write()

    def _write(self) -> None:
        wanted = {chain.name: chain for chain in self._chains()}
        for name in (*_FLOATING_HOOKS, names.FLOATING_DNAT, names.FLOATING_SNAT):
            if name in wanted:
                self._pending.put_chain(wanted[name])
            else:
                self._pending.drop_chain(name)

    def _chains(self) -> Iterator[Chain]:
        kept = chosen(self._by_interface) if self._is_enabled else {}
        if not kept:
            return
        yield Chain(names.FLOATING_DNAT, tuple(map(_to_internal, kept.values())), owner=_OWNER)
        yield Chain(names.FLOATING_SNAT, tuple(map(_hairpin, kept.values())), owner=_OWNER)
        for name, (hook, target) in _FLOATING_HOOKS.items():
            yield Chain(name, (Rule((jump(target),)),), hook, owner=_OWNER)


def chosen(
    by_interface: Mapping[str, Iterable[FloatingAddress]],
) -> dict[Cidr, FloatingAddress]:
    """Return external address → what it leads to; of several claims the lowest address has it."""
    claims = sorted(f for floating in by_interface.values() for f in floating)
    return {claim.external: claim for claim in reversed(claims)}


def _to_internal(floating: FloatingAddress) -> Rule:
    to = Match(_DESTINATION[floating.external.version], floating.external.packed())
    return Rule((to, Nat("dnat", floating.internal.packed())))


def _hairpin(floating: FloatingAddress) -> Rule:
    """A workload that talks to itself must see the address that it talked to."""
    version, own = floating.internal.version, floating.internal.packed()
    itself = Match(_SOURCE[version], own), Match(_DESTINATION[version], own)
    return Rule((*itself, Nat("snat", floating.external.packed())))
