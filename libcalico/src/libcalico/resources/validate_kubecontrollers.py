"""Rules of KubeControllersConfiguration. Source: calico-control-plane reference, section 2.12."""

from __future__ import annotations

import re
from collections.abc import Iterator

from libcalico.resources import fieldchecks as check
from libcalico.resources.kubecontrollers import (
    Controllers,
    HostEndpointTemplate,
    KubeControllersConfiguration,
)


def check_kube_controllers(config: KubeControllersConfiguration) -> Iterator[str]:
    """Check a KubeControllersConfiguration."""
    if config.name != "default":
        yield f"metadata.name: {config.name!r} is not allowed; use default"
    spec = config.spec
    if spec.etcd_v3_compaction_period is not None:
        yield from check.duration("spec.etcdV3CompactionPeriod", spec.etcd_v3_compaction_period)
    for field, port in (
        ("prometheusMetricsPort", spec.prometheus_metrics_port),
        ("debugProfilePort", spec.debug_profile_port),
    ):
        if port is not None:
            yield from check.whole_number(f"spec.{field}", port, 0, 65535)
    yield from _check_durations(spec.controllers)
    node = spec.controllers.node
    if node is not None and node.host_endpoint is not None:
        path = "spec.controllers.node.hostEndpoint.templates"
        for index, template in enumerate(node.host_endpoint.templates):
            yield from _check_template(f"{path}[{index}]", template)


def _check_durations(controllers: Controllers) -> Iterator[str]:
    periods = {
        f"{name}.reconcilerPeriod": controller.reconciler_period
        for name, controller in (
            ("node", controllers.node),
            ("policy", controllers.policy),
            ("workloadEndpoint", controllers.workload_endpoint),
            ("serviceAccount", controllers.service_account),
            ("namespace", controllers.namespace),
        )
        if controller is not None
    }
    if controllers.node is not None:
        periods["node.leakGracePeriod"] = controllers.node.leak_grace_period
    for field, text in periods.items():
        if text is not None:
            yield from check.duration(f"spec.controllers.{field}", text)


def _check_template(path: str, template: HostEndpointTemplate) -> Iterator[str]:
    if template.generate_name:
        yield from check.subdomain(f"{path}.generateName", template.generate_name)
    if not template.interface_cidrs and not template.interface_pattern:
        yield f"{path}: needs interfaceCIDRs or interfacePattern"
    for index, text in enumerate(template.interface_cidrs):
        yield from check.network(f"{path}.interfaceCIDRs[{index}]", text)
    yield from check.unique(f"{path}.interfaceCIDRs", template.interface_cidrs)
    yield from _check_pattern(f"{path}.interfacePattern", template.interface_pattern)
    yield from check.label_map(f"{path}.labels", template.labels)
    yield from check.selector(f"{path}.nodeSelector", template.node_selector)


def _check_pattern(path: str, text: str) -> Iterator[str]:
    try:
        re.compile(text)
    except re.error as problem:
        yield f"{path}: {text!r} is no regular expression: {problem}"
