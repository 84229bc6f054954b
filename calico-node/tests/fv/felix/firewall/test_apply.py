"""Our rules in a firewall that iptables-nft made as Docker and distributions do, on the real kernel."""

import select
from contextlib import closing

import pytest

from calico_node.felix.firewall import apply
from calico_node.felix.firewall.apply import HostFirewall
from calico_node.felix.firewall.model import FirewallSettings
from calico_node.felix.nft.apply import Nftables

pytestmark = pytest.mark.root

DEADLINE_S = 5.0
#: As Docker 20 to 28 set it up, for both families.
DOCKER = """
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER-USER -j RETURN
COMMIT
"""
DROPPING = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -i eth9 -j LOG\nCOMMIT\n"
OURS = [
    '-i cali+ -m comment --comment "calico: policy has passed from cali+" -j ACCEPT',
    '-o cali+ -m comment --comment "calico: policy has passed to cali+" -j ACCEPT',
]


class Machine:
    """A namespace with iptables-nft, and our part of its firewall."""

    def __init__(self, netns):
        self.netns = netns
        self.firewall = netns.call(lambda: HostFirewall(FirewallSettings()))

    def iptables(self, *arguments, version=4):
        return self.netns.run([self.program(version), "-w", *arguments]).stdout

    def restore(self, text, version=4):
        self.netns.run([f"{self.program(version)}-restore"], stdin=text)

    def rules(self, chain, version=4):
        prefix = f"-A {chain} "
        listed = self.iptables("-S", version=version).splitlines()
        return [line.removeprefix(prefix) for line in listed if line.startswith(prefix)]

    def follow(self, until):
        while not until():
            assert select.select([self.firewall.monitor], [], [], DEADLINE_S)[0], "nothing was told"
            self.firewall.repair()

    @staticmethod
    def program(version):
        return "iptables-nft" if version == 4 else "ip6tables-nft"


@pytest.fixture
def machine(netns):
    made = Machine(netns)
    with closing(made.firewall):
        yield made


@pytest.mark.parametrize("version", [4, 6])
def test_dockers_own_chain_for_operators_gets_them_before_its_return(machine, version):
    machine.restore(DOCKER, version)
    before = machine.rules("FORWARD", version)
    machine.firewall.start()
    assert machine.rules("DOCKER-USER", version) == [*OURS, "-j RETURN"]
    assert machine.rules("FORWARD", version) == before
    assert not machine.firewall.problem


@pytest.mark.parametrize("version", [4, 6])
def test_without_docker_a_forward_that_drops_gets_them(machine, version):
    machine.restore(DROPPING, version)
    machine.firewall.start()
    assert machine.rules("FORWARD", version) == [*OURS, "-i eth9 -j LOG"]


def test_nothing_is_made_where_nothing_drops(machine):
    machine.firewall.start()
    assert machine.netns.run(["nft", "list", "ruleset"]).stdout == ""
    machine.iptables("-A", "FORWARD", "-j", "ACCEPT")
    machine.firewall.repair()
    assert machine.rules("FORWARD") == ["-j ACCEPT"]


@pytest.mark.parametrize(
    "tampering",
    [
        ["-D", "DOCKER-USER", "1"],
        [
            "-D",
            "DOCKER-USER",
            *OURS[0].split(' "')[0].split(),
            OURS[0].split('"')[1],
            "-j",
            "ACCEPT",
        ],
        ["-F", "DOCKER-USER"],
        ["-R", "DOCKER-USER", "1", "-j", "RETURN"],
    ],
)
def test_what_others_remove_comes_back(machine, tampering):
    machine.restore(DOCKER)
    machine.firewall.start()
    machine.iptables(*tampering)
    assert set(OURS) - set(machine.rules("DOCKER-USER"))
    machine.follow(lambda: set(OURS) <= set(machine.rules("DOCKER-USER")))
    assert machine.rules("DOCKER-USER")[0] in OURS


def test_a_rule_that_the_operator_puts_before_ours_stays_there(machine):
    machine.restore(DOCKER)
    machine.firewall.start()
    machine.iptables("-I", "DOCKER-USER", "-s", "192.0.2.1/32", "-j", "DROP")
    machine.firewall.repair()
    assert machine.rules("DOCKER-USER") == ["-s 192.0.2.1/32 -j DROP", *OURS, "-j RETURN"]


def test_they_follow_a_docker_that_starts_later_and_one_that_goes(machine):
    machine.iptables("-P", "FORWARD", "DROP")
    machine.firewall.start()
    assert machine.rules("FORWARD") == OURS
    machine.iptables("-N", "DOCKER-USER")
    machine.iptables("-I", "FORWARD", "-j", "DOCKER-USER")
    machine.follow(lambda: machine.rules("DOCKER-USER") == OURS)
    assert machine.rules("FORWARD") == ["-j DOCKER-USER"]
    machine.iptables("-D", "FORWARD", "-j", "DOCKER-USER")
    machine.follow(lambda: machine.rules("FORWARD") == OURS)
    assert machine.rules("DOCKER-USER") == []
    machine.iptables("-P", "FORWARD", "ACCEPT")
    machine.follow(lambda: machine.rules("FORWARD") == [])


def test_a_whole_firewall_that_is_loaded_anew_gets_them_again(machine):
    machine.restore(DOCKER)
    machine.firewall.start()
    machine.restore(DOCKER)
    machine.follow(lambda: machine.rules("DOCKER-USER") == [*OURS, "-j RETURN"])
    machine.netns.run(["nft", "flush", "ruleset"])
    machine.firewall.repair()
    assert machine.netns.run(["nft", "list", "ruleset"]).stdout == ""
    machine.restore(DOCKER)
    machine.follow(lambda: machine.rules("DOCKER-USER") == [*OURS, "-j RETURN"])


def test_they_stay_when_felix_ends_are_taken_over_and_go_at_uninstall(machine):
    machine.restore(DOCKER)
    machine.restore(DROPPING, 6)
    before = machine.rules("FORWARD", 6)
    machine.firewall.start()
    machine.firewall.close()
    with closing(machine.netns.call(lambda: HostFirewall(FirewallSettings()))) as successor:
        successor.start()
        assert machine.rules("DOCKER-USER") == [*OURS, "-j RETURN"]
    with machine.netns.call(Nftables) as nftables:
        assert len(apply.find(nftables)) == 4
        apply.remove(nftables)
        assert apply.find(nftables) == []
    assert machine.rules("DOCKER-USER") == ["-j RETURN"]
    assert machine.rules("FORWARD", 6) == before


def test_another_configuration_moves_them(machine):
    machine.restore(DOCKER)
    machine.firewall.start()
    machine.firewall.reconfigure(FirewallSettings(("tap",), appends=True, versions=(4,)))
    assert machine.rules("DOCKER-USER") == ["-j RETURN"]
    assert [rule.split()[1] for rule in machine.rules("FORWARD")[-2:]] == ["tap+", "tap+"]


def test_a_chain_that_goes_between_look_and_change_does_no_harm(machine):
    machine.restore(DOCKER)
    asked = []

    def decide(chains):
        asked.append(chains)
        operations = apply.plan(chains, FirewallSettings())
        if len(asked) == 1:
            machine.iptables("-F")
            machine.iptables("-X", "DOCKER-USER")
        return operations

    with machine.netns.call(Nftables) as nftables:
        apply.change(nftables, 4, decide)
    assert len(asked) == 2
    assert machine.rules("FORWARD") == OURS
