"""The host endpoints of this host in the desired table.

There are few of them, so they are laid out anew at each change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from calico_node.felix.messages import Direction, EndpointPolicies, HostEndpoint, PolicyId
from calico_node.felix.nft.keys import KeyType
from calico_node.felix.nft.model import RETURN, Chain, Verdict, VerdictMap, goto
from calico_node.felix.program import classes, hosts
from calico_node.felix.program.hosts import Place
from calico_node.felix.program.pending import Pending
from calico_node.felix.program.settings import RuleSettings
from calico_node.felix.program.tunnels import Tunnels
from libcalico.resources.hostendpoints import ALL_INTERFACES

#: Policies and profiles (by name) that chains refer to, each as often as they do.
Users = Counter[tuple[PolicyId | str, Direction]]


@dataclass(slots=True)
class _Layout:
    """What host endpoints need in the table."""

    chains: dict[str, Chain] = field(default_factory=dict)
    maps: dict[str, dict[bytes, Verdict]] = field(default_factory=dict)
    users: Users = field(default_factory=Counter)


class HostEndpoints:
    """Keeps the chains and maps of host endpoints in a table.

    Args:
        use: told which rules chains refer to, and how many times more (or, negative, less) than before.
    """

    def __init__(
        self,
        pending: Pending,
        settings: RuleSettings,
        use: Callable[[PolicyId | str, Direction, int], None],
    ) -> None:
        self._pending = pending
        self._settings = settings
        self._use = use
        self._endpoints: dict[str, HostEndpoint] = {}
        self._tunnels = Tunnels()
        self._there = _Layout()

    def apply(self, changes: Mapping[str, HostEndpoint | None], tunnels: Tunnels) -> None:
        """Take in which endpoints govern which interfaces, and the tunnels in use."""
        if not changes and tunnels == self._tunnels:
            return
        self._tunnels = tunnels
        for interface, endpoint in changes.items():
            if endpoint is None:
                self._endpoints.pop(interface, None)
            else:
                self._endpoints[interface] = endpoint
        self._write()

    def reconfigure(self, settings: RuleSettings, tunnels: Tunnels) -> None:
        """Lay out the same for another configuration, which may use other tunnels."""
        self._settings = settings
        self._tunnels = tunnels
        self._write()

    def _write(self) -> None:
        old, new = self._there, self._lay_out()
        for name in old.chains.keys() - new.chains.keys():
            self._pending.drop_chain(name)
        for chain in new.chains.values():
            self._pending.put_chain(chain)
        for name in old.maps.keys() - new.maps.keys():
            self._pending.drop_map(name)
        for name, verdicts in new.maps.items():
            self._pending.put_map(VerdictMap(name, (KeyType.IFNAME,), owner=name))
            for key in old.maps.get(name, {}).keys() - verdicts.keys():
                self._pending.put_verdict(name, key, None)
            for key, verdict in verdicts.items():
                self._pending.put_verdict(name, key, verdict)
        self._there = new
        for subject, direction in sorted(old.users | new.users, key=str):
            used = subject, direction
            if change := new.users[used] - old.users[used]:
                self._use(subject, direction, change)

    def _lay_out(self) -> _Layout:
        layout = _Layout()
        places = [place for place in hosts.PLACES if self._lay_out_place(place, layout)]
        if places:
            chains = [
                *hosts.failsafes(self._settings),
                *hosts.base_chains(places, self._settings, self._tunnels),
            ]
            layout.chains |= {chain.name: chain for chain in chains}
        return layout

    def _lay_out_place(self, place: Place, layout: _Layout) -> bool:
        """Add what a place needs; return whether anything is asked there."""
        asked = dict(self._asked(place))
        if not any(asked.values()):
            return False
        verdicts = layout.maps[place.map] = {}
        for interface, policies in asked.items():
            if interface != ALL_INTERFACES:
                verdicts[KeyType.IFNAME.pack(interface)] = _verdict(place, policies)
        for policies in set(filter(None, asked.values())):
            self._lay_out_class(place, policies, layout)
        dispatch = hosts.dispatch(place, asked.get(ALL_INTERFACES))
        layout.chains[dispatch.name] = dispatch
        return True

    def _asked(self, place: Place) -> Iterator[tuple[str, EndpointPolicies | None]]:
        """Yield interface, and what is asked there. Those of workloads are not for host endpoints."""
        for interface, endpoint in sorted(self._endpoints.items()):
            if not interface.startswith(self._settings.interface_prefixes):
                yield interface, hosts.policies_at(place, endpoint.policies, self._settings)

    def _lay_out_class(self, place: Place, policies: EndpointPolicies, layout: _Layout) -> None:
        chain = hosts.render(place, policies, self._settings)
        layout.chains[chain.name] = chain
        direction = place.direction
        subjects: list[PolicyId | str] = [*classes.policies_of(policies, direction)]
        for subject in (*subjects, *policies.profiles):
            layout.users[subject, direction] += 1


def _verdict(place: Place, policies: EndpointPolicies | None) -> Verdict:
    """An interface of which nothing is asked is not that of an endpoint of all interfaces, either."""
    return RETURN if policies is None else goto(hosts.class_name(place, policies))
