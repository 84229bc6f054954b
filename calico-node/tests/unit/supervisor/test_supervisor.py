import configparser
import os
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_node import paths
from calico_node.supervisor.model import ProcessSpec, ProcessState, SupervisorConfig, table
from calico_node.supervisor.parse import process_states
from calico_node.supervisor.plan import environment, plan
from calico_node.supervisor.render import render
from libcalico.errors import ValidationError

GOLDEN = Path(__file__).with_name("golden") / "supervisord.conf"
PATHS = paths.from_environ({})
PROGRAM = ("/usr/bin/calico-node",)


def names(environ, bird="/usr/sbin/bird"):
    return [process.name for process in plan(environ, PATHS, PROGRAM, bird).processes]


def test_all_four_run_unless_told_otherwise():
    assert names({}) == ["felix", "bird", "bgp", "workloads"]
    assert names({}, bird=None) == ["felix", "workloads"]
    assert names({"CALICO_DISABLE_FELIX": "yes"}) == ["bird", "bgp", "workloads"]
    assert names({"CALICO_DISABLE_WORKLOADS": "true"}) == ["felix", "bird", "bgp"]
    assert names({"CALICO_DISABLE_WORKLOADS": "false"}) == ["felix", "bird", "bgp", "workloads"]


def test_the_configuration_is_as_reviewed():
    text = render(plan({}, PATHS, PROGRAM, "/usr/sbin/bird"))
    if os.environ.get("CALICO_REWRITE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_without_log_files_everything_goes_to_our_output():
    text = render(plan({"CALICO_DISABLE_FILE_LOGGING": "true"}, PATHS, PROGRAM, None))
    assert "stdout_logfile=/dev/fd/1" in text
    assert "/var/log/calico/felix" not in text


WORDS = st.text(
    st.characters(categories=("L", "N", "P", "S", "Zs"), exclude_characters=";#"), min_size=1
)


@given(argv=st.lists(WORDS, min_size=1))
def test_any_command_comes_back_as_it_was(argv):
    spec = ProcessSpec(name="x", command=tuple(argv), priority=1)
    config = SupervisorConfig(socket="/s", pid_file="/p", log_dir="/l", processes=(spec,))
    # As supervisord reads it: "%%" is "%", the rest is shell words.
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    parser.read_string(render(config))
    assert shlex.split(parser["program:x"]["command"].replace("%%", "%")) == argv


def test_felix_gets_the_datastore_and_its_name_but_keeps_what_it_was_told():
    given_environ = {
        "ETCD_ENDPOINTS": "http://e:1",
        "FELIX_ETCDKEYFILE": "/k",
        "ETCD_KEY_FILE": "/x",
    }
    completed = environment(given_environ, "node-a")
    assert completed["FELIX_ETCDENDPOINTS"] == "http://e:1"
    assert completed["FELIX_ETCDKEYFILE"] == "/k"
    assert completed["FELIX_FELIXHOSTNAME"] == completed["NODENAME"] == "node-a"
    assert completed["FELIX_HEALTHENABLED"] == "true"
    assert "FELIX_HEALTHENABLED" not in given_environ


ENTRY = {
    "name": "bird",
    "statename": "RUNNING",
    "pid": 12,
    "stop": 0,
    "exitstatus": 0,
    "spawnerr": "",
    "description": "pid 12, uptime 0:00:04",
}


def test_process_states_are_read():
    exited = {**ENTRY, "name": "bgp", "statename": "BACKOFF", "pid": 0, "stop": 99, "exitstatus": 1}
    assert process_states([ENTRY, exited]) == (
        ProcessState(name="bird", state="RUNNING", pid=12, detail="pid 12, uptime 0:00:04"),
        ProcessState(name="bgp", state="BACKOFF", exit_code=1, detail="pid 12, uptime 0:00:04"),
    )


@pytest.mark.parametrize("answer", [None, {}, [1], [{}], [{**ENTRY, "pid": "x"}]])
def test_other_answers_are_validation_errors(answer):
    with pytest.raises(ValidationError):
        process_states(answer)


def test_the_table_lines_up():
    text = table(
        (
            ProcessState(name="bird", state="RUNNING", pid=12, detail="up"),
            ProcessState(name="workloads", state="BACKOFF", exit_code=1, detail="why"),
        )
    )
    assert text.splitlines() == [
        "PROCESS    STATE    PID  EXIT CODE  DETAIL",
        "bird       RUNNING  12   -          up",
        "workloads  BACKOFF  -    1          why",
    ]
