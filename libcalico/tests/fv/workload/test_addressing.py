"""Addresses that attached workloads get and lose, on the real kernel."""

from __future__ import annotations

import socket

import pytest

from calico_test.netns import NetNs
from libcalico.client import Client
from libcalico.errors import (
    AddressInUseError,
    ConflictError,
    NetlinkError,
    NotFoundError,
    UnavailableError,
)
from libcalico.ipam import IpamClient
from libcalico.net.addresses import parse_address, parse_cidr
from libcalico.netlink.netns import open_netns
from libcalico.workload import Workloads, addressing

HANDLE = "net.0123456789abcdef"
FIRST = "10.65.0.9"


class Box:
    """An attached workload with one IPv4 address."""

    def __init__(self, site, inside, attachment, wanted):
        self.site, self.inside = site, inside
        self.attachment, self.wanted = attachment(), wanted
        self.made = site.call(
            lambda: site.workloads.attach(self.attachment, wanted(wanted=[FIRST]), inside)
        )

    def request(self, *wanted, **numbers):
        numbers = {"num4": 0, "num6": 0} | numbers
        return self.wanted(wanted=wanted, held=[parse_address(FIRST)], **numbers)

    def add(self, request, workloads=None):
        ours = workloads or self.site.workloads
        given = self.site.call(lambda: addressing.add(ours, self.attachment, request, self.inside))
        return [address.cidr.address for address in given]

    def remove(self, address, workloads=None, netns=True, handle=HANDLE):
        self.site.call(
            lambda: addressing.remove(
                workloads or self.site.workloads,
                self.attachment,
                parse_address(address),
                netns=self.inside if netns else None,
                handle=handle,
            )
        )

    def state(self, container):
        """What is stored, owned, configured inside, and routed."""
        endpoint = self.site.client.workloadendpoints.get(self.made.endpoint, "default")
        inside = self.site.links(container)["eth0"]["addr_info"]
        routes = [self.site.host.run(["ip", family, "route"]).stdout for family in ("-4", "-6")]
        return (
            sorted(network.partition("/")[0] for network in endpoint.spec.ip_networks),
            sorted(self.site.ipam.ips_by_handle(HANDLE)),
            sorted(a["local"] for a in inside if a["scope"] == "global"),
            sorted(
                line.split()[0]
                for line in "\n".join(routes).splitlines()
                if line.startswith(("10.65.", "fd00:65"))
            ),
        )


@pytest.fixture
def box(site, inside, attachment, wanted):
    return Box(site, inside, attachment, wanted)


def serve(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, 0), family=family)


def reach(server_place, client_place, address, source=None):
    """Connect, and return the client's address."""
    with server_place.call(lambda: serve(address)) as server:
        target = server.getsockname()[:2]
        with client_place.call(lambda: socket.create_connection(target, 10, source)) as client:
            return client.getsockname()[0]


def all_are(*addresses):
    return (sorted(addresses),) * 4


def test_an_address_is_stored_owned_configured_and_routed(box, container):
    assert box.state(container) == all_are(FIRST)
    assert box.add(box.request("10.65.0.77")) == ["10.65.0.77"]
    (six,) = box.add(box.request(num6=1))
    assert box.state(container) == all_are(FIRST, "10.65.0.77", six)
    assert "default via fe80::ecee" in container.run(["ip", "-6", "route"]).stdout
    box.site.host.run(["ip", "address", "add", "2001:db8::1/128", "dev", "lo"])
    reach(box.site.host, container, "2001:db8::1")
    box.remove(six)
    box.remove(FIRST)
    assert box.state(container) == all_are("10.65.0.77")
    box.site.host.run(["ip", "address", "add", "192.0.2.1/32", "dev", "lo"])
    reach(box.site.host, container, "192.0.2.1")


def test_what_the_workload_has_not_is_not_removed(box, container):
    with pytest.raises(NotFoundError, match=r"has no address 10\.65\.0\.10"):
        box.remove("10.65.0.10")
    assert box.state(container) == all_are(FIRST)


def test_an_address_of_somebody_else_is_not_released(box, container):
    with pytest.raises(ConflictError):
        box.remove(FIRST, handle="another")
    assert box.site.ipam.ips_by_handle(HANDLE) == [FIRST]


def test_without_the_namespace_the_rest_is_done(box, container):
    box.add(box.request("10.65.0.77"))
    box.remove("10.65.0.77", netns=False)
    stored, owned, inside, routed = box.state(container)
    assert stored == owned == routed == [FIRST]
    assert "10.65.0.77" in inside


class TestFailuresLeaveNothing:
    def test_an_address_in_use(self, box, container, wanted):
        box.site.workloads.assign(wanted("other", wanted=["10.65.0.8"]), "host-1")
        with pytest.raises(AddressInUseError):
            box.add(box.request("10.65.0.7", "10.65.0.8"))
        assert box.state(container) == all_are(FIRST)

    def test_an_interface_that_is_gone(self, box, container):
        box.site.host.run(["ip", "link", "delete", box.attachment.host_interface])
        with pytest.raises(NetlinkError, match="does not exist"):
            box.add(box.request("10.65.0.7"))
        assert box.site.ipam.ips_by_handle(HANDLE) == [FIRST]

    def test_an_endpoint_that_is_gone(self, box, container):
        box.site.client.workloadendpoints.delete(box.made.endpoint, "default")
        with pytest.raises(NotFoundError):
            box.add(box.request("10.65.0.7"))
        assert box.site.ipam.ips_by_handle(HANDLE) == [FIRST]
        addresses = box.site.links(container)["eth0"]["addr_info"]
        assert FIRST in [a["local"] for a in addresses]
        assert "10.65.0.7" not in [a["local"] for a in addresses]

    @pytest.mark.parametrize("request_", [("10.65.0.77",), ()])
    def test_the_store_fails_at_any_moment(self, box, container, fails, request_):
        wanted = box.request(*request_, num4=1)
        for after in range(1, 12):
            backend = fails(box.site.backend, after)
            workloads = Workloads(Client(backend), IpamClient(backend))
            try:
                box.add(wanted, workloads)
            except UnavailableError:
                assert box.state(container) == all_are(FIRST), f"after a failure at access {after}"
            else:
                return
        pytest.fail("it never succeeded")

    def test_a_removal_that_failed_can_be_repeated(self, box, container, fails):
        for after in range(1, 12):
            backend = fails(box.site.backend, after)
            workloads = Workloads(Client(backend), IpamClient(backend))
            (extra,) = box.add(box.request("10.65.0.77"))
            try:
                box.remove(extra, workloads)
            except UnavailableError:
                stored, owned, _, _ = box.state(container)
                assert set(stored) <= set(owned), "a stored address is always owned"
                if extra in stored:
                    box.remove(extra)
                else:  # the answer alone was lost: detaching releases it
                    box.site.ipam.release_ips([parse_release(extra)] if extra in owned else [])
            else:
                return
        pytest.fail("it never succeeded")


def parse_release(address):
    from libcalico.ipam import ReleaseRequest

    return ReleaseRequest(address, HANDLE)


class TestLeading:
    """A container that is on a bridge already, as Docker's are."""

    @pytest.fixture
    def bridged(self, site, container):
        """Give the container an interface on the host's bridge, with the default route."""
        for command in (
            ["ip", "link", "add", "br0", "type", "bridge"],
            ["ip", "address", "add", "172.31.0.1/16", "dev", "br0"],
            ["ip", "link", "set", "br0", "up"],
            ["ip", "address", "add", "192.0.2.1/32", "dev", "lo"],
            ["ip", "link", "add", "veth0", "type", "veth", "peer", "name", "peer0"],
            ["ip", "link", "set", "veth0", "master", "br0", "up"],
            ["ip", "link", "set", "peer0", "netns", container.name],
        ):
            site.host.run(command)
        for command in (
            ["ip", "link", "set", "lo", "up"],
            ["ip", "address", "add", "172.31.0.5/16", "dev", "peer0"],
            ["ip", "link", "set", "peer0", "up"],
            ["ip", "route", "add", "default", "via", "172.31.0.1"],
        ):
            container.run(command)

    def attach(self, site, attachment, wanted, inside):
        one = attachment(leads=True)
        return site.call(lambda: site.workloads.attach(one, wanted(num6=0), inside))

    def test_ours_is_the_way_out_and_the_bridge_keeps_answering(
        self, bridged, site, container, inside, attachment, wanted
    ):
        made = self.attach(site, attachment, wanted, inside)
        ours = made.addresses[0].cidr.address
        assert reach(site.host, container, "192.0.2.1") == ours
        for address in ("172.31.0.5", ours):
            # From an address that only default routes lead back to, as a published port is used.
            reach(container, site.host, address, ("192.0.2.1", 0))
        reply = container.run(["ip", "route", "get", "192.0.2.1", "from", "172.31.0.5"]).stdout
        assert "dev peer0" in reply

    def test_attaching_again_changes_no_metric(
        self, bridged, site, container, inside, attachment, wanted
    ):
        self.attach(site, attachment, wanted, inside)
        before = container.run(["ip", "route", "show", "dev", "peer0"]).stdout
        assert "metric 1" in before
        self.attach(site, attachment, wanted, inside)
        assert container.run(["ip", "route", "show", "dev", "peer0"]).stdout == before
        site.call(
            lambda: site.workloads.detach(
                attachment().identity, host_interface=attachment().host_interface, handle=HANDLE
            )
        )
        reach(site.host, container, "192.0.2.1")


def test_a_detached_namespace_can_be_attached_again(site, attachment, wanted):
    with NetNs() as box, open_netns(box.path) as inside:
        for _ in range(2):
            one = attachment(leads=True)
            made = site.call(lambda o=one: site.workloads.attach(o, wanted(), inside))
            assert parse_cidr(f"{made.addresses[0].cidr.address}/32")
            site.call(
                lambda o=one: site.workloads.detach(
                    o.identity, host_interface=o.host_interface, handle=HANDLE
                )
            )
        assert site.is_clean()
