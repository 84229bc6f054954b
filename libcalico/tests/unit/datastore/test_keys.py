import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico.datastore import keys
from libcalico.errors import ValidationError
from libcalico.resources.model import ResourceId
from libcalico.resources.registry import KINDS

names = st.from_regex(r"[a-z0-9][-a-z0-9.]{0,20}", fullmatch=True)
anything = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
cidrs = st.one_of(
    st.ip_addresses(v=4).map(lambda ip: f"{ip}/26"),
    st.ip_addresses(v=6).map(lambda ip: f"{ip}/122"),
)
resource_ids = st.sampled_from(sorted(KINDS)).flatmap(
    lambda kind: st.builds(
        ResourceId,
        st.just(kind),
        names if KINDS[kind].INFO.namespaced else st.just(""),
        names,
    )
)
typed_keys = st.one_of(
    resource_ids,
    st.builds(keys.BlockKey, cidrs),
    st.builds(keys.AffinityKey, names, cidrs),
    st.builds(keys.VirtualAffinityKey, names, cidrs),
    st.builds(keys.HandleKey, names),
    st.builds(keys.IpamConfigKey),
    st.builds(keys.IpamHostKey, names),
    st.builds(keys.FelixStatusKey, names, names),
    st.builds(keys.FelixLastStatusKey, names, names),
    st.builds(keys.WorkloadStatusKey, names, names, anything, anything, anything),
    st.builds(keys.HostEndpointStatusKey, names, anything),
)


@given(typed_keys)
def test_every_key_round_trips(key):
    assert keys.parse(keys.path_of(key)) == key
    assert keys.path_of(key).startswith(keys.ROOT)


def test_every_row_of_the_layout_is_tried():
    tried = {type(key) for key in keys.Key.__args__} | set(keys.Key.__args__)
    assert {row.key for row in keys.LAYOUT} <= tried
    assert len({row.template for row in keys.LAYOUT}) == len(keys.LAYOUT)


@pytest.mark.parametrize(
    ("key", "path"),
    [
        (ResourceId("IPPool", "", "p"), "/calico/resources/v3/projectcalico.org/ippools/p"),
        (
            ResourceId("NetworkPolicy", "ns", "knp.default.x"),
            "/calico/resources/v3/projectcalico.org/networkpolicies/ns/knp.default.x",
        ),
        (keys.BlockKey("10.0.0.0/26"), "/calico/ipam/v2/assignment/ipv4/block/10.0.0.0-26"),
        (keys.BlockKey("fd00::/122"), "/calico/ipam/v2/assignment/ipv6/block/fd00::-122"),
        (
            keys.AffinityKey("node-1", "10.0.0.0/26"),
            "/calico/ipam/v2/host/node-1/ipv4/block/10.0.0.0-26",
        ),
        (
            keys.VirtualAffinityKey("load-balancer", "10.0.0.0/26"),
            "/calico/ipam/v2/virtual/load-balancer/ipv4/block/10.0.0.0-26",
        ),
        (keys.HandleKey("k8s-pod-network.1"), "/calico/ipam/v2/handle/k8s-pod-network.1"),
        (keys.IpamConfigKey(), "/calico/ipam/v2/config"),
        (
            keys.FelixStatusKey(keys.NO_REGION, "h"),
            "/calico/felix/v2/no-region/host/h/status",
        ),
        (
            keys.WorkloadStatusKey(keys.NO_REGION, "h", "k8s", "ns/pod", "eth0"),
            "/calico/felix/v2/no-region/host/h/workload/k8s/ns%2fpod/endpoint/eth0",
        ),
        (
            keys.HostEndpointStatusKey("h", "a%/b"),
            "/calico/felix/v1/host/h/endpoint/a%25%2fb",
        ),
    ],
)
def test_paths_are_those_of_calico(key, path):
    assert keys.path_of(key) == path
    assert keys.parse(path) == key


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "/calico/", "/calico/v1/Ready", "calico/resources/v3/projectcalico.org/ippools/p",
        "/calico/resources/v3/projectcalico.org/ippools/",
        "/calico/resources/v3/projectcalico.org/ippools/ns/p",
        "/calico/resources/v3/projectcalico.org/networkpolicies/p",
        "/calico/resources/v3/projectcalico.org/pods/p",
        "/calico/ipam/v2/assignment/ipv4/block/fd00::-122",
        "/calico/ipam/v2/assignment/ipv6/block/10.0.0.0-26",
        "/calico/ipam/v2/config/x",
    ],
)  # fmt: skip
def test_paths_that_are_none_of_ours_parse_to_nothing(path):
    assert keys.parse(path) is None


@given(st.text(max_size=40).map(lambda text: keys.ROOT + text) | st.text(max_size=40))
def test_any_text_parses_or_is_nothing(path):
    keys.parse(path)


def test_escaped_names_are_read_as_go_reads_them():
    path = "/calico/resources/v3/projectcalico.org/profiles/a%2fb%25"
    assert keys.parse(path) == ResourceId("Profile", "", "a/b%")


def test_prefixes_hold_their_keys():
    assert keys.path_of(ResourceId("NetworkSet", "ns", "x")).startswith(
        keys.resource_prefix("NetworkSet", "ns")
    )
    assert keys.path_of(keys.BlockKey("fd00::/122")).startswith(keys.block_prefix(6))
    affinity = keys.path_of(keys.AffinityKey("h", "10.0.0.0/26"))
    assert affinity.startswith(keys.affinity_prefix("h"))
    assert affinity.startswith(keys.affinity_prefix("h", 4))
    assert not affinity.startswith(keys.affinity_prefix("h", 6))
    status = keys.path_of(keys.WorkloadStatusKey(keys.NO_REGION, "h", "cni", "w", "e"))
    assert status.startswith(keys.status_prefix("h"))


def test_prefixes_of_unknown_kinds_and_of_namespaces_that_do_not_exist_are_refused():
    with pytest.raises(ValidationError, match="IPPool is not namespaced"):
        keys.resource_prefix("IPPool", "ns")
    with pytest.raises(ValidationError, match="'Pod' is not known"):
        keys.resource_prefix("Pod")
