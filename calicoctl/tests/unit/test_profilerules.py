"""Rules in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calicoctl import profilerules
from libcalico.errors import ValidationError
from libcalico.resources.model import ObjectMeta
from libcalico.resources.profiles import Profile, ProfileSpec
from libcalico.resources.validate import validate

PORTS = st.lists(st.integers(1, 65535).map(str), min_size=1, max_size=3).map(",".join)


@st.composite
def rules(draw):
    """Words of a rule, in their canonical form."""
    protocol = draw(st.sampled_from(["", "tcp", "udp", "icmp", "icmpv6"]))
    words = [draw(st.sampled_from(["allow", "deny"])), *([protocol] if protocol else [])]
    if protocol.startswith("icmp") and draw(st.booleans()):
        words += ["type", str(draw(st.integers(0, 254)))]
        words += ["code", str(draw(st.integers(0, 255)))] if draw(st.booleans()) else []
    cidr = {"icmp": "10.0.0.0/8", "icmpv6": "fd00::/8"}.get(protocol, "192.0.2.0/24")
    for word in ("from", "to"):
        parts = []
        if protocol in ("tcp", "udp") and draw(st.booleans()):
            parts += ["ports", draw(PORTS)]
        if draw(st.booleans()):
            parts += ["tag", draw(st.from_regex(r"[a-z][a-z0-9_.-]{0,5}[a-z0-9]", fullmatch=True))]
        if draw(st.booleans()):
            parts += ["cidr", cidr]
        words += [word, *parts] if parts else []
    return words


@given(rules())
def test_a_rule_says_what_it_was_told_and_is_valid(words):
    rule = profilerules.parse(words)
    assert profilerules.text(rule) == " ".join(words)
    validate(Profile(metadata=ObjectMeta(name="p"), spec=ProfileSpec(ingress=[rule])))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "begins with allow or deny"),
        ("permit tcp", "begins with allow or deny"),
        ("allow sctp", "cannot be there"),
        ("allow tcp from", "needs ports, tag or cidr"),
        ("allow tcp from cidr 10.0.0.0/8 ports 80", "cannot be there"),
        ("allow to ports 80", "tcp and udp only"),
        ("allow tcp to ports 80:70", "lowest first"),
        ("allow tcp to ports http", "is no port"),
        ("allow tcp to tag a!b", "is no tag"),
        ("allow icmp type 256", "0 to 255"),
        ("allow icmp type", "must follow 'type'"),
        ("allow icmp from cidr fd00::/8", "one family"),
        ("allow from cidr 10.0.0.0/8 to cidr fd00::/8", "one family"),
        ("allow from cidr 10.0.0.1/8", "10.0.0"),
    ],
)
def test_what_is_no_rule(words, said):
    with pytest.raises(ValidationError, match=said):
        profilerules.parse(words.split())


WORDS = "allow deny tcp icmp from to ports tag cidr type code 8 a 80-90 10.0.0.0/8"


@given(st.lists(st.sampled_from(WORDS.split())))
def test_any_words_are_a_rule_or_refused(words):
    try:
        text = profilerules.text(profilerules.parse(words))
    except ValidationError as error:
        text = str(error)
    assert text
