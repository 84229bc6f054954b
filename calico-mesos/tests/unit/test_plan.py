"""What requests mean: addresses, handles, labels, netgroups, profiles."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_mesos import plan
from calico_mesos.plan import Place
from calico_mesos.wire import AllocateArgs, IsolateArgs, Label
from libcalico.errors import ValidationError
from libcalico.ipam import ReleaseRequest
from libcalico.net.addresses import parse_address
from libcalico.resources.nodes import NodeBGPSpec
from libcalico.resources.validate import validate
from libcalico.testing.builders import a_node, an_endpoint
from libcalico.workload import plan as workload_plan
from libcalico.workload.cni import parse


def an_allocate(**fields):
    return AllocateArgs(**({"hostname": "agent-1", "uid": "u1"} | fields))


def an_isolate(*labels, **fields):
    given = {"hostname": "agent-1", "container_id": "c1", "pid": 7, "sent_labels": labels}
    return IsolateArgs(**(given | fields))


class TestAddresses:
    def test_of_both_families_each_once(self):
        found = plan.addresses(("10.0.0.1", "10.0.0.1"), ("fd00::1",))
        assert [str(cidr) for cidr in found] == ["10.0.0.1/32", "fd00::1/128"]

    @pytest.mark.parametrize(
        ("four", "six", "text"),
        [
            ((), (), "at least one address"),
            (("10.0.0.0/24",), (), "args.ipv4_addrs: '10.0.0.0/24'"),
            (("fd00::1",), (), "args.ipv4_addrs: fd00::1 is no IPv4 address"),
            ((), ("10.0.0.1",), "args.ipv6_addrs: 10.0.0.1 is no IPv6 address"),
        ],
    )
    def test_a_wrong_one_is_named(self, four, six, text):
        with pytest.raises(ValidationError) as refused:
            plan.addresses(four, six)
        assert text in str(refused.value)

    @pytest.mark.parametrize("text", ['["10.0.0.1"]', "['10.0.0.1', ]", "10.0.0.1", " 10.0.0.1 ,"])
    def test_named_by_a_label_they_count(self, text):
        args = an_allocate(num_ipv4=3, num_ipv6=1, sent_labels=(Label("ipv4_addrs", text),))
        wanted = plan.allocation(args, "node-1")
        assert wanted.fixed == [parse_address("10.0.0.1")]
        assert (wanted.request.num4, wanted.request.num6) == (2, 1)

    def test_code_in_a_label_is_no_address(self):
        args = an_allocate(sent_labels=(Label("ipv4_addrs", "__import__('os').getpid()"),))
        with pytest.raises(ValidationError, match="label ipv4_addrs"):
            plan.allocation(args, "node-1")

    def test_a_negative_number_is_refused(self):
        with pytest.raises(ValidationError, match=r"args\.num_ipv6: -1"):
            plan.allocation(an_allocate(num_ipv6=-1), "node-1")


class TestHandles:
    def test_reserved_and_allocated_addresses_have_different_owners(self):
        handles = {plan.allocated("u1"), plan.reserved("u1")}
        assert len(handles) == 2
        assert all(map(plan.is_ours, handles))

    def test_no_handle_is_one_of_a_cni_network(self):
        with pytest.raises(Exception, match="name"):
            parse.net_conf(b'{"name": "mesos:u1:allocated", "type": "calico"}', "ADD")
        assert not plan.is_ours("mesos.c1")
        assert not plan.is_ours(None)

    @pytest.mark.parametrize("uid", ["", "a/b", "u1:reserved", "a\r", "-a", "x" * 254])
    def test_a_uid_that_could_be_confused_is_refused(self, uid):
        with pytest.raises(ValidationError, match=r"args\.uid"):
            plan.allocated(uid)


class TestLabels:
    def test_they_are_made_fit_and_none_is_ours(self):
        given = [
            Label("app", "web"),
            Label("netgroup/prod", ""),
            Label("projectcalico.org/orchestrator", "k8s"),
            Label("projectcalico.org/namespace", "shop"),
            Label("ipv4_addrs", "10.0.0.1"),
            Label("two words", "of / text"),
            Label("//", "x"),
        ]
        assert plan.labels(given) == {
            "app": "web",
            "netgroup.prod": "",
            "projectcalico.org.orchestrator": "k8s",
            "two-words": "of.text",
        }
        assert plan.namespace(given) == "shop"

    def test_two_that_become_one_are_refused(self):
        same = [Label("a/b", "x"), Label("a.b", "x")]
        assert plan.labels(same) == {"a.b": "x"}
        with pytest.raises(ValidationError, match=r"'a\.b'"):
            plan.labels([*same, Label("a.b", "y")])

    @given(st.lists(st.builds(Label, st.text(max_size=40), st.text(max_size=40)), max_size=3))
    def test_an_endpoint_takes_them_or_says_why(self, labels):
        try:
            found = plan.labels(labels)
        except ValidationError:
            return
        assert not any("/" in key for key in found)
        validate(an_endpoint(labels=found))


class TestEndpoint:
    def test_it_says_whose_it_is(self):
        owners = [ReleaseRequest("10.0.0.1", plan.allocated("u1"), 2**60 + 1)]
        args = an_isolate(Label("app", "web"), netgroups=("prod", "prod"))
        attachment = plan.attachment(args, Place("node-1", 1400), owners)
        endpoint = workload_plan.endpoint(attachment, bytes(6), [parse_address("10.0.0.1")])
        validate(endpoint)
        assert endpoint.name == "node--1-mesos-c1-eth0"
        assert endpoint.namespace == "default"
        assert endpoint.spec.profiles == ["mesos-agent.node-1", "prod"]
        assert endpoint.spec.container_id == "c1"
        assert endpoint.metadata.labels["app"] == "web"
        assert endpoint.metadata.labels["projectcalico.org/orchestrator"] == "mesos"
        assert plan.owners_of(endpoint) == owners
        assert attachment.mtu == 1400

    def test_a_spoiled_annotation_is_an_error_that_names_the_endpoint(self):
        endpoint = an_endpoint(annotations={plan.OWNERS: "[1]"})
        with pytest.raises(ValidationError) as refused:
            plan.owners_of(endpoint)
        assert endpoint.name in str(refused.value)

    def test_host_interfaces_tell_containers_apart(self):
        one, two = map(plan.host_interface, ("f81d4fae-7dec-1", "f81d4fae-7dec-2"))
        assert one != two
        assert one == plan.host_interface("f81d4fae-7dec-1")
        assert one.startswith("cali")
        assert len(one) == 15

    @pytest.mark.parametrize("container", ["", "a/b", "..", "-x"])
    def test_a_wrong_container_id_is_refused(self, container):
        with pytest.raises(ValidationError, match=r"args\.container_id"):
            plan.identity(container, "node-1")


class TestProfiles:
    def test_members_of_a_netgroup_reach_each_other(self):
        profile = plan.netgroup_profile("prod")
        validate(profile)
        assert profile.spec.labels_to_apply == {"netgroup/prod": ""}
        assert [rule.source.selector for rule in profile.spec.ingress] == ["has(netgroup/prod)"]
        assert [rule.destination.selector for rule in profile.spec.egress] == [""]

    def test_the_public_one_is_open_to_everyone(self):
        profile = plan.netgroup_profile("public")
        validate(profile)
        assert [rule.source.selector for rule in profile.spec.ingress] == [""]

    @pytest.mark.parametrize("name", ["", "Prod", "a_b", "a b", "-a", "a..b", "x" * 64])
    def test_a_name_that_is_no_profile_is_refused(self, name):
        with pytest.raises(ValidationError, match=r"args\.netgroups"):
            plan.netgroups([name])

    def test_the_agent_is_let_in_and_nobody_else(self):
        bgp = NodeBGPSpec(ipv4_address="172.16.0.1/24", ipv6_address="fd00::1/64")
        profile = plan.agent_profile(a_node(name="node-1", bgp=bgp))
        validate(profile)
        assert profile.name == plan.agent_profile_name("node-1")
        nets = [["172.16.0.1/32"], ["fd00::1/128"]]
        assert [rule.source.nets for rule in profile.spec.ingress] == nets
        assert [rule.destination.nets for rule in profile.spec.egress] == nets

    def test_of_a_node_without_addresses_nothing_is_allowed(self):
        profile = plan.agent_profile(a_node(name="node-1", bgp=None))
        assert profile.spec.ingress == []
        assert profile.spec.egress == []


@pytest.mark.parametrize(
    "labels", ['[{"key":"k","value":"v"}]', '{"labels":[{"key":"k","value":"v"}]}', '{"k":"v"}']
)
def test_labels_in_each_form_are_the_same(labels):
    text = f'{{"hostname":"a","uid":"u","labels":{labels}}}'
    assert msgspec.json.decode(text, type=AllocateArgs).labels == (Label("k", "v"),)


def test_labels_of_no_form_are_not_passed_over():
    text = '{"hostname":"a","uid":"u","labels":{"k":[{"key":"k"}]}}'
    with pytest.raises(ValidationError, match="'k' must be text"):
        assert msgspec.json.decode(text, type=AllocateArgs).labels
