"""What BIRD is to do, in its own terms: sessions, blocks, pools. Frozen values, no behaviour of Calico.

``plan`` decides these values from resources, ``render`` writes them as one bird.conf.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal

from libcalico.resources.bgpfilter import FilterRule

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Version = Literal[4, 6]
Direction = Literal["import", "export"]

#: What a route's priority (lower wins) and its BGP local preference (higher wins) add up to. It is on the
#: wire between all nodes of a mesh, also those that run Go Calico.
PRIORITY_SUM = 2**31 - 1
#: Priority of ordinary routes; a lower one marks a workload that is moving between hosts.
NORMAL_PRIORITY = 1024


class NextHop(Enum):
    """Which next hop a session announces."""

    AUTO = "auto"
    SELF = "self"
    KEEP = "keep"


class KernelRule(Enum):
    """What becomes of routes inside a pool when BIRD could program them into the kernel."""

    ACCEPT = "accept"
    FELIX_TUNNEL = "tunnel"
    FELIX_ALL = "felix"


@dataclass(frozen=True, slots=True)
class Filter:
    """One direction and family of a BGPFilter: a function of that name, one statement for each rule."""

    name: str
    rules: tuple[FilterRule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One BGP session.

    Attributes:
        name: BIRD's protocol name, ``Mesh_``, ``Global_`` or ``Node_`` and the peer's address with ``_``
            for every separator.
        source: address that we speak from; None leaves the choice to the kernel.
        multihop: greatest number of hops to the peer, 0 for any number, None for the protocol's default.
        reflector_cluster_id: set if the peer is our route reflector client.
        restart_time_s, keepalive_time_s: None means BIRD's default.
        import_filters, export_filters: run in this order, before what Calico decides by itself.
    """

    name: str
    neighbor: Address
    port: int
    remote_as: int
    local_as: int
    source: Address | None = None
    passive: bool = False
    multihop: int | None = None
    ttl_security: bool = False
    reflector_cluster_id: str = ""
    next_hop: NextHop = NextHop.AUTO
    allow_local_as: int = 0
    restart_time_s: int | None = None
    keepalive_time_s: int | None = None
    password: str = ""
    import_filters: tuple[Filter, ...] = ()
    export_filters: tuple[Filter, ...] = ()

    @property
    def version(self) -> Version:
        """IP version of the peer's address and of the routes that are exchanged."""
        return self.neighbor.version

    @property
    def is_internal(self) -> bool:
        """Whether both ends are in one autonomous system."""
        return self.local_as == self.remote_as


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """A block of addresses that this host has an affinity to.

    ``announced`` is false for a block that is being given up: it still attracts no route of another
    host, but is not told to peers.
    """

    cidr: Network
    announced: bool = True


@dataclass(frozen=True, slots=True, order=True)
class StaticRoute:
    """A route to a peer that is only reachable by a given gateway."""

    destination: Network
    gateway: Address


@dataclass(frozen=True, slots=True)
class PoolRule:
    """How routes inside one pool travel: to peers, and into the kernel."""

    cidr: Network
    exported: bool
    kernel: KernelRule


Community = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CommunityRule:
    """Communities (two or three numbers each) added to announcements inside a CIDR."""

    cidr: Network
    communities: tuple[Community, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Everything about one IP version. ``address`` is None when the node has no address of it."""

    version: Version
    address: Address | None = None
    priority: int = NORMAL_PRIORITY
    blocks: tuple[Block, ...] = ()
    static_routes: tuple[StaticRoute, ...] = ()
    pools: tuple[PoolRule, ...] = ()
    communities: tuple[CommunityRule, ...] = ()
    sessions: tuple[Session, ...] = ()

    @property
    def filters(self) -> tuple[Filter, ...]:
        """The filters of all sessions, each once, by name."""
        found = {
            one.name: one
            for session in self.sessions
            for one in (*session.import_filters, *session.export_filters)
        }
        return tuple(found[name] for name in sorted(found))


class DebugLevel(Enum):
    """How much BIRD tells of its protocols."""

    NONE = "off"
    STATES = "{ states }"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class BirdConfig:
    """What BIRD on this node is to do.

    Attributes:
        node: name of the node, for the reader of the file.
        listen_port: TCP port of all sessions' local ends.
        bind_to_address: listen on the node's address only, not on all.
        ignored_interfaces: patterns of interfaces whose connected prefixes BIRD must not see.
    """

    node: str
    router_id: IPv4Address
    listen_port: int = 179
    bind_to_address: bool = False
    debug: DebugLevel = DebugLevel.STATES
    ignored_interfaces: tuple[str, ...] = ()
    families: tuple[Family, ...] = ()

    @property
    def sessions(self) -> tuple[Session, ...]:
        """All sessions, of both families."""
        return tuple(session for family in self.families for session in family.sessions)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """A part of the configuration that was left out: which resource, and why."""

    subject: str
    reason: str

    def __str__(self) -> str:
        """Readable form for logs and health."""
        return f"{self.subject}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Planned:
    """A configuration, and what had to be left out of it."""

    config: BirdConfig
    problems: tuple[Problem, ...] = ()
