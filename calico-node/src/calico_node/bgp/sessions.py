"""Which BGP sessions this node keeps, and how each is set up. Pure.

The mesh first, then BGPPeers in three passes over their sorted names: those of all nodes, those of
this node, and the other end of peers that select this node. The first session to an address and
port wins, except that a BGPPeer replaces the mesh's session to the same address.

Source: the peer rules of Calico's BGPPeer reference, and of the configuration that its nodes run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from calico_node.bgp import cluster as facts
from calico_node.bgp import filters
from calico_node.bgp.cluster import DEFAULT_PORT, Cluster, address_of, cluster_id_of
from calico_node.bgp.model import Address, NextHop, Problem, Session, Version
from libcalico import selector
from libcalico.errors import ValidationError
from libcalico.resources.bgp import BGPPassword, BGPPeer
from libcalico.resources.durations import parse_duration
from libcalico.resources.nodes import Node

_LONGEST_TIME_S = 65535
_FORBIDDEN_IN_PASSWORD = frozenset('"\n\r\0')


@dataclass(frozen=True, slots=True)
class _Target:
    """The far end of a session: where, and the node that it is, if it is one."""

    address: Address
    port: int
    node: Node | None = None


@dataclass(frozen=True, slots=True)
class _Intent:
    """A session that a BGPPeer asks for."""

    prefix: str
    peer: BGPPeer
    target: _Target


def plan(cluster: Cluster, version: Version) -> tuple[tuple[Session, ...], tuple[Problem, ...]]:
    """Decide all sessions of one family, sorted by name, and name the BGPPeers that were left out.

    A node without an address of the family has no session of it.
    """
    own = address_of(cluster.own, version)
    if own is None:
        return (), ()
    found: dict[tuple[Address, int], Session] = {}
    problems: set[Problem] = set()
    for intent in _intents(cluster, version, problems):
        key = (intent.target.address, intent.target.port)
        if intent.target.address == own or key in found:
            continue
        try:
            found[key] = _explicit_session(cluster, own, intent)
        except ValidationError as error:
            problems.add(Problem(f"BGPPeer({intent.peer.name})", str(error)))
    explicit = {session.neighbor for session in found.values()}
    try:
        mesh = [s for s in _mesh(cluster, own) if s.neighbor not in explicit]
    except ValidationError as error:
        mesh = []
        problems.add(Problem("node-to-node mesh", str(error)))
    sessions = sorted([*mesh, *found.values()], key=lambda session: session.name)
    return tuple(sessions), tuple(sorted(problems))


# --- the mesh --------------------------------------------------------------------------------------


def _mesh(cluster: Cluster, own: Address) -> Iterator[Session]:
    shared = cluster.shared
    if shared.node_to_node_mesh_enabled is False or cluster_id_of(cluster.own):
        return
    local_as = facts.own_as(cluster)
    password = _password(cluster, shared.node_mesh_password)
    restart_time_s = _seconds(shared.node_mesh_max_restart_time, "nodeMeshMaxRestartTime")
    for name, node in sorted(cluster.nodes.items()):
        peer = address_of(node, own.version)
        if name == cluster.node_name or peer is None or peer == own or cluster_id_of(node):
            continue
        yield Session(
            name=_session_name("Mesh", peer, DEFAULT_PORT),
            neighbor=peer,
            port=facts.listen_port(cluster, name),
            remote_as=_mesh_as(cluster, node),
            local_as=local_as,
            source=own,
            passive=_waits_for(peer, own),
            restart_time_s=restart_time_s,
            password=password,
        )


def _mesh_as(cluster: Cluster, node: Node) -> int:
    """Return a mesh peer's AS: its own, else the one of *this* node."""
    own = node.spec.bgp.as_number if node.spec.bgp else None
    return facts.as_number(own, f"Node({node.name})") or facts.own_as(cluster)


def _waits_for(peer: Address, own: Address) -> bool:
    """Whether the peer is to connect to us: its address is greater *as text*, on all Calico nodes."""
    return str(peer) > str(own)


# --- BGPPeers --------------------------------------------------------------------------------------


def _intents(cluster: Cluster, version: Version, problems: set[Problem]) -> list[_Intent]:
    peers = [peer for _, peer in sorted(cluster.peers.items())]
    passes: tuple[Callable[[Cluster, BGPPeer, Version], Iterator[_Intent]], ...] = (
        _of_all_nodes,
        _of_this_node,
        _reversed,
    )
    intents: list[_Intent] = []
    for select in passes:
        for peer in peers:
            try:
                intents += list(select(cluster, peer, version))
            except ValidationError as error:
                problems.add(Problem(f"BGPPeer({peer.name})", str(error)))
    return intents


def _of_all_nodes(cluster: Cluster, peer: BGPPeer, version: Version) -> Iterator[_Intent]:
    if not _is_specific(peer):
        for target in _targets(cluster, peer, version):
            yield _Intent("Global", peer, target)


def _of_this_node(cluster: Cluster, peer: BGPPeer, version: Version) -> Iterator[_Intent]:
    if _is_specific(peer) and applies_to(peer, cluster.node_name, cluster.own):
        for target in _targets(cluster, peer, version):
            yield _Intent("Node", peer, target)


def _reversed(cluster: Cluster, peer: BGPPeer, version: Version) -> Iterator[_Intent]:
    """Yield the nodes that the peer makes connect to us because it selects us as the far end."""
    spec = peer.spec
    if not spec.peer_selector or spec.reverse_peering == "Manual":
        return
    if not _selects(spec.peer_selector, cluster.own):
        return
    for name, node in sorted(cluster.nodes.items()):
        address = address_of(node, version)
        if address and applies_to(peer, name, node):
            port = facts.listen_port(cluster, name)
            yield _Intent("Node", peer, _Target(address, port, node))


def _is_specific(peer: BGPPeer) -> bool:
    return bool(peer.spec.node or peer.spec.node_selector)


def applies_to(peer: BGPPeer, name: str, node: Node) -> bool:
    """Whether the near end of a BGPPeer is (also) the given node.

    Raises:
        SelectorSyntaxError: its nodeSelector does not parse.
    """
    if peer.spec.node:
        return peer.spec.node == name
    return not peer.spec.node_selector or _selects(peer.spec.node_selector, node)


def _selects(expression: str, node: Node) -> bool:
    return selector.parse(expression).evaluate(node.metadata.labels)


def _targets(cluster: Cluster, peer: BGPPeer, version: Version) -> Iterator[_Target]:
    if peer.spec.local_workload_selector:
        raise ValidationError("spec.localWorkloadSelector: peering with workloads is not available")
    if peer.spec.peer_selector:
        for name, node in sorted(cluster.nodes.items()):
            address = address_of(node, version)
            if address and _selects(peer.spec.peer_selector, node):
                yield _Target(address, facts.listen_port(cluster, name), node)
        return
    address, port = parse_peer_ip(peer.spec.peer_ip)
    if address.version == version:
        yield _Target(address, port, _node_at(cluster, address))


def _node_at(cluster: Cluster, address: Address) -> Node | None:
    found = (n for n in cluster.nodes.values() if address_of(n, address.version) == address)
    return next(found, None)


def parse_peer_ip(text: str) -> tuple[Address, int]:
    """Return address and port of a ``peerIP``: ``<ip>``, ``<v4>:<port>`` or ``[<v6>]:<port>``.

    Raises:
        ValidationError: it is none of these.
    """
    host, port = text, ""
    if text.startswith("["):
        host, _, port = text[1:].partition("]:")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        address, number = ip_address(host), int(port or DEFAULT_PORT)
    except ValueError:
        address, number = None, 0
    if address is None or not 0 < number < 2**16 or getattr(address, "scope_id", None):
        raise ValidationError(
            f"spec.peerIP: {text!r} is no peer; write an IP address, <ipv4>:<port> or [<ipv6>]:<port>"
        )
    return address, number


# --- one session of a BGPPeer ----------------------------------------------------------------------


def _explicit_session(cluster: Cluster, own: Address, intent: _Intent) -> Session:
    spec, target = intent.peer.spec, intent.target
    local_as = facts.as_number(spec.local_as_number, "spec.localASNumber") or facts.own_as(cluster)
    remote_as = _remote_as(cluster, intent)
    return Session(
        name=_session_name(intent.prefix, target.address, target.port),
        neighbor=target.address,
        port=target.port,
        remote_as=remote_as,
        local_as=local_as,
        source=None if spec.source_address == "None" else own,
        passive=_is_passive(intent, own),
        multihop=spec.ttl_security or 0,
        ttl_security=bool(spec.ttl_security),
        reflector_cluster_id=_reflects_for(cluster, target, is_internal=local_as == remote_as),
        next_hop=_next_hop(intent.peer, is_internal=local_as == remote_as),
        allow_local_as=spec.num_allowed_local_as_numbers or 0,
        restart_time_s=_seconds(spec.max_restart_time, "spec.maxRestartTime"),
        keepalive_time_s=_seconds(spec.keepalive_time, "spec.keepaliveTime"),
        password=_password(cluster, spec.password),
        import_filters=filters.of_session(spec.filters, cluster.filters, "import", own.version),
        export_filters=filters.of_session(spec.filters, cluster.filters, "export", own.version),
    )


def _session_name(prefix: str, address: Address, port: int) -> str:
    name = f"{prefix}_{address}".replace(".", "_").replace(":", "_")
    return name if port == DEFAULT_PORT else f"{name}_port_{port}"


def _remote_as(cluster: Cluster, intent: _Intent) -> int:
    node = intent.target.node
    by_selector = bool(intent.peer.spec.peer_selector)
    given = None if by_selector else intent.peer.spec.as_number
    explicit = facts.as_number(given, "spec.asNumber")
    return explicit or (facts.as_of(cluster, node) if node else facts.global_as(cluster))


def _is_passive(intent: _Intent, own: Address) -> bool:
    is_node = intent.target.node is not None
    return intent.prefix == "Global" and is_node and _waits_for(intent.target.address, own)


def _reflects_for(cluster: Cluster, target: _Target, *, is_internal: bool) -> str:
    """Return our cluster id if the peer is our route reflector client, else ""."""
    own_id = cluster_id_of(cluster.own)
    peer_id = cluster_id_of(target.node) if target.node else ""
    return own_id if is_internal and own_id != peer_id else ""


def _next_hop(peer: BGPPeer, *, is_internal: bool) -> NextHop:
    match peer.spec.next_hop_mode:
        case "Self":
            return NextHop.SELF
        case "Keep":
            return NextHop.KEEP
        case _:
            keeps = peer.spec.keep_original_next_hop and not is_internal
            return NextHop.KEEP if keeps else NextHop.AUTO


def _seconds(text: str | None, path: str) -> int | None:
    if not text:
        return None
    seconds = round(parse_duration(text))
    if not 0 < seconds <= _LONGEST_TIME_S:
        raise ValidationError(f"{path}: {text!r} is out of range; it is 1s to {_LONGEST_TIME_S}s")
    return seconds


def _password(cluster: Cluster, wanted: BGPPassword | None) -> str:
    """Return a session's password, "" for none. A missing one keeps the session down, not open."""
    ref = wanted.secret_key_ref if wanted else None
    if ref is None:
        return ""
    password = cluster.passwords.get((ref.name, ref.key), "")
    if not password and not ref.optional:
        raise ValidationError(
            f"password: key {ref.key!r} of secret {ref.name!r} is not on this host; put it into"
            f" the file bgp-secrets/{ref.name}/{ref.key} of Calico's configuration directory"
        )
    if _FORBIDDEN_IN_PASSWORD & set(password):
        raise ValidationError("password: BIRD takes no double quote, line break or NUL in it")
    return password
