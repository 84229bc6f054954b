"""What becomes of packets, beside what policy says: spoofing, the host, NAT, strangers, tampering."""

import json

import pytest

from calico_test.probes import Probe
from libcalico.testing import builders as a

DENY_WEB = a.a_global_policy(name="deny-web", selector="app == 'web'", ingress=[a.a_rule("Deny")])


def route_to(felix, interface, addresses):
    """Make routes of somebody else's, which Felix leaves alone: theirs have another metric."""
    for address in addresses:
        felix.host.sh(f"ip route replace {address} dev {interface} metric 7")


def test_policy_decides_between_workloads_and_changes_live(felix):
    felix.start()
    web, api = felix.connect("web"), felix.connect("api")
    assert felix.outcomes(api, web) == felix.OPEN
    felix.put(DENY_WEB)
    felix.wait_policy("deny-web")
    assert felix.outcomes(api, web) == felix.CLOSED
    assert felix.outcomes(web, api) == felix.OPEN
    only_81 = a.a_rule("Allow", protocol="TCP", destination={"ports": [81]})
    felix.put(a.a_global_policy(name="deny-web", selector="app == 'web'", ingress=[only_81]))
    felix.wait_chain("cali-pi-gnp/deny-web", "81")
    assert felix.outcomes(api, web, "tcp81") == felix.OPEN
    assert felix.outcomes(api, web) == felix.CLOSED
    assert felix.outcomes(api, web, "icmp") == felix.CLOSED
    felix.delete(DENY_WEB)
    felix.wait(lambda: not felix.chain("cali-pi-gnp/deny-web"), "the policy is gone")
    assert felix.outcomes(api, web) == felix.OPEN


def test_a_workload_sends_from_its_own_addresses_only(felix):
    felix.start()
    web, api = felix.connect("web"), felix.connect("api")
    api.run(["ip", "address", "add", "10.65.0.77/32", "dev", "eth0"])
    api.run(["ip", "address", "add", "fd65::77/128", "dev", "eth0", "nodad"])
    # The answers would come back: they are not what is missing.
    route_to(felix, "caliapi", ("10.65.0.77", "fd65::77"))
    for probe in ("tcp80", "udp80"):
        assert felix.outcomes(api, web, probe, senders=api.addresses) == felix.OPEN
        spoofed = felix.outcomes(api, web, probe, senders=("10.65.0.77", "fd65::77"))
        assert spoofed == felix.CLOSED
        as_another = felix.outcomes(api, web, probe, senders=("10.65.0.77", None))
        assert as_another == ["timeout", "open"]
    felix.put(felix.endpoint("api", *api.addresses, "10.65.0.77", "fd65::77"))
    felix.wait(
        lambda: felix.outcomes(api, web, senders=("10.65.0.77", "fd65::77")) == felix.OPEN,
        "the new addresses are the workload's own",
    )


def test_a_workload_sends_from_further_prefixes_if_endpoint_and_configuration_allow_it(felix):
    allowed = ["10.77.0.0/16", "fd77::/64"]
    felix.start()
    web, api = felix.connect("web"), felix.connect("api", allow_spoofed_source_prefixes=allowed)
    other, senders = felix.connect("other"), ("10.77.0.1", "fd77::1")
    for workload in (api, other):
        workload.run(["ip", "address", "add", senders[0], "dev", "eth0"])
        workload.run(["ip", "address", "add", senders[1], "dev", "eth0", "nodad"])
    route_to(felix, "caliapi", senders)
    assert felix.outcomes(api, web, senders=senders) == felix.CLOSED
    felix.configure(workload_source_spoofing="Any")
    felix.wait(lambda: felix.outcomes(api, web, senders=senders) == felix.OPEN, "it may")
    route_to(felix, "caliother", senders)
    assert felix.outcomes(other, web, senders=senders) == felix.CLOSED
    felix.configure()
    felix.wait_chain("cali-rpf", "drop")
    felix.wait(lambda: "caliapi" not in felix.chain("cali-rpf"), "it may not any more")


@pytest.mark.parametrize(
    ("action", "outcome"), [("Drop", "timeout"), ("Return", "open"), ("Accept", "open")]
)
def test_the_host_reaches_every_workload_and_is_reached_as_the_action_says(felix, action, outcome):
    felix.configure(default_endpoint_to_host_action=action)
    felix.start()
    felix.put(
        DENY_WEB,
        a.a_global_policy(
            name="no-81",
            selector="app == 'web'",
            types=["Egress"],
            egress=[a.a_rule("Deny", protocol="TCP", destination={"ports": [81]}), a.a_rule()],
        ),
    )
    web = felix.connect("web")
    felix.host.listen(tcp=[80, 81])
    felix.wait_policy("no-81", "o")
    assert felix.outcomes(felix.host, web) == felix.OPEN
    assert felix.outcomes(web, felix.host) == [outcome, outcome]
    assert felix.outcomes(web, felix.host, "tcp81") == felix.CLOSED


def test_what_nobody_has_registered_reaches_and_is_reached_by_nobody(felix):
    felix.start()
    web, stranger = felix.connect("web"), felix.connect("odd", registered=False)
    route_to(felix, "caliodd", stranger.addresses)
    felix.host.listen(tcp=[80])
    assert felix.outcomes(stranger, web) == felix.CLOSED
    assert felix.outcomes(web, stranger) == felix.CLOSED
    assert felix.outcomes(stranger, felix.host) == felix.CLOSED
    felix.put(felix.endpoint("odd", *stranger.addresses))
    felix.wait_outcomes(stranger, web, felix.OPEN)


def test_nat_outgoing_hides_workloads_from_the_world_only(felix):
    pools = [
        a.a_pool(name="v4", cidr="10.65.0.0/16", nat_outgoing=True),
        a.a_pool(name="v6", cidr="fd65::/64", nat_outgoing=True),
    ]
    felix.put(*pools)
    felix.start()
    web, api, world = felix.connect("web"), felix.connect("api"), felix.lab.outside
    world.listen(tcp=[80])

    def seen(destination, version):
        address = destination.address(version)
        return api.probe(address, Probe("tcp", 80)).outcome.value, peer(api, address)

    assert seen(world, 4) == ("open", felix.host.address(4))
    assert seen(world, 6) == ("open", felix.host.address(6))
    assert seen(web, 4) == ("open", api.address(4))
    assert seen(web, 6) == ("open", api.address(6))
    felix.put(pools[0].with_(spec=pools[0].spec.with_(nat_outgoing=False)))
    felix.wait(lambda: felix.outcomes(api, world) == ["timeout", "open"], "no NAT any more")


def peer(source, address):
    """Return the address that a server sees."""
    script = "import socket; print(socket.create_connection((%r, 80), 5).makefile().readline())"
    return json.loads(source.run(["python3", "-c", script % address]).stdout)["peer"]


def test_a_policy_that_nobody_understands_denies_whom_it_selects_and_is_reported(felix):
    felix.start()
    web, api, db = felix.connect("web"), felix.connect("api"), felix.connect("db")
    spec = {"selector": "app == 'web'", "types": ["Ingress"], "ingress": [{"action": "Shrug"}]}
    felix.put_raw("GlobalNetworkPolicy", "odd", {"kind": "GlobalNetworkPolicy", "spec": spec})
    felix.wait_row("Objects", "GlobalNetworkPolicy(odd)")
    assert "GlobalNetworkPolicy(odd)" in felix.log
    felix.wait_outcomes(api, web, felix.CLOSED)
    felix.put(a.a_global_policy(name="good", selector="app == 'db'", ingress=[a.a_rule("Deny")]))
    felix.wait_policy("good")
    assert felix.outcomes(api, db) == felix.CLOSED
    assert felix.is_ready()
    felix.put_raw(
        "GlobalNetworkPolicy", "odd", {"spec": {**spec, "ingress": [{"action": "Allow"}]}}
    )
    felix.wait_row("Objects", "all can be used")
    felix.wait_outcomes(api, web, felix.OPEN)


@pytest.mark.parametrize(
    "garbage", ["", "{", "[]", '{"spec": 7}', '{"spec": {"selector": "a =="}}']
)
def test_garbage_in_place_of_policy_denies_everybody_and_stops_nothing(felix, garbage):
    felix.start()
    web, api = felix.connect("web"), felix.connect("api")
    felix.put_raw("GlobalNetworkPolicy", "garbage", garbage)
    felix.wait_row("Objects", "GlobalNetworkPolicy(garbage)")
    felix.wait_outcomes(api, web, felix.CLOSED)
    felix.delete(a.a_global_policy(name="garbage"))
    felix.wait_row("Objects", "all can be used")
    felix.wait_outcomes(api, web, felix.OPEN)


#: Sends one TCP segment of no connection, and prints the sequence number of the reset that answers.
STRAY = """
import socket, struct, sys
source, target, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in target else socket.AF_INET
raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
raw.bind((source, 0))
head = struct.pack("!HHIIBBHHH", 3434, port, 111, 123, 5 << 4, 0x10, 1024, 0, 0)
ends = socket.inet_pton(family, source) + socket.inet_pton(family, target)
summed = ends + struct.pack("!II", len(head), 6) + head
total = sum(struct.unpack(f"!{len(summed) // 2}H", summed))
total = (total & 0xFFFF) + (total >> 16)
total = (total & 0xFFFF) + (total >> 16)
raw.sendto(head[:16] + struct.pack("!H", ~total & 0xFFFF) + head[18:], (target, 0))
raw.settimeout(float(sys.argv[4]))
try:
    while True:
        packet = raw.recv(2048)
        segment = packet if family == socket.AF_INET6 else packet[(packet[0] & 15) * 4:]
        ports, sequence, flags = segment[:4], segment[4:8], segment[13]
        if ports == struct.pack("!HH", port, 3434) and flags & 4:
            print(int.from_bytes(sequence, "big"))
            break
except TimeoutError:
    print("silence")
"""


def stray(source, destination, version, port, timeout_s=10.0):
    """Return what answers a TCP segment that belongs to no connection."""
    ends = source.address(version), destination.address(version)
    return source.run(["python3", "-c", STRAY, *ends, str(port), str(timeout_s)]).stdout.strip()


def test_a_segment_of_no_connection_is_reset_by_its_receiver_unless_policy_denies(felix):
    felix.configure(default_endpoint_to_host_action="Return")
    felix.start()
    web, api = felix.connect("web"), felix.connect("api")
    for version in (4, 6):
        assert stray(api, web, version, 1234) == "123"
        assert stray(api, felix.host, version, 1234) == "123"
        assert stray(felix.lab.outside, felix.host, version, 1234) == "123"
    felix.put(DENY_WEB)
    felix.wait_policy("deny-web")
    for version in (4, 6):
        assert stray(api, web, version, 1235, timeout_s=0.3) == "silence"


def test_policy_against_icmpv6_leaves_neighbour_discovery(felix):
    felix.configure(default_endpoint_to_host_action="Return")
    felix.start()
    web, api = felix.connect("web"), felix.connect("api")
    felix.host.listen(tcp=[80])
    no_icmp = [a.a_rule("Deny", protocol="ICMPv6"), a.a_rule("Deny", protocol="ICMP"), a.a_rule()]
    felix.put(a.a_global_policy(name="no-icmp", ingress=no_icmp, egress=no_icmp))
    felix.wait_policy("no-icmp")
    for workload in (web, api):
        workload.run(["ip", "neigh", "flush", "all"])
        felix.host.sh(f"ip -6 neigh flush dev cali{workload.name}")
    assert felix.outcomes(api, web, "icmp") == felix.CLOSED
    assert felix.outcomes(api, web) == felix.OPEN
    assert felix.outcomes(web, felix.host) == felix.OPEN


#: Asks for an address as who has none does.
DISCOVER = """
import socket
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
client.bind(("", 68))
client.sendto(b"discover", ("255.255.255.255", 67))
"""
SEEN = """table inet watch {
    chain input {
        type filter hook input priority 10
        ip saddr 0.0.0.0 udp sport 68 udp dport 67 counter
    }
}
"""


@pytest.mark.parametrize(("prefix", "is_served"), [("tap,cali", True), ("cali", False)])
def test_with_openstacks_interfaces_a_host_serves_addresses_and_names(felix, prefix, is_served):
    felix.configure(interface_prefix=prefix)
    felix.host.run(["nft", "-f", "-"], stdin=SEEN)
    felix.start()
    shut = a.a_global_policy(name="shut", ingress=[], types=["Egress"])
    felix.put(shut)
    web = felix.connect("web")
    felix.host.listen(tcp=[53, 80], udp=[53, 80])
    served = felix.OPEN if is_served else felix.CLOSED
    assert felix.outcomes(web, felix.host, "udp53") == served
    assert felix.outcomes(web, felix.host, "tcp53") == served
    for probe in ("tcp80", "udp80", "icmp"):
        assert felix.outcomes(web, felix.host, probe) == felix.CLOSED
    web.run(["ip", "-4", "address", "flush", "dev", "eth0"])
    web.run(["python3", "-c", DISCOVER])

    def seen():
        return felix.host.run(["nft", "list", "table", "inet", "watch"]).stdout

    felix.wait(lambda: f"counter packets {int(is_served)} " in seen(), "it asked for an address")
