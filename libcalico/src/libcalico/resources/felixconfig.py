"""FelixConfiguration: every parameter of the policy agent that the datastore can hold.

Types only; bounds, defaults and text forms are in :mod:`libcalico.resources.felixparams`. An unset
field (None or "") leaves the decision to the next source. Durations are Go duration texts.
"""

from __future__ import annotations

from typing import ClassVar

from msgspec import field

from libcalico.resources.durations import GoDuration
from libcalico.resources.model import KindInfo, Model, Resource
from libcalico.resources.numorstring import canonical_port, number_if_numeric


class ProtoPort(Model, omit_defaults=False):
    """A failsafe port; ``net`` limits it to a CIDR."""

    protocol: str = ""
    port: int = 0
    net: str = ""


class HealthTimeoutOverride(Model, omit_defaults=False):
    """The watchdog timeout of one subsystem of Felix."""

    name: str = ""
    timeout: GoDuration = "0s"


class RouteTableRange(Model, omit_defaults=False):
    """Indices of kernel route tables, inclusive."""

    min: int
    max: int


class FelixConfigurationSpec(Model):
    """Spec of a FelixConfiguration, in the order in which Go writes it."""

    node_selector: str = ""
    use_internal_dataplane_driver: bool | None = None
    dataplane_driver: str = ""
    dataplane_watchdog_timeout: GoDuration | None = None
    ipv6_support: bool | None = None
    route_refresh_interval: GoDuration | None = None
    interface_refresh_interval: GoDuration | None = None
    iptables_refresh_interval: GoDuration | None = None
    iptables_post_write_check_interval: GoDuration | None = None
    iptables_lock_probe_interval: GoDuration | None = None
    feature_detect_override: str = ""
    feature_gates: str = ""
    ipsets_refresh_interval: GoDuration | None = None
    max_ipset_size: int | None = None
    iptables_backend: str = ""
    xdp_refresh_interval: GoDuration | None = None
    netlink_timeout: GoDuration | None = None
    metadata_addr: str = ""
    metadata_port: int | None = None
    openstack_region: str = ""
    interface_prefix: str = ""
    interface_exclude: str = ""
    chain_insert_mode: str = ""
    default_endpoint_to_host_action: str = ""
    iptables_filter_allow_action: str = ""
    iptables_mangle_allow_action: str = ""
    iptables_filter_deny_action: str = ""
    log_prefix: str = ""
    log_action_rate_limit: str = ""
    log_action_rate_limit_burst: int | None = None
    log_file_path: str = ""
    log_severity_file: str = ""
    log_severity_screen: str = ""
    log_severity_sys: str = ""
    log_debug_filename_regex: str = ""
    ipip_enabled: bool | None = None
    ipip_mtu: int | None = field(default=None, name="ipipMTU")
    vxlan_enabled: bool | None = None
    vxlan_mtu: int | None = field(default=None, name="vxlanMTU")
    vxlan_mtu_v6: int | None = field(default=None, name="vxlanMTUV6")
    vxlan_port: int | None = None
    vxlan_vni: int | None = field(default=None, name="vxlanVNI")
    allow_vxlan_packets_from_workloads: bool | None = field(
        default=None, name="allowVXLANPacketsFromWorkloads"
    )
    allow_ipip_packets_from_workloads: bool | None = field(
        default=None, name="allowIPIPPacketsFromWorkloads"
    )
    reporting_interval: GoDuration | None = None
    reporting_ttl: GoDuration | None = field(default=None, name="reportingTTL")
    endpoint_reporting_enabled: bool | None = None
    endpoint_reporting_delay: GoDuration | None = None
    endpoint_status_path_prefix: str = ""
    iptables_mark_mask: int | None = None
    disable_conntrack_invalid_check: bool | None = None
    health_enabled: bool | None = None
    health_host: str = ""
    health_port: int | None = None
    health_timeout_overrides: list[HealthTimeoutOverride] = []
    prometheus_metrics_enabled: bool | None = None
    prometheus_metrics_host: str = ""
    prometheus_metrics_port: int | None = None
    prometheus_go_metrics_enabled: bool | None = None
    prometheus_process_metrics_enabled: bool | None = None
    prometheus_wireguard_metrics_enabled: bool | None = field(
        default=None, name="prometheusWireGuardMetricsEnabled"
    )
    prometheus_metrics_ca_file: str = field(default="", name="prometheusMetricsCAFile")
    prometheus_metrics_cert_file: str = ""
    prometheus_metrics_key_file: str = ""
    prometheus_metrics_client_auth: str = ""
    failsafe_inbound_host_ports: list[ProtoPort] | None = None
    failsafe_outbound_host_ports: list[ProtoPort] | None = None
    kube_node_port_ranges: list[int | str] | None = None
    policy_sync_path_prefix: str = ""
    usage_reporting_enabled: bool | None = None
    usage_reporting_initial_delay: GoDuration | None = None
    usage_reporting_interval: GoDuration | None = None
    nat_port_range: int | str | None = None
    nat_outgoing_address: str = ""
    nat_outgoing_exclusions: str = ""
    device_route_source_address: str = ""
    device_route_source_address_ipv6: str = field(default="", name="deviceRouteSourceAddressIPv6")
    device_route_protocol: int | None = None
    remove_external_routes: bool | None = None
    ip_forwarding: str = ""
    external_nodes_list: list[str] | None = None
    debug_memory_profile_path: str = ""
    debug_disable_log_dropping: bool | None = None
    debug_simulate_calc_graph_hang_after: GoDuration | None = None
    debug_simulate_dataplane_hang_after: GoDuration | None = None
    debug_simulate_dataplane_apply_delay: GoDuration | None = None
    debug_host: str = ""
    debug_port: int | None = None
    iptables_nat_outgoing_interface_filter: str = field(
        default="", name="iptablesNATOutgoingInterfaceFilter"
    )
    sidecar_acceleration_enabled: bool | None = None
    xdp_enabled: bool | None = None
    generic_xdp_enabled: bool | None = field(default=None, name="genericXDPEnabled")
    nftables_mode: str = ""
    nftables_refresh_interval: GoDuration | None = None
    nftables_filter_allow_action: str = ""
    nftables_mangle_allow_action: str = ""
    nftables_filter_deny_action: str = ""
    nftables_mark_mask: int | None = None
    bpf_enabled: bool | None = None
    bpf_disable_unprivileged: bool | None = None
    bpf_jit_hardening: str = field(default="", name="bpfJITHardening")
    bpf_log_level: str = ""
    bpf_conntrack_log_level: str = ""
    bpf_conntrack_mode: str = ""
    bpf_conntrack_timeouts: dict[str, str] | None = None
    bpf_log_filters: dict[str, str] | None = None
    bpf_ctlb_log_filter: str = field(default="", name="bpfCTLBLogFilter")
    bpf_data_iface_pattern: str = ""
    bpf_l3_iface_pattern: str = ""
    bpf_connect_time_load_balancing_enabled: bool | None = None
    bpf_connect_time_load_balancing: str = ""
    bpf_host_networked_nat_without_ctlb: str = field(
        default="", name="bpfHostNetworkedNATWithoutCTLB"
    )
    bpf_external_service_mode: str = ""
    bpf_dsr_optout_cidrs: list[str] | None = field(default=None, name="bpfDSROptoutCIDRs")
    bpf_ext_to_service_connmark: int | None = None
    bpf_kube_proxy_iptables_cleanup_enabled: bool | None = None
    bpf_kube_proxy_min_sync_period: GoDuration | None = None
    bpf_kube_proxy_healthz_port: int | None = None
    bpf_psnat_ports: int | str | None = field(default=None, name="bpfPSNATPorts")
    bpf_map_size_nat_frontend: int | None = field(default=None, name="bpfMapSizeNATFrontend")
    bpf_map_size_nat_backend: int | None = field(default=None, name="bpfMapSizeNATBackend")
    bpf_map_size_nat_affinity: int | None = field(default=None, name="bpfMapSizeNATAffinity")
    bpf_map_size_route: int | None = None
    bpf_map_size_conntrack: int | None = None
    bpf_map_size_per_cpu_conntrack: int | None = None
    bpf_map_size_conntrack_cleanup_queue: int | None = None
    bpf_map_size_conntrack_scaling: str = ""
    bpf_map_size_ip_sets: int | None = field(default=None, name="bpfMapSizeIPSets")
    bpf_map_size_if_state: int | None = None
    bpf_host_conntrack_bypass: bool | None = None
    bpf_enforce_rpf: str = field(default="", name="bpfEnforceRPF")
    bpf_policy_debug_enabled: bool | None = None
    bpf_force_track_packets_from_ifaces: list[str] | None = None
    bpf_disable_gro_for_ifaces: str = field(default="", name="bpfDisableGROForIfaces")
    bpf_exclude_cidrs_from_nat: list[str] | None = field(
        default=None, name="bpfExcludeCIDRsFromNAT"
    )
    bpf_redirect_to_peer: str = ""
    bpf_attach_type: str = ""
    bpf_export_buffer_size_mb: int | None = field(default=None, name="bpfExportBufferSizeMB")
    bpf_maglev_max_endpoints_per_service: int | None = None
    bpf_maglev_max_services: int | None = None
    bpf_profiling: str = ""
    route_source: str = ""
    route_table_ranges: list[RouteTableRange] | None = None
    route_table_range: RouteTableRange | None = None
    route_sync_disabled: bool | None = None
    program_cluster_routes: str = ""
    ipv4_normal_route_priority: int | None = None
    ipv4_elevated_route_priority: int | None = None
    ipv6_normal_route_priority: int | None = None
    ipv6_elevated_route_priority: int | None = None
    live_migration_route_convergence_time: GoDuration | None = None
    wireguard_enabled: bool | None = None
    wireguard_enabled_v6: bool | None = None
    wireguard_threading_enabled: bool | None = None
    wireguard_listening_port: int | None = None
    wireguard_listening_port_v6: int | None = None
    wireguard_routing_rule_priority: int | None = None
    wireguard_interface_name: str = ""
    wireguard_interface_name_v6: str = ""
    wireguard_mtu: int | None = field(default=None, name="wireguardMTU")
    wireguard_mtu_v6: int | None = field(default=None, name="wireguardMTUV6")
    wireguard_host_encryption_enabled: bool | None = None
    wireguard_keep_alive: GoDuration | None = None
    aws_src_dst_check: str = ""
    service_loop_prevention: str = ""
    workload_source_spoofing: str = ""
    mtu_iface_pattern: str = ""
    require_mtu_file: bool | None = field(default=None, name="requireMTUFile")
    cgroup_v2_path: str = ""
    floating_ips: str = field(default="", name="floatingIPs")
    istio_ambient_mode: str = ""
    istio_dscp_mark: int | str | None = field(default=None, name="istioDSCPMark")
    windows_manage_firewall_rules: str = ""
    flow_logs_flush_interval: GoDuration | None = None
    flow_logs_goldmane_server: str = ""
    flow_logs_local_reporter: str = ""
    flow_logs_collector_debug_trace: bool | None = None
    flow_logs_policy_evaluation_mode: str = ""
    go_gc_threshold: int | None = field(default=None, name="goGCThreshold")
    go_memory_limit_mb: int | None = field(default=None, name="goMemoryLimitMB")
    go_max_procs: int | None = None

    def __post_init__(self) -> None:
        if self.nat_port_range is not None:
            self.nat_port_range = canonical_port(self.nat_port_range)
        if self.bpf_psnat_ports is not None:
            self.bpf_psnat_ports = canonical_port(self.bpf_psnat_ports)
        if self.kube_node_port_ranges:
            self.kube_node_port_ranges = [canonical_port(p) for p in self.kube_node_port_ranges]
        if self.istio_dscp_mark is not None:
            self.istio_dscp_mark = number_if_numeric(self.istio_dscp_mark)


class FelixConfiguration(Resource, tag="FelixConfiguration"):
    """Felix's settings: ``default``, ``node.<name>``, or any name with a ``node_selector``."""

    INFO: ClassVar[KindInfo] = KindInfo(
        kind="FelixConfiguration",
        plural="felixconfigurations",
        aliases=("felixconfig", "felixconfigs"),
    )
    spec: FelixConfigurationSpec = field(default_factory=FelixConfigurationSpec)
