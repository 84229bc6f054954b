import pytest
from hypothesis import given, settings

from libcalico.resources.defaults import FIXED_TIERS, with_defaults
from libcalico.resources.felixconfig import (
    FelixConfiguration,
    FelixConfigurationSpec,
    HealthTimeoutOverride,
)
from libcalico.resources.felixparams import BY_FIELD
from libcalico.resources.ippools import IPPool, IPPoolSpec
from libcalico.resources.kubecontrollers import Controllers, NodeController
from libcalico.resources.model import ObjectMeta
from libcalico.resources.policy import Tier
from libcalico.resources.shape import fields_of
from libcalico.testing import builders as a
from libcalico.testing.strategies import resources


@given(resources())
@settings(max_examples=50)
def test_filling_in_again_changes_nothing(resource):
    assert with_defaults(resource) == resource


@pytest.mark.parametrize(("cidr", "size"), [("10.0.0.0/16", 26), ("fd00::/48", 122)])
def test_the_block_size_depends_on_the_family(cidr, size):
    spec = with_defaults(IPPool(spec=IPPoolSpec(cidr=cidr))).spec
    assert spec == IPPoolSpec(
        cidr=cidr,
        vxlan_mode="Never",
        ipip_mode="Never",
        block_size=size,
        node_selector="all()",
        allowed_uses=["Workload", "Tunnel"],
        assignment_mode="Automatic",
    )


def test_ipv6_pools_are_stored_in_canonical_text():
    assert a.a_pool(cidr="FD00:0:0::/48").spec.cidr == "fd00::/48"
    assert a.a_pool(cidr="fd00::1/48").spec.cidr == "fd00::1/48", "host bits stay for validation"
    assert a.a_pool(cidr="x/y").spec.cidr == "x/y"


@pytest.mark.parametrize(
    ("ingress", "egress", "types"),
    [(0, 0, ["Ingress"]), (1, 0, ["Ingress"]), (0, 1, ["Egress"]), (1, 1, ["Ingress", "Egress"])],
)
def test_the_types_of_a_policy_follow_from_its_rules(ingress, egress, types):
    policy = a.a_policy(ingress=[a.a_rule()] * ingress, egress=[a.a_rule()] * egress)
    assert policy.spec.types == types
    assert a.a_policy(types=["Egress"]).spec.types == ["Egress"]


def test_policies_carry_the_label_of_their_tier():
    assert a.a_policy().metadata.labels == {"projectcalico.org/tier": "default"}
    policy = a.a_global_policy(tier="platform", labels={"projectcalico.org/tier": "x", "a": "b"})
    assert policy.metadata.labels == {"projectcalico.org/tier": "platform", "a": "b"}


def test_built_in_tiers_get_their_own_defaults():
    for name, (order, action) in FIXED_TIERS.items():
        spec = with_defaults(Tier(metadata=ObjectMeta(name=name))).spec
        assert (spec.order, spec.default_action) == (order, action)
    spec = with_defaults(Tier(metadata=ObjectMeta(name="x"))).spec
    assert (spec.order, spec.default_action) == (1_000_000, "Deny")


def test_endpoints_are_named_and_labelled():
    endpoint = a.an_endpoint(labels={"app": "web"})
    assert endpoint.name == "node--1-cni-abc123-eth0"
    assert endpoint.metadata.labels == {
        "app": "web",
        "projectcalico.org/namespace": "default",
        "projectcalico.org/orchestrator": "cni",
    }
    assert a.an_endpoint(node="").name == ""


@pytest.mark.parametrize(
    ("old", "balancing", "without"),
    [(None, "TCP", "Enabled"), (True, "Enabled", "Disabled"), (False, "Disabled", "Disabled")],
)
def test_felix_settings_get_the_four_fields_of_go(old, balancing, without):
    given_spec = FelixConfigurationSpec(bpf_connect_time_load_balancing_enabled=old)
    spec = with_defaults(FelixConfiguration(spec=given_spec)).spec
    assert spec.bpf_connect_time_load_balancing == balancing
    assert spec.bpf_host_networked_nat_without_ctlb == without
    assert (spec.nftables_mode, spec.floating_ips) == ("Auto", "Disabled")


@pytest.mark.parametrize(
    ("given_text", "stored"),
    [
        ("90s", "1m30s"), ("1m30s", "1m30s"), ("0", "0s"), ("24h", "24h0m0s"), ("0.5m", "30s"),
        ("1500ms", "1.5s"), ("8760h", "8760h0m0s"), ("-1s", "-1s"), ("soon", "soon"), ("", ""),
    ],
)  # fmt: skip
def test_durations_are_stored_as_go_writes_them(given_text, stored):
    assert a.a_bgp_peer(keepalive_time=given_text).spec.keepalive_time == stored
    assert a.a_felix_configuration(reporting_interval=given_text).spec.reporting_interval == stored
    override = HealthTimeoutOverride(name="x", timeout=given_text)
    felix = a.a_felix_configuration(health_timeout_overrides=[override])
    assert felix.spec.health_timeout_overrides[0].timeout == stored
    node = NodeController(reconciler_period=given_text)
    config = a.a_kube_controllers_configuration(controllers=Controllers(node=node))
    assert config.spec.controllers.node.reconciler_period == stored


def test_every_duration_of_felix_is_known_as_one():
    durations = {name for name, param in BY_FIELD.items() if param.type == "duration"}
    marked = {field.name for field in fields_of(FelixConfigurationSpec) if field.is_duration}
    assert marked == durations & {field.name for field in fields_of(FelixConfigurationSpec)}


def test_defaults_keep_unknown_fields():
    pool = IPPool(spec=IPPoolSpec(cidr="10.0.0.0/16"))
    pool.spec.keep_unknown({"x": 1})
    assert with_defaults(pool).spec.unknown_fields == {"x": 1}
