"""What an operator asks of Felix: its state, and what it would program."""

import signal

from calico_test.netns import NetNs
from libcalico.testing import builders as a

STATE = "/var/run/calico/felix-state.txt"
DENY_WEB = a.a_global_policy(name="deny-web", selector="app == 'web'", ingress=[a.a_rule("Deny")])


def state(felix):
    """Make Felix write its state anew and return it."""
    felix.host.sh(f"rm -f {STATE}")
    felix.process.send_signal(signal.SIGUSR1)
    felix.wait(lambda: felix.host.exists(STATE), "the state is written")
    return felix.host.read_text(STATE)


def test_the_state_tells_what_is_in_force_and_who_says_so(felix):
    felix.configure(interface_prefix="tap,cali")
    felix.start()
    felix.connect("web")
    felix.put(DENY_WEB)
    felix.put_raw("GlobalNetworkPolicy", "odd", "{")
    felix.wait_policy("deny-web")
    felix.wait_policy("odd")
    text = state(felix)
    for line in (
        f"Felix on {felix.host.name} at ",
        "InterfacePrefix = tap,cali   (FelixConfiguration default)",
        "GlobalNetworkPolicy(odd): ",
        "caliweb 10.65.0.1/32 fd65::1/128 in force",
        "ingress GlobalNetworkPolicy(deny-web)",
        "10.65.0.1/32 dev caliweb",
        "chain cali-pi-gnp/deny-web {",
    ):
        assert line in text
    assert "chain" not in felix.log
    assert felix.host.path(STATE).stat().st_mode & 0o777 == 0o600


def test_the_state_can_be_asked_for_while_there_is_no_datastore(felix):
    felix.etcd.pause()
    felix.start(until_ready=False)
    felix.wait_row("Datastore", "no")
    assert "waiting for the datastore" in state(felix)
    felix.etcd.resume()


def test_what_render_prints_is_what_felix_programs(felix):
    felix.put(a.a_node(name=felix.host.name), DENY_WEB, a.a_pool(nat_outgoing=True))
    felix.put(a.a_global_network_set(name="nets", nets=["192.0.2.0/24", "fd00::/8"]))
    from_nets = a.a_rule("Allow", source={"selector": "global()"}, protocol="TCP")
    felix.put(a.a_global_policy(name="nets", selector="app == 'api'", ingress=[from_nets]))
    felix.start()
    felix.connect("web")
    felix.connect("api")
    felix.wait_policy("nets")
    before = felix.table()
    rendered = felix.command("render").stdout
    assert felix.table() == before
    with NetNs() as elsewhere:
        elsewhere.run(["nft", "-f", "-"], stdin=rendered)
        assert felix.table(elsewhere) == before


def test_render_names_the_nodes_that_there_are(felix):
    felix.put(a.a_node(name="rack1-a"))
    failed = felix.command("render", "--node", "rack1-b", check=False)
    assert failed.returncode == 1
    assert "node 'rack1-b' is not in this datastore; there are: rack1-a" in failed.stderr
