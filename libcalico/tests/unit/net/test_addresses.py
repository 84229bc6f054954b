import contextlib
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico.errors import ValidationError
from libcalico.net.addresses import (
    BITS,
    Cidr,
    address_text,
    masked,
    parse_address,
    parse_cidr,
    parse_interface,
    split_interface,
)

MAPPED = ipaddress.ip_network("::ffff:0:0/96")


def interfaces() -> st.SearchStrategy[Cidr]:
    def of(version: int) -> st.SearchStrategy[Cidr]:
        bits = BITS[version]
        values = st.integers(0, 2**bits - 1) | st.integers(0, 2**33)
        return st.builds(
            Cidr, st.just(version), values.filter(lambda v: v < 2**bits), st.integers(0, bits)
        )

    return st.sampled_from([4, 6]).flatmap(of).filter(lambda c: not is_mapped(c))


def is_mapped(cidr: Cidr) -> bool:
    return cidr.version == 6 and ipaddress.IPv6Address(cidr.value) in MAPPED


def oracle(cidr: Cidr) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    kind = ipaddress.IPv4Interface if cidr.version == 4 else ipaddress.IPv6Interface
    return kind((cidr.value, cidr.prefix))


@given(interfaces())
def test_what_was_written_reads_as_the_same(interface: Cidr) -> None:
    assert parse_interface(interface.text()) == interface
    assert parse_address(interface.address) == interface.host()
    assert Cidr.from_packed(interface.packed(), interface.prefix) == interface


@given(interfaces())
def test_text_and_networks_agree_with_the_standard_library(interface: Cidr) -> None:
    expected = oracle(interface)
    assert interface.text() == str(expected)
    assert parse_cidr(str(expected), strict=False).text() == str(expected.network)
    assert interface.packed() == expected.packed
    assert interface.first == int(expected.network.network_address)
    assert interface.last == int(expected.network.broadcast_address)
    assert interface.size == expected.network.num_addresses
    assert interface.is_masked == (int(expected) == interface.first)


@given(interfaces(), interfaces())
def test_containment_agrees_with_the_standard_library(one: Cidr, other: Cidr) -> None:
    one, other = one.masked(), other.masked()
    same = one.version == other.version
    assert one.contains(other) == (same and oracle(other).network.subnet_of(oracle(one).network))  # type: ignore[arg-type]
    assert one.overlaps(other) == (same and oracle(other).network.overlaps(oracle(one).network))


@given(interfaces(), st.data())
def test_a_network_contains_what_is_inside_and_numbers_it(
    interface: Cidr, data: st.DataObject
) -> None:
    network = interface.masked()
    ordinal = data.draw(st.integers(0, network.size - 1))
    address = network.nth(ordinal)
    assert address.is_address
    assert network.contains(address)
    assert network.ordinal(address) == ordinal
    length = data.draw(st.integers(0, network.prefix))
    assert network.supernet(length).contains(network)


@given(st.text() | st.text("0123456789abcdef:./%", max_size=45))
def test_any_text_is_an_address_or_a_validation_error(text: str) -> None:
    for parse in (parse_address, parse_cidr, parse_interface):
        with contextlib.suppress(ValidationError):
            assert parse(text).version in BITS


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("10.0.0.0/24", "10.0.0.0/24"),
        ("10.0.0.1", "10.0.0.1/32"),
        ("FD00:0:0::1", "fd00::1/128"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("::1.2.3.4", "::102:304/128"),
        (
            "2001:db8:0:1:1:1:1:1",
            "2001:db8:0:1:1:1:1:1/128",
        ),  # RFC 5952, 4.2.2: one zero group stays
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1/128"),  # 4.2.3: the longest run
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1/128"),  # 4.2.3: the first of equal runs
    ],
)
def test_text_becomes_canonical(text: str, canonical: str) -> None:
    assert str(parse_cidr(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/ 8",
            "10.0.0.0/08",
        ),
        *(
            "10.0.0.0/²",
            "10.0.0.0/٨",
            "10.0.0/8",
            "010.0.0.0/8",
            "10.0.0.0/255.0.0.0",
            "::/129",
            ":::",
        ),
        *("fe80::1%eth0", "::ffff:10.0.0.1", "10.0.0.0\0/8", "\ud800", "10.0.0.0/8/8", "host"),
    ],
)
def test_what_go_would_not_read_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        parse_cidr(text)


def test_host_bits_are_refused_or_cleared_or_kept_as_asked() -> None:
    with pytest.raises(ValidationError, match=r"the network is 10\.0\.0\.0/24"):
        parse_cidr("10.0.0.1/24")
    assert parse_cidr("10.0.0.1/24", strict=False) == Cidr(4, 0x0A000000, 24)
    assert parse_interface("10.0.0.1/24") == Cidr(4, 0x0A000001, 24)
    assert split_interface("10.0.0.1/24") == (Cidr(4, 0x0A000000, 24), 0x0A000001)
    assert masked(4, 0x0A000001, 24) == Cidr(4, 0x0A000000, 24)


def test_addresses_sort_by_version_and_number() -> None:
    texts = ["::/0", "10.0.0.10/32", "10.0.0.9/32", "10.0.0.0/24", "10.0.0.0/8"]
    assert [str(c) for c in sorted(map(parse_cidr, texts))] == [
        *("10.0.0.0/8", "10.0.0.0/24", "10.0.0.9/32", "10.0.0.10/32", "::/0")
    ]


def test_all_addresses_of_a_network_are_hosts() -> None:
    assert [host.address for host in parse_cidr("10.0.0.4/30").hosts()] == [
        *("10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7")
    ]


def test_places_outside_a_network_are_refused() -> None:
    network = parse_cidr("10.0.0.0/30")
    for ordinal in (-1, 4):
        with pytest.raises(ValidationError):
            network.nth(ordinal)
    with pytest.raises(ValidationError):
        network.ordinal(parse_address("10.0.0.4"))
    with pytest.raises(ValidationError):
        Cidr.from_packed(b"12345")
    with pytest.raises(ValidationError):
        Cidr.from_packed(b"1234", 33)


def test_mapped_addresses_from_the_kernel_can_be_shown() -> None:
    assert address_text(6, 0xFFFF_0A00_0001) == "::ffff:10.0.0.1"
