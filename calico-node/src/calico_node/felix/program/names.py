"""Names of the chains, sets and maps in Calico's table, and the mark bits that rules use.

Names follow Go Calico's where a person would look for them (``cali-pi-`` for a policy's inbound
chain); source: calico-dataplane reference, section 2.2. nft accepts letters, digits and ``/._-``.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from calico_node.felix.messages import Direction, PolicyId, SetId

TABLE: Final = "calico"
FROM_WORKLOADS_MAP: Final = "cali-from-wl"
TO_WORKLOADS_MAP: Final = "cali-to-wl"
FROM_WORKLOADS: Final = "cali-from-wl-dispatch"
TO_WORKLOADS: Final = "cali-to-wl-dispatch"
WORKLOAD_TO_HOST: Final = "cali-wl-to-host"
ANTI_SPOOFING: Final = "cali-rpf"
SERVICE_LOOPS: Final = "cali-cidr-block"
NAT_OUTGOING: Final = "cali-nat-outgoing"
FLOATING_DNAT: Final = "cali-fip-dnat"
FLOATING_SNAT: Final = "cali-fip-snat"
RATE_FROM_MAP: Final = "cali-rate-from-wl"
RATE_TO_MAP: Final = "cali-rate-to-wl"
TOO_MANY: Final = "cali-too-many-connections"
DSCP_MAP: Final = "cali-dscp"
FAILSAFE: Final = {"ingress": "cali-failsafe-in", "egress": "cali-failsafe-out"}
FAILSAFE_RAW: Final = {"ingress": "cali-failsafe-in-raw", "egress": "cali-failsafe-out-raw"}
SOURCES: Final = {4: "cali40-sources", 6: "cali60-sources"}
MASQUERADE_POOLS: Final = {4: "cali40-masq-ipam-pools", 6: "cali60-masq-ipam-pools"}
ALL_POOLS: Final = {4: "cali40-network-ip-pools", 6: "cali60-network-ip-pools"}
ALL_HOSTS: Final = {4: "cali40-all-hosts-net", 6: "cali60-all-hosts-net"}

_SHORT_KINDS: Final = {"NetworkPolicy": "np", "GlobalNetworkPolicy": "gnp"}
_UNFIT = re.compile(r"[^A-Za-z0-9/._-]")
# The kernel allows 255 characters; nft 1.0.6 lists long names badly aligned, but whole.
_LONGEST = 200


def short_kind(kind: str) -> str:
    """Return how operators abbreviate a kind of policy, e.g. ``gnp``."""
    return _SHORT_KINDS.get(kind, kind.lower())


def policy_chain(policy: PolicyId, direction: Direction) -> str:
    """Return the chain with a policy's rules of one direction, e.g. ``cali-pi-gnp/deny-all``."""
    letter = "i" if direction == "ingress" else "o"
    middle = f"{policy.namespace}/" if policy.namespace else ""
    return _fit(f"cali-p{letter}-{short_kind(policy.kind)}/{middle}{policy.name}")


def profile_chain(profile: str, direction: Direction) -> str:
    """Return the chain with a profile's rules of one direction."""
    return _fit(f"cali-pr{'i' if direction == 'ingress' else 'o'}-{profile}")


def class_chain(class_id: str, direction: Direction) -> str:
    """Return the chain that all endpoints of a class share; ingress is traffic *to* them."""
    return f"cali-{'tw' if direction == 'ingress' else 'fw'}-{class_id}"


def rate_chain(interface: str, direction: Direction) -> str:
    """Return the chain that limits how fast packets go to (ingress) or come from an endpoint."""
    return f"cali-{'rtw' if direction == 'ingress' else 'rfw'}-{interface}"


def limited_chain(interface: str, direction: Direction) -> str:
    """Return the chain of an endpoint whose connections are counted after its policy."""
    return f"cali-{'ltw' if direction == 'ingress' else 'lfw'}-{interface}"


def connections_chain(interface: str, direction: Direction) -> str:
    """Return the chain that counts the connections to or from an endpoint."""
    return f"cali-{'ctw' if direction == 'ingress' else 'cfw'}-{interface}"


def dscp_chain(dscp: int) -> str:
    """Return the chain that marks packets with a code point."""
    return f"cali-dscp-{dscp}"


def set_name(set_id: SetId, version: int, *, nets: bool = False) -> str:
    """Return the kernel set of one family of an IP set: its single addresses, or its wider CIDRs."""
    return _fit(f"cali{version}{'n' if nets else '0'}{set_id.replace(':', '-')}")


def class_id(text: str) -> str:
    """Return a short, stable name for an endpoint class, given its complete description."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _fit(name: str) -> str:
    """Return a name that nft can read; what does not fit gets a hash, so that names stay distinct."""
    fit = _UNFIT.sub("_", name)
    if fit == name and len(name) <= _LONGEST:
        return name
    return f"{fit[:_LONGEST]}_{hashlib.sha256(name.encode()).hexdigest()[:12]}"
