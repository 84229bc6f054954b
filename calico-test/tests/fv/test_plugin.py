"""The pytest plugin, in a pytest of its own."""

import re
import signal
import subprocess
import sys

import pytest

from calico_test import records, sweep

TEST = """
def test_one(lab, announced):
    one = lab(1, etcd=False)
    host = one.hosts[0]
    host.sh("nft add table inet seen_in_diagnostics")
    host.write_text("/var/log/calico/felix.log", "ERROR something bad\\n")
    {last}
"""


@pytest.fixture
def run(tmp_path):
    """Run a test file in a process of its own; returns exit status and output."""

    def start(last, *options):
        (tmp_path / "test_one.py").write_text(TEST.format(last=last))
        argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
        done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return start


def test_a_failure_comes_with_diagnostics(run):
    status, output = run("assert False")
    assert status == 1
    assert "table inet seen_in_diagnostics" in output
    assert "ERROR something bad" in output
    assert "10.233.0.11/24" in output


def test_an_unannounced_error_in_a_log_fails_the_test(run):
    status, output = run("pass")
    assert status == 1
    assert re.search(r"unannounced problems\n.*felix\.log:1: ERROR something bad", output)


def test_an_announced_error_does_not(run):
    status, output = run('announced.append("something bad")')
    assert status == 0, output
    assert "seen_in_diagnostics" not in output


def test_keep_lab_leaves_it_up_and_says_how_to_go_on(run):
    status, output = run('announced.append("something bad")', "--keep-lab")
    assert status == 0, output
    name = re.search(r"calico_test\.sweep (\S+)", output)[1]
    kept = records.load(name)
    try:
        pid = re.search(r"shell on host1: nsenter --target (\d+)", output)[1]
        assert [str(anchor.pid) for anchor in kept.anchors] == [pid]
        assert kept.anchors[0].is_alive
    finally:
        sweep.remove(kept)


def test_who_is_not_root_is_told_so(tmp_path):
    (tmp_path / "test_one.py").write_text("def test_one(lab): pass\ndef test_two(netns): pass\n")
    code = (
        "import os, pytest; os.geteuid = lambda: 1000; raise SystemExit(pytest.main(['-q', '-rs']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "2 skipped" in done.stdout
    assert "needs root for network namespaces: run it with sudo" in done.stdout


TERMINATED = """
import signal
from pathlib import Path
import pytest
@pytest.fixture
def resource():
    yield
    Path("torn-down").touch()
def test_one(resource):
    print("here", flush=True)
    signal.pause()
def test_two():
    Path("went-on").touch()
"""


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_termination_ends_the_run_and_fails_no_test(tmp_path, signum):
    (tmp_path / "test_one.py").write_text(TERMINATED)
    argv = [
        "env",
        f"--default-signal={signum.name[3:]}",
        sys.executable,
        "-u",
        "-m",
        "pytest",
        "-s",
    ]
    with subprocess.Popen(
        [*argv, "-p", "no:cacheprovider"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as child:
        while "here" not in child.stdout.readline():
            assert child.poll() is None
        child.send_signal(signum)
        output, _ = child.communicate()
    assert child.returncode == pytest.ExitCode.INTERRUPTED, output
    assert f"terminated by {signum.name}" in output
    assert "failed" not in output
    assert (tmp_path / "torn-down").exists()
    assert not (tmp_path / "went-on").exists()


SLOW = """
import time
from hypothesis import given, settings
from hypothesis import strategies as st
@given(st.booleans())
@settings(max_examples=2)
def test_slow(value):
    time.sleep(0.3)
"""


def test_a_slow_property_does_not_fail(tmp_path):
    (tmp_path / "test_one.py").write_text(SLOW)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
