"""Limits, marks and translated addresses, as real traffic meets them.

A workload behind ``cali1`` (10.65.0.1, fd65::1), a host, and somebody outside (192.0.2.2, fd00:2::2), who
reaches everything through the host. Sockets are opened in a namespace and used from here.
"""

import re
import select
import socket
import time
from contextlib import ExitStack, suppress
from dataclasses import replace

import pytest

from calico_node.felix.dataplane.host import Host
from calico_node.felix.firewall.model import FirewallSettings
from calico_node.felix.messages import (
    ActivePolicy,
    Changes,
    CompiledRule,
    EndpointId,
    EndpointPolicies,
    FloatingAddress,
    Limits,
    LocalEndpoint,
    Pool,
    Quality,
)
from calico_node.felix.nft.keys import Range
from calico_node.felix.program.settings import RuleSettings
from calico_node.felix.routes.settings import RouteSettings
from calico_test.netns import NetNs
from libcalico.net.addresses import parse_cidr

WORKLOAD, WORKLOAD6 = "10.65.0.1", "fd65::1"
OUTSIDE, OUTSIDE6 = "192.0.2.2", "fd00:2::2"
HOST = "192.0.2.1"
FLOATING, FLOATING6 = "203.0.113.7", "fd00:f::7"
NATTED = "203.0.113.99"
ALLOW = ActivePolicy("", (CompiledRule("Allow"),), (CompiledRule("Allow"),))
ENDPOINT = LocalEndpoint(
    "cali1",
    (parse_cidr(WORKLOAD), parse_cidr(WORKLOAD6)),
    "",
    EndpointPolicies((), ("open",)),
)
POOLS = {
    "v4": Pool(parse_cidr("10.65.0.0/16"), nat_outgoing=False),
    "v6": Pool(parse_cidr("fd65::/64"), nat_outgoing=False),
}
PORT = 7777
DEADLINE_S = 10.0


class Lab:
    """Three namespaces, joined by the host's veths."""

    def __init__(self, stack, status):
        self.host, self.workload, self.outside = (stack.enter_context(NetNs()) for _ in range(3))
        self._stack = stack
        self._status = status
        self._join("cali1", self.workload, "02:ee:00:00:00:01")
        self._join("eth1", self.outside, "02:ee:00:00:00:02")
        self.host.run(
            ["ip", "-batch", "-"],
            stdin=f"""
            address add {HOST}/24 dev eth1
            address add fd00:2::1/64 dev eth1 nodad
            neigh replace {WORKLOAD6} lladdr 02:aa:00:00:00:01 nud permanent dev cali1
            neigh replace {WORKLOAD} lladdr 02:aa:00:00:00:01 nud permanent dev cali1
            """,
        )
        self.workload.run(
            ["ip", "-batch", "-"],
            stdin=f"""
            address add {WORKLOAD}/32 dev eth0
            address add {WORKLOAD6}/128 dev eth0 nodad
            neigh replace 169.254.1.1 lladdr 02:ee:00:00:00:01 nud permanent dev eth0
            neigh replace fe80::1 lladdr 02:ee:00:00:00:01 nud permanent dev eth0
            route add 169.254.1.1 dev eth0 scope link
            route add default via 169.254.1.1
            route add default via fe80::1 dev eth0
            """,
        )
        self.outside.run(
            ["ip", "-batch", "-"],
            stdin=f"""
            address add {OUTSIDE}/24 dev eth0
            address add {OUTSIDE6}/64 dev eth0 nodad
            route add default via {HOST}
            route add default via fd00:2::1
            """,
        )

    def _join(self, name, inside, mac):
        peer = mac.replace("ee", "aa")
        ends = f"{name} address {mac} type veth peer name eth0 address {peer} netns {inside.name}"
        self.host.run(["ip", "link", "add", *ends.split()])
        self.host.run(["ip", "link", "set", name, "up"])
        inside.run(["ip", "link", "set", "eth0", "up"])

    def start(self, endpoint=ENDPOINT, settings=None, pools=POOLS):
        """Let Felix connect the workload."""
        rules = settings or RuleSettings()
        routes = RouteSettings(floating_ips=rules.floating_ips)
        firewall = FirewallSettings()
        felix = self.host.call(
            lambda: Host(rules, routes, firewall, self._status, self._status / "mtu")
        )
        self._stack.callback(felix.close)
        changes = Changes(
            profiles={"open": ALLOW}, endpoints={EndpointId("ns", "a"): endpoint}, pools=pools
        )
        self.host.call(lambda: felix.start(changes))
        assert felix.is_in_sync
        return felix

    def udp(self, where, address=""):
        """A UDP socket there, bound to the test's port if an address is given."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = where.call(lambda: socket.socket(family, socket.SOCK_DGRAM))
        self._stack.enter_context(made)
        made.settimeout(DEADLINE_S)
        if address:
            made.bind((address, PORT))
        return made

    def server(self, where, address):
        """A listening TCP socket there."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = where.call(lambda: socket.socket(family, socket.SOCK_STREAM))
        self._stack.enter_context(made)
        made.bind((address, PORT))
        made.listen()
        made.settimeout(DEADLINE_S)
        return made

    def accept(self, server):
        """Take the next connection of a server; return its far end's address and port."""
        made, peer = server.accept()
        self._stack.enter_context(made)
        return peer[:2]

    def connect(self, where, address):
        """A TCP connection from there.

        Raises:
            OSError: it was refused.
        """
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = where.call(lambda: socket.socket(family, socket.SOCK_STREAM))
        self._stack.enter_context(made)
        made.settimeout(DEADLINE_S)
        made.connect((address, PORT))
        return made


@pytest.fixture
def lab(tmp_path):
    with ExitStack() as stack:
        yield Lab(stack, tmp_path)


def limited(**quality):
    return replace(ENDPOINT, quality=Quality(**quality))


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_packets_beyond_the_rate_are_dropped_of_known_connections_too(lab, direction):
    slow = Limits(packet_rate=1, packet_burst=7)
    lab.start(limited(**{direction: slow}))
    server = lab.udp(lab.outside, OUTSIDE)
    client = lab.udp(lab.workload)
    began = time.monotonic()
    client.sendto(b"hello", (OUTSIDE, PORT))
    _, peer = server.recvfrom(100)
    server.sendto(b"hello", peer)
    client.recvfrom(100)
    sender, receiver, to = (
        (client, server, (OUTSIDE, PORT)) if direction == "egress" else (server, client, peer)
    )
    for _ in range(100):
        sender.sendto(b"more", to)
    arrived, elapsed = count_waiting(receiver), time.monotonic() - began
    # One of the burst is spent; each second adds one.
    assert 6 <= arrived <= 6 + elapsed + 1


def count_waiting(receiver):
    """Count what has arrived; on veths packets arrive before sendto returns."""
    receiver.setblocking(False)
    count = 0
    try:
        while receiver.recv(100):
            count += 1
    except BlockingIOError:
        return count
    return count


@pytest.mark.parametrize(
    ("direction", "client", "server", "address"),
    [
        ("ingress", "outside", "workload", WORKLOAD),
        ("egress", "workload", "outside", OUTSIDE),
        ("egress", "workload", "outside", OUTSIDE6),
    ],
)
def test_connections_beyond_the_limit_are_reset(lab, direction, client, server, address):
    lab.start(limited(**{direction: Limits(connections=2)}))
    listening = lab.server(getattr(lab, server), address)
    where = getattr(lab, client)
    kept = [lab.connect(where, address) for _ in range(2)]
    with pytest.raises(ConnectionRefusedError):
        lab.connect(where, address)
    kept.pop(0).close()
    listening.accept()[0].close()
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            lab.connect(where, address)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "the closed connection still counts"
        else:
            return


def test_a_change_of_policy_does_not_forget_the_connections_that_were_counted(lab):
    felix = lab.start(limited(ingress=Limits(connections=1)))
    lab.server(lab.workload, WORKLOAD)
    lab.connect(lab.outside, WORKLOAD)
    both = ActivePolicy("", (CompiledRule("Log"), CompiledRule("Allow")), ())
    other = limited(ingress=Limits(connections=1))
    other = replace(other, policies=EndpointPolicies((), ("both",)))
    lab.host.call(
        lambda: felix.apply(
            Changes(profiles={"both": both}, endpoints={EndpointId("ns", "a"): other})
        )
    )
    with pytest.raises(ConnectionRefusedError):
        lab.connect(lab.outside, WORKLOAD)


@pytest.mark.parametrize(("target", "level", "option", "kind"), [
    (OUTSIDE, socket.IPPROTO_IP, socket.IP_RECVTOS, socket.IP_TOS),
    (OUTSIDE6, socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, socket.IPV6_TCLASS),
])  # fmt: skip
@pytest.mark.parametrize("nat", [False, True])
def test_what_leaves_the_cluster_is_marked(lab, target, level, option, kind, nat):
    pools = {name: replace(pool, nat_outgoing=nat) for name, pool in POOLS.items()}
    lab.start(limited(dscp=46), pools=pools)
    server = lab.udp(lab.outside, target)
    server.setsockopt(level, option, 1)
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    client = lab.workload.call(lambda: socket.socket(family, socket.SOCK_DGRAM))
    with client:
        client.sendto(b"hello", (target, PORT))
    _, ancillary, _, _ = server.recvmsg(100, 100)
    assert [data[0] >> 2 for at, what, data in ancillary if (at, what) == (level, kind)] == [46]


def test_what_stays_in_the_pools_is_not_marked(lab):
    inside = {**POOLS, "outside": Pool(parse_cidr("192.0.2.0/24"), nat_outgoing=False)}
    lab.start(limited(dscp=46), pools=inside)
    server = lab.udp(lab.outside, OUTSIDE)
    server.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    lab.udp(lab.workload).sendto(b"hello", (OUTSIDE, PORT))
    _, ancillary, _, _ = server.recvmsg(100, 100)
    assert [data[0] for _, what, data in ancillary if what == socket.IP_TOS] == [0]


MEGABYTE = 1_000_000
#: 2 MB/s, after the first 100 kB.
SLOW = Limits(bandwidth=8 * 2 * MEGABYTE, burst=8 * 100_000)


def seconds_for(lab, sender, receiver, address, size):
    """How long it takes to send so many bytes over one connection."""
    server = lab.server(receiver, address)
    client = lab.connect(sender, address)
    accepted, _ = server.accept()
    with accepted:
        accepted.settimeout(DEADLINE_S)
        client.setblocking(False)
        began, left, arrived = time.monotonic(), size, 0
        while arrived < size:
            with suppress(BlockingIOError):
                left -= client.send(bytes(min(left, 65536))) if left else 0
            if select.select([accepted], [], [], 0 if left else DEADLINE_S)[0]:
                arrived += len(accepted.recv(1 << 20))
    return time.monotonic() - began


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_bandwidth_is_limited(lab, direction):
    lab.start(limited(**{direction: SLOW}))
    ends = [(lab.outside, lab.workload, WORKLOAD), (lab.workload, lab.outside, OUTSIDE)]
    limited_way = ends[direction == "egress"]
    assert seconds_for(lab, *limited_way, 2 * MEGABYTE) > 0.8 * (2 - 0.1) / 2


def qdiscs(lab):
    return lab.host.run(["tc", "qdisc", "show"]).stdout


def test_limits_follow_the_endpoint_and_leave_nothing_behind(lab):
    before = qdiscs(lab)
    felix = lab.start(limited(ingress=SLOW, egress=SLOW))
    assert qdiscs(lab).count("tbf") == 2
    assert "rate 16Mbit" in qdiscs(lab)
    faster = limited(ingress=replace(SLOW, bandwidth=8 * 4 * MEGABYTE))

    def apply(endpoint):
        told = Changes(endpoints={EndpointId("ns", "a"): endpoint})
        lab.host.call(lambda: felix.apply(told))

    apply(faster)
    assert qdiscs(lab).count("tbf") == 1
    assert "rate 32Mbit" in qdiscs(lab)
    assert "ingress" not in qdiscs(lab)
    apply(ENDPOINT)
    assert qdiscs(lab) == before
    apply(faster)
    apply(None)
    assert qdiscs(lab) == before


def test_an_interface_that_comes_back_is_limited_again(lab):
    felix = lab.start(limited(ingress=SLOW, egress=SLOW))
    lab.host.run(["ip", "link", "delete", "cali1"])
    lab.host.call(felix.take_link_events)
    assert "tbf" not in qdiscs(lab)
    lab.host.run(["ip", "link", "add", "cali1", "type", "veth", "peer", "name", "other"])
    lab.host.call(felix.take_link_events)
    assert qdiscs(lab).count("tbf") == 2


def test_a_run_that_needs_no_limits_removes_those_of_the_one_before(lab):
    before = qdiscs(lab)
    lab.start(limited(ingress=SLOW, egress=SLOW)).close()
    assert "tbf" in qdiscs(lab)
    lab.start(ENDPOINT)
    assert qdiscs(lab) == before


@pytest.mark.parametrize("foreign", ["root handle 1: htb", "handle ffff: ingress"])
def test_what_another_program_put_on_the_interface_stays(lab, foreign, caplog):
    lab.host.run(["tc", "qdisc", "add", "dev", "cali1", *foreign.split()])
    kind = foreign.rsplit(maxsplit=1)[-1]

    def theirs():
        lines = [line for line in qdiscs(lab).splitlines() if kind in line]
        return [re.sub(r"direct_packets_stat \d+", "", line) for line in lines]

    before = theirs()
    lab.start(limited(ingress=SLOW, egress=SLOW))
    assert before
    assert theirs() == before
    assert "cannot limit bandwidth" in caplog.text


FLOATS = replace(
    ENDPOINT,
    floating=(
        FloatingAddress(parse_cidr(FLOATING), parse_cidr(WORKLOAD)),
        FloatingAddress(parse_cidr(FLOATING6), parse_cidr(WORKLOAD6)),
    ),
)


@pytest.mark.parametrize(
    ("floating", "own", "client"),
    [(FLOATING, WORKLOAD, OUTSIDE), (FLOATING6, WORKLOAD6, OUTSIDE6)],
)
def test_a_floating_address_leads_to_its_workload(lab, floating, own, client):
    lab.start(FLOATS, RuleSettings(floating_ips=True))
    server = lab.server(lab.workload, own)
    from_outside = lab.connect(lab.outside, floating)
    assert lab.accept(server) == from_outside.getsockname()[:2]
    assert from_outside.getsockname()[0] == client
    lab.connect(lab.host, floating)
    lab.accept(server)
    itself = lab.connect(lab.workload, floating)
    # It sees the address that it talked to: an answer to its own would not come back through here.
    assert lab.accept(server)[0] == floating
    assert itself.getsockname()[0] == own


def test_what_a_workload_with_a_floating_address_sends_keeps_its_own(lab):
    lab.start(FLOATS, RuleSettings(floating_ips=True))
    server = lab.server(lab.outside, OUTSIDE)
    lab.connect(lab.workload, OUTSIDE)
    assert lab.accept(server)[0] == WORKLOAD


def test_without_floating_addresses_enabled_there_are_none(lab):
    lab.start(FLOATS)
    listed = lab.host.run(["nft", "list", "table", "inet", "calico"]).stdout
    assert FLOATING not in listed


@pytest.mark.parametrize(
    ("settings", "source", "ports"),
    [
        (RuleSettings(), HOST, range(65536)),
        (RuleSettings(nat_ports=Range(20000, 20009)), HOST, range(20000, 20010)),
        (
            RuleSettings(nat_outgoing_address=parse_cidr(NATTED)),
            NATTED,
            range(65536),
        ),
        (
            RuleSettings(
                nat_outgoing_address=parse_cidr(NATTED), nat_ports=Range(20000, 20009)
            ),
            NATTED,
            range(20000, 20010),
        ),
        (RuleSettings(nat_outgoing_interface="eth1"), HOST, range(65536)),
        (RuleSettings(nat_outgoing_interface="eth+"), HOST, range(65536)),
        (RuleSettings(nat_outgoing_interface="eth9"), WORKLOAD, range(65536)),
        (RuleSettings(nat_outgoing_interface="wire+"), WORKLOAD, range(65536)),
    ],
)  # fmt: skip
def test_what_leaves_a_pool_is_hidden(lab, settings, source, ports):
    natted = {name: replace(pool, nat_outgoing=True) for name, pool in POOLS.items()}
    lab.start(settings=settings, pools=natted)
    udp, tcp = lab.udp(lab.outside, OUTSIDE), lab.server(lab.outside, OUTSIDE)
    lab.udp(lab.workload).sendto(b"hello", (OUTSIDE, PORT))
    _, (address, port) = udp.recvfrom(100)
    assert (address, port in ports) == (source, True)
    lab.connect(lab.workload, OUTSIDE)
    address, port = lab.accept(tcp)
    assert (address, port in ports) == (source, True)
