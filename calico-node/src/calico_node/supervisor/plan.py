"""Which processes a node needs, and the environment that they run in. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from calico_node.paths import Paths
from calico_node.supervisor.model import ProcessSpec, SupervisorConfig

#: Variable that names the datastore → Felix's own name for it.
_FELIX_NAMES = {
    "DATASTORE_TYPE": "FELIX_DATASTORETYPE",
    "ETCD_ENDPOINTS": "FELIX_ETCDENDPOINTS",
    "ETCD_CA_CERT_FILE": "FELIX_ETCDCAFILE",
    "ETCD_CERT_FILE": "FELIX_ETCDCERTFILE",
    "ETCD_KEY_FILE": "FELIX_ETCDKEYFILE",
    "ETCD_USERNAME": "FELIX_ETCDUSERNAME",
    "ETCD_PASSWORD": "FELIX_ETCDPASSWORD",
}
_FALSE_WORDS = ("", "false", "0", "no", "n", "f")


def plan(
    environ: Mapping[str, str],
    paths: Paths,
    program: Sequence[str],
    bird: str | None,
    others: Sequence[ProcessSpec] = (),
) -> SupervisorConfig:
    """Return what supervisord is to keep running.

    Args:
        environ: ``CALICO_DISABLE_FELIX`` leaves Felix out, ``CALICO_DISABLE_WORKLOADS`` the workload
            server, ``CALICO_DISABLE_FILE_LOGGING`` the log files.
        program: how this program is called.
        bird: BIRD's program file; None if the networking backend is not BIRD.
        others: further processes that are not ours.
    """
    processes = list(others)
    if not environ.get("CALICO_DISABLE_FELIX"):
        processes.append(_own(program, "felix", 10))
    if bird is not None:
        processes.append(_bird(bird, paths))
        processes.append(_own(program, "bgp", 30))
    if not _is_set(environ, "CALICO_DISABLE_WORKLOADS"):
        processes.append(_own(program, "workloads", 40))
    return SupervisorConfig(
        socket=str(paths.supervisor_socket),
        pid_file=str(paths.supervisor_pid),
        log_dir=str(paths.log),
        processes=tuple(processes),
        log_to_files=not _is_set(environ, "CALICO_DISABLE_FILE_LOGGING"),
    )


def wants_libnetwork(environ: Mapping[str, str]) -> bool:
    """Whether Docker's network driver is to be served: ``CALICO_LIBNETWORK_ENABLED``."""
    return _is_set(environ, "CALICO_LIBNETWORK_ENABLED")


def driver_socket(environ: Mapping[str, str]) -> str:
    """Return where Docker's network driver listens, with libnetwork-plugin's own variable and default."""
    return environ.get("CALICO_LIBNETWORK_SERVE_SOCKET") or "/run/docker/plugins/calico.sock"


def libnetwork(program: str) -> ProcessSpec:
    """Return the process of Docker's network driver, which is a program of its own."""
    return ProcessSpec(name="libnetwork", command=(program, "serve"), priority=50)


def _is_set(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").strip().lower() not in _FALSE_WORDS


def _own(program: Sequence[str], name: str, priority: int) -> ProcessSpec:
    return ProcessSpec(name=name, command=(*program, name), priority=priority)


def _bird(bird: str, paths: Paths) -> ProcessSpec:
    """Return BIRD's process. It is stopped by SIGKILL on purpose.

    A BIRD that ends in good order closes its sessions, and peers drop this host's routes at once; when
    the connection just breaks, they keep the routes for the time of a graceful restart.
    """
    files = ("-c", str(paths.bird_conf), "-s", str(paths.bird_socket))
    command = (bird, "-f", "-R", *files)
    return ProcessSpec(name="bird", command=command, priority=20, stop_signal="KILL")


#: What Felix is told unless the operator says otherwise. Its log goes where every process's goes.
_FELIX_DEFAULTS: Final = {
    "FELIX_HEALTHENABLED": "true",
    "FELIX_LOGFILEPATH": "none",
    "FELIX_LOGSEVERITYSYS": "none",
}


def environment(environ: Mapping[str, str], node_name: str) -> dict[str, str]:
    """Return the environment of the processes: the given one, completed for Felix.

    Nothing of it is written to a file, so passwords stay out of the file system.
    """
    completed = dict(environ)
    completed["NODENAME"] = node_name
    completed["FELIX_FELIXHOSTNAME"] = node_name
    given = {name.upper() for name in environ}
    completed |= {name: value for name, value in _FELIX_DEFAULTS.items() if name not in given}
    for name, felix_name in _FELIX_NAMES.items():
        if environ.get(name):
            completed.setdefault(felix_name, environ[name])
    return completed
