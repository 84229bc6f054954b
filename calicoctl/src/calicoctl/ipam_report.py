"""Whether what IPAM assigned is what is in use: the findings of ``calicoctl ipam check``. Pure.

In use is what a workload endpoint has, what a node has for its tunnels, and what the load balancer of
Kubernetes gave to services (its services are not looked at: there may be no Kubernetes).

Source of the report's form: calico-control-plane reference, section 6.5.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from libcalico.errors import ValidationError
from libcalico.ipam.plan.audit import Allocation, Audit
from libcalico.ipam.plan.release import ReleaseRequest
from libcalico.net.addresses import Cidr, parse_address, parse_cidr
from libcalico.resources.clusterinfo import ClusterInformation
from libcalico.resources.endpoints import WorkloadEndpoint
from libcalico.resources.ippools import IPPool
from libcalico.resources.nodes import Node

_LOAD_BALANCER = "virtual:load-balancer"
_RESERVED = "windows-reserved-ipam-handle"
_BUSIEST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Everything that is compared.

    Attributes:
        users: address → names of what uses it.
    """

    audit: Audit
    pools: Sequence[Cidr]
    users: Mapping[str, Sequence[str]]
    workload_addresses: int
    tunnel_addresses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the comparison found; each a problem but ``used``.

    Attributes:
        leaked: assigned, and used by nobody.
        shared: address → users, where there are several.
        outside: used, in no enabled pool.
        unassigned: used, in a pool, and not assigned.
        idle_handles: handles that no address names.
    """

    used: Sequence[Allocation]
    leaked: Sequence[Allocation]
    shared: Mapping[str, Sequence[str]]
    outside: Sequence[str]
    unassigned: Sequence[str]
    idle_handles: Sequence[str]
    unstored_handles: Sequence[str]
    contradictions: Sequence[str]

    @property
    def problems(self) -> int:
        """How many problems there are."""
        return sum(
            map(
                len,
                (
                    self.leaked,
                    self.shared,
                    self.outside,
                    self.unassigned,
                    self.idle_handles,
                    self.unstored_handles,
                    self.contradictions,
                ),
            )
        )


def inventory(
    audit: Audit,
    pools: Iterable[IPPool],
    endpoints: Iterable[WorkloadEndpoint],
    nodes: Iterable[Node],
) -> Inventory:
    """Put together who uses which address."""
    users: dict[str, list[str]] = defaultdict(list)
    workloads = tunnels = 0
    for endpoint in endpoints:
        for address in _addresses(endpoint.spec.ip_networks):
            users[address].append(f"Workload({endpoint.namespace}/{endpoint.name})")
            workloads += 1
    for node in nodes:
        for address in _addresses(_tunnel_addresses(node)):
            users[address].append(f"Node({node.name})")
            tunnels += 1
    return Inventory(
        audit=audit,
        pools=[parse_cidr(p.spec.cidr, strict=False) for p in pools if not p.spec.disabled],
        users=users,
        workload_addresses=workloads,
        tunnel_addresses=tunnels,
    )


def _addresses(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        try:
            cidr = parse_cidr(text, strict=False)
        except ValidationError:
            continue
        if cidr.is_address:
            yield cidr.address


def _tunnel_addresses(node: Node) -> list[str]:
    found = _texts(node.spec)
    return [text for name, text in found if "tunnel" in name or "wireguard" in name]


def _texts(model: Any) -> Iterator[tuple[str, str]]:
    """Yield the text fields of a structure and of those in it: name in lower case, text."""
    for name in model.__struct_fields__:
        value = getattr(model, name)
        if isinstance(value, str) and value:
            yield name, value
        elif hasattr(value, "__struct_fields__"):
            yield from ((f"{name}.{inner}", text) for inner, text in _texts(value))


def compare(known: Inventory) -> Findings:
    """Return what does not fit together."""
    assigned = {allocation.address for allocation in known.audit.allocations}
    used: list[Allocation] = []
    leaked: list[Allocation] = []
    for allocation in known.audit.allocations:
        (used if _is_used(allocation, known) else leaked).append(allocation)
    strangers = sorted(set(known.users) - assigned, key=_numeric)
    inside = {address for address in strangers if _in_pool(address, known.pools)}
    return Findings(
        used=used,
        leaked=leaked,
        shared={a: names for a, names in sorted(known.users.items()) if len(set(names)) > 1},
        outside=[address for address in strangers if address not in inside],
        unassigned=[address for address in strangers if address in inside],
        idle_handles=[handle for handle, named in known.audit.handles.items() if not named],
        unstored_handles=known.audit.unstored,
        contradictions=known.audit.problems,
    )


def _is_used(allocation: Allocation, known: Inventory) -> bool:
    if allocation.block_owner == _LOAD_BALANCER or allocation.handle == _RESERVED:
        return True
    return allocation.address in known.users


def _numeric(address: str) -> tuple[int, int]:
    parsed = parse_address(address)
    return parsed.version, parsed.first


def _in_pool(address: str, pools: Sequence[Cidr]) -> bool:
    parsed = parse_address(address)
    return any(pool.version == parsed.version and pool.contains(parsed) for pool in pools)


def text(known: Inventory, found: Findings, *, every: bool, problems: bool) -> str:
    """Return what is printed.

    Args:
        every: list all addresses that are in use.
        problems: list those that are a problem.
    """
    return "\n".join([*_counted(known), *_found(found, every=every, problems=problems)])


def _counted(known: Inventory) -> Iterator[str]:
    audit = known.audit
    yield "Checking IPAM for inconsistencies..."
    yield "\nLoading all IPAM blocks..."
    yield f"Found {len(audit.blocks)} IPAM blocks."
    for cidr, owner in audit.blocks:
        yield f" IPAM block {cidr} affinity={owner or '<none>'}"
    yield f"IPAM blocks record {len(audit.allocations)} allocations."
    yield "\nLoading all IPAM pools..."
    yield from (f"  {pool}" for pool in known.pools)
    yield f"Found {len(known.pools)} active IP pools."
    yield "\nLoading all nodes."
    yield f"Found {known.tunnel_addresses} node tunnel IPs."
    yield "\nLoading all workload endpoints."
    yield f"Found {known.workload_addresses} workload IPs."
    yield f"Workloads and nodes are using {len(known.users)} IPs."
    yield from _busiest(audit.allocations)


def _busiest(allocations: Sequence[Allocation]) -> Iterator[str]:
    counts = Counter(allocation.node or "(unknown)" for allocation in allocations)
    if not counts:
        return
    yield f"\nLooking for top (up to {_BUSIEST}) nodes by allocations..."
    for node, count in counts.most_common(_BUSIEST):
        yield f"  {node} has {count} allocations"
    yield f"Node with most allocations has {max(counts.values())}; median is {median(counts.values()):g}"


def _found(found: Findings, *, every: bool, problems: bool) -> Iterator[str]:
    def listed(lines: Iterable[str], wanted: bool) -> Iterator[str]:
        return (f"  {line}" for line in lines if wanted)

    yield "\nScanning for IPs that are allocated but not actually in use..."
    yield from listed((f"{_named(a)} is in use" for a in found.used), every)
    yield from listed((f"{_named(a)} is leaked" for a in found.leaked), problems or every)
    yield f"Found {len(found.leaked)} IPs that are allocated in IPAM but not actually in use."
    yield "Scanning for IPs that are in use by a workload or node but not allocated in IPAM..."
    yield from listed(found.outside, problems)
    yield f"Found {len(found.outside)} in-use IPs that are not in active IP pools."
    yield from listed(found.unassigned, problems)
    yield (
        f"Found {len(found.unassigned)} in-use IPs that are in active IP pools but have no"
        " corresponding IPAM allocation."
    )
    yield "\nScanning for IPs that several workloads or nodes use..."
    yield from listed((f"{a}: {', '.join(names)}" for a, names in found.shared.items()), problems)
    yield f"Found {len(found.shared)} IPs with several users."
    yield "\nScanning for IPAM handles with no matching IPs..."
    yield from listed(found.idle_handles, problems)
    yield f"Found {len(found.idle_handles)} handles with no matching IPs."
    yield "Scanning for IPs with missing handle..."
    yield from listed(found.unstored_handles, problems)
    yield (
        f"Found {len(found.unstored_handles)} handles mentioned in blocks with no matching handle"
        " resource."
    )
    yield "\nScanning for contradictions in what is stored..."
    yield from listed(found.contradictions, True)
    yield f"Check complete; found {found.problems} problems."


def _named(allocation: Allocation) -> str:
    handle = f" handle={allocation.handle}" if allocation.handle else ""
    return f"{allocation.address}{handle}"


def as_json(known: Inventory, found: Findings, cluster: ClusterInformation) -> dict[str, Any]:
    """Return the report that ``-o`` stores and ``ipam release --from-report`` reads."""
    leaked = {allocation.address for allocation in found.leaked}
    allocations = {
        a.address: [
            _allocation_json(a, known.users.get(a.address, ()), in_use=a.address not in leaked)
        ]
        for a in known.audit.allocations
    }
    return {
        "version": cluster.spec.calico_version,
        "clusterGUID": cluster.spec.cluster_guid,
        "datastoreLocked": cluster.spec.datastore_ready is False,
        "clusterInformationRevision": cluster.metadata.resource_version,
        "clusterType": cluster.spec.cluster_type,
        "allocations": allocations,
        "leakedHandles": [
            {"ID": handle, "UID": None, "Revision": ""} for handle in found.idle_handles
        ],
    }


def _allocation_json(
    allocation: Allocation, users: Sequence[str], *, in_use: bool
) -> dict[str, Any]:
    attributes = allocation.attributes
    return {
        "ip": allocation.address,
        "handle": allocation.handle or "",
        "sequenceNumber": allocation.sequence,
        "pod": attributes.get("pod", ""),
        "namespace": attributes.get("namespace", ""),
        "node": allocation.node,
        "type": attributes.get("type", ""),
        "creationTimestamp": attributes.get("timestamp", ""),
        "inUse": in_use,
        "borrowed": allocation.borrowed,
        "owners": list(users),
    }


def leaked_in_all(reports: Sequence[Mapping[str, Any]], cluster_guid: str) -> list[ReleaseRequest]:
    """Return the addresses that every report calls leaked, to be released if nothing changed since.

    Raises:
        ValidationError: a report is none, or is of another cluster.
    """
    for number, report in enumerate(reports, 1):
        if report.get("clusterGUID") != cluster_guid:
            raise ValidationError(
                f"report {number} is of the cluster {report.get('clusterGUID')!r}, this is {cluster_guid!r}"
            )
    found = [dict(_leaked(report)) for report in reports]
    common = [a for a in found[0] if all(other.get(a) == found[0][a] for other in found)]
    return [ReleaseRequest(address, *found[0][address]) for address in sorted(common, key=_numeric)]


def _leaked(report: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str | None, int]]]:
    try:
        for address, entries in report["allocations"].items():
            for entry in entries:
                if not entry["inUse"]:
                    parse_address(address)
                    yield address, (entry["handle"] or None, int(entry["sequenceNumber"]))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValidationError(f"this is no report of calicoctl ipam check: {error!r}") from error
