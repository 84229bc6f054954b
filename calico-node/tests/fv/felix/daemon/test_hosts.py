"""Host endpoints on a real host: what is open, what is closed, before NAT and before connection tracking."""

import re
import socket

import pytest

from calico_test.probes import Probe
from libcalico.resources.felixconfig import ProtoPort
from libcalico.testing import builders as a

RETURN = {"default_endpoint_to_host_action": "Return"}
#: Counts what goes to and from port 80 of the host, by whether connection tracking knows it.
WATCH = """
table inet watch {
    counter tracked {}
    counter untracked {}
    chain input {
        type filter hook input priority 10
        tcp dport 80 ct state untracked counter name untracked
        tcp dport 80 ct state != untracked counter name tracked
    }
    chain output {
        type filter hook output priority 10
        tcp sport 80 ct state untracked counter name untracked
        tcp sport 80 ct state != untracked counter name tracked
    }
}
"""


@pytest.fixture
def felix(felix):
    """Felix runs; the host serves some ports, and so does the world."""
    felix.configure(**RETURN)
    felix.host.listen(tcp=[22, 80, 81], udp=[80])
    felix.lab.outside.listen(tcp=[80, 81, 179], udp=[53, 80])
    return felix


@pytest.fixture
def world(felix):
    return felix.lab.outside


def on(felix, interface="eth0", **fields):
    """Return a host endpoint of the host."""
    return a.a_host_endpoint(
        **{
            "node": felix.host.name,
            "interface_name": interface,
            "labels": {"role": "host"},
            "name": f"host1-{interface.replace('*', 'all')}",
            **fields,
        },
    )


def policy(name, action="Deny", port=80, **fields):
    """Return a policy for host endpoints, about one TCP port."""
    rule = a.a_rule(action, protocol="TCP", destination={"ports": [port]})
    defaults = {"selector": "has(role)", "types": ["Ingress"], "ingress": [rule], "egress": [rule]}
    return a.a_global_policy(name=name, **{**defaults, **fields})


def put(felix, *resources, until="host-filter-INPUT"):
    felix.put(*resources)
    felix.wait(lambda: felix.chain(until), f"{until} is there")


def is_open(felix, source, destination, probe="tcp80"):
    """Return, for both families, whether the destination answers."""
    return [outcome == "open" for outcome in felix.outcomes(source, destination, probe)]


BOTH, NEITHER = [True, True], [False, False]


def test_a_host_endpoint_closes_the_host_but_for_failsafe_ports(felix, world):
    felix.start()
    assert is_open(felix, world, felix.host) == BOTH
    put(felix, on(felix))
    for probe in ("tcp80", "udp80", "icmp"):
        assert is_open(felix, world, felix.host, probe) == NEITHER, probe
        assert is_open(felix, felix.host, world, probe) == NEITHER, probe
    assert is_open(felix, world, felix.host, "tcp22") == BOTH
    for probe in ("tcp179", "udp53"):
        assert is_open(felix, felix.host, world, probe) == BOTH
    for itself in ("127.0.0.1", "::1", felix.host.address(4), felix.host.address(6)):
        assert felix.host.probe(itself, Probe("tcp", 80)).outcome == "open"
    felix.delete(on(felix))
    felix.wait(lambda: not felix.chain("host-filter-INPUT"), "nothing is left")
    assert is_open(felix, world, felix.host) == BOTH
    assert is_open(felix, felix.host, world) == BOTH


def test_policies_and_profiles_open_a_host(felix, world):
    felix.start()
    put(felix, on(felix, profiles=["open"]))
    assert is_open(felix, world, felix.host, "tcp81") == BOTH
    put(felix, policy("web", "Allow"), until="cali-pi-gnp/web")
    assert is_open(felix, world, felix.host) == BOTH
    assert is_open(felix, world, felix.host, "tcp81") == NEITHER
    assert is_open(felix, felix.host, world, "tcp81") == BOTH


def test_failsafe_ports_are_configured_live_for_some_networks_or_none(felix, world):
    felix.start()
    put(felix, on(felix))
    port = ProtoPort(protocol="tcp", port=81, net="10.233.0.0/24")
    felix.configure(failsafe_inbound_host_ports=[port], **RETURN)
    felix.wait_chain("cali-failsafe-in", "10.233.0.0/24")
    assert is_open(felix, world, felix.host, "tcp81") == [True, False]
    assert is_open(felix, world, felix.host, "tcp22") == NEITHER
    felix.configure(failsafe_inbound_host_ports=[], **RETURN)
    felix.wait(lambda: "tcp" not in felix.chain("cali-failsafe-in"), "no failsafe port")
    assert is_open(felix, world, felix.host, "tcp81") == NEITHER


def test_none_in_the_environment_leaves_no_failsafe_port(felix, world):
    felix.start(FELIX_FAILSAFEINBOUNDHOSTPORTS="none")
    put(felix, on(felix))
    assert is_open(felix, world, felix.host, "tcp22") == NEITHER


def wire(felix, interface, number):
    """Join the host and the fabric by one more wire; the host has no address on it yet."""
    where = ["netns", str(felix.host.holder.pid)]
    peer = ["link", "add", f"wire{number}", "type", "veth", "peer", "name", interface, *where]
    felix.lab.fabric.run(["ip", *peer])
    felix.lab.fabric.run(["ip", "address", "add", f"10.7.{number}.1/24", "dev", f"wire{number}"])
    felix.lab.fabric.run(["ip", "link", "set", f"wire{number}", "up"])
    felix.host.sh(f"ip link set {interface} up")


def move(felix, address, old, new):
    for interface, verb in ((old, "del"), (new, "add")):
        felix.host.sh(f"ip address {verb} {address}/32 dev {interface}")
    felix.lab.fabric.run(["ip", "route", "replace", address, "dev", "wire2"])


def test_an_interface_that_appears_later_is_protected_from_its_first_packet(felix, world):
    felix.start()
    put(felix, on(felix, "eth7"))
    wire(felix, "eth7", 1)
    felix.host.sh("ip address add 10.7.1.2/24 dev eth7")
    assert world.probe("10.7.1.2", Probe("tcp", 80)).outcome == "timeout"
    assert world.probe("10.7.1.2", Probe("tcp", 22)).outcome == "open"
    assert is_open(felix, world, felix.host) == BOTH


def test_an_expected_address_is_protected_on_the_interface_that_has_it(felix, world):
    wire(felix, "eth7", 1)
    wire(felix, "eth8", 2)
    felix.host.sh("ip address add 10.7.1.2/24 dev eth7; ip address add 10.7.2.2/24 dev eth8")
    felix.host.sh("ip address add 10.7.9.9/32 dev eth7")
    felix.put(on(felix, "", name="by-address", expected_ips=["10.7.9.9"]))
    felix.start()

    def protected():
        return [
            world.probe(address, Probe("tcp", 80)).outcome != "open"
            for address in ("10.7.1.2", "10.7.2.2")
        ]

    assert protected() == [True, False], "from the first commit on"
    move(felix, "10.7.9.9", "eth7", "eth8")
    felix.wait(lambda: protected() == [False, True], "eth8 is the one that is meant")
    assert world.probe("10.7.9.9", Probe("tcp", 80)).outcome == "timeout"
    felix.host.sh("ip link delete eth8")
    felix.wait(lambda: not felix.chain("host-filter-INPUT"), "no interface is meant")
    assert is_open(felix, world, felix.host) == BOTH


def route_back(felix):
    """Let the fabric reach the host's workloads."""
    for pool, version in (("10.65.0.0/16", 4), ("fd65::/64", 6)):
        felix.lab.fabric.run(["ip", "route", "add", pool, "via", felix.host.address(version)])


def publish(felix, workload):
    """Send port 8080 of the host to port 80 of a workload, as an engine's published port does."""
    dnat = f"dnat ip to {workload.address(4)}:80"
    script = f"""
    table ip publish {{
        chain prerouting {{
            type nat hook prerouting priority -100
            ip daddr {felix.host.address(4)} tcp dport 8080 {dnat}
        }}
        chain output {{
            type nat hook output priority -100
            ip daddr 192.0.2.80 tcp dport 8080 dnat to {felix.lab.outside.address(4)}:80
        }}
    }}
    """
    felix.host.run(["nft", "-f", "-"], stdin=script)


def reaches(felix, source, port):
    return source.probe(felix.host.address(4), Probe("tcp", port)).outcome == "open"


#: An answer to an echo that nobody asked for: connection tracking knows no such connection.
STRAY = bytes.fromhex("0000fffd00010001")
FORWARDED = """
table inet forwarded {
    counter stray {}
    counter begun {}
    chain forward {
        type filter hook forward priority 10
        icmp type echo-reply counter name stray
        udp dport 80 counter name begun
    }
}
"""


def test_what_belongs_to_no_connection_is_not_forwarded(felix, world):
    """Also without a policy of forwarded traffic; what begins a connection is, and what does not if asked."""
    felix.start()
    felix.lab.fabric.run(["ip", "route", "add", "192.0.2.0/24", "via", felix.host.address(4)])
    felix.host.run(["nft", "-f", "-"], stdin=FORWARDED)
    raw = felix.lab.fabric.call(
        lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    )

    def forwarded():
        before = counted(felix, "forwarded")
        raw.sendto(STRAY, ("192.0.2.7", 0))
        world.probe("192.0.2.7", Probe("udp", 80))
        now = counted(felix, "forwarded")
        assert now["begun"] > before["begun"]
        return now["stray"] > before["stray"]

    with raw:
        assert forwarded(), "no host endpoint"
        put(felix, on(felix, profiles=["open"]))
        assert not forwarded()
        felix.configure(disable_conntrack_invalid_check=True, **RETURN)
        felix.wait(forwarded, "it is not looked at")


def test_policy_before_nat_sees_published_ports(felix, world):
    felix.start()
    web = felix.connect("web")
    publish(felix, web)
    put(felix, on(felix, profiles=["open"]))
    assert reaches(felix, world, 8080)
    early = {"pre_dnat": True, "apply_on_forward": True, "egress": []}
    put(felix, policy("early", port=80, **early), until="cali-pi-gnp/early")
    assert reaches(felix, world, 8080), "80 is the port behind NAT"
    assert not reaches(felix, world, 80)
    felix.put(policy("early", port=8080, **early))
    felix.wait(lambda: not reaches(felix, world, 8080), "the published port is closed")
    assert reaches(felix, world, 80)
    felix.put(policy("early", "Allow", port=8080, **early))
    everything = {"selector": "has(role)", "types": ["Ingress"], "ingress": [a.a_rule("Deny")]}
    closed = a.a_global_policy(name="closed", apply_on_forward=True, **everything)
    put(felix, closed, until="cali-pi-gnp/closed")
    felix.wait(lambda: reaches(felix, world, 8080), "a pinhole for the published port")
    assert not reaches(felix, world, 80)
    assert is_open(felix, world, web) == NEITHER
    felix.put(a.a_global_policy(name="web", selector="app == 'web'", ingress=[a.a_rule("Deny")]))
    felix.wait(lambda: not reaches(felix, world, 8080), "and the workload's policy holds, too")


def test_what_the_host_sends_is_judged_by_where_nat_sends_it(felix, world):
    felix.start()
    publish(felix, felix.connect("web"))
    put(felix, on(felix))

    def reaches_hidden():
        return felix.host.probe("192.0.2.80", Probe("tcp", 8080)).outcome == "open"

    out = {"types": ["Egress"], "ingress": []}
    put(felix, policy("out", "Allow", port=8080, **out), until="cali-po-gnp/out")
    assert not reaches_hidden()
    felix.put(policy("out", "Allow", port=80, **out))
    felix.wait(reaches_hidden, "the port behind NAT is open")


def counted(felix, table="watch"):
    listed = felix.host.run(["nft", "list", "counters", "table", "inet", table]).stdout
    return {name: int(n) for name, n in re.findall(r"counter (\w+) \{\s+packets (\d+)", listed)}


def test_untracked_policy_keeps_connections_out_of_tracking_in_both_directions(felix, world):
    felix.start()
    put(felix, on(felix))
    early = {"do_not_track": True, "apply_on_forward": True}
    inbound = policy("raw", "Allow", egress=[], **early)
    put(felix, inbound, until="cali-pi-gnp/raw")
    assert is_open(felix, world, felix.host) == NEITHER, "answers must be allowed, too"
    answers = [a.a_rule("Allow", protocol="TCP", source={"ports": [80]})]
    both = {**early, "types": ["Ingress", "Egress"], "egress": answers}
    put(felix, policy("raw", "Allow", **both), until="cali-po-gnp/raw")
    felix.host.run(["nft", "-f", "-"], stdin=WATCH)
    assert is_open(felix, world, felix.host) == BOTH
    seen = counted(felix)
    assert seen["untracked"] >= 8
    assert seen["tracked"] == 0
    assert is_open(felix, world, felix.host, "tcp22") == BOTH, "failsafe ports stay tracked"
    everything = {"types": ["Ingress", "Egress"], "ingress": [a.a_rule("Deny")]}
    shut = a.a_global_policy(
        name="shut", selector="has(role)", egress=[a.a_rule("Deny")], **everything, **early
    )
    put(felix, shut, until="cali-po-gnp/shut")
    assert is_open(felix, world, felix.host, "tcp22") == BOTH, "and their answers pass"
    assert is_open(felix, felix.host, world, "tcp179") == BOTH
    assert is_open(felix, felix.host, world, "udp53") == BOTH


def test_all_interfaces(felix, world):
    felix.start()
    web, api = felix.connect("web"), felix.connect("api")
    route_back(felix)
    put(felix, on(felix, "*"))
    closed = [(world, felix.host), (felix.host, world)]
    open_ = [(felix.host, web), (web, felix.host), (web, api), (web, world), (world, web)]
    assert [is_open(felix, *pair) for pair in closed] == [NEITHER] * 2
    assert [is_open(felix, *pair) for pair in open_] == [BOTH] * 5
    assert felix.host.probe("127.0.0.1", Probe("tcp", 80)).outcome == "open"
    put(felix, policy("forwarded", apply_on_forward=True), until="cali-pi-gnp/forwarded")
    closed = [(web, api), (web, world), (world, web)]
    felix.wait(lambda: is_open(felix, web, api) == NEITHER, "forwarded traffic is policed")
    assert [is_open(felix, *pair) for pair in closed] == [NEITHER] * 3
    assert [is_open(felix, *pair) for pair in open_[:2]] == [BOTH] * 2
    put(felix, on(felix, profiles=["open"], labels={}), until="cali-pri-open")
    felix.wait(lambda: is_open(felix, world, felix.host) == BOTH, "eth0 is named")
    assert is_open(felix, web, world) == NEITHER, "it comes in by an interface that is not named"


def test_the_state_of_what_governs_an_interface_is_told(felix):
    felix.configure(endpoint_reporting_enabled=True, endpoint_reporting_delay="0s", **RETURN)
    felix.start()
    named, address = on(felix), on(felix, "", name="by-address", expected_ips=["10.7.1.2"])
    put(felix, named, address)
    prefix = f"/calico/felix/v1/host/{felix.host.name}/endpoint/"

    def told():
        return {k.removeprefix(prefix): v for k, v in felix.etcd.get_prefix(prefix).items()}

    def are(**states):
        wanted = {k.replace("_", "-"): f'{{"status":"{v}"}}' for k, v in states.items()}
        felix.wait(lambda: told() == wanted, str(states))

    are(host1_eth0="up", by_address="error")
    wire(felix, "eth7", 1)
    felix.host.sh("ip address add 10.7.1.2/24 dev eth7")
    are(host1_eth0="up", by_address="up")
    felix.lab.fabric.run(["ip", "link", "set", "wire1", "down"])
    are(host1_eth0="up", by_address="down")
    felix.host.sh("ip link delete eth7")
    felix.put(on(felix, "*"))
    are(host1_eth0="up", by_address="error", host1_all="up")
    for stored in (named, address, on(felix, "*")):
        felix.delete(stored)
    felix.wait(lambda: not told(), "no host endpoint is stored")


def test_the_addresses_of_excluded_interfaces_do_not_tell_which_one_is_meant(felix, world):
    wire(felix, "eth7", 1)
    felix.host.sh("ip address add 10.7.1.2/24 dev eth7")
    felix.put(on(felix, "", name="by-address", expected_ips=["10.7.1.2"]))
    felix.start()

    def is_protected():
        return world.probe("10.7.1.2", Probe("tcp", 80)).outcome != "open"

    assert is_protected()
    felix.configure(interface_exclude="kube-ipvs0,/^eth[0-9]$/", **RETURN)
    felix.wait(lambda: not is_protected(), "no interface is meant")
    put(felix, on(felix, "eth7"))
    felix.wait(is_protected, "one that is named is governed all the same")
    felix.delete(on(felix, "eth7"))
    felix.configure(**RETURN)
    felix.wait(is_protected, "eth7 is looked at again")


@pytest.mark.parametrize("garbage", ['{"labels": {"role": 7}}', '{"labels": []}'])
def test_a_host_endpoint_that_cannot_be_read_is_closed(felix, world, garbage):
    felix.start()
    put(felix, on(felix, profiles=["open"]))
    assert is_open(felix, world, felix.host) == BOTH
    spec = f'{{"node": "{felix.host.name}", "interfaceName": "eth0", "profiles": ["open"]}}'
    felix.put_raw("HostEndpoint", "host1-eth0", f'{{"metadata": {garbage}, "spec": {spec}}}')
    felix.wait_row("Objects", "HostEndpoint(host1-eth0)")
    assert is_open(felix, world, felix.host) == NEITHER
    assert is_open(felix, world, felix.host, "tcp22") == BOTH


def test_rejected_packets_are_answered(felix, world):
    felix.configure(nftables_filter_deny_action="Reject", **RETURN)
    felix.start()
    put(felix, on(felix))
    # The kernel's TCP takes ICMPv6 errors for hints only: UDP tells.
    assert felix.outcomes(world, felix.host, "udp80") == ["refused", "refused"]
    assert is_open(felix, felix.host, world) == NEITHER
    assert is_open(felix, world, felix.host, "tcp22") == BOTH
    web = felix.connect("web", profiles=["closed"])
    felix.put(a.a_profile(name="closed", ingress=[a.a_rule("Deny")]))
    route_back(felix)
    felix.wait_outcomes(world, web, ["refused", "refused"], "udp80")


@pytest.mark.parametrize("kind", ["bridge", "bond"])
def test_untracked_policy_holds_on_a_link_above_others(felix, world, kind):
    if felix.host.run(["ip", "link", "add", "up0", "type", kind], check=False).returncode:
        pytest.skip(f"this kernel makes no {kind}")
    wire(felix, "eth7", 1)
    felix.host.sh("ip link set eth7 down; ip link set eth7 master up0; ip link set eth7 up")
    felix.host.sh("ip link set up0 up; ip address add 10.7.1.2/24 dev up0")
    felix.start()
    put(felix, on(felix, "up0", profiles=["open"]))

    def is_reached(port):
        return world.probe("10.7.1.2", Probe("tcp", port)).outcome == "open"

    felix.wait(lambda: is_reached(80), "the link carries traffic")
    answers = [a.a_rule("Allow", protocol="TCP", source={"ports": [80]}), a.a_rule("Deny")]
    asked = [a.a_rule("Allow", protocol="TCP", destination={"ports": [80]}), a.a_rule("Deny")]
    early = {"do_not_track": True, "apply_on_forward": True, "selector": "has(role)"}
    raw = a.a_global_policy(name="raw", ingress=asked, egress=answers, **early)
    put(felix, raw, until="cali-po-gnp/raw")
    felix.host.run(["nft", "-f", "-"], stdin=WATCH)
    assert [is_reached(port) for port in (80, 81, 22)] == [True, False, True]
    assert counted(felix)["untracked"] >= 4
    assert counted(felix)["tracked"] == 0
    assert is_open(felix, world, felix.host, "tcp81") == BOTH, "eth0 is another interface"


def test_a_blocklist_before_tracking_follows_its_set_and_leaves_failsafe_ports(felix, world):
    felix.start()
    put(felix, on(felix, profiles=["open"]))
    early = {"do_not_track": True, "apply_on_forward": True, "egress": [], "types": ["Ingress"]}
    bad = a.a_rule("Deny", source={"selector": "role == 'bad'"})
    put(felix, policy("raw", ingress=[bad], **early), until="cali-pi-gnp/raw")

    def block(*nets):
        felix.put(a.a_global_network_set(name="bad", labels={"role": "bad"}, nets=list(nets)))

    def closed():
        return [not is_reached for is_reached in is_open(felix, world, felix.host)]

    own = [world.address(version) for version in (4, 6)]
    assert closed() == NEITHER
    block(own[0])
    felix.wait(lambda: closed() == [True, False], "one address is blocked")
    block(own[1], f"{own[0]}/24")
    felix.wait(lambda: closed() == BOTH, "a network and an address are blocked")
    assert is_open(felix, world, felix.host, "tcp22") == BOTH
    assert is_open(felix, felix.host, world, "udp53") == BOTH
    block()
    felix.wait(lambda: closed() == NEITHER, "nothing is blocked")
