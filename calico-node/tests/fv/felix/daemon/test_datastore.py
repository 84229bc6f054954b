"""Start, loss and return of the datastore and of Felix: what is in force stays so, and no window opens."""

import shutil
import signal
from pathlib import Path

import pytest

from calico_test.convergence import LOST_MS, Flow
from calico_test.errors import DeadlineError
from calico_test.probes import Probe
from libcalico.testing import builders as a

OLD_TABLE = """table inet calico {
chain old {
type filter hook forward priority 0
policy drop
}
}
"""
TCP = Probe("tcp", 80)


def deny(name):
    """A policy that takes in no traffic to the workload of that name."""
    return a.a_global_policy(
        name=f"deny-{name}", selector=f"app == '{name}'", ingress=[a.a_rule("Deny")]
    )


def test_a_previous_table_stays_until_the_datastore_was_read(felix):
    felix.host.run(["nft", "-f", "-"], stdin=OLD_TABLE)
    felix.host.write_text("/var/run/calico/endpoint-status/stale", "{}")
    felix.etcd.pause()
    felix.start(until_ready=False)
    felix.wait_row("Datastore", "no")
    assert felix.get("/readiness")[0] == 503
    assert felix.get("/liveness")[0] == 204
    assert felix.chain("old")
    assert felix.statuses() == {"stale"}
    felix.etcd.resume()
    felix.wait_ready()
    assert not felix.chain("old")
    assert not felix.statuses()


@pytest.mark.parametrize("information", [None, "not ready", "garbage"])
def test_a_datastore_that_is_not_ready_changes_nothing_until_it_is(felix, information):
    felix.delete(a.a_cluster_information())
    if information == "not ready":
        felix.put(a.a_cluster_information(datastore_ready=False))
    elif information == "garbage":
        felix.put_raw("ClusterInformation", "default", "{")
    felix.host.run(["nft", "-f", "-"], stdin=OLD_TABLE)
    felix.start(until_ready=False)
    felix.wait_row("Datastore", "not ready")
    felix.wait_ready()  # it does what it is told to: it waits
    assert felix.chain("old")
    felix.put(a.a_cluster_information())
    felix.wait(lambda: not felix.chain("old"), "what is wanted is in force")
    felix.wait_row("Dataplane", "in sync")
    assert felix.is_ready()


def test_changes_wait_while_the_datastore_is_not_ready(felix):
    felix.start()
    web, api = felix.connect("web"), felix.connect("api")
    felix.put(a.a_cluster_information(datastore_ready=False))
    felix.wait_row("Datastore", "not ready")
    assert felix.is_ready()
    before = felix.table()
    felix.put(deny("web"), felix.endpoint("new", "10.65.0.50"))
    felix.delete(felix.endpoint("api", *api.addresses))
    felix.configure(log_severity_screen="Debug")
    felix.host.sh("nft flush table inet calico")
    felix.wait(lambda: felix.table() == before, "it is still repaired")
    assert felix.outcomes(api, web) == felix.OPEN
    felix.put(a.a_cluster_information())
    felix.wait_policy("deny-web")
    felix.wait_ready()
    assert felix.outcomes(web, api) == felix.CLOSED
    assert felix.outcomes(felix.host, web) == felix.OPEN


def test_what_is_in_force_stays_when_etcd_dies_and_changes_when_it_is_back(felix):
    felix.put(deny("web"))
    felix.start(FELIX_PROMETHEUSMETRICSENABLED="true")
    web, api = felix.connect("web"), felix.connect("api")
    before = felix.table()
    felix.etcd.kill()
    felix.wait_row("Datastore", "away, keeping what is programmed")
    status, page = felix.get("/readiness")
    assert status == 503
    assert "away, keeping what is programmed" in page
    assert felix.get("/liveness")[0] == 204
    assert "felix_resync_state 1.0" in felix.get("/metrics", 9091)[1]
    assert felix.outcomes(api, web) == felix.CLOSED
    assert felix.outcomes(web, api) == felix.OPEN
    assert felix.table() == before
    felix.etcd.restart()
    felix.put(deny("api"))
    felix.delete(deny("web"))
    felix.wait_policy("deny-api")
    felix.wait_ready()
    felix.wait_outcomes(api, web, felix.OPEN)
    assert felix.outcomes(web, api) == felix.CLOSED
    assert "felix_resync_state 3.0" in felix.get("/metrics", 9091)[1]


def test_an_etcd_that_hangs_is_noticed_and_followed_again_when_it_goes_on(felix):
    felix.start()
    web, api = felix.connect("web"), felix.connect("api")
    felix.etcd.pause()
    assert felix.outcomes(api, web) == felix.OPEN
    felix.wait_row("Datastore", "away, keeping what is programmed", deadline_s=60.0)
    assert felix.get("/readiness")[0] == 503
    assert felix.get("/liveness")[0] == 204
    assert felix.outcomes(api, web) == felix.OPEN
    felix.etcd.resume()
    felix.put(deny("web"))
    felix.wait_policy("deny-web")
    felix.wait_ready()
    assert felix.outcomes(api, web) == felix.CLOSED


def test_changes_made_while_the_host_was_cut_off_arrive(felix):
    felix.put(deny("web"))
    felix.start()
    web, api = felix.connect("web"), felix.connect("api")
    felix.lab.fabric.run(["ip", "link", "set", "port1", "down"])
    felix.put(deny("api"))
    felix.delete(deny("web"))
    assert felix.outcomes(api, web) == felix.CLOSED
    felix.lab.fabric.run(["ip", "link", "set", "port1", "up"])
    felix.wait_outcomes(api, web, felix.OPEN)
    felix.wait_outcomes(web, api, felix.CLOSED)


def test_a_store_that_lost_everything_changes_nothing_until_it_is_filled_again(felix, basics):
    felix.put(deny("web"))
    felix.start()
    web, api = felix.connect("web"), felix.connect("api")
    felix.etcd.kill()
    shutil.rmtree(felix.etcd.directory / "data")
    felix.etcd.restart()
    felix.wait_row("Datastore", "not ready")
    assert felix.outcomes(api, web) == felix.CLOSED
    assert felix.outcomes(web, api) == felix.OPEN
    felix.put(*basics[1:], felix.endpoint("web", *web.addresses), basics[0])
    felix.wait_row("Datastore", "in sync")
    felix.wait_outcomes(felix.host, web, felix.OPEN)
    assert not felix.chain("cali-pi-gnp/deny-web")
    assert felix.outcomes(api, web) == felix.CLOSED, "its endpoint was not restored"


def test_a_store_restored_from_a_backup_is_believed(felix):
    felix.put(deny("web"))
    felix.start()
    web, api = felix.connect("web"), felix.connect("api")
    data, backup = felix.etcd.directory / "data", felix.etcd.directory / "backup"
    felix.etcd.kill()
    shutil.copytree(data, backup)
    felix.etcd.restart()
    felix.delete(deny("web"))
    felix.put(deny("api"))
    felix.wait_policy("deny-api")
    felix.wait_outcomes(api, web, felix.OPEN)
    felix.etcd.kill()
    shutil.rmtree(data)
    backup.rename(data)
    felix.etcd.restart()
    felix.wait_policy("deny-web")
    felix.wait_outcomes(web, api, felix.OPEN)
    assert felix.outcomes(api, web) == felix.CLOSED


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_a_restart_loses_no_packet_and_opens_no_window(felix, signum):
    felix.put(deny("web"))
    felix.start()
    web, api = felix.connect("web"), felix.connect("api")
    before = felix.table()
    patient = Flow(web, api.address(4), TCP, timeout_ms=LOST_MS)
    with patient as good, Flow(api, web.address(6), TCP) as bad:
        good.wait("open")
        bad.wait("closed")
        code = felix.end(signum)
        assert code == (0 if signum == signal.SIGTERM else -signal.SIGKILL)
        assert felix.table() == before
        assert felix.outcomes(api, web) == felix.CLOSED
        felix.start()
        assert felix.table() == before
        felix.put(deny("db"))
        with pytest.raises(DeadlineError):
            bad.wait("open", deadline_s=0.3)
    assert good.totals.attempts > 100
    assert good.totals.lost == 0


def test_changes_made_while_felix_was_down_are_taken_in_at_its_start(felix):
    felix.put(deny("web"))
    felix.start()
    web, api, db = felix.connect("web"), felix.connect("api"), felix.connect("db")
    assert felix.end(signal.SIGKILL) == -signal.SIGKILL
    felix.delete(deny("web"))
    felix.put(deny("api"))
    felix.delete(felix.endpoint("db", *db.addresses))
    felix.host.sh("ip link set calidb down")
    assert felix.outcomes(api, web) == felix.CLOSED
    felix.start()
    assert felix.outcomes(api, web) == felix.OPEN
    assert felix.outcomes(web, api) == felix.CLOSED
    assert len(felix.statuses()) == 2


def test_status_files_come_after_programming_and_go_with_the_endpoint(felix):
    felix.start()
    endpoint = felix.endpoint("web", "10.65.0.1", "fd65::1")
    felix.put(endpoint, deny("web"))
    felix.wait_policy("deny-web")
    assert not felix.statuses(), "there is no interface yet"
    felix.connect("web")
    assert felix.has_status(endpoint)
    assert felix.host.sh("ip route show 10.65.0.1").strip()
    felix.host.sh("ip link delete caliweb")
    felix.wait(lambda: not felix.statuses(), "no interface, no status")
    felix.host.remove_workload("web")
    felix.connect("api")
    felix.delete(felix.endpoint("api"))
    felix.wait(lambda: not felix.statuses(), "no endpoint, no status")


def test_a_status_of_a_previous_run_does_not_outlive_what_it_says(felix):
    felix.start()
    felix.connect("web")
    kept = felix.statuses()
    assert felix.end(signal.SIGKILL)
    felix.host.sh("ip link delete caliweb")
    assert felix.statuses() == kept
    felix.start()
    felix.wait(lambda: not felix.statuses(), "the interface is gone")


def test_without_a_datastore_it_waits_and_ends_when_told(felix):
    felix.etcd.kill()
    felix.start(until_ready=False)
    felix.wait_row("Datastore", "away")
    assert felix.get("/readiness")[0] == 503
    assert felix.end() == 0
    felix.etcd.restart()


def test_what_the_kernel_refuses_at_the_start_is_tried_again_and_no_policy_is_lost(
    felix, announced
):
    announced.append("kernel refused, trying again")
    felix.put(deny("web"), felix.endpoint("web", "10.65.0.1", "fd65::1"))
    felix.host.sh("mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys")
    felix.start(until_ready=False)
    felix.wait_policy("deny-web")
    felix.wait_row("Dataplane", "trying again")
    felix.put(deny("late"))
    felix.wait_row("Datastore", "in sync")
    assert not felix.is_ready()
    felix.host.sh("umount /proc/sys")
    felix.wait_ready()
    web, api = felix.connect("web"), felix.connect("api")
    assert felix.outcomes(api, web) == felix.CLOSED
    assert felix.outcomes(web, api) == felix.OPEN


def test_a_status_of_a_previous_run_that_is_still_right_is_not_written_again(felix):
    felix.start()
    felix.connect("web")
    (name,) = felix.statuses()
    file = felix.host.path(f"/var/run/calico/endpoint-status/{name}")
    before = file.stat()
    felix.end(signal.SIGKILL)
    felix.start()
    after = file.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_it_waits_for_a_datastore_that_is_away_without_being_busy(felix):
    felix.start()
    felix.connect("web")
    felix.etcd.kill()
    felix.wait_row("Datastore", "away")
    before = cpu_s(felix)
    with pytest.raises(DeadlineError):
        felix.wait(lambda: cpu_s(felix) - before > 0.4, "it is busy", 4.0)
    felix.etcd.restart()
    felix.wait_ready()


def cpu_s(felix):
    """Return how many seconds of a processor Felix has used."""
    fields = Path(f"/proc/{felix.process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / 100
