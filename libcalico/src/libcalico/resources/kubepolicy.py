"""The parts of a Kubernetes NetworkPolicy, for the kind that stages one.

An empty selector selects everything and is not the same as none. Source: Kubernetes API
``networking.k8s.io/v1`` and ``meta/v1``.
"""

from __future__ import annotations

from typing import Literal

from msgspec import field

from libcalico.resources.model import Model


class LabelSelectorRequirement(Model):
    """One expression of a selector."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[str] = []


class LabelSelector(Model):
    """Labels that must be as given, and expressions that must hold; all of them."""

    match_labels: dict[str, str] = {}
    match_expressions: list[LabelSelectorRequirement] = []


class PolicyPort(Model):
    """A port by number or name, or a range of numbers; TCP unless said otherwise."""

    protocol: Literal["TCP", "UDP", "SCTP"] | None = None
    port: int | str | None = None
    end_port: int | None = None


class IPBlock(Model):
    """A CIDR, and parts of it that are left out."""

    cidr: str
    except_: list[str] = field(default_factory=list, name="except")


class PolicyPeer(Model):
    """Pods, by their and their namespaces' labels, or a block of addresses."""

    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None
    ip_block: IPBlock | None = None


class IngressRule(Model):
    """Traffic to let in: any of the ports from any of the peers; an empty list is all."""

    ports: list[PolicyPort] = []
    from_: list[PolicyPeer] = field(default_factory=list, name="from")


class EgressRule(Model):
    """Traffic to let out: any of the ports to any of the peers; an empty list is all."""

    ports: list[PolicyPort] = []
    to: list[PolicyPeer] = []
