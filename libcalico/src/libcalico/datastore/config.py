"""Where the datastore is and how to log in: from the environment, a calicoctl.cfg, or Felix's settings.

Decides only on text; :func:`connect` and :func:`connect_async` open the driver, and import it only then.

Source: Calico's ``lib/apiconfig`` and ``calicoctl.cfg``; ``felix/config`` for Felix's names. Unlike
there, no endpoints is an error: Calico would turn to a Kubernetes API server, which is not supported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from libcalico.errors import ConfigError

if TYPE_CHECKING:
    from libcalico.datastore.backend import AsyncBackend, Backend

#: Read if it exists and no other file is named.
DEFAULT_FILE = Path("/etc/calico/calicoctl.cfg")

_EXAMPLE = "for example ETCD_ENDPOINTS=http://127.0.0.1:2379"
_DEFAULT_PORT = 2379

#: Environment variable → field of CalicoAPIConfig's ``spec``.
_ENVIRONMENT = {
    "DATASTORE_TYPE": "datastoreType",
    "ETCD_ENDPOINTS": "etcdEndpoints",
    "ETCD_DISCOVERY_SRV": "etcdDiscoverySrv",
    "ETCD_USERNAME": "etcdUsername",
    "ETCD_PASSWORD": "etcdPassword",
    "ETCD_KEY_FILE": "etcdKeyFile",
    "ETCD_CERT_FILE": "etcdCertFile",
    "ETCD_CA_CERT_FILE": "etcdCACertFile",
}

#: Felix's parameter (lower case, as FELIX_<name> or in felix.cfg) → the same field.
_FELIX = {
    "datastoretype": "datastoreType",
    "etcdendpoints": "etcdEndpoints",
    "etcdkeyfile": "etcdKeyFile",
    "etcdcertfile": "etcdCertFile",
    "etcdcafile": "etcdCACertFile",
    "etcdusername": "etcdUsername",
    "etcdpassword": "etcdPassword",
}

#: Fields that hold PEM text; ``<field>File`` names a file instead.
_INLINE = frozenset({"etcdKey", "etcdCert", "etcdCACert"})

_ETCD_FIELDS = _INLINE | set(_ENVIRONMENT.values())

#: Fields a calicoctl.cfg may have that only the Kubernetes datastore reads.
_KUBERNETES_FIELDS = frozenset(
    {
        "calicoAPIGroup",
        "k8sAPIEndpoint",
        "k8sAPIToken",
        "k8sCAFile",
        "k8sCertFile",
        "k8sClientBurst",
        "k8sClientQPS",
        "k8sCurrentContext",
        "k8sDisableNodePoll",
        "k8sInsecureSkipTLSVerify",
        "k8sKeyFile",
        "kubeconfig",
        "kubeconfigInline",
        "usePodCIDR",
    }
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One etcd member's client address.

    Attributes:
        host: name or address, IPv6 without brackets.
        tls: the scheme is https.
    """

    host: str
    port: int
    tls: bool

    @property
    def target(self) -> str:
        """``host:port`` as gRPC takes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """As people write it."""
        return f"{'https' if self.tls else 'http'}://{self.target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatastoreConfig:
    """How to reach etcd.

    Attributes:
        endpoints: members of one cluster, at least one.
        username: empty if the store knows no users, or knows us by our certificate.
        ca_cert: PEM; None means the system's authorities.
        cert, key: PEM of our certificate and its key; both or none.
        timeout_s: for each request, connecting and retries included.
    """

    endpoints: tuple[Endpoint, ...]
    username: str = ""
    password: str = field(default="", repr=False)
    ca_cert: bytes | None = field(default=None, repr=False)
    cert: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    timeout_s: float = 10.0


def load(
    environment: Mapping[str, str], file: Path | None = None, *, default_file: Path = DEFAULT_FILE
) -> DatastoreConfig:
    """Load the file if there is one, else the environment; never a mixture.

    Args:
        environment: usually ``os.environ``.
        file: must exist if given.
        default_file: read if ``file`` is not given and it exists.

    Raises:
        ConfigError: says what is wrong where, and what to set.
    """
    if file is not None or default_file.is_file():
        return from_file(file or default_file)
    return from_environment(environment)


def from_environment(environment: Mapping[str, str]) -> DatastoreConfig:
    """Read ``CALICO_<NAME>``, or else ``<NAME>``, of each setting.

    Raises:
        ConfigError: see :func:`load`.
    """
    spec = {}
    names = {}
    for variable, name in _ENVIRONMENT.items():
        for candidate in (f"CALICO_{variable}", variable):
            if environment.get(candidate, "").strip():
                spec[name], names[name] = environment[candidate], candidate
                break
    names = {name: names.get(name, variable) for variable, name in _ENVIRONMENT.items()}
    return _config(spec, names, "environment")


def from_felix(parameters: Mapping[str, str]) -> DatastoreConfig:
    """Read Felix's own datastore settings.

    Args:
        parameters: name as in ``FELIX_<NAME>`` or felix.cfg, without the prefix, any case → value.
            EtcdAddr (host:port) and EtcdScheme count if EtcdEndpoints is not given; others are ignored.

    Raises:
        ConfigError: see :func:`load`.
    """
    given = {
        name.lower(): value
        for name, value in parameters.items()
        if value.strip() and value.strip().lower() != "none"
    }
    spec = {_FELIX[name]: value for name, value in given.items() if name in _FELIX}
    if "etcdEndpoints" not in spec and "etcdaddr" in given:
        spec["etcdEndpoints"] = f"{given.get('etcdscheme', 'http')}://{given['etcdaddr']}"
    names = {field_name: f"FELIX_{name.upper()}" for name, field_name in _FELIX.items()}
    return _config(spec, names, "Felix's settings")


def from_felix_environment(environment: Mapping[str, str]) -> DatastoreConfig:
    """Read ``FELIX_ETCD...`` from the environment; where no endpoint is named, :func:`from_environment`.

    Raises:
        ConfigError: see :func:`load`.
    """
    felix = {
        name[len("FELIX_") :]: value
        for name, value in environment.items()
        if name.upper().startswith("FELIX_")
    }
    set_names = {name.lower() for name, value in felix.items() if value.strip()}
    if set_names & {"etcdendpoints", "etcdaddr"}:
        return from_felix(felix)
    return from_environment(environment)


def from_file(path: Path) -> DatastoreConfig:
    """Read a CalicoAPIConfig file, YAML or JSON.

    Raises:
        ConfigError: see :func:`load`.
    """
    return parse(_read(path), str(path))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"Error reading config file: {path}: cannot be read: {error.strerror}"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text") from error


def parse(text: str, place: str) -> DatastoreConfig:
    """Parse the text of a CalicoAPIConfig file.

    Args:
        text: YAML or JSON.
        place: starts every error's text.

    Raises:
        ConfigError: see :func:`load`.
    """
    spec = _spec(text, place)
    return _config(_texts(spec, place), {name: f"spec.{name}" for name in spec}, place)


def as_environment(environment: Mapping[str, str], path: Path) -> dict[str, str]:
    """Return the environment with a CalicoAPIConfig file's settings in place of its own.

    This is how other programs, which have no such file, are told them.

    Raises:
        ConfigError: see :func:`load`; or the file holds a certificate or key itself.
    """
    text = _read(path)
    parse(text, str(path))
    texts = _texts(_spec(text, str(path)), str(path))
    if inline := sorted(_INLINE & texts.keys()):
        raise ConfigError(
            f"{path}: spec.{inline[0]}: cannot be handed to the services; write it to a file and name"
            f" that in spec.{inline[0]}File"
        )
    own = {prefix + name for name in _ENVIRONMENT for prefix in ("", "CALICO_")}
    others = {name: value for name, value in environment.items() if name not in own}
    return others | {
        variable: str(Path(texts[name]).absolute()) if name.endswith("File") else texts[name]
        for variable, name in _ENVIRONMENT.items()
        if name in texts
    }


def _spec(text: str, place: str) -> dict[Any, Any]:
    """Return the spec of a CalicoAPIConfig file, whose fields are known."""
    import yaml  # noqa: PLC0415 - only files need it

    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{place}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{place}: must hold one object of kind CalicoAPIConfig")
    for name, wanted in (("kind", "CalicoAPIConfig"), ("apiVersion", "projectcalico.org/v3")):
        if document.get(name) != wanted:
            raise ConfigError(f"{place}: {name} is {document.get(name)!r}, must be {wanted!r}")
    _check_keys(document, {"kind", "apiVersion", "metadata", "spec"}, place)
    spec = document.get("spec") or {}
    if not isinstance(spec, dict):
        raise ConfigError(f"{place}: spec must be an object")
    _check_keys(spec, _ETCD_FIELDS | _KUBERNETES_FIELDS, f"{place}: spec")
    return spec


def connect(config: DatastoreConfig) -> Backend:
    """Open the blocking driver. It connects when first used."""
    from libcalico.datastore.etcd.sync import EtcdBackend  # noqa: PLC0415 - gRPC loads only if used

    return EtcdBackend(config)


def connect_async(config: DatastoreConfig) -> AsyncBackend:
    """Open the asyncio driver. It connects when first used."""
    from libcalico.datastore.etcd.aio import AsyncEtcdBackend  # noqa: PLC0415 - as above

    return AsyncEtcdBackend(config)


def parse_endpoints(text: str, place: str = "etcd endpoints") -> tuple[Endpoint, ...]:
    """Parse a comma-separated list of ``http(s)://host:port``; the scheme defaults to http.

    Args:
        text: the list.
        place: starts every error's text.

    Raises:
        ConfigError: an endpoint cannot be used, or there is none.
    """
    endpoints = tuple(_endpoint(part.strip(), place) for part in text.split(",") if part.strip())
    if not endpoints:
        raise ConfigError(f"{place}: is empty; set it, {_EXAMPLE}")
    return endpoints


def _endpoint(text: str, place: str) -> Endpoint:
    wrong = ConfigError(
        f"{place}: {text!r} is no endpoint; write http://host:port or https://host:port"
    )
    try:
        url = urlsplit(text if "://" in text else f"http://{text}")
        host, port = url.hostname, url.port
    except ValueError:
        raise wrong from None
    extra = url.path.rstrip("/") or url.query or url.fragment or url.username
    if url.scheme not in ("http", "https") or not host or extra or any(c.isspace() for c in host):
        raise wrong
    return Endpoint(host, _DEFAULT_PORT if port is None else port, url.scheme == "https")


def _check_keys(document: Mapping[Any, Any], known: frozenset[str] | set[str], place: str) -> None:
    unknown = sorted(str(key) for key in document if key not in known)
    if unknown:
        raise ConfigError(
            f"{place}: unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}"
        )


def _texts(spec: Mapping[str, Any], place: str) -> dict[str, str]:
    """Return the etcd fields that are set. They are all text."""
    texts: dict[str, str] = {}
    for name in sorted(_ETCD_FIELDS & spec.keys()):
        value = spec[name]
        if value is not None and not isinstance(value, str):
            raise ConfigError(f"{place}: spec.{name} must be text, not {value!r}")
        if value and value.strip():
            texts[name] = value
    return texts


def _config(spec: Mapping[str, str], names: Mapping[str, str], place: str) -> DatastoreConfig:
    """Build the configuration from fields of ``spec``; ``names`` is what the user calls each."""
    spec = {
        name: value if name == "etcdPassword" else value.strip() for name, value in spec.items()
    }

    def called(name: str) -> str:
        return f"{place}: {names.get(name, name)}"

    _check_type(spec, called("datastoreType"))
    endpoints = _endpoints(spec, called)
    _check_credentials(spec, [endpoint.tls for endpoint in endpoints], called)
    return DatastoreConfig(
        endpoints=endpoints,
        username=spec.get("etcdUsername", ""),
        password=spec.get("etcdPassword", ""),
        ca_cert=_pem(spec, "etcdCACert", called),
        cert=_pem(spec, "etcdCert", called),
        key=_pem(spec, "etcdKey", called),
    )


def _check_type(spec: Mapping[str, str], called: str) -> None:
    kind = spec.get("datastoreType", "etcdv3")
    if kind == "kubernetes":
        raise ConfigError(
            f"{called}: 'kubernetes' is not supported here; use 'etcdv3' and {_EXAMPLE}"
        )
    if kind != "etcdv3":
        raise ConfigError(f"{called}: unknown datastore {kind!r}; the one there is is 'etcdv3'")


def _endpoints(spec: Mapping[str, str], called: Callable[[str], str]) -> tuple[Endpoint, ...]:
    if "etcdEndpoints" in spec and "etcdDiscoverySrv" in spec:
        raise ConfigError(f"{called('etcdDiscoverySrv')}: set it or the endpoints, not both")
    if "etcdDiscoverySrv" in spec:
        from libcalico.datastore import discovery  # noqa: PLC0415 - its DNS client loads only if used

        return discovery.discover(spec["etcdDiscoverySrv"])
    if "etcdEndpoints" not in spec:
        raise ConfigError(
            f"{called('etcdEndpoints')}: no datastore endpoints; set ETCD_ENDPOINTS, {_EXAMPLE}, "
            f"or spec.etcdEndpoints in {DEFAULT_FILE}"
        )
    return parse_endpoints(spec["etcdEndpoints"], called("etcdEndpoints"))


def _pem(spec: Mapping[str, str], name: str, called: Callable[[str], str]) -> bytes | None:
    """Return a certificate or key that is given inline or as a file."""
    inline, file = spec.get(name), spec.get(f"{name}File")
    if inline is not None:
        return inline.encode()
    if file is None:
        return None
    try:
        return Path(file).read_bytes()
    except OSError as error:
        text = f"{called(f'{name}File')}: {file}: cannot be read: {error.strerror}"
        raise ConfigError(text) from error


def _check_credentials(
    spec: Mapping[str, str], tls: Sequence[bool], called: Callable[[str], str]
) -> None:
    """Refuse settings that contradict each other, before a password travels in clear text."""
    inline = sorted(_INLINE & spec.keys())
    files = sorted({f"{name}File" for name in _INLINE} & spec.keys())
    if inline and files:
        raise ConfigError(f"{called(inline[0])}: cannot be combined with {files[0]}")
    for one, other in (("etcdKey", "etcdCert"), ("etcdCert", "etcdKey")):
        if {one, f"{one}File"} & spec.keys() and not {other, f"{other}File"} & spec.keys():
            raise ConfigError(f"{called(f'{one}File')}: is set without {other}File; set both")
    if (inline or files) and not all(tls):
        raise ConfigError(
            f"{called('etcdEndpoints')}: holds an http:// endpoint though {(files or inline)[0]} is "
            "set; write https://"
        )
    if "etcdPassword" in spec and "etcdUsername" not in spec:
        raise ConfigError(f"{called('etcdPassword')}: is set without etcdUsername; set both")
