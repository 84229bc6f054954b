"""KubeControllersConfiguration: settings of Calico's controllers for Kubernetes.

Nothing of ours reads it; it is kept for clusters in which those controllers run beside us.
Source: calico-control-plane reference, section 2.12.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec import field

from libcalico.resources.durations import GoDuration
from libcalico.resources.model import KindInfo, Model, Resource

Switch = Literal["Enabled", "Disabled"]


class HostEndpointTemplate(Model):
    """What a host endpoint that is created for a node looks like."""

    generate_name: str = ""
    interface_cidrs: list[str] = field(default_factory=list, name="interfaceCIDRs")
    interface_pattern: str = ""
    labels: dict[str, str] = {}
    node_selector: str = ""


class AutoHostEndpoints(Model):
    """Whether, and from which templates, host endpoints are created for nodes."""

    auto_create: Switch | None = None
    create_default_host_endpoint: Switch | None = None
    templates: list[HostEndpointTemplate] = []


class NodeController(Model):
    """Cleans up after nodes that are gone. Durations are Go's (``5m0s``)."""

    reconciler_period: GoDuration | None = None
    sync_labels: Switch | None = None
    host_endpoint: AutoHostEndpoints | None = None
    leak_grace_period: GoDuration | None = None


class PeriodicController(Model):
    """A controller that only has a period. A Go duration."""

    reconciler_period: GoDuration | None = None


class LoadBalancerController(Model):
    """Gives addresses to services of type LoadBalancer."""

    assign_ips: Literal["AllServices", "RequestedServicesOnly"] | None = field(
        default=None, name="assignIPs"
    )


class PolicyMigrationController(Model):
    """Moves policies of releases before 3.32 to their own names."""

    enabled: Switch | None = None


class Controllers(Model):
    """The controllers that run; None is one that does not."""

    node: NodeController | None = None
    policy: PeriodicController | None = None
    workload_endpoint: PeriodicController | None = None
    service_account: PeriodicController | None = None
    namespace: PeriodicController | None = None
    load_balancer: LoadBalancerController | None = None
    policy_migration: PolicyMigrationController | None = None


class KubeControllersConfigurationSpec(Model):
    """Spec of the KubeControllersConfiguration."""

    log_severity_screen: (
        Literal["None", "Debug", "Info", "Warning", "Error", "Fatal", "Panic"] | None
    ) = None
    health_checks: Switch | None = None
    etcd_v3_compaction_period: GoDuration | None = field(
        default=None, name="etcdV3CompactionPeriod"
    )
    prometheus_metrics_port: int | None = None
    controllers: Controllers = field(default_factory=Controllers)
    debug_profile_port: int | None = None


class KubeControllersConfigurationStatus(Model):
    """What the controllers run with, and the environment that made it differ from the spec."""

    running_config: KubeControllersConfigurationSpec = field(
        default_factory=KubeControllersConfigurationSpec
    )
    environment_vars: dict[str, str] = {}


class KubeControllersConfiguration(Resource, tag="KubeControllersConfiguration"):
    """Settings of the controllers for Kubernetes; only the name ``default`` exists."""

    INFO: ClassVar[KindInfo] = KindInfo(
        kind="KubeControllersConfiguration",
        plural="kubecontrollersconfigurations",
        aliases=("kubecontrollersconfig", "kubecontrollersconfigs"),
    )
    spec: KubeControllersConfigurationSpec = field(default_factory=KubeControllersConfigurationSpec)
    status: KubeControllersConfigurationStatus = field(
        default_factory=KubeControllersConfigurationStatus
    )
