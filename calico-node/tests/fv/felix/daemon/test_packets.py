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
