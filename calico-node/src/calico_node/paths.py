"""Where calico-node keeps its files; every place can be moved by the environment (tests, many hosts).

=================== ===================== =============================================
variable            default               holds
=================== ===================== =============================================
CALICO_RUN_DIR      /var/run/calico       sockets, pid files, rendered configuration
CALICO_LIB_DIR      /var/lib/calico       what outlives a reboot: node name, host identity
CALICO_LOG_DIR      /var/log/calico       one directory per process
CALICO_CONFIG_DIR   /etc/calico           what the operator writes: secrets of BGP sessions
CALICO_NODENAME_FILE  <lib>/nodename      the name that start-up chose
CALICO_FELIX_CONFIG_FILE  <config>/felix.cfg  Felix's settings on this host
=================== ===================== =============================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Names Felix's settings of this host, which are beside the others if it is not set.
FELIX_CONFIG_FILE: Final = "CALICO_FELIX_CONFIG_FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """The directories and files of one node."""

    run: Path
    lib: Path
    log: Path
    config: Path
    nodename: Path
    felix_config: Path

    @property
    def host_id(self) -> Path:
        """Identity of this host, made at the first start; see ``startup``."""
        return self.lib / "host-id"

    @property
    def bird_conf(self) -> Path:
        """Configuration that BIRD runs with; only ever replaced by one that BIRD accepts."""
        return self.run / "bird.conf"

    @property
    def bird_socket(self) -> Path:
        """Control socket of BIRD, which ``calicoctl node status`` asks too."""
        return self.run / "bird.ctl"

    @property
    def supervisor_conf(self) -> Path:
        """Rendered configuration of supervisord."""
        return self.run / "supervisord.conf"

    @property
    def supervisor_socket(self) -> Path:
        """Control socket of supervisord."""
        return self.run / "supervisor.sock"

    @property
    def supervisor_pid(self) -> Path:
        """Process id of supervisord."""
        return self.run / "supervisord.pid"

    @property
    def etcd_data(self) -> Path:
        """Data of this host's own etcd, if it has one."""
        return self.lib / "etcd"

    @property
    def bgp_secrets(self) -> Path:
        """Passwords of BGP sessions: ``<secret name>/<key>`` files that the operator keeps."""
        return self.config / "bgp-secrets"

    @property
    def felix_state(self) -> Path:
        """What Felix writes when it gets SIGUSR1: its state, for people."""
        return self.run / "felix-state.txt"

    @property
    def mtu(self) -> Path:
        """The MTU for workloads' interfaces, which Felix writes; plugins look for it beside the name."""
        return self.nodename.with_name("mtu")


def from_environ(environ: Mapping[str, str]) -> Paths:
    """Return the places that the environment asks for; unset variables mean the defaults."""

    def place(variable: str, default: str | Path) -> Path:
        return Path(environ.get(variable) or default)

    lib = place("CALICO_LIB_DIR", "/var/lib/calico")
    config = place("CALICO_CONFIG_DIR", "/etc/calico")
    return Paths(
        run=place("CALICO_RUN_DIR", "/var/run/calico"),
        lib=lib,
        log=place("CALICO_LOG_DIR", "/var/log/calico"),
        config=config,
        nodename=place("CALICO_NODENAME_FILE", lib / "nodename"),
        felix_config=place(FELIX_CONFIG_FILE, config / "felix.cfg"),
    )
