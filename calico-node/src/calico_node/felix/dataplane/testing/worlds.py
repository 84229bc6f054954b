"""Random worlds: endpoints, network sets, tiers, policies and profiles, made for a few addresses and ports.

Everything is drawn from one seeded generator, so that a seed names a world. Objects are valid, as the
clients of the store would have them, and small, so that packets decide about allow and deny alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any, Final, Literal, TypeVar

from calico_node.felix.dataplane.testing.network import (
    HOST,
    ICMP_KINDS,
    LOCAL,
    OUTSIDE,
    PORTS,
    REMOTE,
    SOURCE_PORTS,
    STRANGERS,
    UPLINK,
    PacketMaker,
)
from libcalico.policy import Packet
from libcalico.resources.endpoints import EndpointPort
from libcalico.resources.hostendpoints import HostPort
from libcalico.resources.model import Resource, ResourceId, id_of
from libcalico.resources.names import SERVICE_ACCOUNT_LABEL
from libcalico.resources.policy import (
    EntityRule,
    GlobalNetworkPolicy,
    ICMPFields,
    NetworkPolicy,
    Port,
    Rule,
    ServiceAccountMatch,
)
from libcalico.resources.validate import problems_with
from libcalico.testing import builders as a

T = TypeVar("T")
P = TypeVar("P", NetworkPolicy, GlobalNetworkPolicy)

_NETS: Final = {
    4: (
        "10.65.0.0/16",
        "10.65.0.2/31",
        "10.65.0.1/32",
        "10.65.1.0/30",
        "172.16.0.0/12",
        "172.16.7.0/24",
        "198.51.100.5/32",
        "128.0.0.0/1",
        "0.0.0.0/0",
    ),
    6: (
        "fd65::/64",
        "fd65::2/127",
        "fd65::1/128",
        "fd65::1:0/112",
        "fd99::/16",
        "fd99:7::/32",
        "2001:db8::5/128",
        "8000::/1",
        "::/0",
    ),
}
_RANGES: Final = ("80:443", "1:79", "444:65535", "20000:29999", "30000:65535", "0:65535")
_PROTOCOLS: Final[tuple[int | str | None, ...]] = (
    *(None, None, "TCP", "TCP", "UDP", "ICMP", "ICMPv6", "SCTP", "UDPLite"),
    *(1, 6, 17, 50, 58, 132, 136),
)
_NOT_PROTOCOLS: Final[tuple[int | str, ...]] = ("UDP", "ICMP", "SCTP", "UDPLite", 6, 58, 89)
_WITH_PORTS: Final[tuple[int | str | None, ...]] = (None, "TCP", "UDP", "SCTP", 6, 17, 132)
#: Named ports of endpoints; one name may stand for ports of several protocols.
_NAMED_PORTS: Final = (
    ("http", "TCP"),
    ("dns", "UDP"),
    ("signal", "SCTP"),
    ("all", "TCP"),
    ("all", "UDP"),
    ("all", "SCTP"),
)
_PORT_NAMES: Final = (*dict.fromkeys(name for name, _ in _NAMED_PORTS), "nobody")
#: More ports than older dataplanes could say in one rule.
_MANY_PORTS: Final = 16
_NAMESPACES: Final = ("default", "blue")
_VALUES: Final = {"app": ("web", "api", "db"), "role": ("client", "server"), "zone": ("a", "b")}
_ACCOUNTS: Final = ("cook", "waiter")
#: What a profile's name begins with → the prefix of the labels that it lends.
_LENT_PREFIXES: Final = {"kns": "pcns.", "ksa": "pcsa."}
_PROFILES: Final = (
    *("open", "rules", "labels", "kns.default", "kns.blue"),
    *("ksa.default.cook", "ksa.blue.waiter", "ghost"),
)
_TIERS: Final = ("first", "second", "last", "ghost")
#: Host endpoints, and how often there is one: of the outer interface by name and by address, of all
#: interfaces, of another interface, of another host.
_HOST_ENDPOINTS: Final = {
    "hep-address": 0.3,
    "hep-all": 0.5,
    "hep-name": 0.5,
    "hep-other": 0.3,
    "hep-remote": 0.6,
}


class WorldMaker:
    """Makes objects by name, and packets between their addresses.

    Args:
        seed: equal seeds, equal worlds.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._packets = PacketMaker(self._random)
        self._slots: dict[str, Callable[[], Resource | None]] = {
            **{interface: partial(self._local, interface) for interface in LOCAL},
            **{f"remote{n}": partial(self._remote, n) for n in range(len(REMOTE))},
            **{f"set{n}": partial(self._network_set, n) for n in range(4)},
            **{f"policy{n}": partial(self._policy, n) for n in range(9)},
            **{name: partial(self._host_endpoint, name) for name in _HOST_ENDPOINTS},
            **{f"early{n}": partial(self._early_policy, n) for n in range(9, 13)},
            **{profile: partial(self._profile, profile) for profile in _PROFILES[:-1]},
            **{tier: partial(self._tier, tier) for tier in _TIERS[:-1]},
        }
        self._filled: dict[str, Resource] = {}

    @property
    def resources(self) -> dict[ResourceId, Resource]:
        """The world as it is."""
        return {id_of(resource): resource for resource in self._filled.values()}

    def change(self, share: float) -> None:
        """Make a share of the objects anew; some vanish."""
        for slot, make in self._slots.items():
            if self._random.random() < share:
                made = make()
                if made is None:
                    self._filled.pop(slot, None)
                else:
                    self._filled[slot] = made

    def packet(self) -> Packet:
        """Return a packet that comes from or goes to a workload of this host."""
        return self._packets.packet()

    def host_packet(self) -> Packet:
        """Return a packet that comes from or goes to the host itself."""
        return self._packets.host_packet()

    # Objects

    def _local(self, interface: str) -> Resource | None:
        if self._maybe(0.1):
            return None
        return self._endpoint(interface, HOST, list(LOCAL[interface]), interface)

    def _remote(self, number: int) -> Resource | None:
        if self._maybe(0.2):
            return None
        return self._endpoint(f"remote{number}", "node-2", list(REMOTE[number]), "cali9")

    def _endpoint(self, container: str, node: str, nets: list[str], interface: str) -> Resource:
        ports = [EndpointPort(**port) for port in self._named_ports()]
        labels = self._labels()
        if self._maybe(0.5):
            labels[SERVICE_ACCOUNT_LABEL] = self._pick(_ACCOUNTS)
        return a.an_endpoint(
            namespace=self._pick(_NAMESPACES),
            node=node,
            container_id=container,
            interface_name=interface,
            ip_networks=nets,
            labels=labels,
            profiles=self._some_profiles(),
            ports=ports,
        )

    def _named_ports(self) -> list[dict[str, Any]]:
        numbers = (*PORTS, *SOURCE_PORTS)
        return [
            {"name": name, "protocol": protocol, "port": self._pick(numbers)}
            for name, protocol in _NAMED_PORTS
            if self._maybe(0.6)
        ]

    def _host_endpoint(self, name: str) -> Resource | None:
        """Return a host endpoint; what it expects does not tell which one of them is meant."""
        if not self._maybe(_HOST_ENDPOINTS[name]):
            return None
        interfaces = {"hep-all": "*", "hep-name": OUTSIDE, "hep-other": "wire9"}
        addresses = list(UPLINK) if name == "hep-address" else self._some(STRANGERS, 0.7, 2)
        return a.a_host_endpoint(
            name=name,
            node="node-2" if name == "hep-remote" else HOST,
            interface_name=interfaces.get(name, ""),
            expected_ips=addresses or list(STRANGERS[:1]),
            labels=self._labels(),
            profiles=["open"] if self._maybe(0.4) else self._some_profiles(),
            ports=[HostPort(**port) for port in self._named_ports()],
        )

    def _network_set(self, number: int) -> Resource | None:
        nets = self._random.sample((*_NETS[4], *_NETS[6]), self._random.randrange(4))
        if self._maybe(0.2):
            return None
        if number % 2:
            return a.a_global_network_set(name=f"s{number}", nets=nets, labels=self._labels())
        namespace = self._pick(_NAMESPACES)
        return a.a_network_set(
            name=f"s{number}", namespace=namespace, nets=nets, labels=self._labels()
        )

    def _tier(self, name: str) -> Resource | None:
        if self._maybe(0.15):
            return None
        order = None if self._maybe(0.2) else float(self._random.randrange(4))
        return a.a_tier(name=name, order=order, default_action=self._pick(("Deny", "Pass")))

    def _profile(self, name: str) -> Resource | None:
        if self._maybe(0.1):
            return None
        rules = [self._rule(""), self._rule("")] if name != "open" else [a.a_rule()]
        prefix = _LENT_PREFIXES.get(name.partition(".")[0], "")
        labels = {f"{prefix}{key}": value for key, value in self._labels().items()}
        return a.a_profile(name=name, labels_to_apply=labels, ingress=rules, egress=rules[::-1])

    def _policy(self, number: int) -> Resource | None:
        if self._maybe(0.2):
            return None
        namespace = self._pick(("", *_NAMESPACES))
        fields = self._policy_fields(number, namespace)
        if namespace:
            return self._some_types(a.a_policy(namespace=namespace, **fields))
        fields["apply_on_forward"] = self._maybe(0.5)
        spaces = self._selector() if self._maybe(0.2) else ""
        return self._some_types(a.a_global_policy(namespace_selector=spaces, **fields))

    def _early_policy(self, number: int) -> Resource | None:
        """Return a policy for host endpoints, before NAT or before connection tracking."""
        if self._maybe(0.2):
            return None
        fields = self._policy_fields(number, "") | {"apply_on_forward": True}
        fields["selector"] = self._pick(("all()", "has(role)"))
        if self._maybe(0.5):
            if self._maybe(0.5):
                fields["ingress"] += [a.a_rule("Deny")]
                fields["egress"] += [a.a_rule("Deny")]
            return self._some_types(a.a_global_policy(do_not_track=True, **fields))
        fields |= {"types": ["Ingress"], "egress": []}
        return a.a_global_policy(pre_dnat=True, **fields)

    def _policy_fields(self, number: int, namespace: str) -> dict[str, Any]:
        return {
            "name": f"p{self._random.randrange(3)}-{number}",
            "tier": self._pick((*_TIERS, "default", "default")),
            "order": None if self._maybe(0.2) else float(self._random.randrange(3)),
            "selector": self._selector(),
            "types": self._pick((["Ingress"], ["Egress"], ["Ingress", "Egress"])),
            "service_account_selector": self._selector() if self._maybe(0.1) else "",
            "performance_hints": ["AssumeNeededOnEveryNode"] if self._maybe(0.2) else [],
            "ingress": [self._rule(namespace) for _ in range(self._random.randrange(4))],
            "egress": [self._rule(namespace) for _ in range(self._random.randrange(4))],
        }

    def _some_types(self, policy: P) -> P:
        """Return the policy, or one as another client may store it: without types."""
        if self._maybe(0.9):
            return policy
        return policy.with_(spec=policy.spec.with_(types=[]))

    # Rules

    def _rule(self, namespace: str) -> Rule:
        """Return a rule that validation takes."""
        while True:
            rule = self._any_rule()
            policy = a.a_policy(namespace=namespace or "default", ingress=[rule], egress=[rule])
            if not problems_with(policy):
                return rule

    def _any_rule(self) -> Rule:
        protocol = self._pick(_PROTOCOLS)
        version: Literal[4, 6] = self._pick((4, 6))
        has_ports = protocol in _WITH_PORTS
        return Rule(
            action=self._pick(("Allow", "Allow", "Allow", "Deny", "Deny", "Pass", "Log")),
            ip_version=version if self._maybe(0.15) else None,
            protocol=protocol,
            not_protocol=self._pick(_NOT_PROTOCOLS) if self._maybe(0.15) else None,
            icmp=self._icmp(version) if protocol in ("ICMP", "ICMPv6", 1, 58) else None,
            not_icmp=self._icmp(version) if self._maybe(0.15) else None,
            source=self._side(
                version, is_named_only=protocol is None, has_ports=has_ports and self._maybe(0.2)
            ),
            destination=self._side(
                version, is_named_only=protocol is None, has_ports=has_ports and self._maybe(0.5)
            ),
        )

    def _icmp(self, version: int) -> ICMPFields | None:
        kind, code = self._pick(ICMP_KINDS[version])
        whole = ICMPFields(type=kind, code=code)
        return self._pick((None, ICMPFields(), ICMPFields(type=kind), whole, whole))

    def _side(self, version: int, *, is_named_only: bool, has_ports: bool) -> EntityRule:
        nets = _NETS[version]
        return EntityRule(
            nets=self._some(nets, 0.2, 3),
            not_nets=self._some(nets, 0.1, 2),
            selector=self._selector() if self._maybe(0.3) else "",
            not_selector=self._selector() if self._maybe(0.12) else "",
            namespace_selector=self._pick(("global()", "all()", "has(app)", "zone == 'a'"))
            if self._maybe(0.1)
            else "",
            ports=self._ports(0.8, 3, is_named_only=is_named_only) if has_ports else [],
            not_ports=self._ports(0.3, 2, is_named_only=is_named_only) if has_ports else [],
            service_accounts=self._accounts() if self._maybe(0.06) else None,
        )

    def _ports(self, chance: float, most: int, *, is_named_only: bool) -> list[Port]:
        """Return names, or numbers, ranges and names mixed; sometimes many."""
        if is_named_only:
            return list(self._some(_PORT_NAMES, chance, most))
        numbers: tuple[Port, ...] = (*PORTS, *SOURCE_PORTS)
        ports = self._some((*_PORT_NAMES, *numbers, *_RANGES), chance, most)
        if ports and self._maybe(0.1):
            ports += self._random.sample(range(1, 60000), _MANY_PORTS)
        return ports

    def _accounts(self) -> ServiceAccountMatch:
        names = self._some(_ACCOUNTS, 0.6, 2)
        return ServiceAccountMatch(
            names=names, selector=self._selector() if not names or self._maybe(0.3) else ""
        )

    def _some_profiles(self) -> list[str]:
        return self._random.sample(_PROFILES, self._random.randrange(3))

    def _some(self, choices: Sequence[T], chance: float, most: int) -> list[T]:
        if not self._maybe(chance):
            return []
        return self._random.sample(choices, self._random.randrange(1, most + 1))

    # Labels

    def _labels(self) -> dict[str, str]:
        return {key: self._pick(values) for key, values in _VALUES.items() if self._maybe(0.6)}

    def _selector(self, depth: int = 1) -> str:
        key = self._pick(tuple(_VALUES))
        value = self._pick(_VALUES[key])
        if depth and self._maybe(0.3):
            joint = self._pick(("&&", "||"))
            return f"({self._selector(depth - 1)}) {joint} !({self._selector(depth - 1)})"
        return self._pick(
            (
                "all()",
                f"has({key})",
                f"!has({key})",
                f"{key} == '{value}'",
                f"{key} != '{value}'",
                f"{key} in {{'{value}', 'web'}}",
                f"{key} not in {{'{value}'}}",
                f"{key} contains '{value[:1]}'",
            )
        )

    def _pick(self, choices: Sequence[T]) -> T:
        return self._random.choice(choices)

    def _maybe(self, chance: float) -> bool:
        return self._random.random() < chance
