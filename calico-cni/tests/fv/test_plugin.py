"""The installed executables as runtimes call them, with the resident server and without."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from calico_test import processes
from calico_test.netns import NetNs

NOTHING = ([], [], 0, [])
VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]


def addresses(container):
    text = container.run(
        ["ip", "-json", "address", "show", "dev", "eth0", "scope", "global"]
    ).stdout
    infos = [info for link in json.loads(text) for info in link.get("addr_info", ())]
    return {f"{info['local']}/{info['prefixlen']}" for info in infos if info}


class TestVerbs:
    def test_add_check_delete(self, node, container):
        result = node.added("c1", container)
        assert {ip["address"] for ip in result["ips"]} == addresses(container)
        assert [ip["interface"] for ip in result["ips"]] == [1, 1]
        host, inside = result["interfaces"]
        assert node.links() == {host["name"]} == {"calic1"}
        assert (inside["name"], inside["sandbox"]) == ("eth0", str(container.path))
        (endpoint,) = node.endpoints().values()
        assert endpoint["metadata"]["name"] == "host--1-cni-c1-eth0"
        assert endpoint["spec"]["profiles"] == ["net"]
        assert endpoint["spec"]["ipNetworks"] == [ip["address"] for ip in result["ips"]]
        assert node.handles() == ["net.c1"]

        previous = node.config(prevResult=result)
        assert node.call("CHECK", "c1", container, previous) == (0, None)
        assert node.call("DEL", "c1", container, previous) == (0, None)
        assert node.left() == NOTHING
        assert node.call("DEL", "c1", "", previous) == (0, None)

    @pytest.mark.parametrize("version", VERSIONS)
    def test_every_version_is_answered_in_its_shape(self, served, container, version):
        result = served.added("c1", container, served.config(version))
        assert result["cniVersion"] == version
        old = version in ("0.1.0", "0.2.0")
        assert ("ip4" in result, "ip6" in result, "ips" in result) == (old, old, not old)
        assert ("version" in result.get("ips", [{}])[0]) == (version[:3] in ("0.3", "0.4"))
        assert served.call("DEL", "c1", container, served.config(version)) == (0, None)

    @pytest.mark.parametrize("version", [None, ""])
    def test_a_missing_version_is_the_oldest(self, node, container, version):
        config = node.config(None) if version is None else node.config(version)
        result = node.added("c1", container, config)
        assert "ip4" in result
        assert "ips" not in result
        assert node.call("DEL", "c1", "", config) == (0, None)
        assert node.left() == NOTHING

    def test_version_tells_what_is_supported(self, node):
        status, printed = node.call("VERSION", config={"cniVersion": "1.0.0"})
        assert (status, printed["supportedVersions"]) == (0, VERSIONS)

    def test_check_tells_what_is_wrong(self, node, container):
        previous = node.config(prevResult=node.added("c1", container))
        node.host.run(["ip", "link", "set", "calic1", "down"])
        status, printed = node.call("CHECK", "c1", container, previous)
        assert (status, printed["code"]) == (1, 102)
        assert "host interface calic1 is down" in printed["msg"]
        status, printed = node.call("CHECK", "other", container, previous)
        assert "WorkloadEndpoint(default/host--1-cni-other-eth0) does not exist" in printed["msg"]

    def test_status_says_whether_an_add_would_work(self, node):
        config = node.config("1.1.0")
        assert node.call("STATUS", config=config) == (0, None)
        node.ready(False)
        status, printed = node.call("STATUS", config=config)
        assert (status, printed["code"]) == (1, 50)

    def test_garbage_collection_keeps_what_is_in_use(self, node, container):
        with NetNs() as other:
            node.added("c1", container)
            node.added("c2", other)
            valid = [{"containerID": "c2", "ifname": "eth0"}]
            config = node.config("1.1.0", **{"cni.dev/valid-attachments": valid})
            assert node.call("GC", config=config) == (0, None)
            assert node.links() == {"calic2"}
            assert node.handles() == ["net.c2"]
            assert list(node.endpoints()) == ["default/host--1-cni-c2-eth0"]

    def test_ipam_alone(self, node):
        def call(command, **fields):
            config = node.config(**fields)
            return node.call(command, "c9", "/none", config, plugin="calico-ipam")

        status, result = call("ADD")
        assert status == 0
        assert {ip["address"].split("/")[1] for ip in result["ips"]} == {"32", "128"}
        assert call("CHECK", prevResult=result) == (0, None)
        assert call("DEL") == (0, None) == call("DEL")
        status, _ = call("CHECK", prevResult=result)
        assert status == 1
        assert node.left() == NOTHING


class TestIdentity:
    def test_a_pod_needs_name_and_namespace(self, served, container):
        podman = {"CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAME=p1"}
        served.added("c1", container, env=podman)
        assert list(served.endpoints()) == ["default/host--1-cni-c1-eth0"]
        served.call("DEL", "c1", container, env=podman)
        pod = {"CNI_ARGS": "K8S_POD_NAME=p1;IgnoreUnknown=1;K8S_POD_NAMESPACE=ns"}
        served.added("c1", container, env=pod)
        (name,), (endpoint,) = served.endpoints().keys(), served.endpoints().values()
        assert name == "ns/host--1-k8s-p1-eth0"
        assert (endpoint["spec"]["pod"], endpoint["spec"]["containerID"]) == ("p1", "c1")
        served.call("DEL", "c1", "", env=pod)
        assert served.left() == NOTHING

    def test_labels_namespace_and_profiles_reach_the_endpoint(self, served, container):
        mesos = {"network_info": {"labels": {"labels": [{"key": "a/b c", "value": "x y"}]}}}
        ours = {"labels": {"app.example.com/name": "web"}, "namespace": "shop", "profiles": ["p"]}
        config = served.config(args={"org.apache.mesos": mesos, "calico": ours})
        served.added("c1", container, config)
        (endpoint,) = served.endpoints().values()
        labels = endpoint["metadata"]["labels"]
        assert labels["app.example.com/name"] == "web"
        assert labels["a.b-c"] == "x-y"
        assert labels["projectcalico.org/namespace"] == endpoint["metadata"]["namespace"] == "shop"
        assert endpoint["spec"]["profiles"] == ["p"]
        served.call("DEL", "c1", container, config)
        assert served.left() == NOTHING

    def test_two_interfaces_of_one_container_on_two_networks(self, served, container):
        second = served.config(name="net2")
        served.added("0123456789abcdef", container)
        served.added("0123456789abcdef", container, second, ifname="eth1")
        assert len(served.links()) == 2
        served.call("DEL", "0123456789abcdef", container, second, ifname="eth1")
        assert served.links() == {"cali0123456789a"}
        served.call("DEL", "0123456789abcdef", container)
        assert served.left() == NOTHING

    def test_wanted_address_and_mac(self, served, container):
        env = {"CNI_ARGS": "IP=10.65.0.77;MAC=02:11:22:33:44:55"}
        result = served.added("c1", container, env=env)
        assert [ip["address"] for ip in result["ips"]] == ["10.65.0.77/32"]
        assert result["interfaces"][1]["mac"] == "02:11:22:33:44:55"

    def test_the_mtu_that_felix_found_unless_the_network_has_one(self, served, container):
        (served.folder / "mtu").write_text("1380\n")
        with NetNs() as other:
            result = served.added("c1", container, served.config("1.1.0", require_mtu_file=True))
            served.added("c2", other, served.config(mtu=1400))
            found = [
                json.loads(place.run(["ip", "-json", "link", "show", name]).stdout)[0]["mtu"]
                for place, name in (
                    (container, "eth0"),
                    (served.host, "calic1"),
                    (other, "eth0"),
                    (served.host, "calic2"),
                )
            ]
        assert found == [1380, 1380, 1400, 1400]
        assert [interface["mtu"] for interface in result["interfaces"]] == [1380, 1380]


class TestConcurrency:
    def test_fifty_at_once_have_addresses_of_their_own(self, served):
        with ExitStack() as stack:
            spaces = [stack.enter_context(NetNs()) for _ in range(50)]
            running = [served.start("ADD", f"c{n}", space) for n, space in enumerate(spaces)]
            results = [one.wait() for one in running]
            assert [printed for status, printed in results if status] == []
            given = [ip["address"] for _, result in results for ip in result["ips"]]
            assert len(set(given)) == 100 == served.assigned()
            running = [served.start("DEL", f"c{n}", space) for n, space in enumerate(spaces)]
            assert [one.wait() for one in running] == [(0, None)] * 50
        assert served.left() == NOTHING

    def test_deletions_of_one_container_at_once(self, node, container):
        node.added("c1", container)
        running = [node.start("DEL", "c1", container) for _ in range(5)]
        running += [node.start("DEL", "c1", "") for _ in range(5)]
        assert [one.wait() for one in running] == [(0, None)] * 10
        assert node.left() == NOTHING

    def test_the_server_and_processes_of_their_own_get_along(self, served):
        with ExitStack() as stack:
            spaces = [stack.enter_context(NetNs()) for _ in range(8)]
            running = []
            for number, space in enumerate(spaces):
                if number == 4:
                    served.socket.rename(served.socket.with_name("hidden"))
                running.append(served.start("ADD", f"c{number}", space))
            results = [one.wait() for one in running]
            served.socket.with_name("hidden").rename(served.socket)
            assert [printed for status, printed in results if status] == []
            assert len({ip["address"] for _, r in results for ip in r["ips"]}) == 16
            for number, space in enumerate(spaces):
                assert served.call("DEL", f"c{number}", space) == (0, None)
        assert served.left() == NOTHING


class TestFailuresLeaveNothing:
    def refused(self, node, code, text, *args, **options):
        status, printed = node.call("ADD", *args, **options)
        assert (status, printed["code"]) == (1, code), printed
        assert text in printed["msg"]
        assert "\n" not in printed["msg"]
        assert node.left() == NOTHING
        return printed

    def test_bad_json(self, node, container):
        printed = self.refused(node, 6, "not JSON", "c1", container, b'{"name": "net",')
        assert printed["cniVersion"] == "0.1.0"

    def test_a_missing_namespace(self, node):
        self.refused(node, 4, "/run/netns/nowhere", "c1", "/run/netns/nowhere")

    def test_a_file_that_is_no_namespace(self, node, tmp_path):
        (tmp_path / "file").touch()
        text = f"there is no network namespace {tmp_path / 'file'}"
        self.refused(node, 4, text, "c1", str(tmp_path / "file"))

    def test_no_netns_at_all(self, node):
        self.refused(node, 4, "CNI_NETNS", "c1", "")

    def test_no_pool(self, node, container):
        node.etcd.clear("/calico/resources/v3/projectcalico.org/ippools/")
        self.refused(node, 100, "no configured Calico pools", "c1", container)

    def test_an_exhausted_pool(self, node, container):
        node.pool("four", "10.65.0.0/32", blockSize=32)
        with NetNs() as other:
            node.added("c0", other)
            status, printed = node.call("ADD", "c1", container)
            assert (status, printed["code"]) == (1, 100)
            assert "Assigned 0 out of 1 requested IPv4 addresses" in printed["msg"]
            assert node.handles() == ["net.c0"]
            assert node.links() == {"calic0"}

    def test_an_interface_of_that_name(self, node, container):
        container.run(["ip", "link", "add", "eth0", "type", "bridge"])
        self.refused(node, 5, "has an interface eth0 already", "c1", container)

    def test_a_datastore_that_is_not_ready(self, node, container):
        node.ready(False)
        self.refused(node, 11, "Calico is currently not ready", "c1", container)
        node.etcd.clear("/calico/resources/v3/projectcalico.org/clusterinformations/")
        self.refused(node, 11, "has not been initialised", "c1", container)

    def test_an_unknown_node_name(self, node, container):
        config = node.config(nodename_file="/nowhere/nodename")
        self.refused(node, 7, "the name of this node is unknown", "c1", container, config)

    def test_an_unknown_mtu_if_it_must_be_known(self, node, container):
        config = node.config(require_mtu_file=True)
        self.refused(node, 11, "the MTU of this host is unknown", "c1", container, config)

    def test_an_unknown_pool(self, node, container):
        config = node.config(ipam={"type": "calico-ipam", "ipv4_pools": ["nope"]})
        self.refused(node, 100, "the given pool (nope) does not exist", "c1", container, config)

    def test_an_endpoint_that_breaks_the_model(self, node, container):
        config = node.config(args={"calico": {"labels": {"bad key!": "x"}}})
        self.refused(node, 7, "bad key!", "c1", container, config)

    def test_an_unreachable_datastore(self, node, container):
        config = node.config(etcd_endpoints="http://127.0.0.1:9")
        self.refused(node, 11, "127.0.0.1:9", "c1", container, config)

    @pytest.mark.parametrize(
        ("change", "code", "text"),
        [
            ({"cniVersion": "9.9.9"}, 1, "'9.9.9' is not supported"),
            ({"name": "no/good"}, 7, "name: 'no/good'"),
            ({"ipam": {}}, 7, "ipam.type: missing"),
            ({"mtu": "big"}, 7, "mtu: must be a number"),
            ({"policy": {"type": "k8s"}}, 2, "policy.type: 'k8s' is not supported"),
        ],
    )
    def test_a_wrong_configuration_names_the_field(self, served, container, change, code, text):
        self.refused(served, code, text, "c1", container, served.config() | change)


class TestDatastoreStops:
    def test_delete_fails_whole_and_works_once_it_is_back(self, served, container):
        served.added("c1", container)
        served.etcd.pause()
        try:
            status, printed = served.call("DEL", "c1", container)
        finally:
            served.etcd.resume()
        assert (status, printed["code"]) == (1, 11)
        assert served.call("DEL", "c1", container) == (0, None)
        assert served.left() == NOTHING


class TestDelegatedIpam:
    @pytest.fixture
    def plugin(self, machine):
        """An IPAM plugin that keeps what it assigned in files."""
        path, state = machine.bin / "file-ipam", machine.folder / "file-ipam"
        state.mkdir(exist_ok=True)
        path.write_text(
            f"""#!/bin/sh
cat > {state}/stdin
case $CNI_COMMAND in
ADD) touch {state}/$CNI_CONTAINERID
     echo '{{"cniVersion":"0.2.0","ip4":{{"ip":"10.9.0.5/24","gateway":"10.9.0.1",' \
          '"routes":[{{"dst":"0.0.0.0/0"}}]}}}}' ;;
DEL) rm -f {state}/$CNI_CONTAINERID ;;
esac
"""
        )
        path.chmod(0o755)
        yield lambda: sorted(file.name for file in state.iterdir() if file.name != "stdin")
        path.unlink()

    def test_its_address_is_used_and_given_back(self, node, container, plugin):
        config = node.config(ipam={"type": "file-ipam"})
        result = node.added("c1", container, config)
        assert [ip["address"] for ip in result["ips"]] == ["10.9.0.5/32"]
        assert addresses(container) == {"10.9.0.5/32"}
        assert (plugin(), node.handles()) == (["c1"], [])
        assert node.call("DEL", "c1", container, config) == (0, None)
        assert (plugin(), node.left()) == ([], NOTHING)

    def test_a_failure_after_it_gives_the_address_back(self, node, container, plugin):
        container.run(["ip", "link", "add", "eth0", "type", "bridge"])
        config = node.config(ipam={"type": "file-ipam"})
        status, printed = node.call("ADD", "c1", container, config)
        assert (status, printed["code"], plugin(), node.left()) == (1, 5, [], NOTHING)

    def test_a_plugin_that_is_not_installed(self, node, container):
        config = node.config(ipam={"type": "no-such-ipam"})
        status, printed = node.call("ADD", "c1", container, config)
        assert (status, printed["code"]) == (1, 7)
        assert "'no-such-ipam' was not found in CNI_PATH" in printed["msg"]


class TestServer:
    def test_it_answers_when_it_runs(self, served, container):
        served.added("c1", container)
        assert "command=ADD container=c1 ifname=eth0" in served.log.read_text()
        mode = stat.S_IMODE(served.socket.stat().st_mode)
        assert mode == stat.S_IRUSR | stat.S_IWUSR

    def test_a_server_that_dies_during_a_call_is_an_error(self, served, container):
        served.etcd.pause()
        try:
            running = served.start("ADD", "c1", container)
            processes.wait_until(lambda: _calls(served) > 0, "the call has begun", deadline_s=20.0)
            served.stop_server(signal.SIGKILL)
            status, printed = running.wait()
        finally:
            served.etcd.resume()
        assert (status, printed["code"]) == (1, 11)
        assert printed["cniVersion"] == "1.0.0"
        assert "workload server" in printed["msg"]
        # Its socket is stale now: the plugin does the work itself.
        assert served.call("DEL", "c1", container) == (0, None)
        assert served.left() == NOTHING
        served.start_server()

    def test_stopping_answers_who_has_connected(self, served, container):
        served.etcd.pause()
        try:
            running = served.start("ADD", "c1", container)
            processes.wait_until(lambda: _calls(served) > 0, "the call has begun", deadline_s=20.0)
            stopping = threading.Thread(target=served.stop_server)
            stopping.start()
            processes.wait_until(
                lambda: not served.socket.exists(), "the socket is gone", deadline_s=20.0
            )
        finally:
            served.etcd.resume()
        status, _ = running.wait()
        stopping.join(30)
        assert status == 0
        assert served.call("DEL", "c1", container) == (0, None)
        assert served.left() == NOTHING

    def test_a_second_server_is_refused(self, served):
        environ = os.environ | {"CALICO_RUN_DIR": str(served.run)}
        command = [str(Path(sys.executable).with_name("calico-node")), "workloads"]
        done = served.host.popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        _, stderr = done.communicate(timeout=30)
        assert done.returncode == 1
        assert b"another workload server runs on this host" in stderr

    def test_the_shim_says_when_it_cannot_work_at_all(self, alone, container):
        shim = alone.bin / "calico"
        broken = shim.with_name("broken")
        broken.write_text(shim.read_text().replace("FALLBACK = ('", "FALLBACK = ('/nowhere"))
        broken.chmod(0o755)
        status, printed = alone.call("ADD", "c1", container, plugin="broken")
        broken.unlink()
        assert (status, printed["code"], printed["cniVersion"]) == (1, 101, "1.0.0")
        assert "run 'calico-cni install' again" in printed["msg"]


def _calls(node):
    """How many calls the server is at: each holds the descriptor of a network namespace."""
    found = 0
    for fd in Path(f"/proc/{node.server.pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found += os.readlink(fd).startswith(("/run/netns/", "net:["))
    return found
