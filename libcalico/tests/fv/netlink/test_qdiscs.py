"""Token buckets and redirections, as tc lists them."""

import errno
import json
import re

import pytest

from libcalico.errors import NetlinkError
from libcalico.netlink import links, qdiscs
from libcalico.netlink.qdiscs import INGRESS, ROOT, TokenBucket

HANDLE = 0xCA110000


@pytest.fixture
def devices(near):
    """Indexes of a veth and of an ifb device."""
    near.socket.request(links.encode_veth(links.Veth("veth0", "veth1")), links.encode_ifb("ifb9"))
    return links.get_link(near.socket, "veth0").ifindex, links.get_link(near.socket, "ifb9").ifindex


def listed(near, device):
    text = near.harness.run(["tc", "-j", "-d", "qdisc", "show", "dev", device]).stdout
    return {qdisc["kind"]: qdisc for qdisc in json.loads(text)}


@pytest.mark.parametrize(
    ("bucket", "peak"),
    [
        (TokenBucket(125_000, 20_000, 40_000), []),
        (TokenBucket(125_000, 20_000, 40_000, 250_000, 3_000), [("2", "M")]),
        (TokenBucket(10_000_000_000, 1_000_000, 2_000_000), []),
        (
            TokenBucket(5_000_000_000, 1_000_000, 2_000_000, 9_000_000_000, 100_000),
            [("72", "G")],
        ),
    ],
)
def test_a_bucket_is_what_tc_lists(near, devices, bucket, peak):
    index, _ = devices
    near.socket.request(qdiscs.encode_bucket(index, HANDLE, bucket))
    found = listed(near, "veth0")["tbf"]
    assert found["handle"] == "ca11:"
    options = found["options"]
    assert options["rate"] == bucket.rate
    # The kernel keeps times, so that sizes come back rounded; some versions of tc add "b/1".
    burst = int(str(options["burst"]).partition("b")[0])
    assert burst == pytest.approx(bucket.burst, rel=0.02, abs=10)
    told = near.harness.run(["tc", "-d", "qdisc", "show", "dev", "veth0"]).stdout
    assert re.findall(r"peakrate (\d+)([MG])bit", told) == peak
    (kept,) = [q for q in qdiscs.list_qdiscs(near.socket, index) if q.parent == ROOT]
    assert kept == qdiscs.Qdisc(index, "tbf", HANDLE, ROOT)


def test_a_bucket_is_changed_in_place_and_removed(near, devices):
    index, _ = devices
    for rate in (125_000, 250_000):
        near.socket.request(qdiscs.encode_bucket(index, HANDLE, TokenBucket(rate, 20_000, 40_000)))
        assert listed(near, "veth0")["tbf"]["options"]["rate"] == rate
    for _ in range(2):
        qdiscs.delete(near.socket, index, ROOT)
    assert "tbf" not in listed(near, "veth0")


def test_what_is_received_is_redirected(near, devices):
    index, target = devices
    near.socket.request(qdiscs.encode_ingress(index), qdiscs.encode_redirect(index, target))
    shown = near.harness.run(["tc", "filter", "show", "dev", "veth0", "ingress"]).stdout
    assert "mirred (Egress Redirect to device ifb9) stolen" in shown
    assert "match 00000000/00000000 at 0" in shown
    with pytest.raises(NetlinkError) as refused:
        near.socket.request(qdiscs.encode_ingress(index))
    assert refused.value.errno == errno.EEXIST
    for _ in range(2):
        qdiscs.delete(near.socket, index, INGRESS)
    assert "ingress" not in listed(near, "veth0")
