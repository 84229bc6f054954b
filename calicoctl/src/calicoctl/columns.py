"""The columns of each kind: which there are, and which ``ps`` and ``wide`` show.

Source: calico-control-plane reference, section 6.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from calicoctl import gotext
from libcalico.resources.model import Resource

Cell = Callable[[Any, "Context"], str]


@dataclass(frozen=True, slots=True)
class Context:
    """What cells need beside their resource: the AS number that nodes inherit."""

    global_as: int | str = 64512


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of a kind: every one by heading, and the headings of the two table forms."""

    cells: Mapping[str, Cell]
    ps: tuple[str, ...]
    wide: tuple[str, ...]

    def rows(
        self, resources: list[Resource], headings: tuple[str, ...], context: Context
    ) -> list[list[str]]:
        """Return the cells of each resource."""
        return [[self.cells[heading](r, context) for heading in headings] for r in resources]


def _name(resource: Any, _: Context) -> str:
    return str(resource.metadata.name)


def _namespace(resource: Any, _: Context) -> str:
    return str(resource.metadata.namespace)


def _spec(attribute: str) -> Cell:
    return lambda resource, _: gotext.value(getattr(resource.spec, attribute))


def _list(attribute: str) -> Cell:
    return lambda resource, _: gotext.joined(getattr(resource.spec, attribute))


def _mode(attribute: str) -> Cell:
    return lambda resource, _: getattr(resource.spec, attribute) or "Never"


def _dash_if_none(attribute: str) -> Cell:
    def cell(resource: Any, _: Context) -> str:
        found = getattr(resource.spec, attribute)
        return "-" if found is None else gotext.value(found)

    return cell


def _peer_node(resource: Any, _: Context) -> str:
    return resource.spec.node or resource.spec.node_selector or "(global)"


def _as_of_peer(resource: Any, _: Context) -> str:
    return gotext.value(resource.spec.as_number or 0)


def _as_of_node(resource: Any, context: Context) -> str:
    bgp = resource.spec.bgp
    if bgp is None or bgp.as_number is None:
        return f"({context.global_as})"
    return gotext.value(bgp.as_number)


def _bgp(attribute: str) -> Cell:
    def cell(resource: Any, _: Context) -> str:
        return getattr(resource.spec.bgp, attribute) if resource.spec.bgp is not None else ""

    return cell


def _labels(resource: Any, _: Context) -> str:
    return ",".join(f"{k}={v}" for k, v in sorted(resource.spec.labels_to_apply.items()))


def _workload(resource: Any, _: Context) -> str:
    spec = resource.spec
    by_orchestrator = {"k8s": spec.pod, "cni": spec.container_id}
    return str(by_orchestrator.get(spec.orchestrator, spec.workload))


def _nats(resource: Any, _: Context) -> str:
    return gotext.joined(sorted({nat.external_ip for nat in resource.spec.ip_nats}))


def _count(attribute: str) -> Cell:
    return lambda resource, _: str(len(getattr(resource.spec, attribute)))


def _pod_selector(resource: Any, _: Context) -> str:
    """Return a Kubernetes selector as ``kubectl`` shows it."""
    selector = resource.spec.pod_selector
    equal = [f"{key}={value}" for key, value in sorted(selector.match_labels.items())]
    return ",".join([*equal, *map(_expression, selector.match_expressions)])


def _expression(expression: Any) -> str:
    match expression.operator:
        case "Exists":
            return str(expression.key)
        case "DoesNotExist":
            return f"!{expression.key}"
    operator = "in" if expression.operator == "In" else "notin"
    return f"{expression.key} {operator} ({','.join(sorted(expression.values))})"


_POLICY_CELLS: Mapping[str, Cell] = {
    "NAME": _name,
    "TIER": _spec("tier"),
    "ORDER": _spec("order"),
    "SELECTOR": _spec("selector"),
}
_SET_CELLS: Mapping[str, Cell] = {"NAME": _name, "NETS": _list("nets")}
_IN_NAMESPACE: Mapping[str, Cell] = {"NAMESPACE": _namespace}


def _policy(cells: Mapping[str, Cell]) -> Columns:
    return Columns(cells, ("NAME", "TIER"), ("NAME", "TIER", "ORDER", "SELECTOR"))


def _set(cells: Mapping[str, Cell]) -> Columns:
    return Columns(cells, ("NAME",), ("NAME", "NETS"))


_BGP_CONFIGURATION = ("NAME", "LOGSEVERITY", "MESHENABLED", "ASNUMBER")
_BGP_FILTER = ("NAME", "NUMEXPORTV4", "NUMIMPORTV4", "NUMEXPORTV6", "NUMIMPORTV6")
_BGP_PEER = ("NAME", "PEERIP", "NODE", "ASN")
_CLUSTER = ("NAME", "CLUSTERGUID", "CLUSTERTYPE", "CALICOVERSION", "DATASTOREREADY")
_POOL_WIDE = (
    "NAME",
    "CIDR",
    "NAT",
    "IPIPMODE",
    "VXLANMODE",
    "DISABLED",
    "DISABLEBGPEXPORT",
    "SELECTOR",
    "ASSIGNMENTMODE",
)
_ENDPOINT = ("WORKLOAD", "NODE", "NETWORKS", "INTERFACE")

#: Kind → its columns.
COLUMNS: Mapping[str, Columns] = {
    "BGPConfiguration": Columns(
        {
            "NAME": _name,
            "LOGSEVERITY": _spec("log_severity_screen"),
            "MESHENABLED": _dash_if_none("node_to_node_mesh_enabled"),
            "ASNUMBER": _dash_if_none("as_number"),
        },
        _BGP_CONFIGURATION,
        _BGP_CONFIGURATION,
    ),
    "BGPFilter": Columns(
        {
            "NAME": _name,
            "NUMEXPORTV4": _count("export_v4"),
            "NUMIMPORTV4": _count("import_v4"),
            "NUMEXPORTV6": _count("export_v6"),
            "NUMIMPORTV6": _count("import_v6"),
        },
        _BGP_FILTER,
        _BGP_FILTER,
    ),
    "BGPPeer": Columns(
        {"NAME": _name, "PEERIP": _spec("peer_ip"), "NODE": _peer_node, "ASN": _as_of_peer},
        _BGP_PEER,
        _BGP_PEER,
    ),
    "ClusterInformation": Columns(
        {
            "NAME": _name,
            "CLUSTERGUID": _spec("cluster_guid"),
            "CLUSTERTYPE": _spec("cluster_type"),
            "CALICOVERSION": _spec("calico_version"),
            "DATASTOREREADY": _spec("datastore_ready"),
        },
        _CLUSTER,
        _CLUSTER,
    ),
    "FelixConfiguration": Columns({"NAME": _name}, ("NAME",), ("NAME",)),
    "GlobalNetworkPolicy": _policy(_POLICY_CELLS),
    "NetworkPolicy": _policy({**_IN_NAMESPACE, **_POLICY_CELLS}),
    "GlobalNetworkSet": _set(_SET_CELLS),
    "NetworkSet": _set({**_IN_NAMESPACE, **_SET_CELLS}),
    "HostEndpoint": Columns(
        {
            "NAME": _name,
            "NODE": _spec("node"),
            "INTERFACE": _spec("interface_name"),
            "IPS": _list("expected_ips"),
            "PROFILES": _list("profiles"),
        },
        ("NAME", "NODE"),
        ("NAME", "NODE", "INTERFACE", "IPS", "PROFILES"),
    ),
    "IPPool": Columns(
        {
            "NAME": _name,
            "CIDR": _spec("cidr"),
            "NAT": _spec("nat_outgoing"),
            "IPIPMODE": _mode("ipip_mode"),
            "VXLANMODE": _mode("vxlan_mode"),
            "DISABLED": _spec("disabled"),
            "DISABLEBGPEXPORT": _spec("disable_bgp_export"),
            "SELECTOR": _spec("node_selector"),
            "ASSIGNMENTMODE": _spec("assignment_mode"),
        },
        ("NAME", "CIDR", "SELECTOR"),
        _POOL_WIDE,
    ),
    "IPReservation": Columns(
        {"NAME": _name, "CIDRS": _list("reserved_cidrs")}, ("NAME",), ("NAME", "CIDRS")
    ),
    "KubeControllersConfiguration": Columns({"NAME": _name}, ("NAME",), ("NAME",)),
    "StagedGlobalNetworkPolicy": _policy(_POLICY_CELLS),
    "StagedKubernetesNetworkPolicy": Columns(
        {**_IN_NAMESPACE, "NAME": _name, "PODSELECTOR": _pod_selector},
        ("NAME",),
        ("NAME", "PODSELECTOR"),
    ),
    "StagedNetworkPolicy": _policy({**_IN_NAMESPACE, **_POLICY_CELLS}),
    "Node": Columns(
        {
            "NAME": _name,
            "ASN": _as_of_node,
            "IPV4": _bgp("ipv4_address"),
            "IPV6": _bgp("ipv6_address"),
        },
        ("NAME",),
        ("NAME", "ASN", "IPV4", "IPV6"),
    ),
    "Profile": Columns({"NAME": _name, "LABELS": _labels}, ("NAME",), ("NAME", "LABELS")),
    "Tier": Columns({"NAME": _name, "ORDER": _spec("order")}, ("NAME", "ORDER"), ("NAME", "ORDER")),
    "WorkloadEndpoint": Columns(
        {
            "NAMESPACE": _namespace,
            "NAME": _name,
            "WORKLOAD": _workload,
            "NODE": _spec("node"),
            "NETWORKS": _list("ip_networks"),
            "INTERFACE": _spec("interface_name"),
            "PROFILES": _list("profiles"),
            "NATS": _nats,
        },
        _ENDPOINT,
        ("NAME", *_ENDPOINT, "PROFILES", "NATS"),
    ),
}
