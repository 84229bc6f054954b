"""Who the workload of a call is. Quotes calico-control-plane.md 1.7 and 10.1."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico.resources.model import ObjectMeta
from libcalico.workload import plan
from libcalico.workload.cni import identity
from libcalico.workload.cni.model import Args, NetConf

CONF = NetConf(version="1.0.0", name="net", type="calico", ipam=None)
HEX = "8b5c3ad1f4b0"


def who(container=HEX, ifname="eth0", conf=CONF, **extra):
    args = Args(command="ADD", container_id=container, ifname=ifname, extra=extra)
    return identity.identity(args, conf, "node-1")


def test_a_container_is_named_by_node_orchestrator_id_and_interface():
    assert plan.endpoint_name(who("abcdefa0123456")) == "node--1-cni-abcdefa0123456-eth0"


def test_a_pod_needs_its_name_and_its_namespace():
    pod = who(K8S_POD_NAME="pod-name", K8S_POD_NAMESPACE="ns")
    assert (pod.orchestrator, pod.namespace) == ("k8s", "ns")
    assert plan.endpoint_name(pod) == "node--1-k8s-pod--name-eth0"
    assert who(K8S_POD_NAME="p").orchestrator == "cni"
    assert who(K8S_POD_NAMESPACE="ns").namespace == "default"


def test_the_namespace_of_a_container_is_the_operators_then_mesos_then_default():
    mesos = replace(CONF, mesos_labels={"projectcalico.org/namespace": "m"})
    assert who(conf=mesos).namespace == "m"
    assert who(conf=replace(mesos, namespace="o")).namespace == "o"
    assert who().namespace == "default"


def test_host_interfaces_are_named_as_go_names_them():
    assert identity.host_interface(who()) == "cali8b5c3ad1f4b"
    assert identity.host_interface(who("demoweb1")) == "calidemoweb1"
    # The endpoint of calico-control-plane.md 1.10.
    nginx = who(K8S_POD_NAME="nginx", K8S_POD_NAMESPACE="default")
    assert identity.host_interface(nginx) == "calic440f455693"


def test_host_interfaces_begin_as_felix_expects():
    assert identity.host_interface(who(), "tap") == "tap8b5c3ad1f4b"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (who("default-test-1"), who("default-test-2")),
        (who(), who(ifname="eth1")),
        (who(ifname="eth1"), who(ifname="eth2")),
        (
            who(K8S_POD_NAME="p", K8S_POD_NAMESPACE="n"),
            who(K8S_POD_NAME="p", K8S_POD_NAMESPACE="n", ifname="eth1"),
        ),
    ],
)
def test_host_interfaces_of_different_endpoints_differ(one, other):
    names = identity.host_interface(one), identity.host_interface(other)
    assert names[0] != names[1]
    assert all(len(name) <= 15 and name.startswith("cali") for name in names)


@pytest.mark.parametrize(
    ("given_text", "label"),
    [
        ("a/b c", "a.b-c"),
        ("projectcalico.org/x", "projectcalico.org.x"),
        ("a-./-b", "a.b"),
        ("--a--", "a"),
        ("a!!b", "a-b"),
        ("...", ""),
    ],
)
def test_mesos_labels_are_made_fit(given_text, label):
    assert identity.sanitised(given_text) == label


@given(st.text(max_size=30))
def test_a_sanitised_label_stays_as_it_is(text):
    once = identity.sanitised(text)
    assert identity.sanitised(once) == once
    assert not once or (once[0].isalnum() and once[-1].isalnum())


def test_the_operators_labels_come_as_they_are_and_win():
    conf = replace(CONF, mesos_labels={"a": "mesos", "b/c": "d", "!": "x"}, labels={"a": "ours/x"})
    assert identity.labels(conf) == {"a": "ours/x", "b.c": "d"}


def test_metadata_is_not_shared_between_endpoints():
    assert ObjectMeta().labels is not ObjectMeta().labels
