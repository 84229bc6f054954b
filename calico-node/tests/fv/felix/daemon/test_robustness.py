"""Whatever others do to the host, Felix comes back to what is wanted, and says that it had to."""

import itertools
import random
import signal
import sys

import pytest

from calico_test.convergence import LOST_MS, Flow
from calico_test.probes import Probe
from libcalico.testing import builders as a

TCP = Probe("tcp", 80)
SLOW_S = 90.0
DENY_WEB = a.a_global_policy(name="deny-web", selector="app == 'web'", ingress=[a.a_rule("Deny")])
FROM_NETS = a.a_rule("Allow", source={"selector": "role == 'client'"})
CLIENTS = a.a_global_policy(name="clients", selector="app == 'db'", ingress=[FROM_NETS])

#: What others do, and what Felix says that it has repaired.
TAMPERINGS = (
    ("nft flush table inet calico", "nftables"),
    ("nft delete table inet calico", "nftables"),
    ("nft flush chain inet calico cali-pi-gnp/deny-web", "nftables"),
    ("nft add rule inet calico filter-FORWARD accept", "nftables"),
    ("nft insert rule inet calico cali-pi-gnp/deny-web accept", "nftables"),
    ("nft flush set inet calico {set}", "nftables"),
    ("nft add element inet calico {set} '{{ 10.65.0.1 }}'", "nftables"),
    ("nft delete element inet calico {set} '{{ 192.0.2.1 }}'", "nftables"),
    ("nft delete element inet calico cali-from-wl '{{ caliweb }}'", "nftables"),
    ("ip route delete 10.65.0.1", "routes"),
    ("ip -6 route delete fd65::1", "routes"),
    ("ip route flush dev caliweb; ip -6 route flush fd65::1 dev caliweb", "routes"),
)


def nets(name, *members):
    return a.a_global_network_set(name=name, labels={"role": "client"}, nets=list(members))


def repairs(felix):
    """Kind → how often something of it was repaired."""
    page = felix.get("/metrics", 9091)[1]
    prefix = "felix_int_dataplane_repairs_total{what="
    found = [line.removeprefix(prefix) for line in page.splitlines() if line.startswith(prefix)]
    return {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in found}


@pytest.fixture
def busy(felix):
    """A Felix with two workloads, policy, a set and routes, and its metrics."""
    felix.put(DENY_WEB, CLIENTS, nets("nets", "192.0.2.1/32", "198.51.100.7/32"))
    felix.start(FELIX_PROMETHEUSMETRICSENABLED="true")
    felix.web, felix.db = felix.connect("web"), felix.connect("db")
    felix.wait_policy("clients")
    return felix


def test_what_another_process_alters_is_repaired_and_counted(busy):
    table, routes = busy.table(), routes_of(busy)
    listed = busy.host.run(["nft", "list", "table", "inet", "calico"]).stdout
    (name,) = {word for word in listed.split() if word.startswith("cali40s-")}
    for tampering, what in TAMPERINGS:
        before = repairs(busy).get(what, 0)
        busy.host.sh(tampering.format(set=name))
        busy.wait(
            lambda what=what, before=before: repairs(busy).get(what, 0) > before,
            f"after {tampering}: {what} are repaired",
        )
        busy.wait(lambda: busy.table() == table, f"after {tampering}: the table is back")
        busy.wait(lambda: routes_of(busy) == routes, f"after {tampering}: routes are back")
        assert busy.outcomes(busy.db, busy.web) == busy.CLOSED, tampering
        assert busy.outcomes(busy.host, busy.web) == busy.OPEN, tampering


def routes_of(felix):
    """What the host routes, as text."""
    return felix.host.sh("ip route; ip -6 route show fd65::1")


def test_a_storm_that_overruns_the_notifications_leaves_what_is_wanted(busy):
    before = busy.table()
    busy.process.send_signal(signal.SIGSTOP)
    elements = ", ".join(f"10.{i >> 8 & 255}.{i & 255}.1" for i in range(60_000))
    storm = "\n".join(
        (
            "add set inet calico storm { type ipv4_addr; size 65535; }",
            f"add element inet calico storm {{ {elements} }}",
            "flush set inet calico storm",
            f"add element inet calico storm {{ {elements} }}",
            "delete table inet calico",
        )
    )
    busy.host.run(["nft", "-f", "-"], stdin=f"{storm}\n")
    busy.host.sh(
        "seq 1 20000 | sed 's/.*/route add blackhole 10.200.0.0\\/16 metric &/' | ip -batch -"
    )
    busy.process.send_signal(signal.SIGCONT)
    for lost in ("lost notifications of nftables", "lost notifications of links and routes"):
        busy.wait(lambda lost=lost: lost in busy.log, lost)
    busy.wait(lambda: busy.table() == before, "the table is back")
    assert busy.outcomes(busy.db, busy.web) == busy.CLOSED
    busy.host.sh("ip route delete 10.65.0.1")
    busy.wait(lambda: busy.outcomes(busy.host, busy.web) == busy.OPEN, "routes are followed again")


def test_an_interface_that_is_renamed_and_named_back(busy):
    before = busy.table()
    busy.host.sh("ip link set caliweb down; ip link set caliweb name elsewhere")
    busy.host.sh("ip link set elsewhere up")
    busy.wait(lambda: not busy.host.sh("ip route show 10.65.0.1").strip(), "no route to nowhere")
    busy.host.sh("ip link set elsewhere down; ip link set elsewhere name caliweb")
    busy.host.sh("ip link set caliweb up")
    busy.wait(lambda: busy.outcomes(busy.host, busy.web) == busy.OPEN, "it is reached again")
    busy.wait(lambda: len(busy.statuses()) == 2, "its status is back")
    assert busy.table() == before
    assert busy.outcomes(busy.db, busy.web) == busy.CLOSED


def test_an_interface_that_flaps_and_flaps(busy):
    for _ in range(20):
        busy.host.sh("ip link set calidb down; ip link set calidb up")
    busy.wait_outcomes(busy.web, busy.db, busy.CLOSED)
    busy.wait_outcomes(busy.host, busy.db, busy.OPEN)
    busy.wait(lambda: len(busy.statuses()) == 2, "its status is back")


def test_an_interface_that_is_moved_to_another_namespace_and_back(busy):
    busy.host.sh("ip link set caliweb netns db")
    busy.wait(lambda: len(busy.statuses()) == 1, "it is gone")
    busy.db.run(["ip", "link", "set", "caliweb", "netns", str(busy.host.holder.pid)])
    busy.host.sh("ip link set caliweb address ee:ee:ee:ee:ee:ee; ip link set caliweb up")
    busy.wait(lambda: len(busy.statuses()) == 2, "it is back")
    busy.wait_outcomes(busy.host, busy.web, busy.OPEN)
    assert busy.outcomes(busy.db, busy.web) == busy.CLOSED


def test_of_two_workloads_with_one_address_the_same_one_has_it_whatever_came_first(felix):
    felix.start()
    first, second = felix.connect("aaa"), felix.connect("zzz")
    shared = ("10.65.7.7", "fd65::777")
    one, other = felix.endpoint("aaa", *shared), felix.endpoint("zzz", *shared)
    for pair in itertools.permutations((one, other)):
        for endpoint in pair:
            felix.put(endpoint)
        felix.wait(lambda: "caliaaa" in felix.host.sh("ip route show 10.65.7.7"), "aaa has it")
        felix.wait(lambda: "caliaaa" in felix.host.sh("ip -6 route show fd65::777"), "aaa has it")
        for endpoint in pair:
            felix.delete(endpoint)
        felix.wait(lambda: not felix.host.sh("ip route show 10.65.7.7").strip(), "nobody has it")
    felix.put(one, other)
    felix.wait(lambda: "caliaaa" in felix.host.sh("ip route show 10.65.7.7"), "aaa has it")
    felix.delete(one)
    felix.wait(lambda: "calizzz" in felix.host.sh("ip route show 10.65.7.7"), "zzz has it now")
    felix.put(one)
    felix.wait(lambda: "caliaaa" in felix.host.sh("ip route show 10.65.7.7"), "aaa has it again")
    felix.host.sh("ip link set caliaaa down")
    for version, address in ((4, "10.65.7.7"), (6, "fd65::777")):
        route = f"ip -{version} route show {address}"
        felix.wait(lambda route=route: "calizzz" in felix.host.sh(route), "zzz has it meanwhile")
    felix.host.sh("ip link set caliaaa up")
    felix.wait(lambda: "caliaaa" in felix.host.sh("ip route show 10.65.7.7"), "aaa has it back")
    felix.host.sh("ip link delete caliaaa")
    felix.wait(lambda: "calizzz" in felix.host.sh("ip route show 10.65.7.7"), "zzz has it for good")
    felix.host.sh("ip link set calizzz down")
    felix.wait(lambda: not felix.host.sh("ip route show 10.65.7.7").strip(), "nobody has it")
    assert first.addresses != second.addresses


def test_two_thousand_sets_come_and_go_and_come(felix):
    felix.start()
    felix.connect("web")
    roles = [f"r{number}" for number in range(2000)]
    for number, role in enumerate(roles):
        address = f"10.9.{number >> 8}.{number & 255}"
        felix.put(a.a_global_network_set(name=role, labels={"role": role}, nets=[address]))
    rules = [a.a_rule("Allow", source={"selector": f"role == '{role}'"}) for role in roles]
    policies = [
        a.a_global_policy(name=f"many{first}", selector="app == 'web'", ingress=rules[first::8])
        for first in range(8)
    ]
    tables = []
    for _ in range(3):
        felix.put(*policies)
        felix.wait(lambda: sets_of(felix) == 2000, "all sets are there", SLOW_S)
        tables.append(felix.table())
        for policy in policies:
            felix.delete(policy)
        felix.wait(lambda: sets_of(felix) == 0, "all sets are gone", SLOW_S)
    assert tables[0] == tables[1] == tables[2]
    assert felix.is_ready()


def sets_of(felix):
    """Count the sets of selectors in the kernel."""
    return felix.host.sh("nft -t list sets table inet calico").count("set cali40s-")


def test_killed_at_random_moments_of_a_storm_it_is_right_afterwards_and_no_packet_is_lost(felix):
    seed = random.randrange(2**32)
    sys.stdout.write(f"seed {seed}\n")
    chosen = random.Random(seed)
    felix.put(DENY_WEB)
    felix.start()
    web, api = felix.connect("web"), felix.connect("api")
    storm = [deny(f"p{number}") for number in range(10)]
    patient = Flow(web, api.address(4), TCP, timeout_ms=LOST_MS)
    with patient as good, Flow(api, web.address(6), TCP) as bad:
        good.wait("open")
        bad.wait("closed")
        for _ in range(4):
            for _ in range(chosen.randrange(5, 40)):
                policy = chosen.choice(storm)
                (felix.put if chosen.random() < 0.6 else felix.delete)(policy)
            felix.end(signal.SIGKILL)
            felix.start(until_ready=False)
        felix.wait_ready()
        felix.put(*storm)
        for policy in storm:
            felix.wait_policy(policy.metadata.name)
        assert good.totals is None
    assert good.totals.attempts > 100
    assert good.totals.lost == 0
    rendered = felix.table()
    felix.end(signal.SIGKILL)
    felix.host.sh("nft delete table inet calico")
    felix.start()
    assert felix.table() == rendered


def deny(name):
    """A policy that selects the workload ``api`` and denies what nobody sends."""
    unused = a.a_rule("Deny", protocol="UDP", destination={"ports": [9]})
    return a.a_global_policy(name=name, selector="app == 'api'", ingress=[unused, a.a_rule()])
