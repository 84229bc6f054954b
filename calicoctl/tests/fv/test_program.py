"""calicoctl as a program: where it finds its datastore, what it does without, pipes, Ctrl-C, help."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from calico_test.etcd import Etcd

CONFIG = """\
apiVersion: projectcalico.org/v3
kind: CalicoAPIConfig
metadata: {}
spec:
  datastoreType: etcdv3
  etcdEndpoints: %s
"""
PROGRAM = Path(sys.executable).with_name("calicoctl")
DEADLINE_S = 60.0
#: The driver tries for ten seconds.
BOUND_S = 20.0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def assert_one_line(done, *said):
    assert (done.code, done.out) == (1, "")
    assert len(done.err.splitlines()) == 1, done.err
    for text in said:
        assert text in done.err


@pytest.mark.parametrize(
    "arguments",
    [("get", "nodes"), ("apply", "-f", "tier.yaml")],
)
def test_no_datastore_is_one_line_in_bounded_time(ctl, make, arguments):
    ctl.file("tier.yaml", make("Tier", "t", {}))
    endpoint = f"http://127.0.0.1:{free_port()}"
    begun = time.monotonic()
    assert_one_line(ctl(*arguments, ETCD_ENDPOINTS=endpoint), endpoint)
    assert time.monotonic() - begun < BOUND_S


def test_a_datastore_that_is_frozen_is_one_line_in_bounded_time(ctl):
    begun = time.monotonic()
    ctl.etcd.pause()
    try:
        done = ctl("get", "nodes")
    finally:
        ctl.etcd.resume()
    assert_one_line(done, ctl.etcd.endpoint)
    assert time.monotonic() - begun < BOUND_S


def test_a_frozen_member_is_passed_over(ctl):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        frozen = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert ctl.ok("get", "nodes", ETCD_ENDPOINTS=f"{frozen},{ctl.etcd.endpoint}")


def test_the_config_file_wins_over_the_environment(ctl):
    (ctl.folder / "my.cfg").write_text(CONFIG % ctl.etcd.endpoint)
    assert ctl.ok("get", "nodes", "-c", "my.cfg", ETCD_ENDPOINTS="http://127.0.0.1:1")
    assert ctl.ok("get", "nodes", "--config=my.cfg", ETCD_ENDPOINTS="")


def test_the_first_name_of_a_variable_wins(ctl):
    environ = {"CALICO_ETCD_ENDPOINTS": ctl.etcd.endpoint, "ETCD_ENDPOINTS": "http://127.0.0.1:1"}
    assert ctl.ok("get", "nodes", **environ)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: [", "my.cfg: is not YAML"),
        ("kind: Pool\n", "kind is 'Pool', must be 'CalicoAPIConfig'"),
        (CONFIG % "x" + "  etcdEndpoint: y\n", "unknown field 'etcdEndpoint'"),
        (CONFIG % "http://a:b:c", "'http://a:b:c' is no endpoint"),
        (CONFIG.replace("etcdv3", "kubernetes") % "x", "'kubernetes' is not supported here"),
    ],
)
def test_a_bad_config_file_is_one_line(ctl, text, said):
    (ctl.folder / "my.cfg").write_text(text)
    assert_one_line(ctl("get", "nodes", "-c", "my.cfg"), "my.cfg", said)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"ETCD_ENDPOINTS": ""}, "set ETCD_ENDPOINTS, for example"),
        ({"ETCD_ENDPOINTS": "ftp://x"}, "ETCD_ENDPOINTS: 'ftp://x' is no endpoint"),
        ({"ETCD_ENDPOINTS": "http://x:99999"}, "'http://x:99999' is no endpoint"),
        ({"ETCD_KEY_FILE": "k"}, "ETCD_KEY_FILE: is set without"),
        ({"ETCD_PASSWORD": "secret"}, "ETCD_PASSWORD: is set without"),
        ({"DATASTORE_TYPE": "etcdv2"}, "unknown datastore 'etcdv2'"),
        (
            {"ETCD_ENDPOINTS": "https://127.0.0.1:1", "ETCD_CA_CERT_FILE": "gone.pem"},
            "ETCD_CA_CERT_FILE: gone.pem: cannot be read: No such file or directory",
        ),
        ({"ETCD_CA_CERT_FILE": "gone.pem"}, "write https://"),
    ],
)
def test_bad_settings_are_one_line(ctl, environ, said):
    done = ctl("get", "nodes", **environ)
    assert_one_line(done, said)
    assert "secret" not in done.err


def test_a_certificate_that_is_none_is_one_line(ctl):
    (ctl.folder / "ca.pem").write_text("no certificate")
    environ = {
        "ETCD_ENDPOINTS": ctl.etcd.endpoint.replace("http:", "https:"),
        "ETCD_CA_CERT_FILE": "ca.pem",
    }
    begun = time.monotonic()
    assert_one_line(ctl("get", "nodes", **environ))
    assert time.monotonic() - begun < BOUND_S


def test_wrong_credentials_are_one_line(ctl, make):
    tier = ctl.file("tier.yaml", make("Tier", "t", {}))
    with Etcd() as server:
        server.call("/v3/auth/user/add", {"name": "root", "password": "right"})
        server.call("/v3/auth/role/add", {"name": "root"})
        server.call("/v3/auth/user/grant", {"user": "root", "role": "root"})
        server.call("/v3/auth/enable", {})
        right = {
            "ETCD_ENDPOINTS": server.endpoint,
            "ETCD_USERNAME": "root",
            "ETCD_PASSWORD": "right",
        }
        wrong = {**right, "ETCD_PASSWORD": "hunter2"}
        nobody = {"ETCD_ENDPOINTS": server.endpoint}
        for arguments in (("get", "tiers"), ("apply", "-f", tier)):
            for environ in (wrong, nobody):
                refused = ctl(*arguments, **environ)
                assert_one_line(refused, "datastore")
                assert "hunter2" not in refused.err
            assert ctl.ok(*arguments, **right)


def test_a_reader_that_goes_away_is_no_error_to_talk_about(ctl, make):
    nets = [f"10.{a}.{b}.0/24" for a in range(40) for b in range(250)]
    ctl.apply(make("GlobalNetworkSet", "big", {"nets": nets}))
    with running(ctl, "get", "gnetsets", "-o", "yaml") as process:
        assert process.stdout.readline() == b"apiVersion: projectcalico.org/v3\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=BOUND_S) == 1


def test_a_full_disk_is_one_line(ctl):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            ctl.command("get", "tiers"),
            env=ctl.environ,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=BOUND_S,
        )
    assert (done.returncode, done.stderr) == (1, b"calicoctl: No space left on device\n")


def test_closed_outputs_are_no_error(ctl, make):
    done = subprocess.run(
        [
            "sh",
            "-c",
            '"$0" apply -f - >&- && "$0" get tiers >&- && ! "$0" get tiers nope 2>&-',
            str(PROGRAM),
        ],
        input=json.dumps(make("Tier", "t", {"order": 1})).encode(),
        env=ctl.environ,
        capture_output=True,
        check=False,
        timeout=BOUND_S,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert ctl.stored("tiers", "t")["spec"]["order"] == 1


@pytest.mark.parametrize("waits_for", ["datastore", "input"])
def test_ctrl_c_is_quiet(ctl, waits_for):
    arguments = ("get", "nodes") if waits_for == "datastore" else ("apply", "-f", "-")
    ctl.etcd.pause()
    try:
        with running(ctl, *arguments) as process:
            wait_until_busy(process, waits_for)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=BOUND_S)
    finally:
        ctl.etcd.resume()
    assert (process.returncode, out, err.strip()) == (130, b"", b"")


@contextmanager
def running(ctl, *arguments):
    """Run it with pipes on all sides; it does not outlive the test."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    # A run in the background ignores Ctrl-C, and so would its children.
    command = ["env", "--default-signal=INT", *ctl.command(*arguments)]
    with subprocess.Popen(command, env=ctl.environ, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until_busy(process, waits_for):
    """Wait until it holds a connection, or reads its standard input."""
    deadline = time.monotonic() + BOUND_S
    while time.monotonic() < deadline:
        reads = Path(f"/proc/{process.pid}/syscall").read_text().startswith("0 0x0 ")
        if reads if waits_for == "input" else has_socket(process.pid):
            return
        time.sleep(0.005)
    raise AssertionError("it did not come to wait")


def has_socket(pid):
    with suppress(FileNotFoundError):  # a file that was just closed
        files = list(Path(f"/proc/{pid}/fd").iterdir())
        return any(os.readlink(file).startswith("socket:") for file in files)
    return False


def test_without_arguments_it_explains_itself(ctl):
    text = ctl.ok()
    assert text == ctl.ok("--help") == ctl.ok("-h")
    assert "Usage: calicoctl" in text
    assert ctl.ok("node") == ctl.ok("node", "--help")


def commands(ctl):
    section = ctl.ok("--help").split("Commands:\n")[1].split("\n\n")[0]
    return re.findall(r"^  (\S+)", section, flags=re.MULTILINE)


def test_the_list_of_commands_has_whole_sentences(ctl):
    for group in ((), ("ipam",), ("node",), ("container",), ("datastore", "migrate")):
        section = ctl.ok(*group, "--help").split("Commands:\n")[1].split("\n\n")[0]
        assert "..." not in section


def test_every_command_has_help_with_examples_that_parse(ctl):
    names = commands(ctl)
    assert {"create", "apply", "replace", "delete", "get", "patch", "label", "validate"} <= {*names}
    for name in [*((n,) for n in names), ("node", "run"), ("node", "stop"), ("node", "status")]:
        text = ctl.ok(*name, "-h")
        assert text.startswith(f"Usage: calicoctl {' '.join(name)} ")
        examples = text.split("Examples:\n")[1].split("\n\n")[0].splitlines()
        assert all(f"calicoctl {name[0]}" in line for line in examples)
        assert "\\b" not in text


def test_the_kinds_are_in_the_help_of_get(ctl):
    assert re.search(r"networkpolicy +networkpolicies, policy, np", ctl.ok("get", "--help"))


def test_node_run_shows_what_it_would_do(ctl):
    shown = ctl.ok(
        *(
            "node",
            "run",
            "--dryrun",
            "--runtime=native",
            "--name=h1",
            "--ip=autodetect",
            "--as=64512",
            "--backend=none",
        ),
        *("--ip-autodetection-method", "cidr=10.0.0.0/8 or so", "--no-default-ippools"),
    )
    program = PROGRAM.with_name("calico-node")
    assert shlex.split(shown) == [
        "AS=64512",
        "CALICO_NETWORKING_BACKEND=none",
        "IP=autodetect",
        "IP_AUTODETECTION_METHOD=cidr=10.0.0.0/8 or so",
        "NODENAME=h1",
        "NO_DEFAULT_POOLS=true",
        *(str(program), "run", "--detach"),
    ]


def test_output_is_plain(ctl, make):
    ctl.apply(make("Tier", "t", {}))
    assert "\x1b" not in ctl.ok("get", "tiers") + ctl.ok("--help")


def test_the_log_is_on_standard_error(ctl):
    ctl.put("tiers", "broken", {"spec": {"order": "x"}})
    quiet = ctl("get", "tiers")
    assert (quiet.code, quiet.err) == (0, "")
    loud = ctl("--log-level", "warn", "get", "tiers")
    assert (loud.code, loud.out) == (0, quiet.out)
    assert "tiers/broken" in loud.err


def test_the_log_tells_where_the_datastore_is_and_what_was_written(ctl, make):
    document = json.dumps(make("Tier", "t", {"order": 1}))
    done = ctl("-l", "info", "apply", "-f", "-", stdin=document)
    assert f"endpoints={ctl.etcd.endpoint}" in done.err
    assert "resource written verb=apply resource=Tier(t)" in done.err


#: Runs calicoctl, then prints which of some modules it loaded: the names in its first argument.
SHOW_LOADED = """
import sys
from calicoctl.__main__ import main
asked = sys.argv.pop(1).split()
try:
    main()
except SystemExit as end:
    assert not end.code
print([name for name in asked if name in sys.modules], file=sys.stderr)
"""
#: What commands that only read can do without.
FOR_WRITERS = "libcalico.ipam libcalico.resources.validate libcalico.selector yaml logging.handlers"


def loaded(ctl, asked, *arguments):
    return subprocess.run(
        [sys.executable, "-c", SHOW_LOADED, asked, *arguments],
        env=ctl.environ,
        capture_output=True,
        check=True,
        text=True,
        timeout=BOUND_S,
    ).stderr


@pytest.mark.parametrize("arguments", [("version", "--client"), ("--help",), ("get", "--help")])
def test_what_needs_no_datastore_loads_no_driver(ctl, arguments):
    assert loaded(ctl, f"grpc pyetcd libcalico.client {FOR_WRITERS}", *arguments) == "[]\n"


def test_what_only_reads_loads_nothing_that_writes(ctl, make):
    ctl.apply(make("Tier", "t", {}))
    for arguments in (("get", "tiers"), ("get", "tier", "t", "-o", "json"), ("version",)):
        assert loaded(ctl, FOR_WRITERS, *arguments) == "[]\n"
    assert loaded(ctl, "yaml libcalico.ipam", "get", "tiers", "-o", "yaml") == "['yaml']\n"


def test_the_commands_of_the_readme_work_as_pasted(ctl):
    readme = Path(__file__).parents[2] / "README.md"
    commands = readme.read_text().partition("## Use\n\n```sh\n")[2].partition("```")[0]
    assert 0 < len(commands.splitlines()) <= 10
    path = f"{PROGRAM.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", commands],
        env={**ctl.environ, "PATH": path},
        cwd=ctl.folder,
        capture_output=True,
        check=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.stderr == ""
    assert done.stdout.endswith("Successfully deleted 1 'IPPool' resource(s)\n")


HELP = "Use flag '--help' to read about a specific subcommand"


@pytest.mark.parametrize(
    ("arguments", "first", "second"),
    [
        (
            ("get", "--foo"),
            f"invalid option: 'calicoctl get --foo'. {HELP}",
            "No such option '--foo'.",
        ),
        (("foo",), f'unknown command: "foo". {HELP}', "No such command 'foo'."),
        (
            ("ipam", "foo"),
            f"invalid option: 'calicoctl ipam foo'. {HELP}",
            "No such command 'foo'.",
        ),
        (
            ("profile", "web", "foo"),
            f"invalid option: 'calicoctl profile web foo'. {HELP}",
            "'foo' is no command: there are add, remove, rule, show, tag; after a name: rule, tag",
        ),
    ],
)
def test_wrong_words_are_answered_as_by_go(ctl, arguments, first, second):
    code, out, err = ctl(*arguments)
    lines = err.splitlines()
    assert (code, out, lines[:2]) == (1, "", [first, second])
    assert lines[2].startswith("Usage: calicoctl")


def test_an_unknown_log_level_and_an_empty_folder_are_one_line(ctl):
    levels = "panic, fatal, error, warn, info, debug"
    for known in ("DEBUG", "Warning"):
        assert ctl("--log-level", known, "get", "nodes").code == 0
    done = ctl("-l", "loud", "get", "nodes")
    assert tuple(done) == (1, "", f"Unknown log level: loud; there are {levels}\n")
    (ctl.folder / "empty").mkdir()
    done = ctl("apply", "-f", "empty")
    assert tuple(done) == (1, "", "no resources specified in file empty\n")


def test_the_first_years_started_a_node_without_run(ctl):
    old, new = (
        ctl("node", *words, "--ip=10.0.0.1", "--no-pull", "--detach=false", "--dryrun")
        for words in ((), ("run",))
    )
    assert (old.code, old.out) == (0, new.out)
    assert "--rm" in new.out
    assert new.out == ctl.ok("node", "run", "--ip=10.0.0.1", "--init-system", "--dryrun")
    assert old.err == "calicoctl node is deprecated, use calicoctl node run\n"
    assert "Commands:" in ctl.ok("node", "--help")


def test_version_is_polled_until_ctrl_c(ctl, make):
    ctl.apply(make("Tier", "t", {}))
    command = ["env", "--default-signal=INT", *ctl.command("version", "--poll=10ms")]
    with subprocess.Popen(command, env=ctl.environ, stdout=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        try:
            assert "Cluster Version:   unknown\n" in iter(process.stdout.readline, "")
            value = ctl.stored("clusterinformations", "default")
            value["spec"]["calicoVersion"] = "v3.32.9"
            ctl.put("clusterinformations", "default", value)
            assert "Cluster Version:   v3.32.9\n" in iter(process.stdout.readline, "")
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
        finally:
            watchdog.cancel()
            process.kill()
