"""Files that say which workload endpoints are programmed; CNI plugins wait for them.

One file for each endpoint of this host, written once its policy and routes are in force, and
removed with it: ``<prefix>/endpoint-status/<orchestrator> <workload> <endpoint>``, each part escaped as
in a URL, holding JSON. Files that a previous run left and that are not true any more are removed at
start. Source: calico-control-plane reference, section 1.2, and calico-dataplane, section 1.11.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from pathlib import Path

from calico_node.felix.messages import EndpointId, LocalEndpoint
from libcalico.errors import ValidationError
from libcalico.workload import status

log = logging.getLogger(__name__)


def file_name(endpoint_id: EndpointId) -> str | None:
    """Return the name of an endpoint's file, or None if the endpoint's name has not the usual form."""
    try:
        return status.file_name(endpoint_id.namespace, endpoint_id.name)
    except ValidationError:
        return None


def content(endpoint: LocalEndpoint) -> str:
    """Return what the file of a programmed endpoint holds."""
    nets = {v: [str(a) for a in endpoint.addresses if a.version == v] for v in (4, 6)}
    return json.dumps(
        {
            "ifaceName": endpoint.interface,
            "mac": endpoint.mac,
            "ipv4Nets": nets[4],
            "ipv6Nets": nets[6],
        }
    )


class StatusFiles:
    """The directory of status files. A file that cannot be written is logged and tried again later."""

    def __init__(self, prefix: Path) -> None:
        self._directory = prefix / "endpoint-status"
        self._unwritten: dict[EndpointId, LocalEndpoint | None] = {}

    def is_below(self, prefix: Path) -> bool:
        """Return whether these files are below this prefix."""
        return self._directory == prefix / "endpoint-status"

    def report(self, endpoint_id: EndpointId, endpoint: LocalEndpoint | None) -> None:
        """Tell that an endpoint is programmed as given, or, None, that it is not or is gone."""
        name = file_name(endpoint_id)
        if name is None:
            return
        path = self._directory / name
        try:
            if endpoint is None:
                path.unlink(missing_ok=True)
            else:
                self._write(path, content(endpoint))
        except OSError as error:
            log.warning("cannot write endpoint status path=%s error=%s", path, error)
            self._unwritten[endpoint_id] = endpoint
        else:
            self._unwritten.pop(endpoint_id, None)

    def retry(self) -> None:
        """Write what could not be written before."""
        for endpoint_id, endpoint in list(self._unwritten.items()):
            self.report(endpoint_id, endpoint)

    def prune(self, known: Collection[EndpointId]) -> None:
        """Remove the files of endpoints that are not known, which a previous run left."""
        kept = {file_name(endpoint_id) for endpoint_id in known}
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            for path in self._directory.iterdir():
                if path.name not in kept:
                    path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("cannot tidy endpoint status directory=%s error=%s", self._directory, error)

    def _write(self, path: Path, text: str) -> None:
        """Write in place of what there is, so that a reader never sees half a file.

        One that a previous run left and that is right stays as it is.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.read_bytes() == text.encode():
            return
        unfinished = self._directory / f".{path.name}"
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
