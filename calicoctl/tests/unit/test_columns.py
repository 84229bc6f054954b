"""Tables: every kind can be shown, in every form, with every heading it names."""

import pytest

from calicoctl.columns import COLUMNS, Context
from calicoctl.printers import OF_CLUSTER, as_json, as_yaml, document, listing, ordered, table
from libcalico.resources.bgpfilter import BGPFilter, BGPFilterSpec, FilterRule
from libcalico.resources.kubepolicy import LabelSelector, LabelSelectorRequirement
from libcalico.resources.model import ObjectMeta
from libcalico.resources.nodes import Node, NodeBGPSpec, NodeSpec
from libcalico.resources.policy import Tier, TierSpec
from libcalico.resources.registry import KINDS
from libcalico.resources.staged import (
    StagedKubernetesNetworkPolicy,
    StagedKubernetesNetworkPolicySpec,
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wide", [False, True])
def test_every_kind_has_a_table(kind, wide):
    blank = KINDS[kind]()
    resource = blank.with_(metadata=ObjectMeta(name="x", namespace="ns"))
    text = table(kind, [resource], wide=wide, namespaced=True, context=Context())
    header, row, blank_line, end = text.split("\n")
    assert "NAME" in header or "WORKLOAD" in header
    assert len(header) == len(row)
    assert (blank_line, end) == ("", "")
    assert ("NAMESPACE" in header) == KINDS[kind].INFO.namespaced


@pytest.mark.parametrize("kind", KINDS)
def test_every_heading_of_a_form_is_a_column(kind):
    columns = COLUMNS[kind]
    assert {*columns.ps, *columns.wide} <= columns.cells.keys()


def test_a_node_without_an_as_number_shows_the_inherited_one():
    node = Node(
        metadata=ObjectMeta(name="n"), spec=NodeSpec(bgp=NodeBGPSpec(ipv4_address="10.0.0.1/24"))
    )
    text = table("Node", [node], wide=True, namespaced=False, context=Context(64999))
    assert text.split("\n")[1].split() == ["n", "(64999)", "10.0.0.1/24"]


def test_a_pod_selector_is_shown_as_kubectl_shows_it():
    requirement = LabelSelectorRequirement
    expressions = [
        requirement(key="zone", operator="NotIn", values=["b", "a"]),
        requirement(key="app", operator="Exists"),
        requirement(key="old", operator="DoesNotExist"),
    ]
    selector = LabelSelector(match_labels={"b": "2", "a": "1"}, match_expressions=expressions)
    policy = StagedKubernetesNetworkPolicy(
        metadata=ObjectMeta(name="p", namespace="ns"),
        spec=StagedKubernetesNetworkPolicySpec(pod_selector=selector),
    )
    text = table(policy.kind, [policy], wide=True, namespaced=False, context=Context())
    assert text.split("\n")[1].split(maxsplit=1)[1].strip() == "a=1,b=2,zone notin (a,b),app,!old"


def test_a_filter_is_shown_by_the_number_of_its_rules():
    rule = FilterRule(action="Reject")
    spec = BGPFilterSpec(export_v4=[rule, rule], import_v6=[rule])
    one = BGPFilter(metadata=ObjectMeta(name="f"), spec=spec)
    text = table("BGPFilter", [one], wide=False, namespaced=False, context=Context())
    assert text.split("\n")[1].split() == ["f", "2", "0", "0", "1"]


def test_tiers_are_listed_by_order_none_last():
    tiers = [
        Tier(metadata=ObjectMeta(name=name), spec=TierSpec(order=order))
        for name, order in (("last", None), ("b", 20.0), ("a", 10.0))
    ]
    text = table("Tier", ordered("Tier", tiers), wide=False, namespaced=False, context=Context())
    assert [line.split() for line in text.strip().split("\n")[1:]] == [
        ["a", "10"],
        ["b", "20"],
        ["last", "<nil>"],
    ]


def test_exported_leaves_out_what_belongs_to_the_cluster():
    tier = Tier(
        metadata=ObjectMeta(name="t", uid="u", resource_version="7"), spec=TierSpec(order=1.0)
    )
    assert document(tier, without=OF_CLUSTER) == {
        "kind": "Tier",
        "apiVersion": "projectcalico.org/v3",
        "metadata": {"name": "t"},
        "spec": {"order": 1},
    }


def test_a_listing_is_a_list_object_in_yaml_and_json():
    tiers = [document(Tier(metadata=ObjectMeta(name="t"), spec=TierSpec(order=1.0)))]
    whole = listing("Tier", tiers, "7")
    assert as_yaml(whole).startswith("apiVersion: projectcalico.org/v3\nitems:\n- apiVersion:")
    assert as_yaml(whole).endswith('kind: TierList\nmetadata:\n  resourceVersion: "7"\n')
    assert as_json(whole).startswith('{\n  "kind": "TierList",\n  "apiVersion"')
    assert not as_json(whole).endswith("\n")
