"""Records and processes by identity, which need no root."""

import os
import signal
import subprocess
import sys

import pytest

from calico_test import processes, records
from calico_test.errors import (
    AlreadyUpError,
    CommandError,
    DeadlineError,
    HarnessError,
    MissingToolError,
    NothingUpError,
)
from calico_test.processes import Process


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """Records in a directory of the test's own."""
    monkeypatch.setattr(records, "state_dir", lambda: tmp_path / "records")
    return tmp_path / "records"


def test_a_record_is_read_as_it_was_written(elsewhere):
    me = Process.of(os.getpid())
    record = records.Record(name="x", processes=[me], anchors=[me], namespaces=["n"])
    record.layout = {"a": [1, {"b": None}]}
    record.save()
    assert records.load("x") == record
    assert records.load_all() == [record]
    record.forget()
    assert records.load_all() == []
    assert not elsewhere.exists()
    record.forget()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": 1}', '{"owner": {"pid": 1}}'])
def test_a_damaged_record_is_an_error_that_names_the_file(elsewhere, text):
    elsewhere.mkdir()
    (elsewhere / "x.json").write_text(text)
    with pytest.raises(HarnessError, match=r"x\.json: damaged"):
        records.load("x")


def test_a_name_is_taken_once_and_free_again_when_forgotten():
    record = records.Record(name="x")
    with pytest.raises(NothingUpError, match=r"x\.json: nothing of that name is up"):
        records.load("x")
    record.claim()
    with pytest.raises(
        AlreadyUpError, match=r"'x' is up; remove it: python -m calico_test\.sweep x"
    ):
        records.Record(name="x").claim()
    record.forget()
    records.Record(name="x").claim()


def test_a_record_is_an_orphan_once_its_owner_has_ended():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    record = records.Record(name="x", owner=Process.of(child.pid))
    assert not record.is_orphan
    child.communicate(b"\n")
    assert record.is_orphan
    record.owner = None
    assert not record.is_orphan


def test_a_recycled_pid_is_never_signalled():
    child = subprocess.Popen(["sleep", "infinity"])
    try:
        real = Process.of(child.pid)
        stranger = Process(real.pid, real.start - 1)
        assert real.is_alive
        assert not stranger.is_alive
        processes.kill([stranger])
        with pytest.raises(ProcessLookupError):
            processes.send(stranger, signal.SIGKILL)
        assert child.poll() is None
    finally:
        processes.kill([real])
    assert child.wait() == -signal.SIGKILL


def test_a_zombie_has_ended():
    child = subprocess.Popen(["true"])
    processes.wait_until(lambda: not Process(child.pid, 0).is_alive, "the end")
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(ProcessLookupError):
        Process.of(child.pid)
    child.wait()


def test_spawned_processes_are_reaped_when_they_are_killed(tmp_path):
    process = processes.spawn(["sh", "-c", "echo hello; exec sleep infinity"], tmp_path / "log")
    processes.wait_until(lambda: (tmp_path / "log").read_text() == "hello\n", "the greeting")
    processes.kill([process])
    with pytest.raises(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)


def test_a_missing_program_is_named(tmp_path):
    with pytest.raises(MissingToolError, match="no-such-program"):
        processes.spawn(["no-such-program"], tmp_path / "log")
    with pytest.raises(MissingToolError, match="here: 'no-such-program'"):
        processes.run([], ["no-such-program"], where="here")


def test_run_captures_feeds_and_checks():
    done = processes.run([], ["sh", "-c", 'cat; echo "$X"'], where="h", stdin="in ", env={"X": "y"})
    assert done.stdout == "in y\n"
    assert processes.run([], ["false"], where="h", check=False).returncode == 1
    with pytest.raises(CommandError, match="h: 'false' ended with status 1"):
        processes.run([], ["false"], where="h")


def test_waiting_ends_at_the_deadline():
    with pytest.raises(DeadlineError, match=r"the moon: not within 0.02 s"):
        processes.wait_until(lambda: False, "the moon", deadline_s=0.02)
