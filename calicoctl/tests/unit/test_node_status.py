"""The text of node status."""

from calicoctl.node_status import render

PEER = {
    "address": "10.233.0.12",
    "type": "Mesh",
    "state": "up",
    "since": "10:00:00",
    "info": "Established",
}


def test_nothing_runs():
    assert render({}) == ("Calico process is not running.", False)


def test_everything_runs():
    text, healthy = render({"services": {"felix": "RUNNING"}, "bgp": {"ipv4": [PEER], "ipv6": []}})
    assert healthy
    assert text.split("\n") == [
        "Calico process is running.",
        "",
        "IPv4 BGP status",
        "+--------------+-------------------+-------+----------+-------------+",
        "| PEER ADDRESS |     PEER TYPE     | STATE |  SINCE   |    INFO     |",
        "+--------------+-------------------+-------+----------+-------------+",
        "| 10.233.0.12  | node-to-node mesh | up    | 10:00:00 | Established |",
        "+--------------+-------------------+-------+----------+-------------+",
        "",
        "IPv6 BGP status",
        "No IPv6 peers found.",
    ]


def test_a_service_that_does_not_run_is_named():
    text, healthy = render({"services": {"felix": "RUNNING", "bgp": "FATAL"}, "bgp": None})
    assert not healthy
    assert "  bgp: FATAL" in text
    assert "The BGP backend process (BIRD) is not running." in text
