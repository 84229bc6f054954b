"""What one rule becomes, by what it does with packets."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from calico_node.felix.messages import CompiledRule, RuleSide
from calico_node.felix.nft.keys import KeyType, Prefix, interval_of, pack
from calico_node.felix.nft.model import CtState, Field, NfProto, Set, table
from calico_node.felix.nft.testing.packets import reaches_end
from calico_node.felix.program import names
from calico_node.felix.program.settings import RuleSettings
from calico_node.felix.program.testing.rule_forms import (
    HIGH,
    HTTP,
    NAMED,
    OTHER,
    PLAIN,
    TCP,
    WIDE,
    rendered,
)
from libcalico.net.addresses import parse_cidr

ADDRESSES = [parse_cidr(text).packed() for text in ("10.0.0.1", "10.0.0.2", "10.1.0.1")]
PORTS = (80, 81, 30001)
SERVICE = (KeyType.IPV4_ADDR, KeyType.INET_PROTO, KeyType.INET_SERVICE)
SERVICES = [pack(SERVICE, (address, TCP, port)) for address in ADDRESSES for port in PORTS]
sides = st.builds(
    RuleSide,
    sets=st.lists(st.sampled_from([PLAIN, WIDE]), unique=True).map(tuple),
    not_sets=st.lists(st.sampled_from([PLAIN, WIDE]), max_size=1).map(tuple),
    ports=st.lists(st.sampled_from([HTTP, HIGH]), unique=True).map(tuple),
    port_sets=st.lists(st.sampled_from([NAMED, OTHER]), unique=True).map(tuple),
)
packets = st.builds(
    lambda source, destination, sport, dport: {
        Field.NFPROTO: NfProto.IPV4,
        Field.L4PROTO: TCP,
        Field.CT_STATE: CtState.NEW,
        Field.IP_SADDR: source,
        Field.IP_DADDR: destination,
        Field.SPORT: sport,
        Field.DPORT: dport,
    },
    *(st.sampled_from(ADDRESSES),) * 2,
    *(st.sampled_from(PORTS),) * 2,
)


@st.composite
def tables(draw):
    """The sets that rules may name, with members of IPv4."""
    wide = Set(names.set_name(WIDE, 4, nets=True), (KeyType.IPV4_ADDR,), interval=True)
    wide = replace(wide, elements=frozenset({interval_of(Prefix(ADDRESSES[0][:2] + bytes(2), 16))}))
    found = [wide]
    for kinds, key, members in (
        ((PLAIN, WIDE), (KeyType.IPV4_ADDR,), ADDRESSES),
        ((NAMED, OTHER), SERVICE, SERVICES),
    ):
        for set_id in kinds:
            elements = draw(st.frozensets(st.sampled_from(members)))
            found.append(Set(names.set_name(set_id, 4), key, elements=elements))
    return table(names.TABLE, [], found)


@given(tables(), sides, sides, packets)
def test_a_packet_is_logged_once_by_a_rule_that_matches_it_and_never_by_another(
    sets, source, destination, packet
):
    rule = CompiledRule("Allow", 4, TCP, source=source, destination=destination)

    def matching(rule):
        return [one for one in rendered(rule, RuleSettings()) if reaches_end(sets, one, packet)]

    logging = matching(replace(rule, action="Log"))
    assert len(logging) == bool(matching(rule))
