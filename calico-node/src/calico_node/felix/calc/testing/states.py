"""Random datastores: few names, labels and addresses, so that everything meets everything."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from libcalico.datastore import keys
from libcalico.datastore.keys import AffinityKey
from libcalico.net.addresses import Cidr, parse_address
from libcalico.policy.model import Packet
from libcalico.resources import codec
from libcalico.resources.felixconfig import FelixConfiguration
from libcalico.resources.model import Resource, ResourceId, id_of
from libcalico.testing import builders, strategies

HOST = "node-1"
ADDRESSES = ("10.65.0.1", "10.65.0.2", "10.65.0.130", "fd65::1", "fd65::2")
_NETS = (*ADDRESSES, "10.65.0.0/25", "10.65.0.1/32", "0.0.0.0/0", "fd65::/64", "10.0.0.9/8")
_PROFILES = ("kns.blue", "p", "q", "projectcalico-default-allow")
_NAMES = st.sampled_from(["a", "b"])
_PREFIXED = ("app", "role", "pcns.app", "pcsa.app", "projectcalico.org/name")
_LENT = st.dictionaries(
    st.sampled_from(_PREFIXED), st.sampled_from(strategies.LABEL_VALUES), max_size=3
)
_ORDERS = st.sampled_from([None, -1.0, 0.0, 7.5])


def resources() -> SearchStrategy[Resource]:
    """Valid resources of all kinds that concern Felix."""
    return st.one_of(
        _endpoints(),
        _endpoints(),
        _renamed(strategies.policies()),
        _renamed(strategies.global_policies()),
        _built(
            builders.a_global_policy,
            name=st.just("c"),
            do_not_track=st.booleans(),
            pre_dnat=st.booleans(),
            selector=strategies.selectors(),
        ),
        _others(),
    )


def values() -> SearchStrategy[tuple[str, bytes | None]]:
    """Keys with valid values, broken values, and deletions."""
    stored = resources().map(lambda r: (keys.path_of(id_of(r)), codec.encode(r)))
    names = stored.map(lambda pair: pair[0])
    affinities = st.tuples(
        st.builds(
            lambda host, cidr: keys.path_of(AffinityKey(host, cidr)),
            st.sampled_from([HOST, "node-2"]),
            st.sampled_from(["10.65.0.0/26", "fd65::/122", "nonsense"]),
        ),
        st.sampled_from([None, b"", b'{"state":"pending"}', b'{"state":"confirmed"}', b"{"]),
    )
    return st.one_of(
        stored,
        stored,
        stored,
        st.tuples(names, st.none()),
        st.tuples(names, st.sampled_from([b"", b"{}", b"[1]", b"{", b'{"spec":null}', b"\xff"])),
        st.tuples(stored, st.data()).map(_damaged),
        affinities,
    )


def packets() -> SearchStrategy[Packet]:
    """Packets between the addresses of one family."""
    port = st.sampled_from([80, 443, 8080])

    def with_ports(pair: tuple[Cidr, Cidr]) -> SearchStrategy[Packet]:
        return st.builds(
            lambda protocol, source, destination: Packet(
                source=pair[0],
                destination=pair[1],
                protocol=protocol,
                source_port=source,
                destination_port=destination,
            ),
            st.sampled_from([6, 17, 132]),
            port,
            port,
        )

    def without(pair: tuple[Cidr, Cidr]) -> SearchStrategy[Packet]:
        protocol = 1 if pair[0].version == 4 else 58
        return st.sampled_from([0, 8]).map(
            lambda kind: Packet(
                source=pair[0],
                destination=pair[1],
                protocol=protocol,
                icmp_type=kind,
                icmp_code=0,
            )
        )

    known = [parse_address(text) for text in (*ADDRESSES, "192.0.2.1")]
    pairs = [(a, b) for a in known for b in known if a.version == b.version]
    return st.sampled_from(pairs).flatmap(lambda pair: with_ports(pair) | without(pair))


def _endpoints() -> SearchStrategy[Resource]:
    address = st.sampled_from([f"{a}/{128 if ':' in a else 32}" for a in ADDRESSES])
    return _built(
        builders.an_endpoint,
        namespace=st.sampled_from(["default", "blue"]),
        node=st.sampled_from([HOST, HOST, "node-2"]),
        name=st.sampled_from(["one", "two", "three"]),
        interface_name=st.sampled_from(["cali1", "cali2"]),
        labels=strategies.labels(),
        ip_networks=st.lists(address, max_size=2),
        profiles=st.lists(st.sampled_from(_PROFILES), max_size=3, unique=True),
        ports=st.lists(strategies.endpoint_ports(), max_size=2),
    )


def _others() -> SearchStrategy[Resource]:
    nets = st.lists(st.sampled_from(_NETS), max_size=3)
    rules = st.lists(strategies.rules(), max_size=2)
    return st.one_of(
        _built(builders.a_network_set, name=_NAMES, labels=strategies.labels(), nets=nets),
        _built(builders.a_global_network_set, name=_NAMES, labels=strategies.labels(), nets=nets),
        _built(
            builders.a_profile,
            name=st.sampled_from(_PROFILES[:3]),
            labels_to_apply=_LENT,
            ingress=rules,
            egress=rules,
        ),
        _built(
            builders.a_tier,
            name=st.sampled_from(["default", "platform"]),
            order=_ORDERS,
            default_action=st.sampled_from(["Deny", "Pass"]),
        ),
        strategies.pools(),
        _renamed(strategies.nodes(), [HOST, "node-2"]),
        _configurations(),
        _built(builders.a_cluster_information, datastore_ready=st.booleans()),
    )


def _configurations() -> SearchStrategy[FelixConfiguration]:
    return _built(
        builders.a_felix_configuration,
        name=st.sampled_from(["default", f"node.{HOST}", "node.other", "some", "more"]),
        node_selector=st.just("") | strategies.selectors(),
        log_severity_screen=st.sampled_from(["Info", "Debug"]),
        annotations=st.just({})
        | st.just({"config.projectcalico.org/LogPrefix": "x", "config.projectcalico.org/No": "y"}),
    )


def _built(build: Any, **fields: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return st.fixed_dictionaries(fields).map(lambda drawn: build(**drawn))


def _renamed(
    drawn: SearchStrategy[Any], names: list[str] | None = None
) -> SearchStrategy[Resource]:
    chosen = st.sampled_from(names) if names else _NAMES
    return st.builds(lambda r, name: r.with_(metadata=r.metadata.with_(name=name)), drawn, chosen)


def _damaged(drawn: tuple[tuple[str, bytes], Any]) -> tuple[str, bytes]:
    """Damage one word of a value, so that it stays JSON and one field is wrong."""
    (key, value), data = drawn
    words = [b'"Allow"', b'"10.', b'"fd65', b"==", b'"TCP"', b'"default"', b'"order":', b'"nets":']
    there = [word for word in words if word in value]
    if not there:
        return key, b"{"
    word = data.draw(st.sampled_from(there))
    return key, value.replace(
        word, b"7" if word.endswith(b'"') else word[:-1] + b"?" + word[-1:], 1
    )


def which(key: str) -> ResourceId | None:
    """Return the resource that a key names."""
    parsed = keys.parse(key)
    return parsed if isinstance(parsed, ResourceId) else None
