"""Options of ``calicoctl node run`` → the docker command that runs calico/node. Pure.

Source: calico-control-plane reference, section 6.6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

CONTAINER = "calico-node"
IMAGE = "calico/node:latest"
LOG_DIR = "/var/log/calico"
#: Where the operator keeps settings and secrets; the same in the container.
CONFIG_DIR = "/etc/calico"

#: host path → how the container sees it. The services keep files in the first two; drivers and plugins
#: meet them in the last.
_MOUNTS = (
    "/var/run/calico:/var/run/calico",
    "/var/lib/calico:/var/lib/calico",
    "/lib/modules:/lib/modules:ro",
    f"{CONFIG_DIR}:{CONFIG_DIR}:ro",
    "/run:/run",
)
#: Felix's settings on this host, where that is not felix.cfg beside the others.
FELIX_CONFIG = "CALICO_FELIX_CONFIG_FILE"
_FILES = ("ETCD_CA_CERT_FILE", "ETCD_CERT_FILE", "ETCD_KEY_FILE")
#: What calico-node obeys beside options: these, and whatever begins with one of the prefixes.
_OBEYED = frozenset(
    {
        "AS",
        "BGP_LOGSEVERITYSCREEN",
        "CLUSTER_TYPE",
        "DATASTORE_TYPE",
        "DISABLE_NODE_IP_CHECK",
        "ETCD_DISCOVERY_SRV",
        "ETCD_ENDPOINTS",
        "ETCD_PASSWORD",
        "ETCD_USERNAME",
        "IP",
        "IP6",
        "IP6_AUTODETECTION_METHOD",
        "IP_AUTODETECTION_METHOD",
        "NODENAME",
        "NO_DEFAULT_POOLS",
        "WAIT_FOR_DATASTORE",
        *_FILES,
    }
)
_PREFIXES = ("CALICO_", "FELIX_")
#: Places on the host's file system: inside, they are always the usual ones.
_PLACES = ("_DIR", "_NODENAME_FILE")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeContainer:
    """What the container is to be.

    Attributes:
        settings: variables that the options say; they are shown.
        environ: ours; what calico-node obeys of it is handed on without its value being shown.
        foreground: stay attached, and remove the container at its end.
        libnetwork: also serve as Docker's network and IPAM driver.
    """

    settings: Mapping[str, str]
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    image: str = IMAGE
    log_dir: str = LOG_DIR
    foreground: bool = False
    libnetwork: bool = False


def command(wanted: NodeContainer) -> list[str]:
    """Return the arguments of ``docker`` that start the container."""
    settings = dict(wanted.settings)
    if wanted.libnetwork:
        settings["CALICO_LIBNETWORK_ENABLED"] = "true"
    arguments = ["run", "--net=host", "--privileged", f"--name={CONTAINER}"]
    arguments += ["--rm"] if wanted.foreground else ["--detach", "--restart=always"]
    for name, value in sorted(settings.items()):
        arguments += ["-e", f"{name}={value}"]
    for name in handed_on(wanted.environ):
        if name not in settings:
            arguments += ["-e", name]
    for mount in _mounts(wanted):
        arguments += ["-v", mount]
    return [*arguments, wanted.image]


def handed_on(environ: Mapping[str, str]) -> list[str]:
    """Return the names of the variables that calico-node obeys, sorted."""
    return sorted(
        name
        for name, value in environ.items()
        if value and (name in _OBEYED or name.startswith(_PREFIXES)) and not name.endswith(_PLACES)
    )


def _mounts(wanted: NodeContainer) -> Sequence[str]:
    files = {wanted.environ.get(prefix + name, "") for name in _FILES for prefix in ("", "CALICO_")}
    files.add(wanted.settings.get(FELIX_CONFIG) or wanted.environ.get(FELIX_CONFIG, ""))
    outside = sorted(file for file in files - {""} if not file.startswith(f"{CONFIG_DIR}/"))
    return [f"{wanted.log_dir}:{LOG_DIR}", *_MOUNTS, *(f"{file}:{file}:ro" for file in outside)]
