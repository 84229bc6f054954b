"""Staged policies: what would become a policy, kept and shown but not enforced.

Source: calico-control-plane reference, section 2.7.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec import field

from libcalico.resources.kubepolicy import EgressRule, IngressRule, LabelSelector
from libcalico.resources.model import KindInfo, Model, Resource
from libcalico.resources.policy import (
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    NetworkPolicy,
    NetworkPolicySpec,
    PolicyType,
)

StagedAction = Literal["Set", "Delete", "Learn", "Ignore"]


class StagedNetworkPolicySpec(NetworkPolicySpec):
    """A NetworkPolicy's spec, and what is to become of the enforced policy of that name."""

    WRITTEN_FIRST: ClassVar[tuple[str, ...]] = ("staged_action",)

    staged_action: StagedAction | None = None


class StagedGlobalNetworkPolicySpec(GlobalNetworkPolicySpec):
    """A GlobalNetworkPolicy's spec, and what is to become of the enforced policy of that name."""

    WRITTEN_FIRST: ClassVar[tuple[str, ...]] = ("staged_action",)

    staged_action: StagedAction | None = None


class StagedKubernetesNetworkPolicySpec(Model):
    """A Kubernetes NetworkPolicy's spec, and what is to become of the enforced policy of that name."""

    staged_action: StagedAction | None = None
    pod_selector: LabelSelector = field(default_factory=LabelSelector)
    ingress: list[IngressRule] = []
    egress: list[EgressRule] = []
    policy_types: list[PolicyType] = []


class StagedNetworkPolicy(Resource, tag="StagedNetworkPolicy"):
    """A NetworkPolicy that is not enforced yet."""

    INFO: ClassVar[KindInfo] = KindInfo(
        kind="StagedNetworkPolicy",
        plural="stagednetworkpolicies",
        namespaced=True,
        aliases=("stagedpolicy", "stagedpolicies", "snp", "spol", "spols"),
    )
    spec: StagedNetworkPolicySpec = field(default_factory=StagedNetworkPolicySpec)


class StagedGlobalNetworkPolicy(Resource, tag="StagedGlobalNetworkPolicy"):
    """A GlobalNetworkPolicy that is not enforced yet."""

    INFO: ClassVar[KindInfo] = KindInfo(
        kind="StagedGlobalNetworkPolicy",
        plural="stagedglobalnetworkpolicies",
        aliases=("sgnp", "sgnps"),
    )
    spec: StagedGlobalNetworkPolicySpec = field(default_factory=StagedGlobalNetworkPolicySpec)


class StagedKubernetesNetworkPolicy(Resource, tag="StagedKubernetesNetworkPolicy"):
    """A Kubernetes NetworkPolicy that is not enforced yet."""

    INFO: ClassVar[KindInfo] = KindInfo(
        kind="StagedKubernetesNetworkPolicy",
        plural="stagedkubernetesnetworkpolicies",
        namespaced=True,
        aliases=(
            "stagedkubernetespolicy",
            "stagedkubernetespolicies",
            "sknp",
            "skpol",
            "skpols",
        ),
    )
    spec: StagedKubernetesNetworkPolicySpec = field(
        default_factory=StagedKubernetesNetworkPolicySpec
    )


#: A policy of Calico's own form, which has a tier and is stored with its name in an annotation.
TieredPolicy = NetworkPolicy | GlobalNetworkPolicy | StagedNetworkPolicy | StagedGlobalNetworkPolicy
