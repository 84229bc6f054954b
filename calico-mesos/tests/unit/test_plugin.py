"""The command: whatever comes in, one object goes out, and the exit status is 0."""

import contextlib
import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_mesos import plugin
from libcalico.errors import UnavailableError


@pytest.fixture
def opened(isolator):
    return lambda: contextlib.nullcontext(isolator)


@pytest.fixture
def environ(tmp_path):
    return {"CALICO_MESOS_LOG_FILE": str(tmp_path / "mesos.log")}


def ask(command, environ, opened, **args):
    request = json.dumps({"command": command, "args": args}).encode()
    reply = plugin.respond(request, environ, opened)
    assert b"\n" not in reply
    return json.loads(reply)


def test_a_task_comes_and_goes(environ, opened):
    args = {"hostname": "agent-1", "uid": "u1", "num_ipv4": 1, "num_ipv6": 1}
    reply = ask("allocate", environ, opened, **args)
    assert reply["error"] is None
    ((four,), (six,)) = reply["ipv4"], reply["ipv6"]
    assert ask("allocate", environ, opened, **args) == reply
    assert ask("release", environ, opened, ips=[four, six]) == {"error": None}
    again = {"hostname": "agent-1", "uid": "u2", "ipv4_addrs": [four], "ipv6_addrs": [six]}
    assert ask("reserve", environ, opened, **again) == {"error": None}
    assert ask("release", environ, opened, uid="u2") == {"error": None}


def test_failures_are_one_line_and_logged(environ, opened, tmp_path):
    too_many = {"hostname": "agent-1", "uid": "u1", "num_ipv4": 99, "num_ipv6": 0}
    reply = ask("allocate", environ, opened, **too_many)
    assert reply["error"].startswith("Assigned 8 out of 99 requested IPv4 addresses")
    assert reply["error"] in (tmp_path / "mesos.log").read_text()


def test_a_mistake_of_ours_is_told_and_its_traceback_logged(environ, tmp_path):
    def broken():
        raise KeyError("oops")

    reply = ask("release", environ, broken, uid="u1")
    assert reply == {"error": "calico-mesos failed by a mistake of its own: KeyError('oops')"}
    assert "Traceback" in (tmp_path / "mesos.log").read_text()


def test_a_datastore_that_does_not_answer(environ):
    def unreachable():
        raise UnavailableError("etcd at 127.0.0.1:9:\nno answer")

    reply = ask("release", environ, unreachable, uid="u1")
    assert reply == {"error": "etcd at 127.0.0.1:9: no answer"}


def test_a_wrong_log_level_is_told(opened):
    reply = ask("release", {"CALICO_MESOS_LOG_LEVEL": "loud"}, opened, uid="u1")
    assert "unknown log level 'loud'" in reply["error"]


@given(st.binary() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps).map(str.encode))
def test_what_is_no_request_is_an_error_of_one_line(data):
    def never():
        raise AssertionError("opened for what is no request")

    reply = plugin.respond(data, {"CALICO_MESOS_LOG_LEVEL": "none"}, never)
    assert b"\n" not in reply
    assert json.loads(reply)["error"].startswith("request: ")


def test_the_name_of_the_node(tmp_path):
    def error(environ):
        with plugin.open_isolator(environ, None):
            raise AssertionError("opened")

    (tmp_path / "calicoctl.cfg").write_text("not a config")
    environ = {"CALICO_LIB_DIR": str(tmp_path)}
    with pytest.raises(plugin.ConfigError, match=r"or set CALICO_NODENAME$"):
        error(environ)
    (tmp_path / "nodename").write_text("node-1\n")
    with pytest.raises(plugin.ConfigError, match="ETCD_ENDPOINTS"):
        error(environ)
    with pytest.raises(plugin.ConfigError, match="ETCD_ENDPOINTS"):
        error({"CALICO_NODENAME": "node-1"})


def test_main_reads_to_the_end_and_exits_0(monkeypatch, capsysbinary, tmp_path):
    monkeypatch.setenv("CALICO_MESOS_LOG_FILE", str(tmp_path / "log"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"command":')))
    assert plugin.main([]) == 0
    printed = capsysbinary.readouterr().out
    assert printed.endswith(b"\n")
    assert "truncated" in json.loads(printed)["error"]


@pytest.mark.parametrize(("option", "text"), [("--version", "0."), ("--help", "isolator_command")])
def test_it_says_what_it_is(option, text, capsys):
    with pytest.raises(SystemExit) as left:
        plugin.main([option])
    assert left.value.code == 0
    assert text in capsys.readouterr().out
