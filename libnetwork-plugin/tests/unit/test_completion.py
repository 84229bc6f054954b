"""What Docker's API tells reaches endpoints and profiles, whenever it is told."""

import datetime as dt
from dataclasses import replace

import pytest

NET, OTHER, END = "db50" * 16, "cafe" * 16, "30b4355e6ab1" * 5
LATER = dt.timedelta(hours=1)


def profile_names(plugin):
    return {profile.name for profile in plugin.client.profiles.list()} - {
        "projectcalico-default-allow"
    }


def profiles_of(plugin, endpoint=END):
    return plugin.endpoints()[endpoint].spec.profiles


def later(plugin, monkeypatch):
    """Have the plugin believe that it is an hour later."""
    now = dt.datetime.now(dt.UTC) + LATER
    monkeypatch.setattr(plugin.completion, "_now", lambda: now)


def test_a_network_gets_its_profile_when_it_is_announced(plugin, until):
    plugin.docker.put(NET, "net1")
    plugin.announce("create")
    until(lambda: profile_names(plugin) == {"net1"})


def test_an_endpoint_is_completed_when_its_container_is_announced(plugin, until):
    plugin.create_endpoint(END)
    plugin.docker.container_labels["c0ffee"] = {"app": "web"}
    plugin.docker.put(NET, "net1", **{END: "c0ffee"})
    plugin.announce("connect")
    until(lambda: profiles_of(plugin) == ["net1"])
    endpoint = plugin.endpoints()[END]
    assert endpoint.metadata.labels["app"] == "web"
    assert endpoint.spec.container_id == "c0ffee"


def test_what_was_not_announced_is_found_at_the_start(plugin, make_plugin, start):
    plugin.create_endpoint(END)
    again = make_plugin(store=plugin.store)
    again.docker.container_labels["c0ffee"] = {"app": "web"}
    again.docker.put(NET, "net1", **{END: "c0ffee"})
    start(again)
    again.completion.synchronize(again.docker)
    assert profiles_of(again) == ["net1"]
    assert again.endpoints()[END].metadata.labels["app"] == "web"


def test_what_goes_on_failing_is_told_once_and_again_after_it_went_well(
    plugin, until, monkeypatch, caplog
):
    def told():
        return [r for r in caplog.records if "docker is not followed" in r.getMessage()]

    monkeypatch.setattr("libnetwork_plugin.completion._RETRY_S", 0.001)
    connect, tries = plugin.completion._connect, []
    monkeypatch.setattr(plugin.completion, "_connect", lambda: (tries.append(1), connect())[1])
    plugin.docker.is_down = True
    plugin.docker.queue.put(None)
    until(lambda: len(tries) > 20)
    assert len(told()) <= 2  # the end of the stream, and nobody there
    plugin.docker.is_down = False
    until(plugin.completion._connected.is_set)
    before = len(told())
    plugin.docker.is_down = True
    plugin.docker.queue.put(None)
    until(lambda: len(told()) > before)


def test_docker_is_followed_again_after_it_was_away(plugin, until, monkeypatch):
    monkeypatch.setattr("libnetwork_plugin.completion._RETRY_S", 0.001)
    plugin.docker.is_down = True
    plugin.docker.queue.put(None)
    until(lambda: "nobody there" in plugin.completion.problem)
    plugin.docker.put(NET, "net1")
    plugin.docker.is_down = False
    until(lambda: profile_names(plugin) == {"net1"})
    assert plugin.docker.connections == 2


def test_everything_is_looked_at_from_time_to_time(make_plugin, start, until, monkeypatch):
    monkeypatch.setattr("libnetwork_plugin.completion._AUDIT_S", 0.01)
    plugin = start(make_plugin())
    plugin.docker.put(NET, "net1")
    until(lambda: profile_names(plugin) == {"net1"})


def test_what_is_not_understood_does_not_end_it(plugin, until, monkeypatch, caplog):
    monkeypatch.setattr("libnetwork_plugin.completion._RETRY_S", 0.001)
    plugin.docker.known[NET] = None
    plugin.docker.queue.put("nonsense")
    until(lambda: "docker is not understood" in caplog.text)
    plugin.docker.put(NET, "net1")
    until(lambda: profile_names(plugin) == {"net1"})


def test_an_object_that_cannot_be_stored_does_not_stop_the_others(plugin, until, caplog):
    key = "/calico/resources/v3/projectcalico.org/profiles/net1"
    plugin.backend.put(key, b"no json")
    plugin.docker.put(NET, "net1")
    plugin.docker.put(OTHER, "net2")
    plugin.completion.synchronize(plugin.docker)
    assert profile_names(plugin) == {"net2"}
    assert "Profile(net1)" in caplog.text


def test_a_container_that_ended_meanwhile_is_no_error(plugin, until):
    plugin.create_endpoint(END)
    plugin.docker.put(NET, "net1", **{END: "c0ffee", "beef" * 16: "gone"})
    plugin.announce("connect")
    until(lambda: profiles_of(plugin) == ["net1"])
    plugin.announce("connect", OTHER)
    plugin.docker.put(OTHER, "net2")
    plugin.announce("create", OTHER)
    until(lambda: "net2" in profile_names(plugin))


def test_a_profile_goes_with_the_last_network_that_has_it(plugin, second, until):
    plugin.docker.put(NET, "net1")
    second.docker.put(OTHER, "net1")
    plugin.announce("create")
    second.announce("create", OTHER)
    networks = "libnetwork.projectcalico.org/networks"
    until(
        lambda: (
            profile_names(plugin)
            and "host-1" in plugin.client.profiles.get("net1").metadata.annotations[networks]
            and "host-2" in plugin.client.profiles.get("net1").metadata.annotations[networks]
        )
    )
    plugin.call("NetworkDriver.DeleteNetwork", {"NetworkID": NET})
    assert profile_names(plugin) == {"net1"}
    second.call("NetworkDriver.DeleteNetwork", {"NetworkID": OTHER})
    assert profile_names(plugin) == set()


def test_a_profile_that_somebody_else_made_stays_as_it_is(plugin, until):
    from libcalico.resources.model import ObjectMeta
    from libcalico.resources.profiles import Profile

    theirs = plugin.client.profiles.create(Profile(metadata=ObjectMeta(name="net1")))
    plugin.create_endpoint(END)
    plugin.docker.put(NET, "net1", **{END: "c0ffee"})
    plugin.announce("connect")
    until(lambda: profiles_of(plugin) == ["net1"])
    plugin.call("NetworkDriver.DeleteNetwork", {"NetworkID": NET})
    assert plugin.client.profiles.get("net1") == theirs


def test_rules_that_were_edited_stay(plugin, until):
    plugin.docker.put(NET, "net1")
    plugin.announce("create")
    until(lambda: profile_names(plugin))
    profiles = plugin.client.profiles
    profiles.modify("net1", lambda p: p.with_(spec=p.spec.with_(ingress=[])))
    plugin.completion.synchronize(plugin.docker)
    assert profiles.get("net1").spec.ingress == []


def test_networks_that_docker_forgot_are_taken_off_their_profiles(plugin, second):
    plugin.docker.put(NET, "net1")
    second.docker.put(OTHER, "net2")
    plugin.completion.synchronize(plugin.docker)
    second.completion.synchronize(second.docker)
    assert profile_names(plugin) == {"net1", "net2"}
    plugin.docker.known.clear()
    plugin.completion.synchronize(plugin.docker)
    assert profile_names(plugin) == {"net2"}


def test_what_docker_does_not_know_any_more_is_removed(plugin, second, monkeypatch):
    plugin.create_endpoint(END)
    plugin.join(END)
    kept = second.create_endpoint("beef" * 16)
    plugin.completion.synchronize(plugin.docker)
    assert END in plugin.endpoints()  # it may be about to start
    later(plugin, monkeypatch)
    plugin.completion.synchronize(plugin.docker)
    assert list(plugin.endpoints()) == ["beef" * 16]
    assert plugin.interfaces.made == {}
    assert plugin.assigned() == 1
    assert plugin.endpoints()["beef" * 16].spec.ip_networks == [kept]


def test_what_is_in_a_container_stays_whoever_knows_it(plugin, monkeypatch):
    plugin.create_endpoint(END)
    plugin.join(END)
    plugin.interfaces.in_containers.add("cali30b4355e6ab")
    later(plugin, monkeypatch)
    plugin.completion.synchronize(plugin.docker)
    assert END in plugin.endpoints()
    assert plugin.assigned() == 1


def test_addresses_of_nobody_are_freed(plugin, monkeypatch):
    gateway = {"RequestAddressType": "com.docker.network.gateway"}
    for number in (1, 2):
        asked = {"PoolID": "CalicoPoolIPv4", "Address": f"10.65.9.{number}", "Options": gateway}
        plugin.call("IpamDriver.RequestAddress", asked)
    plugin.address(address="10.65.9.7")
    plugin.address()
    plugin.create_endpoint(END)
    plugin.docker.put(NET, "net1", **{END: "c0ffee"})
    reserved = frozenset({"10.65.9.1", "10.65.9.7"})
    plugin.docker.known[NET] = replace(plugin.docker.known[NET], reserved=reserved)
    plugin.completion.synchronize(plugin.docker)
    assert plugin.assigned() == 5
    later(plugin, monkeypatch)
    plugin.completion.synchronize(plugin.docker)
    assert plugin.assigned() == 3  # the network's two, and the endpoint's


def test_hosts_whose_names_begin_alike_leave_each_other_alone(plugin, make_plugin, monkeypatch):
    longer = make_plugin("host-1.example.com", plugin.store)
    address = longer.address(address="10.65.9.7")
    later(plugin, monkeypatch)
    plugin.completion.synchronize(plugin.docker)
    plugin.release(address.partition("/")[0])
    assert plugin.assigned() == 1
    longer.create_endpoint(END, address=address)
    assert not plugin.completion._endpoints.all()


@pytest.mark.parametrize("action", ["disconnect", "remove", "unmount"])
def test_other_events_do_nothing(plugin, action, until):
    plugin.docker.put(NET, "net1")
    plugin.announce(action)
    plugin.docker.put(OTHER, "net2")
    plugin.announce("create", OTHER)
    until(lambda: profile_names(plugin) == {"net2"})


def test_a_network_that_went_before_it_was_seen_leaves_no_profile(plugin, until):
    plugin.docker.put(NET, "net1")
    plugin.announce("create")
    until(lambda: profile_names(plugin))
    del plugin.docker.known[NET]
    plugin.announce("destroy")
    until(lambda: not profile_names(plugin))
