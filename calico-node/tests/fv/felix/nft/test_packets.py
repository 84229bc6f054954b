"""Packets meet what the rules say: each rule drops what leaves a namespace, and sendto tells."""

import socket
import struct

import pytest

from calico_node.felix.nft.keys import KeyType, Range, interval_of, pack
from calico_node.felix.nft.model import (
    ACCEPT,
    DROP,
    AddressType,
    BaseHook,
    Bits,
    Chain,
    CtState,
    Field,
    Masked,
    Match,
    Named,
    NamePrefix,
    NfProto,
    OneOf,
    Rule,
    Set,
    SetMark,
    VerdictLookup,
    VerdictMap,
    jump,
    table,
)
from calico_node.felix.nft.operations import AddElements, DeleteElements
from calico_node.felix.nft.plan import replace_table
from calico_node.felix.nft.testing.forms import address, prefix

pytestmark = pytest.mark.root

HOOK = BaseHook("filter", "output", 0)
UDP = Match(Field.L4PROTO, 17)
SERVICE = (KeyType.IPV4_ADDR, KeyType.INET_PROTO, KeyType.INET_SERVICE)
ECHO_REQUEST, UNREACHABLE = 8, 3


@pytest.fixture
def passes(netns):
    """The function that tells whether a UDP datagram may leave for an address and a port."""
    sockets = {
        version: netns.call(lambda v=version: socket.socket(v, socket.SOCK_DGRAM))
        for version in (socket.AF_INET, socket.AF_INET6)
    }
    with sockets[socket.AF_INET], sockets[socket.AF_INET6]:
        yield lambda to, port: _sent(
            sockets[socket.AF_INET6 if ":" in to else socket.AF_INET], b"hello", (to, port)
        )


@pytest.fixture
def pings(netns):
    """The function that tells whether an ICMP message of a type and code may leave."""
    with netns.call(
        lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    ) as raw:
        yield lambda kind, code: _sent(
            raw, struct.pack(">BBHI", kind, code, 0, 0), ("127.0.0.1", 0)
        )


def _sent(sock, data, to):
    try:
        sock.sendto(data, to)
    except PermissionError:
        return False
    return True


def _program(kernel, *rules, sets=(), maps=(), chains=()):
    kernel.commit(replace_table(table("t", [Chain("out", rules, HOOK), *chains], sets, maps)))


def test_a_set_of_hosts_follows_its_elements(kernel, passes):
    hosts = Set("hosts", (KeyType.IPV4_ADDR,), frozenset({address("127.0.0.2")}), size=8)
    _program(kernel, Rule((Match(Field.IP_DADDR, Named("hosts")), DROP)), sets=[hosts])
    assert (passes("127.0.0.2", 9), passes("127.0.0.3", 9)) == (False, True)
    three = [address("127.0.0.3")]
    kernel.commit([AddElements("t", "hosts", three, interval=False, owner="")])
    assert passes("127.0.0.3", 9) is False
    kernel.commit([DeleteElements("t", "hosts", three, interval=False, owner="")])
    assert passes("127.0.0.3", 9) is True


def test_an_interval_set_holds_both_ends_and_nothing_beyond(kernel, passes):
    nets = Set("nets", (KeyType.IPV4_ADDR,), frozenset({interval_of(prefix("127.1.0.0/16"))}), True)
    _program(kernel, Rule((Match(Field.IP_DADDR, Named("nets")), DROP)), sets=[nets])
    inside, outside = ("127.1.0.0", "127.1.255.255"), ("127.0.255.255", "127.2.0.0")
    assert [passes(to, 9) for to in (*inside, *outside)] == [False, False, True, True]


def test_prefixes_of_any_length(kernel, passes):
    whole = Rule((Match(Field.IP_DADDR, prefix("127.1.0.0/16")), DROP))
    odd = Rule((Match(Field.IP_DADDR, prefix("127.2.8.0/21")), DROP))
    _program(kernel, whole, odd)
    sent = [passes(to, 9) for to in ("127.1.2.3", "127.2.15.1", "127.2.16.1", "127.0.0.1")]
    assert sent == [False, False, True, True]


def test_an_ipv4_match_does_not_read_ipv6_packets(kernel, passes):
    _program(kernel, Rule((Match(Field.IP_DADDR, prefix("0.0.0.0/0")), DROP)))
    assert (passes("127.0.0.1", 9), passes("::1", 9)) == (False, True)
    _program(kernel, Rule((Match(Field.IP6_DADDR, address("::1")), DROP)))
    assert (passes("127.0.0.1", 9), passes("::1", 9)) == (True, False)


def test_ports_as_singles_and_ranges(kernel, passes):
    ports = OneOf((53, Range(1000, 2000), Range(1500, 3000)))
    _program(kernel, Rule((UDP, Match(Field.DPORT, ports), DROP)))
    sent = [passes("127.0.0.1", port) for port in (52, 53, 54, 999, 1000, 3000, 3001)]
    assert sent == [True, False, True, True, False, False, True]
    _program(kernel, Rule((UDP, Match(Field.DPORT, ports, negate=True), DROP)))
    assert [passes("127.0.0.1", port) for port in (53, 54, 3000)] == [True, False, True]


def test_a_concatenation_of_address_protocol_and_port(kernel, passes):
    elements = frozenset(
        {
            pack(SERVICE, (address("127.0.0.2"), 17, 53)),
            pack(SERVICE, (address("127.0.0.2"), 6, 80)),
        }
    )
    key = (Field.IP_DADDR, Field.L4PROTO, Field.DPORT)
    services = Set("services", SERVICE, elements)
    _program(kernel, Rule((Match(key, Named("services")), DROP)), sets=[services])
    sent = [passes(*to) for to in (("127.0.0.2", 53), ("127.0.0.2", 80), ("127.0.0.3", 53))]
    assert sent == [False, True, True]


def test_a_verdict_map_of_interfaces(kernel, passes):
    maps = [VerdictMap("dispatch", (KeyType.IFNAME,), {KeyType.IFNAME.pack("lo"): jump("local")})]
    local = Chain("local", (Rule((UDP, Match(Field.DPORT, 53), DROP)),))
    rule = Rule((VerdictLookup(Field.OIFNAME, "dispatch"),))
    _program(kernel, rule, maps=maps, chains=[local])
    assert (passes("127.0.0.1", 53), passes("127.0.0.1", 54)) == (False, True)


def test_interface_names_and_their_beginnings(kernel, passes):
    _program(kernel, Rule((Match(Field.OIFNAME, NamePrefix("l")), UDP, DROP)))
    assert passes("127.0.0.1", 9) is False
    _program(kernel, Rule((Match(Field.OIFNAME, "l"), UDP, DROP)))
    assert passes("127.0.0.1", 9) is True


def test_the_negation_of_icmp_type_and_code_is_exact(kernel, pings):
    pair = (Field.ICMP_TYPE, Field.ICMP_CODE)
    _program(kernel, Rule((Match(pair, OneOf(((UNREACHABLE, 4),)), negate=True), DROP)))
    sent = [pings(*of) for of in ((UNREACHABLE, 4), (UNREACHABLE, 1), (ECHO_REQUEST, 4))]
    assert sent == [True, False, False]


def test_marks_keep_the_bits_of_others(kernel, passes):
    mark = [
        Rule((SetMark(0xFFFFFFFF, 0x4),)),
        Rule((SetMark(0x30000, 0x10000),)),
        Rule((Masked(Field.MARK, 0x30000, 0x10000), Match(Field.MARK, 0x10004), ACCEPT)),
        Rule((DROP,)),
    ]
    _program(kernel, *mark)
    assert passes("127.0.0.1", 9) is True
    _program(kernel, *mark[:1], Rule((SetMark(0x30000, 0x20000),)), *mark[2:])
    assert passes("127.0.0.1", 9) is False


def test_states_of_connections(kernel, passes):
    _program(kernel, Rule((Bits(Field.CT_STATE, CtState.NEW), UDP, DROP)))
    assert passes("127.0.0.1", 9) is False
    others = Bits(Field.CT_STATE, CtState.NEW | CtState.ESTABLISHED, negate=True)
    _program(kernel, Rule((others, UDP, DROP)))
    assert passes("127.0.0.1", 9) is True


def test_local_addresses(kernel, passes):
    local = Rule((Match(Field.FIB_DADDR_TYPE, AddressType.LOCAL), UDP, DROP))
    _program(kernel, local)
    assert passes("127.0.0.1", 9) is False


def test_protocol_families(kernel, passes):
    _program(kernel, Rule((Match(Field.NFPROTO, NfProto.IPV6), UDP, DROP)))
    assert (passes("127.0.0.1", 9), passes("::1", 9)) == (True, False)
