"""BIRD's replies as recorded from BIRD 2.0.12, and anything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_node.bgp import parse
from calico_node.bgp.parse import ProtocolState, Reply, RouteState
from libcalico.errors import ValidationError

PROTOCOLS = (
    "2002-Name       Proto      Table      State  Since         Info\n"
    "1002-calico_device Device     ---        up     16:44:42.382  \n"
    " calico_blocks4 Static     master4    up     16:44:42.382  \n"
    " Mesh_10_9_0_2 BGP        ---        up     16:44:43.225  Established   \n"
    " Mesh_fd09__2 BGP        ---        start  2026-11-23 16:44:43.370"
    "  Active        Socket: Connection refused\n"
    "0000 \n"
)
STATUS = (
    "1000-BIRD 2.0.12\n1011-Router ID is 10.9.0.1\n Hostname is vm\n"
    " Last reboot on 2026-11-24 16:44:42.382\n0013 Daemon is up and running\n"
)
RECOVERING = (
    "1000-BIRD 2.0.12\n1011-Router ID is 10.9.0.1\n0024-Graceful restart recovery in progress\n"
    "   Waiting for 1 channels to recover\n0013 Daemon is up and running\n"
)
ROUTES = (
    "1007-Table master4:\n"
    " 192.168.2.0/26       unicast [Mesh_10_9_0_2 16:44:43.368] * (100) [i]\n"
    " \tvia 10.9.0.2 on btv1\n"
    "                      unicast [Mesh_10_9_0_3 16:44:43.368] (100) [i]\n"
    " \tvia 10.9.0.3 on btv1\n"
    " 192.168.1.5/32       unicast [calico_kernel4 16:44:43.383] * (10)\n"
    " \tdev cali1\n"
    " 192.168.1.0/26       blackhole [calico_blocks4 16:44:42.382] * (200)\n"
    "0000 \n"
)


def test_protocols_are_read_with_their_info():
    assert parse.protocols(parse.reply(PROTOCOLS)) == (
        ProtocolState("calico_device", "Device", "up", "16:44:42.382", ""),
        ProtocolState("calico_blocks4", "Static", "up", "16:44:42.382", ""),
        ProtocolState("Mesh_10_9_0_2", "BGP", "up", "16:44:43.225", "Established"),
        ProtocolState(
            "Mesh_fd09__2",
            "BGP",
            "start",
            "2026-11-23 16:44:43.370",
            "Active        Socket: Connection refused",
        ),
    )


def test_only_an_established_session_is_one():
    states = parse.protocols(parse.reply(PROTOCOLS))
    assert [state.name for state in states if state.is_established] == ["Mesh_10_9_0_2"]


def test_the_status_tells_version_and_recovery():
    status = parse.status(parse.reply(STATUS))
    assert (status.version, status.router_id, status.recovering) == ("2.0.12", "10.9.0.1", False)
    assert parse.status(parse.reply(RECOVERING)).recovering


def test_routes_are_read_with_all_their_paths():
    assert parse.routes(parse.reply(ROUTES)) == (
        RouteState("192.168.2.0/26", "unicast", "Mesh_10_9_0_2", "10.9.0.2", "btv1"),
        RouteState("192.168.2.0/26", "unicast", "Mesh_10_9_0_3", "10.9.0.3", "btv1"),
        RouteState("192.168.1.5/32", "unicast", "calico_kernel4", "", ""),
        RouteState("192.168.1.0/26", "blackhole", "calico_blocks4", "", ""),
    )


def test_errors_are_found_whatever_comes_before():
    text = "0002-Reading configuration from /x\n8002 /x:17:32 syntax error\n"
    assert parse.reply(text).error == "/x:17:32 syntax error"
    assert parse.reply("0003 Reconfigured\n").error == ""


def test_asynchronous_messages_belong_to_no_reply():
    assert parse.reply("+log line\n0003 Reconfigured\n") == Reply(((3, "Reconfigured"),))


@pytest.mark.parametrize("text", [PROTOCOLS, STATUS, RECOVERING, ROUTES])
def test_a_reply_is_complete_only_at_its_end(text):
    assert parse.is_complete(text)
    assert not any(parse.is_complete(text[:cut]) for cut in range(len(text)))


@pytest.mark.parametrize(
    ("name", "peer"),
    [
        ("Mesh_10_0_0_1", ("Mesh", "10.0.0.1", 179)),
        ("Node_10_0_0_1_port_1790", ("Node", "10.0.0.1", 1790)),
        ("Global_fd00__1", ("Global", "fd00::1", 179)),
        ("Mesh_1__2_3", ("Mesh", "1::2:3", 179)),
        ("Mesh_1_2_3_4_5_6_7_8", ("Mesh", "1:2:3:4:5:6:7:8", 179)),
        ("calico_kernel4", None),
    ],
)
def test_a_sessions_name_tells_its_peer(name, peer):
    assert parse.peer_of(name) == peer


LINES = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"\d{4}[ -]\S{0,20} \S{0,20}( \S{1,9}){0,4}", fullmatch=True),
    st.sampled_from([*PROTOCOLS.splitlines(), *ROUTES.splitlines(), *RECOVERING.splitlines()]),
)


@given(lines=st.lists(LINES, max_size=8))
def test_any_text_is_a_reply_or_a_validation_error(lines):
    text = "\n".join(lines) + "\n"
    parse.is_complete(text)
    try:
        answer = parse.reply(text)
        parse.protocols(answer)
        parse.status(answer)
        parse.routes(answer)
    except ValidationError:
        pass
