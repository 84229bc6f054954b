"""What runtimes send is read, or refused by a CNI error that names the place."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico.workload.cni import parse
from libcalico.workload.cni.errors import CniError

_KEYS = ["cniVersion", "name", "type", "ipam", "args", "calico", "labels", "mtu", "policy", "dns"]
_KEYS += ["runtimeConfig", "ips", "org.apache.mesos", "network_info", "ipv4_pools", "prevResult"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=5)
    ),
    max_leaves=10,
)


def conf(**fields):
    return json.dumps({"cniVersion": "1.0.0", "name": "net", "type": "calico"} | fields).encode()


def read(command="ADD", **fields):
    return parse.net_conf(conf(**fields), command)


def environ(**variables):
    defaults = {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": "c1",
        "CNI_NETNS": "/run/netns/x",
        "CNI_IFNAME": "eth0",
    }
    return defaults | variables


class TestEnvironment:
    def test_podman_as_recorded(self):
        args = parse.args(
            environ(
                CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAME=c1;MAC=02:11:22:33:44:55;IP=10.77.0.9",
                CNI_PATH="/usr/lib/cni:/opt/cni/bin",
            )
        )
        assert args.extra["IP"] == "10.77.0.9"
        assert args.path == ["/usr/lib/cni", "/opt/cni/bin"]

    def test_a_deletion_needs_no_namespace(self):
        assert parse.args(environ(CNI_COMMAND="DEL", CNI_NETNS="")).netns == ""

    @pytest.mark.parametrize(
        ("variables", "complaint"),
        [
            ({"CNI_COMMAND": ""}, "CNI_COMMAND is ''; it must be one of ADD, DEL"),
            ({"CNI_COMMAND": "PING"}, "CNI_COMMAND is 'PING'"),
            ({"CNI_NETNS": ""}, "ADD needs CNI_NETNS"),
            ({"CNI_CONTAINERID": "", "CNI_IFNAME": ""}, "CNI_CONTAINERID, CNI_IFNAME"),
            ({"CNI_CONTAINERID": "../x"}, "CNI_CONTAINERID is '../x'"),
            ({"CNI_IFNAME": "a/b"}, "CNI_IFNAME is 'a/b'"),
            ({"CNI_IFNAME": "sixteen-bytes-xx"}, "CNI_IFNAME"),
            ({"CNI_ARGS": "IP"}, "'IP' is not KEY=VALUE"),
        ],
    )
    def test_what_is_wrong_is_named(self, variables, complaint):
        with pytest.raises(CniError, match=complaint) as caught:
            parse.args(environ(**variables))
        assert caught.value.code == 4


class TestVersion:
    @pytest.mark.parametrize("fields", [{"cniVersion": ""}, {"cniVersion": None}])
    def test_without_one_it_is_the_oldest(self, fields):
        assert read(**fields).version == "0.1.0"

    def test_an_unknown_one_tells_those_that_are_known(self):
        with pytest.raises(CniError) as caught:
            read(cniVersion="2.0.0")
        assert (caught.value.code, "1.1.0" in caught.value.details) == (1, True)

    @pytest.mark.parametrize(
        ("command", "version"), [("CHECK", "0.3.1"), ("GC", "1.0.0"), ("STATUS", "1.0.0")]
    )
    def test_a_command_must_exist_in_it(self, command, version):
        with pytest.raises(CniError, match=f"{command} came with cniVersion") as caught:
            read(command, cniVersion=version)
        assert caught.value.code == 1

    def test_errors_are_told_in_the_version_of_the_call(self):
        assert parse.version_of(conf(cniVersion="0.4.0", name="?")) == "0.4.0"
        assert parse.version_of(b"{") == "0.1.0"
        assert parse.version_of(conf(cniVersion=7)) == "0.1.0"


class TestConfiguration:
    def test_what_an_operator_writes(self):
        found = read(
            etcd_endpoints="http://10.0.0.1:2379",
            mtu=1440,
            ipam={
                "type": "calico-ipam",
                "assign_ipv4": "false",
                "assign_ipv6": "true",
                "ipv6_pools": ["fd00::/64"],
            },
            container_settings={"allow_ip_forwarding": True},
            policy_setup_timeout_seconds=3,
            endpoint_status_dir="/run/x",
            log_level="debug",
        )
        assert found.etcd == {"ETCD_ENDPOINTS": "http://10.0.0.1:2379"}
        assert found.ipam is not None
        assert (found.ipam.num4, found.ipam.num6) == (0, 1)
        assert (found.ipam.pools4, found.ipam.pools6) == (None, ["fd00::/64"])
        assert (found.mtu, found.allow_ip_forwarding, found.wait_s) == (1440, True, 3.0)

    def test_one_ipv4_address_is_the_default(self):
        found = read(ipam={"type": "calico-ipam"}).ipam
        assert found is not None
        assert (found.num4, found.num6) == (1, 0)

    def test_the_old_authority_names_the_datastore(self):
        found = read(etcd_authority="10.0.0.1:4001", etcd_scheme="https")
        assert found.etcd["ETCD_ENDPOINTS"] == "https://10.0.0.1:4001"

    def test_what_the_runtime_asks_for(self):
        found = read(
            runtimeConfig={"ips": ["10.0.0.5/24"], "mac": "02:00:00:00:00:01"},
            args={"calico": {"labels": {"a": "b"}, "namespace": "ns", "profiles": ["p"]}},
        )
        assert (found.addresses, found.mac) == (["10.0.0.5/24"], "02:00:00:00:00:01")
        assert (found.labels, found.namespace, found.profiles) == ({"a": "b"}, "ns", ["p"])

    def test_mesos_labels(self):
        info = {"labels": {"labels": [{"key": "k", "value": "v"}, {"key": "w"}]}}
        assert read(args={"org.apache.mesos": {"network_info": info}}).mesos_labels == {
            "k": "v",
            "w": "",
        }

    def test_valid_attachments(self):
        attachments = [{"containerID": "c1", "ifname": "eth0"}]
        found = read("GC", cniVersion="1.1.0", **{"cni.dev/valid-attachments": attachments})
        assert found.valid_attachments == [("c1", "eth0")]

    @pytest.mark.parametrize(
        ("fields", "complaint"),
        [
            ({"name": None}, "name: ''"),
            ({"name": ["x"]}, "name: must be text"),
            ({"ipam": "calico-ipam"}, "ipam: must be an object"),
            (
                {"ipam": {"type": "calico-ipam", "assign_ipv4": "maybe"}},
                "ipam.assign_ipv4: must be",
            ),
            ({"ipam": {"type": "x", "ipv4_pools": "a"}}, "ipam.ipv4_pools: must be a list"),
            ({"args": {"calico": {"labels": {"a": 1}}}}, "args.calico.labels: must be"),
            (
                {"args": {"org.apache.mesos": {"network_info": {"labels": {"labels": [1]}}}}},
                "no key",
            ),
            ({"policy_setup_timeout_seconds": -1}, "policy_setup_timeout_seconds"),
            ({"cni.dev/valid-attachments": [{}]}, "cni.dev/valid-attachments"),
            ({"mtu": True}, "mtu: must be a number"),
        ],
    )
    def test_a_wrong_field_is_named(self, fields, complaint):
        with pytest.raises(CniError) as caught:
            read(**fields)
        assert complaint in str(caught.value)
        assert caught.value.code == 7

    def test_kubernetes_policy_is_refused_and_not_ignored(self):
        with pytest.raises(CniError, match=r"policy\.type: 'k8s' is not supported") as caught:
            read(policy={"type": "k8s"})
        assert caught.value.code == 2

    @pytest.mark.parametrize("stdin", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
    def test_what_is_no_json_object_is_undecodable(self, stdin):
        with pytest.raises(CniError) as caught:
            parse.net_conf(stdin, "ADD")
        assert caught.value.code == 6


@given(_JSON)
def test_any_json_is_read_or_refused(document):
    try:
        parse.net_conf(json.dumps(document).encode(), "ADD")
    except CniError as error:
        assert error.code in (1, 2, 6, 7)  # noqa: PT017


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data):
    parse.version_of(data)
    with pytest.raises(CniError):
        parse.net_conf(data, "ADD")


@given(st.dictionaries(st.sampled_from([*environ(), "CNI_ARGS"]), st.text(max_size=12)))
def test_any_environment_is_read_or_refused(variables):
    try:
        parse.args(environ(**variables))
    except CniError as error:
        assert error.code == 4  # noqa: PT017
