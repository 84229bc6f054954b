"""Hosts look like machines of their own, and leave nothing behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from calico_test import processes, records, sweep
from calico_test.errors import CommandError, HarnessError
from calico_test.lab import Lab
from calico_test.probes import ICMP, Outcome, Probe

PRIVATE = ["/run", "/etc/calico", "/etc/cni", "/opt/cni", "/var/lib/calico", "/var/log/calico"]


def traces(name):
    """What there is of a lab on this machine: namespaces, mounts, files, processes."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    mounts = Path("/proc/self/mountinfo").read_text()
    found = [line for text in (listed.stdout, mounts) for line in text.splitlines() if name in line]
    found += [str(path) for path in records.state_dir().glob(f"{name}*")]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if name in command and process.name != str(os.getpid()):
            found.append(f"{process.name}: {command}")
    return found


def snapshot():
    """Our share of /run, /dev/shm and the mounts of this process."""
    mounts = Path("/proc/self/mountinfo").read_text()
    return [line for line in mounts.splitlines() if "/run/netns/" not in line]


def test_hosts_reach_each_other_and_the_etcd_in_both_families(lab):
    one = lab(2)
    first, second = one.hosts
    for address in [*second.addresses, "10.233.0.1", "fd00:233::1"]:
        assert first.probe(address, ICMP).outcome is Outcome.OPEN
    for address in ("10.233.0.1", "fd00:233::1"):
        assert second.probe(address, Probe("tcp", 2379)).outcome is Outcome.OPEN
    assert one.etcd.endpoint == "http://10.233.0.1:2379"


def test_hosts_have_their_own_names_files_and_interfaces(lab):
    one = lab(["alpha", "beta"], etcd=False)
    alpha, beta = one.hosts
    assert alpha.sh("uname -n; cat /etc/hostname").split() == ["alpha", "alpha"]
    assert set(alpha.sh("ls /sys/class/net").split()) >= {"lo", "eth0"}
    assert alpha.sh("cat /proc/sys/net/ipv4/ip_forward").strip() == "0"
    for directory in PRIVATE:
        alpha.write_text(f"{directory}/ours", "alpha")
        assert alpha.sh(f"cat {directory}/ours") == "alpha"
        assert not beta.exists(f"{directory}/ours")
        assert not Path(f"{directory}/ours").exists()


def test_what_a_host_does_to_the_machines_files_stays_on_the_host(lab):
    host = lab(1, etcd=False).hosts[0]
    before = Path("/etc/passwd").read_text()
    host.sh("echo changed >>/etc/passwd; mkdir -p /opt/calico-test-probe")
    assert host.read_text("/etc/passwd") == before + "changed\n"
    assert Path("/etc/passwd").read_text() == before
    assert not Path("/opt/calico-test-probe").exists()


def test_links_are_followed_as_the_host_would(lab):
    host = lab(1, etcd=False).hosts[0]
    host.sh(
        "ln -s /etc/calico/there /run/here; mkdir /etc/calico/there; echo x >/etc/calico/there/f"
    )
    assert host.read_text("/run/here/f") == "x\n"
    host.sh("ln -s loop /run/loop")
    with pytest.raises(HarnessError, match="symbolic links"):
        host.path("/run/loop")


def test_kernel_files_are_not_read_behind_the_hosts_back(lab):
    host = lab(1, etcd=False).hosts[0]
    with pytest.raises(HarnessError, match="use sh"):
        host.write_text("/proc/sys/net/ipv4/ip_forward", "1")


def test_a_failing_command_says_where_and_why(lab):
    host = lab(1, etcd=False).hosts[0]
    with pytest.raises(CommandError, match=r"host1: .*status 3\noops") as caught:
        host.sh("echo oops >&2; exit 3")
    assert caught.value.returncode == 3
    with pytest.raises(CommandError, match="ran out of time"):
        host.run(["sleep", "60"], timeout_s=0.05)


def test_popen_has_the_pid_of_the_command_and_logs_its_output(lab):
    one = lab(1, etcd=False, env={"FROM_LAB": "yes"})
    host = one.hosts[0]
    child = host.popen(["sh", "-c", 'echo "$FROM_LAB"; exec sleep infinity'], log="sleeper")
    log = host.state_dir / "sleeper.log"
    processes.wait_until(lambda: log.read_text() == "yes\n", "the output")
    assert host.sh(f"cat /proc/{child.pid}/comm") == "sleep\n"
    child.terminate()
    assert child.wait() == -signal.SIGTERM


def test_a_closed_lab_leaves_nothing(connected):
    before = traces(connected.name)
    assert before
    holders = [host.holder for host in connected.hosts]
    child = connected.hosts[0].popen(["sh", "-c", "setsid sleep infinity & wait"])
    connected.hosts[0].popen(["ip", "netns", "exec", "a", "sleep", "infinity"])
    connected.close()
    assert traces(connected.name) == []
    assert not any(holder.is_alive for holder in holders)
    assert child.returncode == -signal.SIGKILL
    connected.close()


def test_what_was_started_a_moment_ago_is_killed_with_all_its_offspring():
    with Lab(1, etcd=False) as lab:
        identity = lab.hosts[0].holder.namespace_ids()
        for _ in range(20):
            lab.hosts[0].popen(["sh", "-c", "setsid sleep infinity & wait"])
    assert processes.members(identity) == []


def test_an_error_inside_removes_the_lab():
    with pytest.raises(RuntimeError), Lab(2) as lab:
        raise RuntimeError
    assert traces(lab.name) == []


def test_two_labs_do_not_share_a_name():
    with Lab(1, etcd=False) as lab, pytest.raises(HarnessError, match="is up"):
        Lab(1, etcd=False, name=lab.name)
    assert traces(lab.name) == []


def test_bird_and_the_python_of_the_tests_run_on_a_host(lab):
    host = lab(1, etcd=False).hosts[0]
    host.write_text("/etc/calico/bird.cfg", "router id 10.233.0.11; protocol device { }\n")
    host.popen(["bird", "-f", "-c", "/etc/calico/bird.cfg", "-s", "/run/bird.ctl"])
    processes.wait_until(lambda: host.exists("/run/bird.ctl"), "BIRD's socket")
    assert "Router ID is 10.233.0.11" in host.sh("birdc -s /run/bird.ctl show status")
    assert host.run([sys.executable, "-c", "import calico_test; print(1)"]).stdout == "1\n"


def test_what_has_no_addresses_in_common_with_the_cluster_is_outside(lab):
    one = lab(1)
    one.outside.listen(tcp=[80])
    seen = one.hosts[0].probe("10.233.0.1", Probe("tcp", 80))
    assert seen.outcome is Outcome.OPEN
    assert one.hosts[0].probe("192.0.2.1", ICMP, timeout_ms=50).outcome is Outcome.TIMEOUT


@pytest.mark.parametrize("names", [[], ["a", "a"], ["a/b"], [""], ["n"] * 200])
def test_impossible_hosts_are_refused_before_anything_is_made(names):
    with pytest.raises(ValueError):
        Lab(names)


SCRIPT = """
import signal, sys
from calico_test.lab import Lab
with Lab(2, name=sys.argv[1]) as lab:
    work = lab.hosts[0].add_workload("w")
    work.listen(tcp=[80])
    lab.hosts[1].popen(["sh", "-c", "setsid sleep infinity & exec sleep infinity"])
    if sys.argv[2] == "keep":
        work.addresses = ["10.65.0.1"]
        lab.save()
        sys.exit()
    print("up", flush=True)
    signal.pause()
"""


@pytest.fixture
def elsewhere():
    """Start the script above in a process of its own; the lab it makes is removed in the end."""
    name = records.unique_name("lab")
    started = []

    def start(mode="wait"):
        # A run in the background ignores Ctrl-C, and so would its children.
        python = ["env", "--default-signal=INT", sys.executable]
        argv = [*python, "-W", "error", "-c", SCRIPT, name, mode]
        child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(child)
        return name, child

    yield start
    for child in started:
        child.kill()
        child.communicate()
    if (records.state_dir() / f"{name}.json").exists():
        sweep.remove(records.load(name))


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_lab_leaves_nothing(elsewhere, signum):
    name, child = elsewhere()
    assert child.stdout.readline() == "up\n"
    child.send_signal(signum)
    child.communicate(timeout=20)
    assert child.returncode != 0
    assert traces(name) == []


def test_sweep_removes_what_a_killed_process_left(elsewhere):
    name, child = elsewhere()
    assert child.stdout.readline() == "up\n"
    assert name not in sweep.sweep()
    with pytest.raises(HarnessError, match="still works with it"):
        sweep.remove_named(name)
    child.kill()
    child.wait()
    left = records.load(name)
    assert left.is_orphan
    assert all(process.is_alive for process in left.anchors + left.processes)
    mine = frozenset().union(*(anchor.namespace_ids() for anchor in left.anchors))
    inside = processes.members(mine)
    with Lab(1, etcd=False, name=name):
        assert not any(Path(directory).exists() for directory in left.directories[1:])
    assert traces(name) == []
    assert not any(p.is_alive for p in [*inside, *left.anchors, *left.processes])
    assert not any(Path(directory).exists() for directory in left.directories)


def test_a_saved_lab_outlives_its_process_and_is_taken_up_again(elsewhere):
    name, child = elsewhere("keep")
    output, _ = child.communicate(timeout=20)
    assert (child.returncode, output) == (0, "")
    assert name not in sweep.sweep()
    with Lab.load(name) as lab:
        lab.etcd.put("/a", "b")
        assert lab.etcd.get_prefix("/") == {"/a": "b"}
        workload = lab.hosts[0].workloads["w"]
        assert workload.addresses == ["10.65.0.1"]
        assert workload.probe("127.0.0.1", Probe("tcp", 80)).outcome is Outcome.OPEN
        assert lab.hosts[0].sh("uname -n") == "host1\n"
    assert traces(name)
    command = [sys.executable, "-W", "error", "-m", "calico_test.sweep", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"removed {name}\n", "")
    assert traces(name) == []
    with pytest.raises(HarnessError, match="nothing of that name"):
        Lab.load(name)


def test_the_machines_mounts_are_the_same_before_and_after():
    before = snapshot()
    with Lab(2) as lab:
        lab.hosts[0].add_workload("w").listen(tcp=[80])
        assert snapshot() == before
    assert snapshot() == before
