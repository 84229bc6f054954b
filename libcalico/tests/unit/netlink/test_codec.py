import errno
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico.errors import NetlinkError
from libcalico.netlink import codec
from libcalico.netlink.codec import NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_DONE, NLMSG_ERROR, Message

types = st.integers(0, 0x3FFF)
attributes = st.lists(st.tuples(types, st.binary(max_size=40)))
messages = st.lists(
    st.builds(
        Message,
        st.integers(0, 0xFFFF),
        st.integers(0, 0xFFFF),
        st.integers(0, 0xFFFFFFFF),
        st.integers(0, 0xFFFFFFFF),
        st.binary(max_size=40),
    )
)


def errno_of(call: Callable[[], object]) -> int | None:
    """What a call is refused with; None if it is not."""
    try:
        call()
    except NetlinkError as error:
        return error.errno
    return None


@given(attributes)
def test_attributes_read_as_they_were_written(wanted: list[tuple[int, bytes]]) -> None:
    data = b"".join(codec.attr(type_, payload) for type_, payload in wanted)
    assert len(data) % 4 == 0
    assert codec.parse_attr_list(data) == wanted
    assert codec.parse_attrs(b"head" + data, 4) == dict(wanted)


@given(types, attributes)
def test_nested_attributes_are_marked_and_read_back(
    type_: int, inner: list[tuple[int, bytes]]
) -> None:
    data = codec.nested(type_, *(codec.attr(*each) for each in inner))
    assert struct.unpack_from("=H", data, 2)[0] == type_ | 0x8000
    ((found, payload),) = codec.parse_attr_list(data)
    assert found == type_
    assert codec.parse_attr_list(payload) == inner


@given(messages)
def test_messages_read_as_they_were_written(wanted: list[Message]) -> None:
    data = b"".join(codec.message(m.type, m.flags, m.seq, m.payload, m.port) for m in wanted)
    assert len(data) % 4 == 0
    assert codec.parse_messages(data) == wanted


@given(st.binary())
def test_arbitrary_bytes_are_read_or_refused_with_an_error_of_ours(data: bytes) -> None:
    for parse in (codec.parse_messages, codec.parse_attr_list, codec.parse_attrs):
        assert errno_of(lambda parse=parse: parse(data)) in (None, errno.EBADMSG)


@given(st.sampled_from([NLMSG_ERROR, NLMSG_DONE]), st.integers(0, 0xFFFF), st.binary(max_size=64))
def test_arbitrary_answers_are_read_or_refused_with_an_error_of_ours(
    type_: int, flags: int, payload: bytes
) -> None:
    message = Message(type_, flags, 1, 0, payload)
    assert errno_of(lambda: codec.parse_answer(message).text) in (None, errno.EBADMSG)


def test_the_last_attribute_of_a_type_counts() -> None:
    assert codec.parse_attrs(codec.u8(1, 1) + codec.u8(1, 2)) == {1: b"\2"}


def test_numbers_are_packed_in_the_order_asked_for() -> None:
    assert codec.u8(1, 2) == b"\x05\0\1\0\2\0\0\0"
    assert codec.as_u16(codec.u16(1, 0x0102)[4:6]) == 0x0102
    assert codec.as_u32(codec.u32(1, 0x01020304)[4:]) == 0x01020304
    assert codec.as_u64(codec.u64(1, 1 << 40)[4:]) == 1 << 40
    assert codec.be16(1, 0x0102)[4:6] == b"\1\2"
    assert codec.be32(1, 0x01020304)[4:] == b"\1\2\3\4"
    assert codec.as_be16(b"\1\2") == 0x0102
    assert codec.as_be32(b"\1\2\3\4") == 0x01020304
    assert codec.as_s32(struct.pack("=i", -5)) == -5
    assert codec.as_u8(b"\7") == 7


def test_text_ends_at_its_zero_and_shows_what_is_no_utf8() -> None:
    assert codec.text(3, "lo") == b"\7\0\3\0lo\0\0"
    assert codec.as_text(b"lo\0junk") == "lo"
    assert codec.as_text(b"\xff") == "\\xff"


@pytest.mark.parametrize("size", [65532, 100_000])
def test_an_attribute_that_does_not_fit_is_refused(size: int) -> None:
    assert codec.attr(1, bytes(65531))
    with pytest.raises(NetlinkError) as caught:
        codec.attr(1, bytes(size))
    assert caught.value.errno == errno.EMSGSIZE


def test_requests_are_numbered_in_place() -> None:
    requests = [
        codec.request(16, 0, b"abc"),
        codec.request(17, 0, b""),
        codec.request(18, 0, b"12345678"),
    ]
    joined = codec.number_requests(requests, 7, codec.NLM_F_ACK)
    found = codec.parse_messages(bytes(joined))
    assert [(m.type, m.seq, m.flags) for m in found] == [(16, 7, 1), (17, 8, 1), (18, 9, 5)]
    assert codec.number_requests([], 7, codec.NLM_F_ACK) == b""


def refusal(flags: int, repeated: bytes, attrs: bytes) -> Message:
    return Message(NLMSG_ERROR, flags, 9, 0, struct.pack("=i", -errno.EINVAL) + repeated + attrs)


REQUEST = codec.message(16, 1, 9, b"payload.")
WORDS = codec.text(1, "no such thing") + codec.u32(2, 20)


@pytest.mark.parametrize(
    "message",
    [
        refusal(NLM_F_ACK_TLVS, REQUEST, WORDS),
        refusal(NLM_F_ACK_TLVS | NLM_F_CAPPED, REQUEST[:16], WORDS),
    ],
)
def test_a_refusal_carries_the_kernels_words(message: Message) -> None:
    answer = codec.parse_answer(message)
    assert answer == (errno.EINVAL, 9, "no such thing", 20)
    assert answer.text == "Invalid argument (no such thing)"


def test_an_acknowledgement_and_the_end_of_a_dump_are_no_errors() -> None:
    assert codec.parse_answer(
        Message(NLMSG_ERROR, NLM_F_CAPPED, 3, 0, bytes(4) + REQUEST[:16])
    ) == (0, 3, "", 0)
    assert codec.parse_answer(Message(NLMSG_DONE, 2, 3, 0, bytes(4))) == (0, 3, "", 0)
    assert codec.parse_answer(Message(NLMSG_DONE, 2, 3, 0, b"")) == (0, 3, "", 0)


def test_the_end_of_a_dump_can_carry_an_error_and_words() -> None:
    payload = struct.pack("=i", -errno.EPERM) + codec.text(1, "not you")
    answer = codec.parse_answer(Message(NLMSG_DONE, NLM_F_ACK_TLVS, 3, 0, payload))
    assert answer == (errno.EPERM, 3, "not you", 0)
