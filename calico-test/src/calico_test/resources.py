"""Calico's resources as an operator handles them: with ``calicoctl`` on one host of a lab."""

import json
from collections.abc import Mapping
from typing import Any

from calico_test.hosts import Host


class Resources:
    """What is in the lab's datastore.

    Args:
        host: on which ``calicoctl`` runs.
        env: leads it to the datastore, and to where it is installed.
    """

    def __init__(self, host: Host, env: Mapping[str, str]) -> None:
        self._host, self._env = host, env

    def calicoctl(self, *argv: str, stdin: str | None = None) -> str:
        """Run a command of ``calicoctl``; return what it printed.

        Raises:
            CommandError: it failed.
        """
        return self._host.run(["calicoctl", *argv], env=self._env, stdin=stdin).stdout

    def apply(self, kind: str, name: str, spec: Mapping[str, Any], namespace: str = "") -> None:
        """Create or replace one resource; raises as :meth:`calicoctl`."""
        metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
        head = {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": metadata}
        self.calicoctl("apply", "-f", "-", stdin=json.dumps({**head, "spec": spec}))

    def pool(self, name: str, cidr: str, **spec: Any) -> None:
        """Create or replace an IP pool; raises as :meth:`calicoctl`."""
        self.apply("IPPool", name, {"cidr": cidr, **spec})

    def get(self, *what: str) -> list[dict[str, Any]]:
        """Return the resources that ``calicoctl get`` finds; raises as :meth:`calicoctl`."""
        found = json.loads(self.calicoctl("get", *what, "-o", "json"))
        items: list[dict[str, Any]] = found.get("items", [found])
        return items
