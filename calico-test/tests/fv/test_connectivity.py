"""The matrix sees what the kernel does."""

import pytest

from calico_test.connectivity import Matrix
from calico_test.convergence import Flow, measure
from calico_test.matrix import Cell, Mismatch
from calico_test.probes import ICMP, Outcome, Probe

TCP80, TCP81, UDP53 = Probe("tcp", 80), Probe("tcp", 81), Probe("udp", 53)
PROBES = [TCP80, TCP81, UDP53, ICMP]
DROP = """
table inet t {
    chain forward {
        type filter hook forward priority 0
        oifname "wb" tcp dport 81 drop
    }
}
"""


def test_workloads_of_two_hosts_reach_each_other(connected):
    report = Matrix(connected.endpoints, PROBES).until(lambda *_: True, deadline_s=10)
    assert len(report.observed) == 2 * len(PROBES) * 2
    assert set(report.observed.values()) == {Outcome.OPEN}


def test_a_drop_rule_is_seen_where_it_is(connected):
    connected.host("host2").run(["nft", "-f", "-"], stdin=DROP)
    matrix = Matrix(connected.endpoints, PROBES)

    def expected(source, destination, probe):
        return (destination, probe) != ("b", TCP81)

    assert matrix.until(expected).differences == []
    with pytest.raises(Mismatch, match=r"a -> b tcp81 over IPv4: timeout, expected open") as caught:
        matrix.check(lambda *_: True)
    assert caught.value.report.differences == [Cell("a", "b", TCP81, 4), Cell("a", "b", TCP81, 6)]
    assert "✗!✓" in str(caught.value)


def test_a_reject_rule_is_not_taken_for_a_drop(connected):
    rule = DROP.replace("tcp dport 81 drop", "reject")
    connected.host("host2").run(["nft", "-f", "-"], stdin=rule)
    seen = Matrix(connected.endpoints, [UDP53, ICMP], families=[4, 6]).observe()
    assert {outcome for cell, outcome in seen.items() if cell.destination == "b"} == {
        Outcome.REFUSED
    }


def test_a_port_where_nobody_listens_is_refused_and_not_denied(connected):
    matrix = Matrix(connected.endpoints, [Probe("tcp", 99)])
    assert set(matrix.observe().values()) == {Outcome.REFUSED}
    with pytest.raises(Mismatch, match="refused, expected timeout"):
        matrix.check(lambda *_: False)


def test_an_address_that_another_workload_has_is_a_stranger(connected):
    a, b = connected.endpoints
    host = connected.host("host1")
    third = host.add_workload("c")
    third.addresses = list(b.addresses)
    seen = Matrix([a, third], [TCP80]).observe([Cell("a", "c", TCP80, 4)])
    assert list(seen.values()) == [Outcome.STRANGER]


def test_the_destination_tells_which_source_address_arrived(connected):
    cell = Cell("a", "b", TCP80, 6)
    seen = Matrix(connected.endpoints, [TCP80]).look([cell])[cell]
    assert (seen.name, seen.peer) == ("b", "fd65:0:0:1::1")


def test_hundreds_of_probes_run_at_once(connected):
    a, b = connected.endpoints
    from calico_test.agents import Request

    requests = [Request(to=to, probe=p) for to in b.addresses for p in PROBES for _ in range(50)]
    seen = a.agent.probe(requests)
    assert {observation.outcome for observation in seen} == {Outcome.OPEN}


def test_a_flow_tells_when_a_rule_closes_and_opens_it(connected):
    a, b = connected.endpoints
    host = connected.host("host2")
    with Flow(a, b.address(4), TCP81) as flow:
        closing_ms = measure(flow, lambda: host.run(["nft", "-f", "-"], stdin=DROP), to="closed")
        opening_ms = measure(flow, lambda: host.run(["nft", "flush", "ruleset"]), to="open")
    assert 0 < closing_ms < 5000
    assert 0 < opening_ms < 5000
    assert flow.totals.attempts > 10


def test_a_removed_workload_is_gone_and_its_name_is_free(connected):
    host = connected.host("host1")
    host.remove_workload("a")
    assert not host.exists("/run/netns/a")
    host.add_workload("a").listen(tcp=[80])
