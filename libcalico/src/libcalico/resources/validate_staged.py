"""Rules of staged policies beyond those of policies. Source: calico-control-plane reference, section 2.7."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from libcalico.resources import fieldchecks as check
from libcalico.resources.kubepolicy import IPBlock, LabelSelector, PolicyPeer, PolicyPort
from libcalico.resources.shape import fields_of
from libcalico.resources.staged import (
    StagedGlobalNetworkPolicy,
    StagedGlobalNetworkPolicySpec,
    StagedKubernetesNetworkPolicy,
    StagedKubernetesNetworkPolicySpec,
    StagedNetworkPolicy,
    StagedNetworkPolicySpec,
)
from libcalico.resources.validate_policy import check_policy

#: IANA service names, which Kubernetes names ports by.
_SERVICE_NAME = re.compile(r"(?=.{1,15}$)(?=.*[a-z])[a-z0-9](?:-?[a-z0-9])*")
_ONLY_WITH_VALUES = ("In", "NotIn")


def check_staged_policy(policy: StagedNetworkPolicy | StagedGlobalNetworkPolicy) -> Iterator[str]:
    """Check a StagedNetworkPolicy or a StagedGlobalNetworkPolicy."""
    yield from check_policy(policy)
    yield from _check_deletion(policy.spec, {"staged_action", "tier"}, "stagedAction and tier")


def check_staged_kubernetes_policy(policy: StagedKubernetesNetworkPolicy) -> Iterator[str]:
    """Check a StagedKubernetesNetworkPolicy."""
    spec = policy.spec
    yield from _check_deletion(spec, {"staged_action"}, "stagedAction")
    yield from _check_selector("spec.podSelector", spec.pod_selector)
    yield from check.unique("spec.policyTypes", spec.policy_types)
    for index, let_in in enumerate(spec.ingress):
        path = f"spec.ingress[{index}]"
        yield from _check_ports(f"{path}.ports", let_in.ports)
        yield from _check_peers(f"{path}.from", let_in.from_)
    for index, let_out in enumerate(spec.egress):
        path = f"spec.egress[{index}]"
        yield from _check_ports(f"{path}.ports", let_out.ports)
        yield from _check_peers(f"{path}.to", let_out.to)


def _check_deletion(
    spec: StagedNetworkPolicySpec
    | StagedGlobalNetworkPolicySpec
    | StagedKubernetesNetworkPolicySpec,
    kept: set[str],
    what: str,
) -> Iterator[str]:
    """A policy that is to be deleted is only named."""
    if spec.staged_action != "Delete":
        return
    empty = type(spec)()
    for field in fields_of(type(spec)):
        if field.attribute in kept:
            continue
        if getattr(spec, field.attribute) != getattr(empty, field.attribute):
            yield f"spec.{field.name}: must be empty; with stagedAction Delete only {what} may be set"


def _check_selector(path: str, selector: LabelSelector | None) -> Iterator[str]:
    if selector is None:
        return
    yield from check.label_map(f"{path}.matchLabels", selector.match_labels)
    for index, expression in enumerate(selector.match_expressions):
        place = f"{path}.matchExpressions[{index}]"
        yield from check.qualified_name(f"{place}.key", expression.key)
        if bool(expression.values) != (expression.operator in _ONLY_WITH_VALUES):
            need = "needs at least one" if not expression.values else "takes none"
            yield f"{place}.values: operator {expression.operator} {need}"


def _check_peers(path: str, peers: Sequence[PolicyPeer]) -> Iterator[str]:
    for index, peer in enumerate(peers):
        place = f"{path}[{index}]"
        selects = peer.pod_selector is not None or peer.namespace_selector is not None
        if selects == (peer.ip_block is not None):
            yield f"{place}: write either ipBlock, or podSelector and namespaceSelector"
        yield from _check_selector(f"{place}.podSelector", peer.pod_selector)
        yield from _check_selector(f"{place}.namespaceSelector", peer.namespace_selector)
        if peer.ip_block is not None:
            yield from _check_block(f"{place}.ipBlock", peer.ip_block)


def _check_block(path: str, block: IPBlock) -> Iterator[str]:
    yield from check.network(f"{path}.cidr", block.cidr, masked=False)
    whole = check.parse_network(block.cidr)
    for index, text in enumerate(block.except_):
        place = f"{path}.except[{index}]"
        yield from check.network(place, text, masked=False)
        part = check.parse_network(text)
        if whole is not None and part is not None and not check.is_inside(part, whole):
            yield f"{place}: {text!r} is no part of {block.cidr}"


def _check_ports(path: str, ports: Sequence[PolicyPort]) -> Iterator[str]:
    for index, port in enumerate(ports):
        place = f"{path}[{index}]"
        if isinstance(port.port, int):
            yield from check.whole_number(f"{place}.port", port.port, 1, 65535)
        elif port.port is not None and not _SERVICE_NAME.fullmatch(port.port):
            yield f"{place}.port: {port.port!r} is neither a number nor the name of a port"
        if port.end_port is not None:
            yield from _check_end(f"{place}.endPort", port.port, port.end_port)


def _check_end(path: str, first: int | str | None, last: int) -> Iterator[str]:
    if not isinstance(first, int):
        yield f"{path}: needs a number as port beside it"
    else:
        yield from check.whole_number(path, last, first, 65535)
