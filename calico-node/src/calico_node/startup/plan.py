"""Decide what start-up stores: host facts + settings + store → Node, default pools, configurations.

Order, as other writers of the same store expect it: the Node first, then pools, then configurations.

Source: Calico's calico/node reference, start-up.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network

from calico_node.startup import autodetect
from calico_node.startup.identity import check_addresses, check_owner
from calico_node.startup.model import (
    HOST_ID_ANNOTATION,
    HostFacts,
    Interfaced,
    StartupPlan,
    StoreView,
    Version,
)
from calico_node.startup.settings import PoolSetting, Settings
from libcalico.errors import ConfigError
from libcalico.resources.bgp import BGPConfiguration
from libcalico.resources.felixconfig import FelixConfiguration
from libcalico.resources.ippools import IPPool, IPPoolSpec
from libcalico.resources.model import ObjectMeta, Resource
from libcalico.resources.nodes import Node, NodeBGPSpec, NodeInterface, OrchRef

_VERSIONS: tuple[Version, ...] = (4, 6)
_IPV4_POOL_CHOICES = ("192.168.0.0/16", *(f"172.{second}.0.0/16" for second in range(16, 32)))
_LONGEST_NAME = 253


def node_name(settings: Settings, facts: HostFacts) -> str:
    """Return this node's name: asked for, else from before, else the host's.

    Raises:
        ConfigError: it cannot be a node's name.
    """
    name = settings.node_name or facts.stored_name
    name = name or settings.hostname_override.lower() or facts.hostname.lower().strip()
    if (
        not name
        or len(name) > _LONGEST_NAME
        or "/" in name
        or "%" in name
        or name.split() != [name]
    ):
        raise ConfigError(
            f"node name {name!r} cannot be used; set NODENAME to letters, digits, '-' and '.'"
        )
    return name


def plan(settings: Settings, facts: HostFacts, store: StoreView) -> StartupPlan:
    """Return everything that is to be stored.

    Raises:
        NodeClashError: the name or an address belongs to another host.
        ConfigError: no usable address, or a setting that cannot be used.
    """
    name = node_name(settings, facts)
    stored = store.nodes.get(name)
    check_owner(name, stored, facts, take_over=settings.take_over)
    notes: list[str] = []
    wanted = _node(name, stored, settings, facts, notes)
    if not settings.skip_address_check and settings.backend != "none":
        check_addresses(wanted, store.nodes, facts)
    defaults = (*_default_pools(settings, facts, store), *_configurations(name, store))
    return StartupPlan(
        node_name=name,
        node=None if wanted == stored else wanted,
        defaults=defaults,
        notes=tuple(notes),
    )


# --- the Node --------------------------------------------------------------------------------------


def _node(
    name: str, stored: Node | None, settings: Settings, facts: HostFacts, notes: list[str]
) -> Node:
    node = stored or Node(metadata=ObjectMeta(name=name))
    annotations = {**node.metadata.annotations, HOST_ID_ANNOTATION: facts.host_id}
    node = node.with_(metadata=node.metadata.with_(annotations=annotations))
    spec = node.spec
    if settings.backend != "none":
        spec = spec.with_(bgp=_bgp(spec.bgp or NodeBGPSpec(), settings, facts, notes))
        spec = spec.with_(interfaces=_interfaces(settings, facts))
    if settings.as_number is not None:
        spec = spec.with_(bgp=(spec.bgp or NodeBGPSpec()).with_(as_number=settings.as_number))
    if settings.k8s_node_ref:
        spec = spec.with_(orch_refs=[OrchRef(node_name=settings.k8s_node_ref, orchestrator="k8s")])
    return node.with_(spec=spec)


def _bgp(
    stored: NodeBGPSpec, settings: Settings, facts: HostFacts, notes: list[str]
) -> NodeBGPSpec:
    bgp = stored.with_(
        ipv4_address=_address(4, stored.ipv4_address, settings, facts, notes),
        ipv6_address=_address(6, stored.ipv6_address, settings, facts, notes),
    )
    if not bgp.ipv4_address and not bgp.ipv6_address:
        raise ConfigError(
            "no IPv4 or IPv6 addresses configured or detected, required for Calico networking;"
            " set IP or IP6"
        )
    return bgp


def _address(
    version: Version, stored: str, settings: Settings, facts: HostFacts, notes: list[str]
) -> str:
    setting = settings.addresses[version]
    detects = setting.mode == "autodetect" or (setting.mode == "" and version == 4 and not stored)
    if setting.given is not None:
        chosen = _completed(setting.given, facts) if setting.is_bare else setting.given
        notes += _strange(chosen, facts)
        return _noted(f"Using IPv{version} address from the environment: {chosen}", chosen, notes)
    if not detects:
        return stored
    found = autodetect.detect(setting.method, version, facts)
    if found is not None:
        return _noted(f"Using autodetected IPv{version} address: {found}", found, notes)
    if not stored:
        variable = "IP" if version == 4 else "IP6"
        raise ConfigError(
            f"no IPv{version} address found by the method {setting.method!r}; set {variable} to an"
            f" address, to 'none', or choose another {variable}_AUTODETECTION_METHOD"
        )
    notes.append(f"Unable to autodetect an IPv{version} address; keeping the stored {stored}")
    return stored


def _strange(chosen: Interfaced, facts: HostFacts) -> list[str]:
    """Tell of an address that this host does not have: right behind 1:1 NAT, else a mistake."""
    if autodetect.local_interface(chosen.ip, facts.interfaces) is not None:
        return []
    return [f"Unable to confirm that the address {chosen.ip} is this host's: no interface has it"]


def _completed(given: Interfaced, facts: HostFacts) -> Interfaced:
    """Give a bare IPv4 address the prefix length that it has on this host."""
    if given.version == 6:
        return given
    return autodetect.local_interface(given.ip, facts.interfaces) or given


def _noted(note: str, address: Interfaced, notes: list[str]) -> str:
    notes.append(note)
    return str(address)


def _interfaces(settings: Settings, facts: HostFacts) -> list[NodeInterface]:
    wanted = [v for v in _VERSIONS if settings.addresses[v].mode in ("autodetect", "given")]
    shown = autodetect.node_interfaces(facts.interfaces, wanted)
    return [NodeInterface(name=name, addresses=list(held)) for name, held in shown.items()]


# --- default resources -----------------------------------------------------------------------------


def _default_pools(settings: Settings, facts: HostFacts, store: StoreView) -> Iterator[IPPool]:
    if settings.no_default_pools:
        return
    for version in _VERSIONS:
        setting = settings.pools[version]
        exists = any((":" in pool.spec.cidr) == (version == 6) for pool in store.pools)
        if exists or setting.cidr == "none" or (version == 6 and not facts.has_ipv6):
            continue
        yield _default_pool(version, setting, setting.cidr or _free_cidr(version, facts))


def _default_pool(version: Version, setting: PoolSetting, cidr: str) -> IPPool:
    return IPPool(
        metadata=ObjectMeta(name=f"default-ipv{version}-ippool"),
        spec=IPPoolSpec(
            cidr=cidr,
            block_size=setting.block_size,
            ipip_mode=setting.ipip,
            vxlan_mode=setting.vxlan,
            nat_outgoing=setting.nat_outgoing,
            node_selector=setting.node_selector,
            disable_bgp_export=setting.disable_bgp_export,
            allowed_uses=["Workload", "Tunnel"],
            assignment_mode="Automatic",
        ),
    )


def _free_cidr(version: Version, facts: HostFacts) -> str:
    """Return a private range for workloads that the host itself is not part of."""
    if version == 6:
        return str(IPv6Network(((0xFD << 120) | (facts.random_bits << 80), 48)))
    held = [a.network for interface in facts.interfaces for a in interface.addresses]
    free = (c for c in _IPV4_POOL_CHOICES if not _overlaps(IPv4Network(c), held))
    choice = next(free, None)
    if choice is None:
        raise ConfigError(
            "every range that a default IPv4 pool could have overlaps addresses of this host;"
            " set CALICO_IPV4POOL_CIDR"
        )
    return choice


def _overlaps(cidr: IPv4Network, held: list[IPv4Network | IPv6Network]) -> bool:
    return any(isinstance(network, IPv4Network) and cidr.overlaps(network) for network in held)


def _configurations(name: str, store: StoreView) -> Iterator[Resource]:
    """Yield the configurations that are missing, or miss what start-up always sets."""
    shared = {"reporting_interval": "0s", "log_severity_screen": "Info"}
    own = {"default_endpoint_to_host_action": "Return"}
    for felix_name, settings in (("default", shared), (f"node.{name}", own)):
        stored = store.felix_configurations.get(felix_name)
        filled = _filled(stored or _felix_configuration(felix_name), settings)
        if filled != stored:
            yield filled
    if "default" not in store.bgp_configurations:
        yield BGPConfiguration(metadata=ObjectMeta(name="default"))


def _felix_configuration(name: str) -> FelixConfiguration:
    return FelixConfiguration(metadata=ObjectMeta(name=name))


def _filled(configuration: FelixConfiguration, settings: dict[str, str]) -> FelixConfiguration:
    unset = {name: v for name, v in settings.items() if not getattr(configuration.spec, name)}
    return configuration.with_(spec=configuration.spec.with_(**unset)) if unset else configuration
