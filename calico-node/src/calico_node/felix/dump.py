"""The state of Felix as text for people: what SIGUSR1 writes. Pure.

Every part of Felix describes itself in a :class:`Section`; here they become one page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from calico_node.felix.config import Config
from calico_node.felix.messages import (
    EndpointId,
    HostEndpoint,
    HostLinks,
    LocalEndpoint,
    PolicyId,
    Problem,
    TierPolicies,
)


class Section(NamedTuple):
    """A title and lines below it; without lines it says that there is nothing."""

    title: str
    lines: tuple[str, ...]


def page(title: str, sections: Iterable[Section]) -> str:
    """Return all sections below a title."""
    blocks = ("\n".join((f"== {head}", *(lines or ("none",)))) for head, lines in sections)
    return "\n\n".join((title, *blocks)) + "\n"


def settings(config: Config) -> Section:
    """Tell what is set, and by whom; what is left at its default is left out."""
    lines = tuple(
        f"{name} = {_value(config[name])}   ({origin})"
        for name, origin in sorted(config.origins.items())
    )
    return Section("Settings that are not left to their defaults", lines)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value or '""'
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def problems(found: Mapping[str, Problem]) -> Section:
    """Tell which objects cannot be used, and why."""
    lines = tuple(f"{subject}: {found[subject].message}" for subject in sorted(found))
    return Section("Objects that cannot be used", lines)


def endpoints(
    found: Mapping[EndpointId, LocalEndpoint], ready: Mapping[EndpointId, bool]
) -> Section:
    """Tell each endpoint's interface, addresses, policies and whether all that is in force."""
    lines: list[str] = []
    for endpoint_id in sorted(found):
        lines += _endpoint(endpoint_id, found[endpoint_id], is_ready=ready.get(endpoint_id, False))
    return Section("Workload endpoints", tuple(lines))


def host_endpoints(
    governing: Mapping[str, HostEndpoint], links: Mapping[str, HostLinks], *, is_in_force: bool
) -> Section:
    """Tell which host endpoint governs which interface, and its policies by flavour."""
    idle = links.keys() - {host.name for host in governing.values()}
    lines = [f"{name}: governs no interface of this host" for name in sorted(idle)]
    for interface, host in sorted(governing.items()):
        state = "in force" if is_in_force else "not in force"
        lines.append(f"{host.name}: interface {interface} {state}")
        policies = host.policies
        for flavour, tiers in (
            ("before connection tracking", policies.untracked),
            ("before NAT", policies.pre_dnat),
            ("forwarded", policies.forward),
            ("of the host", policies.normal.tiers),
        ):
            lines += [f"    {flavour}: {_tier(tier)}" for tier in tiers]
        lines.append(f"    profiles: {' '.join(policies.normal.profiles) or 'none'}")
    return Section("Host endpoints", tuple(lines))


def _endpoint(endpoint_id: EndpointId, endpoint: LocalEndpoint, *, is_ready: bool) -> Iterator[str]:
    state = "in force" if is_ready else "not in force"
    addresses = " ".join(str(address) for address in endpoint.addresses)
    yield f"{endpoint_id.namespace}/{endpoint_id.name}: {endpoint.interface} {addresses} {state}"
    for tier in endpoint.policies.tiers:
        yield f"    {_tier(tier)}"
    yield f"    profiles: {' '.join(endpoint.policies.profiles) or 'none'}"


def _tier(tier: TierPolicies) -> str:
    named = {"ingress": tier.ingress, "egress": tier.egress}
    parts = [f"{direction} {_names(policies)}" for direction, policies in named.items() if policies]
    return f"tier {tier.name}, {tier.default_action} at its end: {'; '.join(parts)}"


def _names(policies: tuple[PolicyId, ...]) -> str:
    return ", ".join(str(policy) for policy in policies)
