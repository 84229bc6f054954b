"""A real etcd that freezes, restarts, goes back to a backup or loses members, under a real calicoctl."""

import contextlib
import dataclasses
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from calico_test import processes
from calico_test.etcd import Etcd
from calico_test.etcd_cluster import EtcdCluster

DEADLINE_S = 60.0
#: How long a request may take, and what starting an interpreter may add on a busy machine.
REQUEST_S, SPARE_S = 10.0, 20.0


@pytest.fixture
def own(ctl):
    """A calicoctl on an etcd that only this test hurts."""
    with Etcd() as etcd:
        environ = {**ctl.environ, "ETCD_ENDPOINTS": etcd.endpoint}
        yield dataclasses.replace(ctl, etcd=etcd, environ=environ)


@contextlib.contextmanager
def started(ctl, *arguments):
    with subprocess.Popen(
        ctl.command(*arguments),
        env=ctl.environ,
        cwd=ctl.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        watchdog = threading.Timer(DEADLINE_S, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def is_connected(process, port):
    """Whether a process holds a connection to a port of this machine."""
    tables = [Path("/proc/net", table).read_text() for table in ("tcp", "tcp6")]
    lines = [line.split() for table in tables for line in table.splitlines()[1:]]
    sockets = {f"socket:[{line[9]}]" for line in lines if line[2].endswith(f":{port:04X}")}
    with contextlib.suppress(FileNotFoundError):
        files = Path(f"/proc/{process.pid}/fd").iterdir()
        return any(os.readlink(file) in sockets for file in files)
    return False


@pytest.mark.parametrize("arguments", [("get", "pools"), ("apply", "-f", "pool.yaml")])
def test_a_frozen_etcd_is_one_line_within_its_time(own, make, arguments):
    own.file("pool.yaml", make("IPPool", "demo", {"cidr": "10.65.0.0/16"}))
    own.etcd.pause()
    began = time.monotonic()
    done = own(*arguments)
    assert time.monotonic() - began < REQUEST_S + SPARE_S
    assert done.code == 1
    assert f"{own.etcd.endpoint}: no answer within 10 s" in done.err
    assert "Traceback" not in done.err


def test_an_etcd_that_answers_late_is_waited_for(own, make):
    own.apply(make("IPPool", "demo", {"cidr": "10.65.0.0/16"}))
    own.etcd.pause()
    with started(own, "get", "pools") as process:
        processes.wait_until(
            lambda: is_connected(process, own.etcd.port), "it connects", deadline_s=DEADLINE_S
        )
        own.etcd.resume()
        out, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, err) == (0, "")
    assert "demo" in out


def until(process, *wanted):
    """Read on until all these lines were printed."""
    missing = {*wanted}
    for line in process.stdout:
        missing.discard(" ".join(line.split()))
        if not missing:
            return
    raise AssertionError(f"it ended without {missing}: {process.stderr.read()}")


def restore(etcd, backup):
    """Start it on a backup, as the operator's guide of etcd says."""
    etcd.kill()
    shutil.rmtree(etcd.directory / "data")
    peer = etcd.peer_url
    subprocess.run(
        [
            *("etcdctl", "snapshot", "restore", str(backup), "--name", etcd.name),
            *("--data-dir", str(etcd.directory / "data")),
            *("--initial-cluster", f"{etcd.name}={peer}", "--initial-advertise-peer-urls", peer),
        ],
        env={**os.environ, "ETCDCTL_API": "3"},
        check=True,
        capture_output=True,
    )
    etcd.restart()


def test_a_watch_outlives_a_restart_and_a_restored_backup(own, make, tmp_path):
    own.apply(make("Tier", "kept", {"order": 1}))
    subprocess.run(
        ["etcdctl", "--endpoints", own.etcd.endpoint, "snapshot", "save", str(tmp_path / "backup")],
        env={**os.environ, "ETCDCTL_API": "3"},
        check=True,
        capture_output=True,
    )
    own.apply(make("Tier", "later", {"order": 2}))
    with started(own, "get", "tiers", "-w") as process:
        until(process, "ADDED later 2")
        own.etcd.restart()
        own.apply(make("Tier", "kept", {"order": 3}))
        until(process, "MODIFIED kept 3")
        restore(own.etcd, tmp_path / "backup")
        until(process, "MODIFIED kept 1", "DELETED later 2")
        own.apply(make("Tier", "anew", {"order": 4}))
        until(process, "ADDED anew 4")


@pytest.fixture
def replicated(ctl):
    """A calicoctl on a cluster of three."""
    with EtcdCluster() as cluster:
        environ = {**ctl.environ, "ETCD_ENDPOINTS": cluster.endpoints}
        yield dataclasses.replace(ctl, etcd=cluster, environ=environ)


@pytest.mark.parametrize("hurt", ["kill", "pause"])
def test_the_loss_of_the_leader_is_not_noticed(replicated, make, hurt):
    replicated.apply(make("Tier", "t", {"order": 1}))
    with started(replicated, "get", "tiers", "-w") as process:
        until(process, "ADDED t 1")
        getattr(replicated.etcd.leader(), hurt)()
        for order in range(2, 5):
            assert replicated.apply(make("Tier", "t", {"order": order})).startswith("Success")
            assert f"t {order}" in [" ".join(row) for row in replicated("get", "tiers").rows]
        until(process, "MODIFIED t 4")


def test_too_few_members_are_one_line(replicated, make):
    replicated.apply(make("Tier", "t", {"order": 1}))
    for member in replicated.etcd.members[1:]:
        member.kill()
    done = replicated("get", "tiers")
    assert (done.code, done.out) == (1, "")
    assert f"datastore {replicated.etcd.endpoints.replace(',', ', ')}: no answer within" in done.err
    for member in replicated.etcd.members[1:]:
        member.restart()
    assert "t" in replicated.ok("get", "tiers")
