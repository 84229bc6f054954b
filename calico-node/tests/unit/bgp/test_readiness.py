import pytest

from calico_node.bgp.parse import DaemonStatus, ProtocolState
from calico_node.bgp.readiness import peers, why_not_ready

UP = ProtocolState("Mesh_10_0_0_2", "BGP", "up", "10:00:00.000", "Established")
DOWN = ProtocolState("Mesh_fd00__3", "BGP", "start", "10:00:00.000", "Active")
OTHER = ProtocolState("calico_kernel4", "Kernel", "up", "10:00:00.000", "")
CALM = DaemonStatus("2.0.12", "10.0.0.1", recovering=False)
RECOVERING = DaemonStatus("2.0.12", "10.0.0.1", recovering=True)


@pytest.mark.parametrize(
    ("protocols", "status", "just_started", "reason"),
    [
        ([OTHER], CALM, True, ""),
        ([UP], CALM, True, ""),
        ([UP, DOWN], CALM, False, ""),
        ([UP, DOWN], CALM, True, "BGP not established with fd00::3"),
        ([DOWN], CALM, False, "BGP not established with fd00::3"),
        ([UP], RECOVERING, True, "graceful restart in progress"),
        ([UP], RECOVERING, False, ""),
    ],
)
def test_readiness(protocols, status, just_started, reason):
    assert why_not_ready(protocols, status, just_started=just_started) == reason


def test_peers_are_shown_by_family():
    shown = peers([UP, DOWN, OTHER])
    assert [row["address"] for row in shown["ipv4"]] == ["10.0.0.2"]
    assert shown["ipv6"] == [
        {
            "address": "fd00::3",
            "type": "Mesh",
            "state": "start",
            "since": "10:00:00.000",
            "info": "Active",
        }
    ]
