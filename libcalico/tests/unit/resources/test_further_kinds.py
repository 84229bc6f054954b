"""BGP filters, reservations, staged policies, settings of the controllers: rules, defaults, stored form."""

import pytest
from hypothesis import given

from libcalico.errors import ValidationError
from libcalico.resources import codec
from libcalico.resources.bgpfilter import (
    AddCommunity,
    CommunityMatch,
    FilterOperation,
    FilterRule,
    PrefixLengths,
    PrependASPath,
    SetPriority,
)
from libcalico.resources.kubecontrollers import (
    AutoHostEndpoints,
    Controllers,
    HostEndpointTemplate,
    LoadBalancerController,
    NodeController,
    PeriodicController,
    PolicyMigrationController,
)
from libcalico.resources.kubepolicy import (
    IngressRule,
    IPBlock,
    LabelSelector,
    LabelSelectorRequirement,
    PolicyPeer,
    PolicyPort,
)
from libcalico.resources.validate import problems_with, validate
from libcalico.testing import builders as a
from libcalico.testing.strategies import resources


def v4(**fields):
    return a.a_bgp_filter(export_v4=[FilterRule(**{"action": "Accept", **fields})])


def v6(**fields):
    return a.a_bgp_filter(import_v6=[FilterRule(**{"action": "Accept", **fields})])


def operation(**fields):
    return v4(operations=[FilterOperation(**fields)])


def node_controller(**fields):
    return a.a_kube_controllers_configuration(
        controllers=Controllers(node=NodeController(**fields))
    )


def template(**fields):
    templates = [HostEndpointTemplate(**{"interface_pattern": "eth.*", **fields})]
    return node_controller(host_endpoint=AutoHostEndpoints(templates=templates))


def peer(**fields):
    rule = IngressRule(from_=[PolicyPeer(**fields)])
    return a.a_staged_kubernetes_policy(ingress=[rule])


def expression(**fields):
    requirement = LabelSelectorRequirement(**fields)
    return a.a_staged_kubernetes_policy(pod_selector=LabelSelector(match_expressions=[requirement]))


def port(**fields):
    return a.a_staged_kubernetes_policy(ingress=[IngressRule(ports=[PolicyPort(**fields)])])


EXPORT = "spec.exportV4[0]"
TEMPLATES = "spec.controllers.node.hostEndpoint.templates[0]"
BROKEN = [
    (v4(cidr="10.0.0.0/8"), f"{EXPORT}.matchOperator: missing"),
    (v4(match_operator="In"), f"{EXPORT}.cidr: missing"),
    (v4(cidr="fd00::/8", match_operator="In"), f"{EXPORT}.cidr: 'fd00::/8' is no IPv4 CIDR"),
    (v6(cidr="10.0.0.0/8", match_operator="In"), "spec.importV6[0].cidr: '10.0.0.0/8' is no IPv6"),
    (v4(cidr="10.0.0.1/8", match_operator="In"), "did you mean '10.0.0.0/8'?"),
    (v4(prefix_length=PrefixLengths(min=1)), f"{EXPORT}.prefixLength: needs a cidr"),
    (v4(cidr="10.0.0.0/8", match_operator="In", prefix_length=PrefixLengths(max=33)),
     f"{EXPORT}.prefixLength.max: 33 is out of range; it must be 0 to 32"),
    (v4(interface="has blank"), f"{EXPORT}.interface: 'has blank' is no interface pattern"),
    (v4(interface="x" * 16), f"{EXPORT}.interface: "),
    (v4(communities=CommunityMatch()), f"{EXPORT}.communities.values: 0 values; write exactly one"),
    (v4(communities=CommunityMatch(values=["1:70000"])), "'1:70000' is no community"),
    (v4(as_path_prefix=["x"]), f"{EXPORT}.asPathPrefix[0]: 'x' is no AS number"),
    (v4(priority=0), f"{EXPORT}.priority: 0 is out of range"),
    (v4(action="Reject", operations=[FilterOperation(add_community=AddCommunity(value="1:2"))]),
     f"{EXPORT}.operations: only a rule with action Accept"),
    (v4(operations=[FilterOperation(set_priority=SetPriority(value=1))] * 11), "11 are too many"),
    (operation(), f"{EXPORT}.operations[0]: write exactly one of addCommunity"),
    (operation(add_community=AddCommunity(value="1:2"), set_priority=SetPriority(value=1)),
     f"{EXPORT}.operations[0]: write exactly one of"),
    (operation(add_community=AddCommunity(value="x")), "addCommunity.value: 'x' is no community"),
    (operation(set_priority=SetPriority(value=2**31 - 1)), "setPriority.value: 2147483647 is out"),
    (operation(prepend_as_path=PrependASPath()), "prependASPath.prefix: 0 numbers; write 1 to 10"),
    (operation(prepend_as_path=PrependASPath(prefix=["x"])), "prependASPath.prefix[0]: 'x' is no AS"),
    (a.a_reservation(reserved_cidrs=["x"]), "spec.reservedCIDRs[0]: 'x' is neither"),
    (a.a_kube_controllers_configuration(name="x"), "metadata.name: 'x' is not allowed; use default"),
    (a.a_kube_controllers_configuration(etcd_v3_compaction_period="soon"),
     "spec.etcdV3CompactionPeriod: 'soon' is no duration"),
    (a.a_kube_controllers_configuration(prometheus_metrics_port=65536),
     "spec.prometheusMetricsPort: 65536 is out of range"),
    (a.a_kube_controllers_configuration(log_severity_screen="info"),
     "spec.logSeverityScreen: 'info' is not allowed; write 'Info'"),
    (a.a_kube_controllers_configuration(
        controllers=Controllers(namespace=PeriodicController(reconciler_period="x"))),
     "spec.controllers.namespace.reconcilerPeriod: 'x' is no duration"),
    (node_controller(leak_grace_period="x"), "spec.controllers.node.leakGracePeriod: 'x'"),
    (template(interface_pattern=""), f"{TEMPLATES}: needs interfaceCIDRs or interfacePattern"),
    (template(interface_pattern="("), f"{TEMPLATES}.interfacePattern: '(' is no regular expression"),
    (template(interface_cidrs=["x"]), f"{TEMPLATES}.interfaceCIDRs[0]: 'x' is no CIDR"),
    (template(generate_name="A"), f"{TEMPLATES}.generateName: 'A' is no name"),
    (template(labels={"a b": ""}), f"{TEMPLATES}.labels['a b']"),
    (template(node_selector="a ="), f"{TEMPLATES}.nodeSelector: "),
    (a.a_staged_policy(name="a.b.c"), "metadata.name: 'a.b.c' is not allowed"),
    (a.a_staged_policy(selector="global()"), "spec.selector: global() is not allowed"),
    (a.a_staged_policy(staged_action="Delete"),
     "spec.ingress: must be empty; with stagedAction Delete only stagedAction and tier may be set"),
    (a.a_staged_global_policy(do_not_track=True), "spec.applyOnForward: must be true"),
    (a.a_staged_global_policy(staged_action="Delete", ingress=[], selector=""), "spec.order: must be"),
    (a.a_staged_kubernetes_policy(staged_action="Delete"), "spec.policyTypes: must be empty"),
    (a.a_staged_kubernetes_policy(policy_types=["Ingress", "Ingress"]), "spec.policyTypes: 'Ingress'"),
    (expression(key="a", operator="In"), "matchExpressions[0].values: operator In needs at least one"),
    (expression(key="a", operator="Exists", values=["x"]), "operator Exists takes none"),
    (expression(key="a b", operator="Exists"), "matchExpressions[0].key: "),
    (peer(), "spec.ingress[0].from[0]: write either ipBlock, or"),
    (peer(ip_block=IPBlock(cidr="10.0.0.0/8"), pod_selector=LabelSelector()), "write either ipBlock"),
    (peer(ip_block=IPBlock(cidr="x")), "spec.ingress[0].from[0].ipBlock.cidr: 'x' is no CIDR"),
    (peer(ip_block=IPBlock(cidr="10.0.0.0/8", except_=["11.0.0.0/8"])),
     "ipBlock.except[0]: '11.0.0.0/8' is no part of 10.0.0.0/8"),
    (peer(ip_block=IPBlock(cidr="10.0.0.0/8", except_=["fd00::/8"])), "is no part of 10.0.0.0/8"),
    (port(port=0), "spec.ingress[0].ports[0].port: 0 is out of range"),
    (port(port="Not A Name"), "ports[0].port: 'Not A Name' is neither"),
    (port(port="http", end_port=90), "ports[0].endPort: needs a number as port"),
    (port(port=90, end_port=80), "ports[0].endPort: 80 is out of range; it must be 90 to"),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "problem"), BROKEN)
def test_every_breach_is_named(resource, problem):
    assert any(problem in found for found in problems_with(resource)), problems_with(resource)


@pytest.mark.parametrize(
    "resource",
    [
        a.a_staged_policy(
            staged_action="Delete", ingress=[], order=None, tier="platform", types=["Ingress"]
        ),
        a.a_staged_kubernetes_policy(staged_action="Delete", policy_types=[]),
        a.a_staged_policy(name="knp.default.a.b.c"),
        a.a_staged_kubernetes_policy(name="a.b.c"),
        peer(ip_block=IPBlock(cidr="10.0.0.0/8", except_=["10.1.0.0/16"])),
        port(port=80, end_port=90),
        port(port="http-alt", protocol="UDP"),
        v4(cidr="10.0.0.0/8", match_operator="NotIn", prefix_length=PrefixLengths(min=8, max=32)),
        template(interface_cidrs=["10.0.0.0/8"]),
    ],
)
def test_what_is_right_is_taken(resource):
    validate(resource)


def test_deletion_of_a_staged_policy_has_no_types():
    policy = a.a_staged_policy(staged_action="Delete", ingress=[], order=None)
    assert policy.spec.types == []
    assert policy.metadata.labels == {"projectcalico.org/tier": "default"}


def test_settings_of_controllers_are_completed_where_their_controller_is_set():
    def completed(spec):
        return (
            spec.health_checks,
            spec.controllers.load_balancer,
            spec.controllers.policy_migration,
            spec.controllers.node,
        )

    controllers = Controllers(
        load_balancer=LoadBalancerController(), policy_migration=PolicyMigrationController()
    )
    config = a.a_kube_controllers_configuration(controllers=controllers)
    assert completed(config.spec) == (
        "Enabled",
        LoadBalancerController(assign_ips="AllServices"),
        PolicyMigrationController(enabled="Enabled"),
        None,
    )
    assert completed(config.status.running_config) == ("Enabled", None, None, None)


@pytest.mark.parametrize(
    ("resource", "spec"),
    [
        (
            a.a_staged_policy(ingress=[], selector="a == 'b'", order=None),
            b'{"stagedAction":"Set","tier":"default","selector":"a == \'b\'","types":["Ingress"]}',
        ),
        (
            a.a_staged_kubernetes_policy(),
            b'{"stagedAction":"Set","podSelector":{},"policyTypes":["Ingress"]}',
        ),
        (
            peer(pod_selector=LabelSelector(), namespace_selector=LabelSelector()),
            (
                b'{"stagedAction":"Set","podSelector":{},"ingress":[{"from":[{"podSelector":{},'
                b'"namespaceSelector":{}}]}],"policyTypes":["Ingress"]}'
            ),
        ),
        (
            a.a_bgp_filter(),
            b'{"exportV4":[{"cidr":"192.0.2.0/24","matchOperator":"In","action":"Reject"}]}',
        ),
        (
            operation(prepend_as_path=PrependASPath(prefix=["1.1"])),
            b'{"exportV4":[{"action":"Accept","operations":[{"prependASPath":{"prefix":[65537]}}]}]}',
        ),
        (a.a_reservation(), b'{"reservedCIDRs":["10.65.0.0/30"]}'),
        (
            a.a_kube_controllers_configuration(etcd_v3_compaction_period="10m0s"),
            b'{"healthChecks":"Enabled","etcdV3CompactionPeriod":"10m0s","controllers":{}}',
        ),
    ],
)
def test_they_are_stored_as_go_stores_them(resource, spec):
    data = codec.encode(resource)
    assert b'"spec":' + spec in data
    assert codec.decode(data, kind=resource.kind) == resource


def test_an_empty_selector_is_shown_where_it_differs_from_none():
    shown = codec.to_mapping(peer(pod_selector=LabelSelector()))
    assert shown["spec"]["ingress"] == [{"from": [{"podSelector": {}}]}]
    assert codec.from_manifest(shown) == peer(pod_selector=LabelSelector())


def test_unknown_fields_inside_members_are_refused_with_their_path():
    manifest = codec.to_mapping(a.a_bgp_filter())
    manifest["spec"]["exportV4"][0]["matchoperator"] = "In"
    with pytest.raises(ValidationError) as caught:
        codec.from_manifest(manifest)
    assert caught.value.problems == (
        "spec.exportV4[0].matchoperator: unknown field; did you mean 'matchOperator'?",
    )


@given(resources())
def test_what_the_strategies_make_is_valid_and_comes_back_from_its_manifest(resource):
    validate(resource)
    assert codec.from_manifest(codec.to_mapping(resource)) == resource
