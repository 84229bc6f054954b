"""Where the datastore is: environment, files, Felix's names, and every wrong setting's text."""

from __future__ import annotations

import contextlib
from pathlib import Path

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import given

from libcalico.datastore import config
from libcalico.datastore.config import DatastoreConfig, Endpoint
from libcalico.errors import ConfigError

LOCAL = (Endpoint("127.0.0.1", 2379, tls=False),)


def test_endpoints_come_from_the_environment():
    got = config.from_environment(
        {"ETCD_ENDPOINTS": "http://10.0.0.1:2379, https://etcd.example:4001"}
    )
    assert got.endpoints == (
        Endpoint("10.0.0.1", 2379, False),
        Endpoint("etcd.example", 4001, True),
    )


def test_the_calico_prefix_wins():
    environment = {
        "ETCD_ENDPOINTS": "http://no:1",
        "CALICO_ETCD_ENDPOINTS": "http://127.0.0.1:2379",
        "CALICO_ETCD_USERNAME": "felix",
        "ETCD_PASSWORD": " secret ",
    }
    got = config.from_environment(environment)
    assert (got.endpoints, got.username, got.password) == (LOCAL, "felix", " secret ")


def test_an_empty_variable_is_not_set():
    environment = {"CALICO_ETCD_ENDPOINTS": " ", "ETCD_ENDPOINTS": "http://127.0.0.1:2379"}
    assert config.from_environment(environment).endpoints == LOCAL


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.0.0.1:2379", Endpoint("127.0.0.1", 2379, False)),
        ("http://127.0.0.1", Endpoint("127.0.0.1", 2379, False)),
        ("https://[fd00::1]:2379/", Endpoint("fd00::1", 2379, True)),
        ("localhost", Endpoint("localhost", 2379, False)),
    ],
)
def test_an_endpoint_may_be_short(text: str, endpoint: Endpoint):
    assert config.parse_endpoints(text) == (endpoint,)


def test_an_endpoint_is_shown_as_it_is_written():
    assert Endpoint("fd00::1", 2379, True).url == "https://[fd00::1]:2379"


@pytest.mark.parametrize(
    "text",
    [
        "ftp://a:1",
        "http://a:port",
        "http://a:99999",
        "http://",
        "http://a/v2",
        "http://u@a",
        "http://a b",
        "unix:///x",
    ],
)
def test_a_wrong_endpoint_is_named(text: str):
    with pytest.raises(
        ConfigError, match=r"ETCD_ENDPOINTS: .* is no endpoint; write http://host:port"
    ):
        config.from_environment({"ETCD_ENDPOINTS": text})


@given(st.text())
def test_any_text_is_endpoints_or_a_config_error(text: str):
    try:
        endpoints = config.parse_endpoints(text)
    except ConfigError:
        return
    assert config.parse_endpoints(",".join(e.url for e in endpoints)) == endpoints


def test_without_endpoints_the_error_says_what_to_set():
    with pytest.raises(
        ConfigError, match=r"set ETCD_ENDPOINTS, for example ETCD_ENDPOINTS=http://127.0.0.1:2379"
    ):
        config.from_environment({})


@pytest.mark.parametrize("kind", ["kubernetes", "etcdv2"])
def test_another_datastore_is_refused(kind: str):
    with pytest.raises(ConfigError, match=f"environment: DATASTORE_TYPE: .*{kind}.*etcdv3"):
        config.from_environment({"DATASTORE_TYPE": kind, "ETCD_ENDPOINTS": "http://127.0.0.1:2379"})


def test_discovery_and_endpoints_exclude_each_other():
    with pytest.raises(ConfigError, match="not both"):
        config.from_environment({"ETCD_ENDPOINTS": "a", "ETCD_DISCOVERY_SRV": "example.org"})


@pytest.fixture
def pems(tmp_path: Path) -> dict[str, str]:
    for name in ("key", "cert", "ca"):
        (tmp_path / name).write_bytes(name.encode())
    return {name: str(tmp_path / name) for name in ("key", "cert", "ca")}


def test_tls_files_are_read(pems: dict[str, str]):
    environment = {
        "ETCD_ENDPOINTS": "https://a",
        "ETCD_KEY_FILE": pems["key"],
        "ETCD_CERT_FILE": pems["cert"],
        "ETCD_CA_CERT_FILE": pems["ca"],
    }
    got = config.from_environment(environment)
    assert (got.key, got.cert, got.ca_cert) == (b"key", b"cert", b"ca")


def test_secrets_are_not_shown(pems: dict[str, str]):
    got = DatastoreConfig(endpoints=LOCAL, password="hush", key=b"hush")
    assert "hush" not in repr(got)


def test_a_missing_tls_file_is_named():
    environment = {"ETCD_ENDPOINTS": "https://a", "ETCD_CA_CERT_FILE": "/nowhere/ca.pem"}
    with pytest.raises(
        ConfigError, match=r"ETCD_CA_CERT_FILE: /nowhere/ca.pem: cannot be read: No such file"
    ):
        config.from_environment(environment)


def test_a_key_without_its_certificate_is_refused(pems: dict[str, str]):
    with pytest.raises(ConfigError, match="ETCD_KEY_FILE: is set without etcdCertFile"):
        config.from_environment({"ETCD_ENDPOINTS": "https://a", "ETCD_KEY_FILE": pems["key"]})


def test_tls_files_with_a_plain_endpoint_are_refused(pems: dict[str, str]):
    with pytest.raises(ConfigError, match="write https://"):
        config.from_environment({"ETCD_ENDPOINTS": "http://a", "ETCD_CA_CERT_FILE": pems["ca"]})


def test_a_password_without_a_user_is_refused():
    with pytest.raises(ConfigError, match="set both"):
        config.from_environment({"ETCD_ENDPOINTS": "http://a", "ETCD_PASSWORD": "x"})


# Files


def file_text(**spec: object) -> str:
    document = {
        "apiVersion": "projectcalico.org/v3",
        "kind": "CalicoAPIConfig",
        "metadata": {},
        "spec": spec,
    }
    return yaml.safe_dump(document)


def test_a_file_gives_everything_and_the_environment_nothing(tmp_path: Path):
    path = tmp_path / "calicoctl.cfg"
    path.write_text(file_text(datastoreType="etcdv3", etcdEndpoints="http://127.0.0.1:2379"))
    got = config.load({"ETCD_ENDPOINTS": "http://other:1", "ETCD_USERNAME": "u"}, path)
    assert got == DatastoreConfig(endpoints=LOCAL)


def test_the_default_file_is_read_only_if_it_exists(tmp_path: Path):
    path = tmp_path / "calicoctl.cfg"
    environment = {"ETCD_ENDPOINTS": "http://other:1"}
    assert config.load(environment, default_file=path).endpoints[0].host == "other"
    path.write_text(file_text(etcdEndpoints="http://127.0.0.1:2379"))
    assert config.load(environment, default_file=path).endpoints == LOCAL


def test_a_named_file_must_exist(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"nowhere.cfg: cannot be read: No such file"):
        config.load({"ETCD_ENDPOINTS": "http://a"}, tmp_path / "nowhere.cfg")


def test_a_file_may_hold_pem_inline():
    text = file_text(etcdEndpoints="https://a", etcdKey="K", etcdCert="C", etcdCACert="A")
    got = config.parse(text, "f")
    assert (got.key, got.cert, got.ca_cert) == (b"K", b"C", b"A")


def test_inline_pem_and_files_are_not_mixed():
    text = file_text(etcdEndpoints="https://a", etcdKey="K", etcdCertFile="/c")
    with pytest.raises(ConfigError, match=r"f: spec.etcdKey: cannot be combined with etcdCertFile"):
        config.parse(text, "f")


def test_kubernetes_fields_are_known_though_unused():
    got = config.parse(
        file_text(etcdEndpoints="http://127.0.0.1:2379", kubeconfig="/k", k8sClientQPS=5), "f"
    )
    assert got.endpoints == LOCAL


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: [", "f: is not YAML"),
        ("- 1", "f: must hold one object of kind CalicoAPIConfig"),
        ("", "f: must hold one object"),
        ("kind: IPPool", "f: kind is 'IPPool', must be 'CalicoAPIConfig'"),
        (
            "kind: CalicoAPIConfig\napiVersion: v1",
            "f: apiVersion is 'v1', must be 'projectcalico.org/v3'",
        ),
        (
            file_text(etcdEndpoint="http://a"),
            "f: spec: unknown field 'etcdEndpoint'; known are .*etcdEndpoints",
        ),
        (file_text(etcdEndpoints=5), "f: spec.etcdEndpoints must be text, not 5"),
        (
            file_text(datastoreType="kubernetes"),
            "f: spec.datastoreType: 'kubernetes' is not supported here",
        ),
        (file_text(), "f: etcdEndpoints: no datastore endpoints"),
    ],
)
def test_a_wrong_file_is_explained(text: str, message: str):
    with pytest.raises(ConfigError, match=message):
        config.parse(text, "f")


@given(
    st.text()
    | st.recursive(st.none() | st.text(), lambda c: st.dictionaries(st.text(), c)).map(
        yaml.safe_dump
    )
)
def test_any_file_is_a_configuration_or_a_config_error(text: str):
    with contextlib.suppress(ConfigError):
        config.parse(text, "f")


# Felix


def test_felix_has_its_own_names(pems: dict[str, str]):
    environment = {
        "FELIX_ETCDENDPOINTS": "https://a:1",
        "FELIX_EtcdCaFile": pems["ca"],
        "FELIX_ETCDKEYFILE": "none",
        "ETCD_ENDPOINTS": "http://other:1",
    }
    got = config.from_felix_environment(environment)
    assert (got.endpoints, got.ca_cert, got.key) == ((Endpoint("a", 1, True),), b"ca", None)


def test_felix_takes_an_address_and_a_scheme():
    got = config.from_felix({"EtcdAddr": "10.0.0.1:2379", "EtcdScheme": "https"})
    assert got.endpoints == (Endpoint("10.0.0.1", 2379, True),)


def test_felix_falls_back_to_the_common_names():
    got = config.from_felix_environment(
        {"FELIX_LOGSEVERITY": "debug", "ETCD_ENDPOINTS": "127.0.0.1"}
    )
    assert got.endpoints == LOCAL


def test_connecting_makes_a_driver_without_touching_the_network():
    backend = config.connect(DatastoreConfig(endpoints=LOCAL))
    backend.close()


CONFIG = "{{kind: CalicoAPIConfig, apiVersion: projectcalico.org/v3, spec: {}}}"


def test_a_file_is_handed_on_in_place_of_the_environment(tmp_path):
    spec = {
        "etcdEndpoints": "https://10.0.0.1:2379",
        "etcdCACertFile": str(tmp_path / "ca"),
        "etcdUsername": "calico",
        "etcdPassword": " secret",
    }
    (tmp_path / "ca").write_text("PEM")
    own = {"CALICO_ETCD_KEY_FILE": "/k", "ETCD_ENDPOINTS": "http://elsewhere", "IP": "10.0.0.5"}
    (tmp_path / "cfg").write_text(CONFIG.format(spec))
    environment = config.as_environment(own, tmp_path / "cfg")
    assert environment == {
        "ETCD_ENDPOINTS": "https://10.0.0.1:2379",
        "ETCD_CA_CERT_FILE": str(tmp_path / "ca"),
        "ETCD_USERNAME": "calico",
        "ETCD_PASSWORD": " secret",
        "IP": "10.0.0.5",
    }
    assert config.from_environment(environment) == config.from_file(tmp_path / "cfg")


def test_a_key_inside_a_file_is_not_handed_on(tmp_path):
    spec = {"etcdEndpoints": "https://10.0.0.1", "etcdKey": "PEM", "etcdCert": "PEM"}
    (tmp_path / "cfg").write_text(CONFIG.format(spec))
    with pytest.raises(ConfigError, match=r"spec.etcdCert: cannot be handed to the services"):
        config.as_environment({}, tmp_path / "cfg")
