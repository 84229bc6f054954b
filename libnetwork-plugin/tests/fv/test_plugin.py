"""The plugin as a process: interfaces in the kernel, objects in etcd, calls through its socket."""

import errno
import signal
import socket
import stat
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

NET, END = "db50" * 16, "30b4355e6ab1" * 5
NOTHING = ([], 0, set())


def answers(place, address):
    """Whether an address answers, from a namespace: nobody listens there, so it refuses."""
    host = address.partition("/")[0]

    def connect():
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.settimeout(5)
            return probe.connect_ex((host, 9)) == errno.ECONNREFUSED

    return place.call(connect)


def test_a_container_reaches_its_host_and_back_in_both_families(machine, container):
    addresses = machine.create(END, NET, v6=True)
    status, reply = machine.join(END, NET)
    assert status == 200
    machine.put_into(container, reply, addresses)
    for address in addresses:
        assert answers(machine.host, address)
    for address in ("10.99.0.1", "fd99::1"):
        assert answers(container, address)
    machine.remove(END, NET, addresses)
    assert machine.left() == NOTHING


def test_calls_may_come_again(machine, container):
    addresses = machine.create(END, NET)
    assert machine.join(END, NET) == machine.join(END, NET)
    machine.put_into(container, machine.join(END, NET)[1], addresses)
    assert answers(machine.host, addresses[0])
    machine.remove(END, NET, addresses)
    machine.remove(END, NET, addresses)
    assert machine.left() == NOTHING


def test_an_address_that_is_routed_elsewhere_leaves_nothing_behind(machine):
    [address] = machine.create(END, NET)
    machine.host.run(["ip", "link", "add", "other", "type", "veth", "peer", "name", "rehto"])
    machine.host.run(["ip", "link", "set", "other", "up"])
    machine.host.run(["ip", "route", "add", address, "dev", "other", "metric", "1024"])
    status, reply = machine.join(END, NET)
    assert status == 500
    assert "File exists" in reply["Err"]
    assert machine.links() == {"other", "rehto"}


def test_a_second_network_of_a_container_makes_nothing(machine):
    machine.create(END, NET)
    assert machine.join(END, NET)[0] == 200
    machine.create("cafe" * 16, "beef" * 16)
    status, reply = machine.join("cafe" * 16, "beef" * 16)
    assert status == 400
    assert "it can be on one only" in reply["Err"]
    assert machine.links() == {"cali30b4355e6ab", "tmp30b4355e6ab"}


def test_labels_and_profile_come_from_docker(machine, eventually):
    machine.create(END, NET)
    machine.docker.containers["c0ffee"] = {"app": "web"}
    machine.docker.put(NET, "net1", **{END: "c0ffee"})
    machine.docker.announce("connect", NET)
    eventually(lambda: machine.endpoints()[0]["spec"].get("profiles") == ["net1"])
    assert machine.endpoints()[0]["metadata"]["labels"]["app"] == "web"
    body = {"NetworkID": NET}
    machine.call("NetworkDriver.DeleteNetwork", body)


def test_many_containers_start_at_once(machine):
    ends = [f"{number:02d}" + "a" * 62 for number in range(12)]

    def start(end):
        addresses = machine.create(end, NET)
        status, reply = machine.join(end, NET, sandbox=end[:12])
        assert status == 200, reply
        return addresses[0]

    with ThreadPoolExecutor(12) as pool:
        addresses = list(pool.map(start, ends))
        assert len(set(addresses)) == 12
        list(
            pool.map(
                lambda pair: machine.remove(pair[0], NET, [pair[1]]),
                zip(ends, addresses, strict=True),
            )
        )
    assert machine.left() == NOTHING


def test_only_root_may_call(machine):
    assert stat.S_IMODE(machine.socket.stat().st_mode) == 0o600


def test_it_stops_with_its_socket_and_starts_where_it_was(machine):
    addresses = machine.create(END, NET)
    assert machine.join(END, NET)[0] == 200
    assert machine.stop() == 0
    assert not machine.socket.exists()
    machine.start()
    machine.remove(END, NET, addresses)
    assert machine.left() == NOTHING


def test_a_stale_socket_is_replaced(machine):
    machine.stop(signal.SIGKILL)
    assert machine.socket.exists()
    machine.start()
    assert machine.call("Plugin.Activate")["Implements"]


def test_a_second_plugin_does_not_take_the_socket(machine):
    other = machine.spawn()
    assert other.wait(30) == 1
    assert "another plugin listens there" in machine.log.read_text()
    assert machine.call("Plugin.Activate")["Implements"]


def test_a_call_that_is_under_way_is_answered_before_the_end(machine, eventually):
    machine.etcd.pause()
    replies = []
    body = {"PoolID": "CalicoPoolIPv4", "Address": "", "Options": None}
    caller = threading.Thread(
        target=lambda: replies.append(machine.post("IpamDriver.RequestAddress", body))
    )
    caller.start()
    process = machine.process
    try:
        eventually(lambda: _is_connected(machine))
        process.send_signal(signal.SIGTERM)
        eventually(lambda: not machine.socket.exists())
    finally:
        machine.etcd.resume()
    caller.join(30)
    assert process.wait(30) == 0
    machine.process = None
    assert replies[0][0] == 200, replies


def _is_connected(machine):
    """Whether the plugin has taken a caller's connection: it waits for etcd then."""
    listed = subprocess.run(["ss", "-xH"], capture_output=True, text=True, check=True).stdout
    return any("ESTAB" in line and str(machine.socket) in line for line in listed.splitlines())


def test_without_etcd_docker_is_told(machine):
    machine.etcd.pause()
    try:
        status, reply = machine.post("IpamDriver.RequestPool", {"Pool": "", "V6": False})
    finally:
        machine.etcd.resume()
    assert status == 503
    assert "datastore http://127.0.0.1:2379" in reply["Err"]
