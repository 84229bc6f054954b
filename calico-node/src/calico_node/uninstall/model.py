"""What of ours is on a host. Frozen values."""

from __future__ import annotations

from dataclasses import dataclass

from libcalico.netlink.links import Link
from libcalico.netlink.routes import Route


@dataclass(frozen=True, slots=True)
class Running:
    """A process: its id and its argument vector."""

    pid: int
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Everything of ours, in the order in which it goes.

    Attributes:
        processes: that the supervisor runs, or left behind.
        interfaces: of workloads and tunnels; routes out of them go with them.
        routes: the others.
        rules: in the host's own firewall, by their names for people.
        tables: of nftables.
        paths: directories with all that is in them, and single files.
    """

    processes: tuple[Running, ...] = ()
    interfaces: tuple[Link, ...] = ()
    routes: tuple[Route, ...] = ()
    rules: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return one line for each thing, for people."""
        return [
            *(f"process {process.pid}: {' '.join(process.argv)}" for process in self.processes),
            *(f"interface {link.name}" for link in self.interfaces),
            *(f"route {route.dst}" for route in self.routes),
            *(f"rule in {rule}" for rule in self.rules),
            *(f"nftables table inet {table} with its rules and sets" for table in self.tables),
            *self.paths,
        ]
