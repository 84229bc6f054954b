"""What Felix tells the datastore: that it lives, and the state of its endpoints."""

import json
import signal

import pytest

from libcalico.datastore import keys


@pytest.fixture
def told(felix):
    """Key → value of everything below /calico/felix/."""

    def read():
        stored = felix.etcd.get_prefix("/calico/felix/")
        return {key: json.loads(value) for key, value in stored.items()}

    return read


@pytest.fixture
def states(felix, told):
    """Endpoint → state, as stored."""
    prefix = keys.status_prefix(felix.host.name)

    def read():
        found = {key: value for key, value in told().items() if key.startswith(prefix)}
        return {key.split("%2f")[1].split("/")[0]: value["status"] for key, value in found.items()}

    return read


def test_nothing_is_told_unless_it_is_asked_for(felix, told):
    felix.configure(reporting_interval="0s")
    felix.start()
    felix.connect("web")
    assert told() == {}


def test_states_follow_endpoints_and_are_removed_with_them(felix, states):
    felix.configure(endpoint_reporting_enabled=True, endpoint_reporting_delay="0s")
    felix.start()
    felix.connect("web")
    felix.wait(lambda: states() == {"web": "up"}, "web is up")
    felix.host.sh("ip link set caliweb down")
    felix.wait(lambda: states() == {"web": "down"}, "web is down")
    felix.host.sh("ip link set caliweb up")
    felix.put(felix.endpoint("api", "10.65.0.9"))
    felix.wait(lambda: states() == {"web": "up", "api": "down"}, "api has no interface")
    felix.delete(felix.endpoint("web"))
    felix.wait(lambda: states() == {"api": "down"}, "web is gone")


def test_reporting_is_turned_on_and_off_live(felix, states):
    felix.start()
    felix.connect("web")
    felix.configure(endpoint_reporting_enabled=True, endpoint_reporting_delay="0s")
    felix.wait(lambda: states() == {"web": "up"}, "web is told")
    felix.configure()
    felix.wait(lambda: states() == {}, "nothing is told any more")


def test_what_a_previous_run_told_is_compared_at_the_start(felix, states):
    felix.configure(endpoint_reporting_enabled=True, endpoint_reporting_delay="0s")
    felix.start()
    web = felix.connect("web")
    felix.connect("api")
    felix.wait(lambda: states() == {"web": "up", "api": "up"}, "both are up")
    felix.end(signal.SIGKILL)
    felix.delete(felix.endpoint("web", *web.addresses))
    felix.host.sh("ip link set caliapi down")
    felix.start()
    felix.wait(lambda: states() == {"api": "down"}, "what changed meanwhile is told")


def test_states_are_told_when_the_datastore_is_back(felix, states):
    felix.configure(endpoint_reporting_enabled=True, endpoint_reporting_delay="0s")
    felix.start()
    felix.connect("web")
    felix.wait(lambda: states() == {"web": "up"}, "web is up")
    felix.etcd.kill()
    felix.host.sh("ip link set caliweb down")
    felix.wait_row("Datastore", "away")
    felix.etcd.restart()
    felix.wait(lambda: states() == {"web": "down"}, "web is down")


def test_felix_tells_that_it_lives_and_its_lease_ends_with_it(felix, told):
    felix.configure(reporting_interval="1s", reporting_ttl="2s", openstack_region="east")
    felix.start()
    prefix = f"/calico/felix/v2/region-east/host/{felix.host.name}/"
    felix.wait(lambda: len(told()) == 2, "it lives")
    first = told()[f"{prefix}last_reported_status"]
    assert set(first) == {"time", "uptime", "first_update"}
    felix.wait(
        lambda: told()[f"{prefix}last_reported_status"]["uptime"] > first["uptime"] + 2, "again"
    )
    later = told()
    assert later[f"{prefix}status"]["first_update"] is False
    felix.process.send_signal(signal.SIGSTOP)
    felix.wait(lambda: f"{prefix}status" not in told(), "a Felix that hangs lets its lease end")
    assert f"{prefix}last_reported_status" in told()
    felix.process.send_signal(signal.SIGCONT)
    felix.wait(lambda: f"{prefix}status" in told(), "it lives again")
