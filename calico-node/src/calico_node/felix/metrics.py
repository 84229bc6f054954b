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
    "felix_active_local_endpoints", "Workload endpoints of this host", registry=REGISTRY
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
