"""Docker's calls, answered without Docker and without a kernel. Bodies as recorded from Docker 20.10."""

import pytest

from libcalico.testing.builders import a_cluster_information

NET, END = "db50" * 16, "30b4355e6ab1" * 5
LOCAL = "CalicoLocalAddressSpace"


def request_pool(pool="", sub_pool="", v6=False):
    asked = {"AddressSpace": LOCAL, "Pool": pool, "SubPool": sub_pool, "Options": {}}
    return asked | {"V6": v6}


def create_network(gateway="0.0.0.0/0", pool="0.0.0.0/0", space=LOCAL, **more):
    data = {"AddressSpace": space, "Gateway": gateway, "Pool": pool}
    options = {"com.docker.network.enable_ipv6": False, "com.docker.network.generic": {}}
    return {"NetworkID": NET, "Options": options, "IPv4Data": [data], "IPv6Data": []} | more


def test_docker_makes_our_acquaintance(plugin):
    assert plugin.call("Plugin.Activate") == {"Implements": ["NetworkDriver", "IpamDriver"]}
    assert plugin.call("NetworkDriver.GetCapabilities") == {"Scope": "local"}
    assert plugin.call("IpamDriver.GetCapabilities") == {
        "RequiresMACAddress": False,
        "RequiresRequestReplay": False,
    }
    assert plugin.call("IpamDriver.GetDefaultAddressSpaces") == {
        "LocalDefaultAddressSpace": "CalicoLocalAddressSpace",
        "GlobalDefaultAddressSpace": "CalicoGlobalAddressSpace",
    }


def test_the_scope_is_what_the_operator_says(make_plugin):
    plugin = make_plugin(scope="global")
    assert plugin.call("NetworkDriver.GetCapabilities") == {"Scope": "global"}


def test_the_whole_life_of_a_network_and_a_container(plugin):
    assert plugin.call("IpamDriver.RequestPool", request_pool()) == {
        "PoolID": "CalicoPoolIPv4",
        "Pool": "0.0.0.0/0",
        "Data": {"com.docker.network.gateway": "0.0.0.0/0"},
    }
    assert plugin.call("NetworkDriver.CreateNetwork", create_network()) == {}
    address = plugin.address()
    interface = {"Address": address, "AddressIPv6": "", "MacAddress": ""}
    both = {"NetworkID": NET, "EndpointID": END}
    ports = {"com.docker.network.endpoint.exposedports": [], "com.docker.network.portmap": []}
    reply = plugin.call(
        "NetworkDriver.CreateEndpoint", both | {"Interface": interface, "Options": ports}
    )
    [endpoint] = plugin.endpoints().values()
    assert reply == {"Interface": {"MacAddress": endpoint.spec.mac}}
    assert endpoint.spec.ip_networks == [address]
    assert plugin.join(END)["InterfaceName"] == {"SrcName": "tmp30b4355e6ab", "DstPrefix": "cali"}
    [(name, (peer, mac, mtu, cidrs))] = plugin.interfaces.made.items()
    assert (name, peer, mtu, cidrs) == ("cali30b4355e6ab", "tmp30b4355e6ab", 1450, [address])
    assert mac.hex(":") == endpoint.spec.mac
    connectivity = both | {"Options": {"com.docker.network.portmap": [{"Port": 80}]}}
    assert plugin.call("NetworkDriver.ProgramExternalConnectivity", connectivity) == {}
    assert plugin.call("NetworkDriver.EndpointOperInfo", both) == {"Value": {}}
    assert plugin.call("NetworkDriver.RevokeExternalConnectivity", both) == {}
    assert plugin.call("NetworkDriver.Leave", both) == {}
    assert plugin.interfaces.made == {}
    assert plugin.call("NetworkDriver.DeleteEndpoint", both) == {}
    plugin.release(address.partition("/")[0])
    plugin.release("0.0.0.0")
    assert plugin.call("IpamDriver.ReleasePool", {"PoolID": "CalicoPoolIPv4"}) == {}
    assert plugin.call("NetworkDriver.DeleteNetwork", {"NetworkID": NET}) == {}
    assert plugin.endpoints() == {}
    assert plugin.assigned() == 0


def test_everything_may_be_said_twice(plugin):
    address = plugin.create_endpoint(END)
    before = plugin.endpoints()[END]
    plugin.create_endpoint(END, address=address)
    assert plugin.endpoints()[END].spec == before.spec
    assert plugin.join(END) == plugin.join(END)
    for _ in range(2):
        both = {"NetworkID": NET, "EndpointID": END}
        plugin.call("NetworkDriver.Leave", both)
        plugin.call("NetworkDriver.DeleteEndpoint", both)
        plugin.release(address.partition("/")[0])
        plugin.call("NetworkDriver.DeleteNetwork", {"NetworkID": NET})
    assert plugin.assigned() == 0


def test_nodes_that_come_and_go_are_no_concern_of_ours(plugin):
    node = {"Address": "172.31.0.101", "BindAddress": "", "Self": True}
    for method in ("DiscoverNew", "DiscoverDelete"):
        body = {"DiscoveryType": 1, "DiscoveryData": node}
        assert plugin.call(f"NetworkDriver.{method}", body) == {}


def test_a_subnet_with_range_gateway_and_reserved_address(plugin):
    reply = plugin.call("IpamDriver.RequestPool", request_pool("10.65.9.0/24", "10.65.9.64/30"))
    pool = reply["PoolID"]
    assert reply["Pool"] == "10.65.9.0/24"
    gateway = {"RequestAddressType": "com.docker.network.gateway"}
    asked = {"PoolID": pool, "Address": "10.65.9.1", "Options": gateway}
    assert plugin.call("IpamDriver.RequestAddress", asked)["Address"] == "10.65.9.1/32"
    assert plugin.address(pool, "10.65.9.65") == "10.65.9.65/32"
    assert {plugin.address(pool) for _ in range(3)} == {
        f"10.65.9.{last}/32" for last in (64, 66, 67)
    }
    full = {"PoolID": pool, "Address": "", "Options": None}
    assert "No IPs available" in plugin.refused("IpamDriver.RequestAddress", full)
    for last in (1, 64, 65, 66, 67):
        plugin.release(f"10.65.9.{last}", pool)
    assert plugin.assigned() == 0


def test_an_ipv6_network(plugin):
    reply = plugin.call("IpamDriver.RequestPool", request_pool("fd00:65::/112", v6=True))
    assert reply["Data"] == {"com.docker.network.gateway": "::/0"}
    address = plugin.address(reply["PoolID"])
    assert address.startswith("fd00:65::")
    assert address.endswith("/128")
    plugin.release(address.partition("/")[0], reply["PoolID"])
    plugin.release("::", reply["PoolID"])
    assert plugin.assigned() == 0


def test_a_gateway_without_an_address_is_none(plugin):
    gateway = {"RequestAddressType": "com.docker.network.gateway"}
    asked = {"PoolID": "CalicoPoolIPv4", "Address": "", "Options": gateway}
    assert plugin.call("IpamDriver.RequestAddress", asked)["Address"] == "0.0.0.0/0"
    assert plugin.assigned() == 0


def test_hosts_with_the_same_network_share_its_gateway(plugin, second):
    gateway = {"RequestAddressType": "com.docker.network.gateway"}
    asked = {"PoolID": "10.65.9.0/24", "Address": "10.65.9.1", "Options": gateway}
    for host in (plugin, second):
        assert host.call("IpamDriver.RequestAddress", asked)["Address"] == "10.65.9.1/32"
    second.release("10.65.9.1", "10.65.9.0/24")
    assert plugin.assigned() == 1
    plugin.release("10.65.9.1", "10.65.9.0/24")
    assert plugin.assigned() == 0
    plugin.address("10.65.9.0/24", "10.65.9.1")
    assert "already assigned" in second.refused("IpamDriver.RequestAddress", asked)


def test_an_address_is_given_once_and_freed_by_its_host_only(plugin, second):
    plugin.address(address="10.65.1.1")
    asked = {"PoolID": "CalicoPoolIPv4", "Address": "10.65.1.1", "Options": None}
    assert "already assigned" in second.refused("IpamDriver.RequestAddress", asked)
    second.release("10.65.1.1")
    assert plugin.assigned() == 1


def test_an_address_is_not_freed_while_an_endpoint_has_it(plugin):
    address = plugin.create_endpoint(END).partition("/")[0]
    said = plugin.refused(
        "IpamDriver.ReleaseAddress", {"PoolID": "CalicoPoolIPv4", "Address": address}
    )
    assert END in said
    assert plugin.assigned() == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (request_pool("10.99.0.0/24"), "is in no enabled IP pool of Calico; use one of"),
        (request_pool(sub_pool="10.65.0.0/24"), "needs --subnet"),
        (request_pool("ten"), "is not a CIDR"),
        ({"V6": "yes"}, "IpamDriver.RequestPool: Expected `bool`"),
    ],
)
def test_a_pool_that_cannot_be_is_refused(plugin, body, said):
    assert said in plugin.refused("IpamDriver.RequestPool", body)


def test_without_a_pool_a_network_is_refused(make_plugin):
    plugin = make_plugin()
    plugin.pool("off", "10.65.0.0/16", disabled=True)
    plugin.pool("withheld", "10.66.0.0/16")
    withheld = plugin.client.ippools.get("withheld")
    conditions = [{"type": "Allocatable", "status": "False"}]
    plugin.client.ippools.update(withheld.with_(status={"conditions": conditions}))
    assert "no enabled IPv4 pool" in plugin.refused("IpamDriver.RequestPool", request_pool())


def test_addresses_of_another_ipam_driver_are_refused(plugin):
    said = plugin.refused("NetworkDriver.CreateNetwork", create_network(space="LocalDefault"))
    assert "--ipam-driver" in said


def test_without_docker_a_network_is_refused(make_plugin, monkeypatch):
    monkeypatch.setattr("libnetwork_plugin.completion._CONNECT_S", 0.01)
    said = make_plugin().refused("NetworkDriver.CreateNetwork", create_network())
    assert "names of networks" in said


def test_joining_needs_an_endpoint(plugin):
    body = {"NetworkID": NET, "EndpointID": END, "SandboxKey": "/run/docker/netns/c919"}
    assert "does not exist" in plugin.refused("NetworkDriver.Join", body)
    assert plugin.interfaces.made == {}


def test_a_second_network_of_a_container_is_refused(plugin):
    plugin.create_endpoint(END)
    plugin.join(END)
    plugin.create_endpoint("cafe" * 16, "beef" * 16)
    body = {"NetworkID": NET, "EndpointID": "cafe" * 16, "SandboxKey": "/run/docker/netns/c919"}
    assert "it can be on one only" in plugin.refused("NetworkDriver.Join", body)
    assert list(plugin.interfaces.made) == ["cali30b4355e6ab"]
    plugin.call("NetworkDriver.Leave", {"NetworkID": NET, "EndpointID": END})
    plugin.call("NetworkDriver.Join", body)


def test_what_the_kernel_refuses_docker_is_told(plugin):
    plugin.create_endpoint(END)
    plugin.interfaces.is_refusing = True
    body = {"NetworkID": NET, "EndpointID": END, "SandboxKey": "/run/docker/netns/c919"}
    assert plugin.refused("NetworkDriver.Join", body) == "cannot make it: no"


def test_a_locked_datastore_gives_nothing_and_takes_everything_back(plugin):
    plugin.create_endpoint(END)
    plugin.client.clusterinformations.create(a_cluster_information(datastore_ready=False))
    before = plugin.assigned()
    later = {"NetworkID": NET, "EndpointID": "cafe" * 16}
    for method, body in {
        "IpamDriver.RequestAddress": {"PoolID": "CalicoPoolIPv4"},
        "NetworkDriver.CreateEndpoint": later | {"Interface": {"Address": "10.65.0.9/32"}},
    }.items():
        status, reply = plugin.post(method, body)
        assert (status, "datastore migrate unlock" in reply["Err"]) == (503, True)
    assert (plugin.assigned(), list(plugin.endpoints())) == (before, [END])
    address = plugin.endpoints()[END].spec.ip_networks[0]
    plugin.call("NetworkDriver.DeleteEndpoint", {"NetworkID": NET, "EndpointID": END})
    plugin.release(address.partition("/")[0])
    assert (plugin.assigned(), plugin.endpoints()) == (0, {})
    unlocked = plugin.client.clusterinformations.get("default")
    plugin.client.clusterinformations.update(
        unlocked.with_(spec=unlocked.spec.with_(datastore_ready=True))
    )
    assert plugin.create_endpoint(END)


def test_without_a_datastore_everything_says_so(plugin):
    plugin.create_endpoint(END)
    plugin.join(END)
    plugin.backend.close()
    both = {"NetworkID": NET, "EndpointID": END}
    for method, body in {
        "IpamDriver.RequestPool": request_pool(),
        "IpamDriver.RequestAddress": {"PoolID": "CalicoPoolIPv4"},
        "IpamDriver.ReleaseAddress": {"PoolID": "CalicoPoolIPv4", "Address": "10.65.0.1"},
        "NetworkDriver.CreateEndpoint": both | {"Interface": {"Address": "10.65.0.1/32"}},
        "NetworkDriver.Join": both | {"SandboxKey": "/run/docker/netns/c919"},
        "NetworkDriver.Leave": both,
        "NetworkDriver.DeleteEndpoint": both,
        "NetworkDriver.DeleteNetwork": {"NetworkID": NET},
    }.items():
        assert plugin.post(method, body) == (503, {"Err": "datastore: the backend was closed"})
    assert plugin.interfaces.made == {}  # off the network all the same


@pytest.mark.parametrize("path", ["NetworkDriver.Explode", "", "a/b", "NetworkDriver.Join/"])
def test_an_unknown_call_is_an_error(plugin, path):
    status, reply = plugin.post(path)
    assert status == 404
    assert reply == {"Err": f"{path}: no such call"}


def test_only_post_is_a_call(plugin):
    assert plugin.http.get("/Plugin.Activate").status_code == 404


def test_nonsense_is_an_error(plugin):
    reply = plugin.http.post("/NetworkDriver.Join", data=b"\xff{")
    assert reply.status_code == 400
    assert "NetworkDriver.Join" in reply.json["Err"]


def test_a_bug_is_told_and_logged(plugin, monkeypatch, caplog):
    def broken(*_):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("libnetwork_plugin.plan.joined", broken)
    plugin.create_endpoint(END)
    body = {"NetworkID": NET, "EndpointID": END, "SandboxKey": "/run/docker/netns/c919"}
    assert plugin.post("NetworkDriver.Join", body)[0] == 500
    assert "ZeroDivisionError" in caplog.text
