"""A host with workloads behind veths and a wire to the outside: frames go in, and are caught at the far end.

Nothing waits for silence. All frames are sent from one processor, where the kernel handles them in the
order of their arrival, so once the host has answered an ARP request that was sent after them, each has
been delivered or dropped.
"""

import itertools
import os
import re
import select
import socket
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

import pytest

from calico_node.felix.dataplane.host import Host
from calico_node.felix.dataplane.testing import frames, network
from calico_node.felix.dataplane.testing.follower import HOST, Follower, judge
from calico_node.felix.dataplane.testing.frames import SCTP, TCP, UDP
from calico_node.felix.dataplane.testing.verdicts import RULES
from calico_node.felix.firewall.model import FirewallSettings
from calico_node.felix.routes.settings import RouteSettings
from calico_test.netns import NetNs
from libcalico.net.addresses import parse_address, parse_cidr
from libcalico.policy import Packet, World
from libcalico.resources.model import id_of
from libcalico.testing import builders as a

HOST_MAC = bytes.fromhex("02ee00000000")
HOST_ADDRESS = parse_cidr("10.255.0.1")
ALL_PROTOCOLS = 3
MUTE = (
    "table inet mute {\nchain c {\ntype filter hook prerouting priority -400\npolicy drop\n}\n}\n"
)
DEADLINE_S = 10.0
PROTOCOLS = (*network.OTHER_PROTOCOLS, TCP, UDP, SCTP)


class Port:
    """One end of a veth, in a namespace of its own, that answers nothing by itself."""

    def __init__(self, stack, host, number, name, addresses):
        self.name = name
        self.mac = bytes.fromhex("02aa000000") + bytes([number])
        self._sender = next(cidr for cidr in addresses if cidr.version == 4)
        inside = stack.enter_context(NetNs())
        inside.run(["nft", "-f", "-"], stdin=MUTE)
        host.run(
            ["ip", "-batch", "-"],
            stdin=f"""
            link add {name} address {HOST_MAC.hex(":")} type veth peer name eth0 netns {inside.name}
            link set {name} up
            """,
        )
        inside.run(["ip", "link", "set", "eth0", "address", self.mac.hex(":"), "up"])
        self._socket = stack.enter_context(inside.call(self._open))
        self._socket.setblocking(False)
        self._caught = set()

    @staticmethod
    def _open():
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
        opened.bind(("eth0", ALL_PROTOCOLS))
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        return opened

    def send(self, probes):
        """Send probes, and return once the host is done with them."""
        for probe in probes:
            self._socket.send(frames.encode(probe, self.mac, HOST_MAC))
        self._socket.send(frames.arp_request(self.mac, self._sender, HOST_ADDRESS))
        while not self._read():
            assert select.select([self._socket], [], [], DEADLINE_S)[0], "the host does not answer"

    def catch(self):
        """Return the numbers of the frames that arrived since the last call."""
        self._read()
        caught, self._caught = self._caught, set()
        return caught

    def _read(self):
        """Take in what arrived; return whether an answer of the host was among it."""
        is_answered = False
        with suppress(BlockingIOError):
            while True:
                frame, (_, protocol, kind, *_) = self._socket.recvfrom(2048)
                if kind == socket.PACKET_OUTGOING:
                    continue
                if protocol in frames.ETHERTYPE.values():
                    self._caught.add(frames.number(frame))
                is_answered |= protocol == frames.ARP and frame[:6] == self.mac
        return is_answered


def nat():
    """The table that does the destination NAT of these worlds."""
    hooks = {"prerouting": network.PUBLISHED, "output": network.REDIRECTED}
    lines = ["table inet nat {"]
    for hook, rules in hooks.items():
        lines += [f"chain {hook} {{", f"type nat hook {hook} priority -100"]
        for (asked, port), (real, real_port) in rules.items():
            family, to = ("ip6", f"[{real}]") if ":" in real else ("ip", real)
            lines.append(
                f"{family} daddr {asked} tcp dport {port} dnat {family} to {to}:{real_port}"
            )
        lines.append("}")
    return "\n".join([*lines, "}", ""])


class HostItself:
    """What the host sends and receives itself, as programs of its own would see it."""

    def __init__(self, stack, host):
        self._received = []
        for family, icmp in ((socket.AF_INET, 1), (socket.AF_INET6, 58)):
            for protocol in {*PROTOCOLS, icmp}:
                opened = host.call(partial(socket.socket, family, socket.SOCK_RAW, protocol))
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                opened.setblocking(False)
                self._received.append(stack.enter_context(opened))
        self._sending = {
            version: stack.enter_context(
                host.call(partial(socket.socket, family, socket.SOCK_RAW, socket.IPPROTO_RAW))
            )
            for version, family in ((4, socket.AF_INET), (6, socket.AF_INET6))
        }

    def send(self, probe):
        packet = frames.datagram(probe)
        # A packet that policy denies is refused.
        with suppress(PermissionError, ConnectionRefusedError, OSError):
            self._sending[probe.packet.version].sendto(
                packet, (probe.packet.destination.address, 0)
            )

    def catch(self):
        """Return the numbers of the packets that arrived since the last call."""
        caught = set()
        for receiving in self._received:
            with suppress(BlockingIOError):
                while True:
                    caught.add(frames.number_of(receiving.recv(2048)))
        return caught


class Wires:
    """The host, and everything that is connected to it."""

    def __init__(self, stack, status):
        self._host = stack.enter_context(NetNs())
        self._host.run(["ip", "address", "add", str(HOST_ADDRESS), "dev", "lo"])
        ends = {name: [parse_cidr(net) for net in nets] for name, nets in network.LOCAL.items()}
        ends[network.OUTSIDE] = [parse_cidr("192.0.2.2")]
        self._ports = {
            name: Port(stack, self._host, number, name, addresses)
            for number, (name, addresses) in enumerate(ends.items(), start=1)
        }
        self._host.run(["ip", "-batch", "-"], stdin="\n".join(self._ways()))
        self._host.run(["nft", "-f", "-"], stdin=nat())
        self._itself = HostItself(stack, self._host)
        self.felix = self._host.call(
            lambda: Host(RULES, RouteSettings(), FirewallSettings(), status, status / "mtu")
        )
        stack.callback(self.felix.close)
        self._is_started = False

    def _ways(self):
        """Yield the commands that let the host reach everybody without asking for addresses."""
        yield f"address add 192.0.2.1/24 dev {network.OUTSIDE}"
        yield f"address add fd00:2::1/64 dev {network.OUTSIDE} nodad"
        neighbours = {name: list(nets) for name, nets in network.LOCAL.items()}
        neighbours[network.OUTSIDE] = ["192.0.2.2/32", "fd00:2::2/128"]
        for name, nets in neighbours.items():
            for net in nets:
                mac = self._ports[name].mac.hex(":")
                yield f"neigh replace {net.partition('/')[0]} lladdr {mac} nud permanent dev {name}"
        yield "route add default via 192.0.2.2"
        yield f"route add default via fd00:2::2 dev {network.OUTSIDE}"

    def program(self, changes):
        """Let Felix program changes."""
        act = self.felix.apply if self._is_started else self.felix.start
        self._is_started = True
        self._host.call(lambda: act(changes))
        assert self.felix.is_in_sync
        assert not self.felix.enforcer.refused

    def deliver(self, probes):
        """Send probes from where they come from; return number → names of the ends where it arrived."""
        by_port = {name: [] for name in self._ports}
        for probe in probes:
            if probe.packet.source.address in network.UPLINK:
                self._itself.send(probe)
            else:
                by_port[network.place(probe.packet.source)].append(probe)
        for name, some in by_port.items():
            self._ports[name].send(some)
        arrived = {probe.number: set() for probe in probes}
        for name, port in (*self._ports.items(), (HOST, self._itself)):
            for number in port.catch() & arrived.keys():
                arrived[number].add(name)
        for where in arrived.values():
            if HOST in where:
                where &= {HOST}  # its answers hold what was sent
        return arrived

    def explain(self, packet):
        """Return the rules that a packet meets, as nft lists them."""
        listed = self._host.run(["nft", "list", "table", "inet", "calico"]).stdout
        blocks = dict(re.findall(r"^\t\w+ (\S+) (\{.*?^\t\})", listed, re.DOTALL | re.MULTILINE))
        found, shown = [], {}
        for version, kind, place in (
            ("from", "fw", packet.source),
            ("to", "tw", packet.destination),
        ):
            pattern = rf'"{network.place(place)}" : goto (cali-{kind}-\w+)'
            found += re.findall(pattern, blocks[f"cali-{version}-wl"])
        found += [name for name in blocks if name.startswith("host-")]
        while found:
            name = found.pop(0)
            if name not in shown and name in blocks:
                shown[name] = blocks[name]
                found += re.findall(r"(?:jump |goto |@)(\S+)", blocks[name])
        return "\n".join(f"{name} {block}" for name, block in shown.items())


@contextmanager
def _on_one_processor():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.fixture(scope="module")
def wires(tmp_path_factory):
    with ExitStack() as stack:
        stack.enter_context(_on_one_processor())
        yield Wires(stack, tmp_path_factory.mktemp("status"))


class Ruled:
    """A host on which objects are in force; what becomes of packets there is what the evaluator says, too."""

    def __init__(self, wires):
        self._wires, self._follower, self._numbers = wires, Follower(), itertools.count(1)
        self._world = World.of(())

    def put(self, *resources):
        """Let these objects, and no others, be in force."""
        self._wires.program(self._follower.follow({id_of(each): each for each in resources}))
        self._world = World.of(resources)

    def passes(self, *packets):
        """Send packets; return, for each, whether it arrived where it is to."""
        probes = [frames.Probe(packet, next(self._numbers)) for packet in packets]
        arrived = self._wires.deliver(probes)
        for probe in probes:
            _, _, wanted = judge(self._world, probe.packet)
            assert arrived[probe.number] == wanted, self._wires.explain(probe.packet)
        return [bool(arrived[probe.number]) for probe in probes]


@pytest.fixture(scope="module")
def ruled(wires):
    return Ruled(wires)


@pytest.fixture(scope="module")
def packet():
    """The function that makes a packet, of TCP to port 80 unless it is told otherwise."""
    fresh = itertools.count(40000)

    def make(source, destination, protocol=TCP, port=80, sport=None, icmp=None):
        ends = {"source": parse_address(source), "destination": parse_address(destination)}
        if icmp is not None:
            of_family = {4: 1, 6: 58}[ends["source"].version]
            return Packet(protocol=of_family, icmp_type=icmp[0], icmp_code=icmp[1], **ends)
        return Packet(
            protocol=protocol, source_port=sport or next(fresh), destination_port=port, **ends
        )

    return make


@pytest.fixture
def basics():
    """The default tier, and the profile of all of our endpoints."""
    return [
        a.a_tier(name="default", order=1_000_000.0, default_action="Deny"),
        a.a_profile(name="open"),
    ]


@pytest.fixture
def endpoint():
    """The function that makes the endpoint behind an interface."""

    def make(interface, namespace="default", **fields):
        return a.an_endpoint(
            **{
                "namespace": namespace,
                "node": network.HOST,
                "container_id": interface,
                "interface_name": interface,
                "ip_networks": list(network.LOCAL[interface]),
                "profiles": ["open"],
                "labels": {"name": interface},
                **fields,
            }
        )

    return make
