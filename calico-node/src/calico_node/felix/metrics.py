"""Every metric of Felix, declared once. Names as in Go Felix where the meaning is the same.

Source of the names: calico-dataplane reference, section 9.1.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    Summary,
    generate_latest,
)

REGISTRY: Final = CollectorRegistry()

RESYNC_STATE: Final = Gauge(
    "felix_resync_state",
    "1: waiting for the datastore, 2: reading it, 3: in sync",
    registry=REGISTRY,
)
RESYNCS_STARTED: Final = Counter(
    "felix_resyncs_started", "How often the datastore was read anew", registry=REGISTRY
)
ACTIVE_ENDPOINTS: Final = Gauge(
    "felix_active_local_endpoints", "Workload and host endpoints of this host", registry=REGISTRY
)
ACTIVE_POLICIES: Final = Gauge(
    "felix_active_local_policies", "Policies that apply on this host", registry=REGISTRY
)
UPDATES: Final = Counter(
    "felix_calc_graph_updates_processed", "Datastore updates taken in", registry=REGISTRY
)
UPDATE_SECONDS: Final = Summary(
    "felix_calc_graph_update_time_seconds", "Time to calculate one batch", registry=REGISTRY
)
APPLY_SECONDS: Final = Summary(
    "felix_int_dataplane_apply_time_seconds", "Time to program one batch", registry=REGISTRY
)
FAILURES: Final = Counter(
    "felix_int_dataplane_failures", "Batches that could not be programmed", registry=REGISTRY
)
REPAIRS: Final = Counter(
    "felix_int_dataplane_repairs",
    "How often something that another process changed was put right",
    ["what"],
    registry=REGISTRY,
)
REFUSED: Final = Gauge(
    "felix_nft_refused_policies",
    "Policies that the kernel refused and that deny instead",
    registry=REGISTRY,
)
ROUTES: Final = Gauge("felix_route_table_num_routes", "Routes programmed", registry=REGISTRY)
INVALID: Final = Gauge(
    "felix_invalid_objects", "Datastore objects that cannot be used", registry=REGISTRY
)
HOST: Final = Gauge("felix_host", "1, with this node's name", ["host"], registry=REGISTRY)
CLUSTER_HOSTS: Final = Gauge(
    "felix_cluster_num_hosts", "Nodes with addresses in the datastore", registry=REGISTRY
)
CLUSTER_ENDPOINTS: Final = Gauge(
    "felix_cluster_num_workload_endpoints",
    "Workload endpoints of all hosts in the datastore",
    registry=REGISTRY,
)
CLUSTER_HOST_ENDPOINTS: Final = Gauge(
    "felix_cluster_num_host_endpoints",
    "Host endpoints of all hosts in the datastore",
    registry=REGISTRY,
)
CLUSTER_POLICIES: Final = Gauge(
    "felix_cluster_num_policies", "Policies in the datastore", registry=REGISTRY
)
CLUSTER_PROFILES: Final = Gauge(
    "felix_cluster_num_profiles", "Profiles in the datastore and built in", registry=REGISTRY
)
CLUSTER_TIERS: Final = Gauge("felix_cluster_num_tiers", "Tiers in the datastore", registry=REGISTRY)
SELECTORS: Final = Gauge(
    "felix_active_local_selectors", "IP sets that rules on this host refer to", registry=REGISTRY
)
LABELLED: Final = Gauge(
    "felix_label_index_num_endpoints",
    "Endpoints and network sets that selectors are asked about",
    registry=REGISTRY,
)
INDEX_SELECTORS: Final = Gauge(
    "felix_label_index_num_active_selectors",
    "Selectors of IP sets that the label index evaluates",
    registry=REGISTRY,
)
OUTPUT_EVENTS: Final = Counter(
    "felix_calc_graph_output_events", "Changes that the calculation told", registry=REGISTRY
)
MESSAGES: Final = Counter(
    "felix_int_dataplane_messages", "Changes that the dataplane took in", registry=REGISTRY
)
BATCH_SIZE: Final = Summary(
    "felix_int_dataplane_msg_batch_size", "Changes programmed at once", registry=REGISTRY
)
INTERFACE_EVENTS: Final = Summary(
    "felix_int_dataplane_iface_msg_batch_size",
    "Notifications of links and routes taken in at once",
    registry=REGISTRY,
)
INITIAL_SECONDS: Final = Gauge(
    "felix_int_dataplane_initial_resync_time_seconds",
    "Time to take over from a previous run",
    registry=REGISTRY,
)
NFT_CALLS: Final = Counter("felix_nft_calls", "Batches sent to nftables", registry=REGISTRY)
NFT_ERRORS: Final = Counter("felix_nft_errors", "Batches that nftables refused", registry=REGISTRY)
NFT_CHAINS: Final = Gauge("felix_nft_chains", "Chains of the table", registry=REGISTRY)
NFT_RULES: Final = Gauge("felix_nft_rules", "Rules of the table", registry=REGISTRY)
NFT_SETS: Final = Gauge("felix_nft_sets", "Sets of the table", registry=REGISTRY)
NFT_ELEMENTS: Final = Gauge("felix_nft_elements", "Elements of all sets", registry=REGISTRY)
NFT_MAPS: Final = Gauge("felix_nft_maps", "Verdict maps of the table", registry=REGISTRY)
INTERFACES: Final = Gauge(
    "felix_route_table_num_ifaces", "Workload interfaces of this host", registry=REGISTRY
)
ROUTE_RESYNC_SECONDS: Final = Summary(
    "felix_route_table_resync_seconds", "Time to read links and routes anew", registry=REGISTRY
)
LOG_ERRORS: Final = Counter(
    "felix_log_errors", "Messages that could not be logged", registry=REGISTRY
)
#: What the process uses; shown on demand.
PROCESS: Final = CollectorRegistry()
ProcessCollector(registry=PROCESS)


def page(*, with_process: bool) -> str:
    """Return the metrics in Prometheus' text form, and those of the process if asked for."""
    registries = (REGISTRY, PROCESS) if with_process else (REGISTRY,)
    return "".join(generate_latest(registry).decode() for registry in registries)
