"""Random worlds: endpoints, network sets, tiers, policies and profiles, made for a few addresses and ports.

Everything is drawn from one seeded generator, so that a seed names a world. Objects are valid, as the
clients of the store would have them, and small, so that packets decide about allow and deny alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, Final, Literal, TypeVar

from libcalico.net.addresses import Cidr, parse_address, parse_cidr
from libcalico.policy import Failsafe, Failsafes, Packet
from libcalico.resources.endpoints import EndpointPort
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

_TCP: Final = 6
T = TypeVar("T")
P = TypeVar("P", NetworkPolicy, GlobalNetworkPolicy)

HOST: Final = "node-1"
#: Interfaces of this host's workloads, each with its addresses.
LOCAL: Final = {
    f"cali{n}": (f"10.65.0.{n}/32", f"fd65::{n}/128", *(("10.65.9.9/32",) if n == 1 else ()))
    for n in range(1, 6)
}
#: Where everybody else is.
OUTSIDE: Final = "uplink"
#: Addresses of the host at its outer interface.
UPLINK: Final = ("192.0.2.1", "fd00:2::1")
#: Destination NAT that the host does to TCP, of what arrives and of what it sends itself: address and
#: port → those behind NAT.
PUBLISHED: Final = {
    (UPLINK[0], 8080): ("10.65.0.2", 80),
    (UPLINK[1], 8080): ("fd65::2", 80),
    (UPLINK[0], 443): ("198.51.100.5", 80),
    (UPLINK[1], 443): ("2001:db8::5", 80),
}
REDIRECTED: Final = {
    ("198.51.100.5", 443): ("172.16.0.1", 81),
    ("2001:db8::5", 443): ("fd99::1", 81),
}
#: Open whatever policy says; some to a part of the strangers only.
FAILSAFES: Final = Failsafes(
    inbound=(
        Failsafe(6, 81),
        Failsafe(17, 53, parse_cidr("172.16.0.0/12")),
        Failsafe(17, 53, parse_cidr("fd99::/16")),
        Failsafe(6, 20000),
    ),
    outbound=(
        Failsafe(6, 443, parse_cidr("fd65::/16")),
        Failsafe(17, 20000),
        Failsafe(6, 30001),
    ),
)
#: Addresses of workloads of other hosts; the first two have two owners.
REMOTE: Final = [(f"10.65.1.{n}/32", f"fd65::1:{n}/128") for n in (1, 1, 2, 3, 4)]
STRANGERS: Final = (
    "172.16.0.1",
    "172.16.7.9",
    "198.51.100.5",
    "fd99::1",
    "fd99:7::9",
    "2001:db8::5",
)
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
#: Low ports are those of servers; rules may look at high ones as source ports.
PORTS: Final = (53, 80, 81, 443, 8080)
SOURCE_PORTS: Final = (20000, 30001)
_RANGES: Final = ("80:443", "1:79", "444:65535", "20000:29999", "30000:65535", "0:65535")
_ICMP: Final = {
    4: ((8, 0), (8, 7), (13, 0), (3, 1), (0, 0), (11, 0)),
    6: ((128, 0), (128, 7), (1, 3), (129, 0), (135, 0)),
}
#: Without ports.
OTHER_PROTOCOLS: Final = (50, 89, 99, 136)
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
        version: Literal[4, 6] = self._random.choice((4, 6))
        local = [parse_cidr(net) for nets in LOCAL.values() for net in nets]
        here = self._pick([net for net in local if net.version == version])
        there = self._pick(
            [n for n in local + _OTHERS if n.version == version and place(n) != place(here)]
        )
        ends = (here, there) if self._maybe(0.6) else (there, here)
        return self._packet(*ends)

    def host_packet(self) -> Packet:
        """Return a packet that comes from or goes to the host itself, at its outer interface's address."""
        here = self._pick([parse_address(text) for text in UPLINK])
        local = [parse_cidr(net) for nets in LOCAL.values() for net in nets]
        there = self._pick([n for n in local + _OTHERS * 3 if n.version == here.version])
        ends = (here, there) if self._maybe(0.4) else (there, here)
        return self._translatable(here) if self._maybe(0.3) else self._packet(*ends)

    def _translatable(self, here: Cidr) -> Packet:
        """Return a packet to, or from, the host itself, to which destination NAT is done."""
        strangers = [n for n in map(parse_address, STRANGERS) if n.version == here.version]
        asked = self._pick(
            [to for to in (*PUBLISHED, *REDIRECTED) if parse_address(to[0]).version == here.version]
        )
        return Packet(
            source=here if asked in REDIRECTED else self._pick(strangers),
            destination=parse_address(asked[0]),
            protocol=_TCP,
            source_port=self._random.randrange(10000, 60000),
            destination_port=asked[1],
        )

    def _packet(self, source: Cidr, destination: Cidr) -> Packet:
        icmp = {4: 1, 6: 58}[source.version]
        protocol = self._pick([6, 6, 6, 17, 17, icmp, icmp, 132, self._pick(OTHER_PROTOCOLS)])
        fields: dict[str, Any] = {}
        if protocol == icmp:
            kind, code = self._pick(_ICMP[source.version])
            fields = {"icmp_type": kind, "icmp_code": code}
        elif protocol in (6, 17, 132):
            fresh = self._random.randrange(10000, 60000)
            source_port = self._pick(SOURCE_PORTS) if self._maybe(0.3) else fresh
            fields = {"source_port": source_port, "destination_port": self._pick(PORTS)}
        if protocol not in (6, 17, icmp) and _is_answer(source, destination, protocol):
            source, destination = destination, source
        return Packet(source=source, destination=destination, protocol=protocol, **fields)

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
        ports = [
            EndpointPort(name=name, protocol=protocol, port=self._pick((*PORTS, *SOURCE_PORTS)))
            for name, protocol in _NAMED_PORTS
            if self._maybe(0.6)
        ]
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
            profiles=self._random.sample(_PROFILES, self._random.randrange(3)),
            ports=ports,
        )

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
            profiles=self._random.sample(_PROFILES, self._random.randrange(3)),
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
        kind, code = self._pick(_ICMP[version])
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


def _is_answer(source: Cidr, destination: Cidr, protocol: int) -> bool:
    """Whether packets of a protocol go the other way between two addresses.

    Connection tracking knows no ports of these protocols: a packet the other way would be an answer.
    """
    is_up = source.value < destination.value
    return is_up == bool((source.value + destination.value + protocol) % 2)


def translated(packet: Packet) -> Packet | None:
    """Return a packet as it is behind destination NAT, None if there is none for it."""
    is_sent = packet.source.address in UPLINK
    asked = packet.destination.address, packet.destination_port or 0
    found = (REDIRECTED if is_sent else PUBLISHED).get(asked) if packet.protocol == _TCP else None
    if found is None:
        return None
    return replace(packet, destination=parse_address(found[0]), destination_port=found[1])


def place(address: Cidr) -> str:
    """Return the interface behind which an address is."""
    return _PLACES.get(address, OUTSIDE)


_OTHERS: Final = [
    *(parse_cidr(net) for nets in REMOTE for net in nets),
    *(parse_address(address) for address in STRANGERS),
]
_PLACES: Final = {parse_cidr(net): interface for interface, nets in LOCAL.items() for net in nets}
