import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico.errors import ValidationError
from libcalico.net import macs


@given(st.binary(min_size=6, max_size=6))
def test_macs_read_as_they_were_written(mac: bytes) -> None:
    text = macs.mac_text(mac)
    assert macs.parse_mac(text) == macs.parse_mac(text.upper().replace(":", "-")) == mac


@given(st.text() | st.text("0123456789abcdef:-", min_size=11, max_size=18))
def test_any_text_is_a_mac_or_a_validation_error(text: str) -> None:
    with contextlib.suppress(ValidationError):
        assert len(macs.parse_mac(text)) == 6


@pytest.mark.parametrize(
    "text", ["", "eeeeeeeeeeee", "ee:ee:ee:ee:ee", "ee:ee:ee:ee:ee:ee:ee", "ee:ee-ee:ee:ee:ee"]
)
def test_what_is_no_mac_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        macs.parse_mac(text)


def test_a_nodes_tunnel_mac_is_felix() -> None:
    assert macs.vxlan_mac("node1") == b"\x66" + hashlib.sha1(b"node1").digest()[:5]
    assert macs.vxlan_mac("node1", is_ipv6=True) == b"\x66" + hashlib.sha1(b"node1-v6").digest()[:5]
