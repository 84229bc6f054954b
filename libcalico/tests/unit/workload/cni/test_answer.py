"""Whole calls on a store in memory, as far as they need no kernel; and the host's own facts."""

from __future__ import annotations

import json

import pytest

from libcalico.client import Client
from libcalico.datastore.config import DatastoreConfig, parse_endpoints
from libcalico.datastore.memory import MemoryBackend, MemoryStore
from libcalico.errors import ConfigError, UnavailableError
from libcalico.ipam import IpamClient
from libcalico.resources.ippools import IPPool, IPPoolSpec
from libcalico.resources.model import ObjectMeta
from libcalico.workload.cni import host
from libcalico.workload.cni.answer import answer, crashed
from libcalico.workload.cni.connections import Connections
from libcalico.workload.cni.errors import CniError
from libcalico.workload.cni.model import VERSIONS, Call, NetConf

SETTINGS = DatastoreConfig(endpoints=parse_endpoints("http://10.0.0.1:2379"))


@pytest.fixture
def store():
    store = MemoryStore()
    client = Client(MemoryBackend(store))
    client.ensure_initialized("v3")
    metadata = ObjectMeta(name="p")
    client.ippools.create(IPPool(metadata=metadata, spec=IPPoolSpec(cidr="10.65.0.0/24")))
    return store


@pytest.fixture
def connections(store, tmp_path):
    return Connections(lambda: SETTINGS, lambda settings: MemoryBackend(store), tmp_path)


def call(connections, command, plugin="calico-ipam", stdin=None, **fields):
    document = {"cniVersion": "1.0.0", "name": "net", "type": "calico", "nodename": "n1"}
    document |= {"ipam": {"type": "calico-ipam"}} | fields
    environ = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": "c1",
        "CNI_NETNS": "/nowhere",
        "CNI_IFNAME": "eth0",
    }
    stdin = json.dumps(document).encode() if stdin is None else stdin
    reply = answer(Call(plugin, stdin, environ), connections)
    return reply.exit_code, json.loads(reply.stdout) if reply.stdout else None


class TestIpam:
    def test_the_owner_is_written_down(self, connections, store):
        status, result = call(connections, "ADD")
        assert status == 0
        (ip,) = result["ips"]
        address = ip["address"].removesuffix("/32")
        owner = IpamClient(MemoryBackend(store)).attributes_of(address)
        assert (owner.handle_id, owner.secondary["node"]) == ("net.c1", "n1")
        assert owner.secondary["timestamp"].endswith(" +0000 UTC")
        assert result["routes"] == [{"dst": ip["address"]}]

    def test_releasing_twice_is_no_error(self, connections, store):
        call(connections, "ADD")
        assert call(connections, "DEL") == call(connections, "DEL") == (0, None)
        assert not MemoryBackend(store).read("/calico/ipam/v2/handle/").items

    def test_check_compares_with_what_was_told(self, connections):
        _, result = call(connections, "ADD")
        assert call(connections, "CHECK", prevResult=result) == (0, None)
        result["ips"][0]["address"] = "10.65.0.99/32"
        status, printed = call(connections, "CHECK", prevResult=result)
        assert (status, printed["code"]) == (1, 102)

    def test_a_wanted_address_is_assigned(self, connections):
        _, result = call(connections, "ADD", runtimeConfig={"ips": ["10.65.0.9/24"]})
        assert result["ips"][0]["address"] == "10.65.0.9/32"
        status, printed = call(connections, "ADD", runtimeConfig={"ips": ["10.65.0.9"]})
        assert (status, printed["code"]) == (1, 100)

    def test_garbage_collection_releases_what_is_not_in_use(self, connections, store):
        _, result = call(connections, "ADD")
        fields = {"cniVersion": "1.1.0", "cni.dev/valid-attachments": []}
        kept = {"cniVersion": "1.1.0"}
        kept["cni.dev/valid-attachments"] = [{"containerID": "c1", "ifname": "eth0"}]
        assert call(connections, "GC", **kept) == (0, None)
        assert call(connections, "CHECK", prevResult=result) == (0, None)
        assert call(connections, "GC", **(fields | {"nodename": "n2"})) == (0, None)
        assert call(connections, "CHECK", prevResult=result) == (0, None)
        assert call(connections, "GC", **fields) == (0, None)
        assert not MemoryBackend(store).read("/calico/ipam/v2/handle/").items


class TestErrors:
    def test_they_are_one_line_in_the_version_of_the_call(self, connections, store):
        with store.unavailable():
            status, printed = call(connections, "ADD", cniVersion="0.3.1")
        assert (status, printed["cniVersion"], printed["code"]) == (1, "0.3.1", 11)

    def test_a_mistake_of_ours_is_told_as_such(self):
        reply = crashed(Call("calico", b"{", {}), KeyError("x\ny"))
        printed = json.loads(reply.stdout)
        assert (reply.exit_code, printed["code"]) == (1, 101)
        assert printed["msg"].startswith("internal error: KeyError")
        assert "\n" not in printed["msg"]

    def test_add_without_its_namespace(self, connections):
        status, printed = call(connections, "ADD", plugin="calico")
        assert (status, printed["code"]) == (1, 4)
        assert printed["msg"] == "CNI_NETNS: there is no network namespace /nowhere"

    def test_a_locked_datastore(self, connections, store):
        clusters = Client(MemoryBackend(store)).clusterinformations
        cluster = clusters.get("default")
        clusters.update(cluster.with_(spec=cluster.spec.with_(datastore_ready=False)))
        for plugin in ("calico", "calico-ipam"):
            for command in ("ADD", "DEL", "CHECK"):
                status, printed = call(connections, command, plugin=plugin)
                assert (status, printed["code"]) == (1, 11), (plugin, command)

    def test_check_needs_what_add_told(self, connections):
        _, printed = call(connections, "CHECK", plugin="calico")
        assert "prevResult: missing" in printed["msg"]


def test_version_needs_no_configuration(connections):
    for stdin in (b"", b'{"cniVersion":"0.4.0"}', b'{"cniVersion":""}'):
        _, printed = call(connections, "VERSION", stdin=stdin)
        assert printed["supportedVersions"] == list(VERSIONS)


def test_status_wants_a_pool(connections, store):
    assert call(connections, "STATUS", plugin="calico", cniVersion="1.1.0") == (0, None)
    Client(MemoryBackend(store), pause=lambda s: None).ippools.delete("p")
    _, printed = call(connections, "STATUS", plugin="calico", cniVersion="1.1.0")
    assert (printed["code"], printed["msg"]) == (50, "there is no enabled IP pool")


class TestConnections:
    def test_a_datastore_is_opened_once(self, store):
        opened = []

        def open_backend(settings):
            opened.append(settings.endpoints[0].url)
            return MemoryBackend(store)

        connections = Connections(lambda: SETTINGS, open_backend)
        for endpoint in ("http://10.0.0.2:2379", "http://10.0.0.2:2379", "http://10.0.0.3:2379"):
            call(connections, "ADD", etcd_endpoints=endpoint)
        call(connections, "ADD")
        connections.warm_up()
        assert opened == ["http://10.0.0.2:2379", "http://10.0.0.3:2379", "http://10.0.0.1:2379"]
        connections.close()

    def test_wrong_settings_name_the_network_configuration(self, connections):
        _, printed = call(connections, "ADD", etcd_endpoints="ftp://x")
        assert printed["code"] == 7
        assert "network configuration: ETCD_ENDPOINTS" in printed["msg"]

    def test_no_settings_at_all(self):
        def default():
            raise ConfigError("no datastore endpoints")

        _, printed = call(Connections(default), "ADD")
        assert (printed["code"], printed["msg"]) == (7, "no datastore endpoints")

    def test_warming_up_without_a_store_is_an_error(self, store):
        connections = Connections(lambda: SETTINGS, lambda settings: MemoryBackend(store))
        with store.unavailable(), pytest.raises(UnavailableError):
            connections.warm_up()


class TestHost:
    def conf(self, tmp_path, **fields):
        defaults = {"version": "1.0.0", "name": "net", "type": "calico", "ipam": None}
        file = {"nodename_file": str(tmp_path / "nodename")}
        return NetConf(**(defaults | file | fields))

    def test_the_name_comes_from_the_configuration_then_the_file(self, tmp_path):
        (tmp_path / "nodename").write_text("File-Node\n")
        assert host.node_name(self.conf(tmp_path, nodename="Conf")) == "conf"
        assert host.node_name(self.conf(tmp_path, hostname="old")) == "file-node"

    def test_without_a_file_the_old_key_or_an_error(self, tmp_path):
        assert host.node_name(self.conf(tmp_path, hostname="Old")) == "old"
        assert host.node_name(self.conf(tmp_path, nodename_file_optional=True))
        with pytest.raises(CniError, match="the name of this node is unknown"):
            host.node_name(self.conf(tmp_path))

    @pytest.mark.parametrize(
        ("text", "mtu"), [("1440\n", 1440), ("junk", 1500), ("7", 1500), (None, 1500)]
    )
    def test_the_mtu_comes_from_felix_unless_configured(self, tmp_path, text, mtu):
        if text is not None:
            (tmp_path / "mtu").write_text(text)
        assert host.mtu(self.conf(tmp_path)) == mtu
        assert host.mtu(self.conf(tmp_path, mtu=1300)) == 1300

    @pytest.mark.parametrize("text", ["junk", "", "0", None])
    def test_the_mtu_must_come_from_felix_if_it_is_required(self, tmp_path, text):
        conf = self.conf(tmp_path, require_mtu_file=True)
        (tmp_path / "mtu").write_text("1440\n")
        assert host.mtu(conf) == 1440
        (tmp_path / "mtu").unlink()
        if text is not None:
            (tmp_path / "mtu").write_text(text)
        with pytest.raises(CniError, match=r"the MTU of this host is unknown: .*/mtu is missing"):
            host.mtu(conf)
        assert host.mtu(self.conf(tmp_path, require_mtu_file=True, mtu=1300)) == 1300
