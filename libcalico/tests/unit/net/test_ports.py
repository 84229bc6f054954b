import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico.errors import ValidationError
from libcalico.net import ports
from libcalico.net.ports import PortRange


@pytest.mark.parametrize(
    ("name", "number"),
    [
        *(("TCP", 6), ("udp", 17), ("ICMP", 1), ("ICMPv6", 58), ("icmpV6", 58), ("SCTP", 132)),
        *(("UDPLite", 136), ("47", 47), (255, 255), (1, 1)),
    ],
)
def test_protocols_have_numbers(name: int | str, number: int) -> None:
    assert ports.protocol_number(name) == number


@pytest.mark.parametrize("protocol", [0, 256, -1, "0", "256", "", "tcp6", "-1", "٦", " TCP"])
def test_other_protocols_are_refused(protocol: int | str) -> None:
    with pytest.raises(ValidationError):
        ports.protocol_number(protocol)


@given(st.integers(1, 255))
def test_every_number_has_a_name_that_leads_back(number: int) -> None:
    assert ports.protocol_number(ports.protocol_name(number)) == number


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_ranges_read_as_they_were_written(one: int, other: int) -> None:
    wanted = PortRange(min(one, other), max(one, other))
    assert ports.parse_port(str(wanted)) == wanted
    assert wanted.first in wanted
    assert wanted.last in wanted
    assert wanted.last + 1 not in wanted
    assert "80" not in wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (80, PortRange(80, 80)),
        ("80", PortRange(80, 80)),
        ("1:2", PortRange(1, 2)),
        ("http-alt", "http-alt"),
    ],
)
def test_ports_are_numbers_ranges_or_names(text: int | str, wanted: PortRange | str) -> None:
    assert ports.parse_port(text) == wanted


@pytest.mark.parametrize(
    "port", [-1, 65536, "65536", "2:1", "1:", ":1", "1:2:3", "", "a b", "x" * 129, "1-2 "]
)
def test_what_is_no_port_is_refused(port: int | str) -> None:
    with pytest.raises(ValidationError):
        ports.parse_port(port)


@given(st.text())
def test_any_text_is_a_port_or_a_validation_error(text: str) -> None:
    for parse in (ports.parse_port, ports.protocol_number):
        with contextlib.suppress(ValidationError):
            parse(text)
