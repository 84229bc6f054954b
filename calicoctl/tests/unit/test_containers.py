"""Who containers and namespaces are in Calico, and what is asked for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calicoctl import containers
from libcalico.errors import NotFoundError, ValidationError
from libcalico.net.addresses import parse_cidr
from libcalico.resources.ippools import IPPool, IPPoolSpec
from libcalico.resources.model import ObjectMeta
from libcalico.resources.validate import validate
from libcalico.workload import plan

ID = "4f2a91c0" * 8
WEB = containers.of_container("web", ID, "host-1")
MAC = bytes.fromhex("020000000001")
POOLS = [
    IPPool(metadata=ObjectMeta(name=name), spec=IPPoolSpec(cidr=cidr))
    for name, cidr in (("four", "10.65.0.0/16"), ("six", "fd00:65::/64"))
]
PATHS = st.text(min_size=1, max_size=300).map(lambda text: f"/{text}")


def test_the_endpoint_of_a_container():
    attachment = containers.attachment(WEB, "eth1", mtu=1400)
    stored = plan.endpoint(attachment, MAC, [parse_cidr("10.65.0.3/32")])
    validate(stored)
    assert stored.name == f"host--1-docker-{ID}-eth1"
    assert (stored.spec.container_id, stored.spec.workload, stored.spec.profiles) == (ID, ID, [])
    assert attachment.leads
    assert containers.attachment_of(WEB, stored).host_interface == attachment.host_interface


def test_the_endpoint_of_a_namespace():
    box = containers.of_path("/run/netns/box", "host-1")
    stored = plan.endpoint(containers.attachment(box, "eth1"), MAC, [])
    assert stored.name == "host--1-namespace-run--netns--box-eth1"
    assert (stored.spec.container_id, box.handle) == ("", "namespace:host-1:run-netns-box")
    elsewhere = containers.of_path("/run/netns/box", "host-2")
    assert elsewhere.handle != box.handle


def test_paths_that_look_alike_are_told_apart():
    alike = ["/run/netns/a-b", "/run/netns/a/b", "/run/netns/a_b", "/run/netns/A-b", "/"]
    assert len({containers.of_path(path, "h").workload for path in alike}) == len(alike)


@given(PATHS, PATHS)
def test_every_path_makes_a_valid_endpoint_of_its_own(one, other):
    subjects = [containers.of_path(path, "host-1") for path in (one, other)]
    for subject in subjects:
        validate(plan.endpoint(containers.attachment(subject, "eth1"), MAC, []))
    assert (subjects[0].workload == subjects[1].workload) == (one == other)


@pytest.mark.parametrize(
    ("text", "numbers", "pools", "wanted"),
    [
        ("ipv4", (1, 0), (None, None), []),
        ("ipv6", (0, 1), (None, None), []),
        ("10.65.0.0/16", (1, 0), (["10.65.0.0/16"], None), []),
        ("fd00:65:0::/64", (0, 1), (None, ["fd00:65::/64"]), []),
        ("10.65.0.7", (1, 0), (None, None), ["10.65.0.7"]),
        ("FD00:65:0::7", (1, 0), (None, None), ["fd00:65::7"]),
    ],
)
def test_what_ipam_is_asked_for(text, numbers, pools, wanted):
    request = containers.request(WEB, text, POOLS, [parse_cidr("10.65.0.1/32")])
    assert (request.num4, request.num6) == numbers
    assert (request.pools4, request.pools6) == pools
    assert list(request.wanted) == wanted
    assert request.handle == f"docker:{ID}"
    assert request.attributes == {"node": "host-1", "orchestrator": "docker", "workload": ID}
    assert len(request.held) == 1


@pytest.mark.parametrize(
    "text", ["", "ipv5", "10.65.0", "10.65.0.300", "10.65.0.1/16", "x/y", "1/"]
)
def test_what_is_no_address(text):
    with pytest.raises(ValidationError, match="give one, or ipv4, ipv6, or the CIDR of a pool"):
        containers.request(WEB, text, POOLS)


def test_a_pool_that_there_is_not():
    with pytest.raises(
        NotFoundError, match=r"no pool 10\.65\.0\.0/24; there are: 10\.65\.0\.0/16,"
    ):
        containers.request(WEB, "10.65.0.0/24", POOLS)
    with pytest.raises(NotFoundError, match="none at all"):
        containers.request(WEB, "10.65.0.0/24", [])


def described(**fields):
    raw = {"Id": ID, "State": {"Running": True, "Pid": 7}, "HostConfig": {"NetworkMode": "bridge"}}
    return containers.parse_description({**raw, **fields})


def test_a_container_with_a_network_of_its_own():
    found = described()
    containers.require_own_network("web", found)
    assert (found.id, found.pid) == (ID, 7)
    containers.require_own_network("web", described(HostConfig={"NetworkMode": "none"}))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"State": {"Running": False, "Pid": 0}}, "container web does not run"),
        ({"HostConfig": {"NetworkMode": "host"}}, "uses the host's network"),
        ({"HostConfig": {"NetworkMode": "container:abc"}}, "network of container abc; name that"),
    ],
)
def test_a_container_without_one(fields, said):
    with pytest.raises(ValidationError, match=said):
        containers.require_own_network("web", described(**fields))


@pytest.mark.parametrize("name", ["eth1", "hello", "a", "eth0.5", "wan-2"])
def test_interfaces(name):
    assert containers.check_interface(name) == name


@pytest.mark.parametrize("name", ["", "Eth1", "e_1", "-a", "a-", "a/b", "sixteen-letters-"])
def test_no_interfaces(name):
    with pytest.raises(ValidationError):
        containers.check_interface(name)


def test_full_ids():
    assert containers.is_full_id(ID)
    assert not any(map(containers.is_full_id, ["web", ID[:12], ID.upper(), ID + "0"]))
