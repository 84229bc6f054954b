"""Limits as token buckets; which interface has which."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from calico_node.felix.messages import EndpointId, EndpointPolicies, Limits, LocalEndpoint, Quality
from calico_node.felix.shaping.plan import Shape, Wanted, bucket, device, shape
from libcalico.netlink.qdiscs import TokenBucket

PLAIN = LocalEndpoint("cali1", (), "", EndpointPolicies((), ()))
SLOW = replace(PLAIN, quality=Quality(egress=Limits(bandwidth=1_000_000)))
limits = st.builds(
    Limits,
    bandwidth=st.sampled_from([0, 1_000, 10**9, 10**15]),
    burst=st.sampled_from([0, 1_000, 34_359_738_360]),
    peakrate=st.sampled_from([0, 2 * 10**15]),
    minburst=st.sampled_from([0, 1_000, 10**8]),
)


def test_bits_become_bytes():
    asked = Limits(bandwidth=8_000_000, burst=800_000, peakrate=16_000_000, minburst=20_000)
    assert bucket(asked) == TokenBucket(1_000_000, 100_000, 125_000, 2_000_000, 20_000)
    assert bucket(Limits(packet_rate=10)) is None


@given(limits)
def test_every_bucket_holds_a_packet_and_fits_its_numbers(asked):
    made = bucket(asked)
    if made is None:
        assert not asked.bandwidth
        return
    assert made.rate >= 1
    assert 9_000 <= made.burst <= made.limit < 1 << 32
    assert not made.peak or (made.peak > made.rate and made.peak_burst >= 9_000)


@given(st.text(max_size=15))
def test_devices_have_names_that_the_kernel_takes(interface):
    assert len(device(interface)) <= 15
    assert device(interface).startswith("bwcali")


endpoints = st.builds(
    replace,
    st.sampled_from([PLAIN, SLOW]),
    interface=st.sampled_from(["cali1", "cali2"]),
)
histories = st.lists(
    st.dictionaries(
        st.builds(EndpointId, st.just("ns"), st.sampled_from("abc")),
        endpoints | st.none(),
        max_size=2,
    ),
    max_size=6,
)


@given(histories)
def test_shapes_depend_on_the_last_state_only(history):
    wanted, known = Wanted(), {}
    for changed in history:
        before = {i: wanted.shape_of(i) for i in ("cali1", "cali2")}
        touched = wanted.change(changed)
        known = {k: v for k, v in (known | changed).items() if v is not None}
        expected = {"cali1": Shape(), "cali2": Shape()}
        for _, endpoint in sorted(known.items(), reverse=True):
            expected[endpoint.interface] = shape(endpoint)
        assert {i: wanted.shape_of(i) for i in expected} == expected
        assert {i for i in expected if before[i] != expected[i]} <= touched
        assert wanted.devices() == {device(i) for i, s in expected.items() if s.egress}
