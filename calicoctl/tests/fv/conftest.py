"""The installed calicoctl, as a user runs it, on one real etcd that is empty for each test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from calico_test.etcd import Etcd

PROGRAM = Path(sys.executable).with_name("calicoctl")
RESOURCES = "/calico/resources/v3/projectcalico.org"
DEADLINE_S = 60.0


@dataclass(frozen=True)
class Done:
    """What a run of calicoctl gave."""

    code: int
    out: str
    err: str

    def __iter__(self):
        return iter((self.code, self.out, self.err))

    @property
    def rows(self) -> list[list[str]]:
        """The words of each line of the output, without empty lines."""
        return [line.split() for line in self.out.splitlines() if line.strip()]


@dataclass
class Calicoctl:
    """Runs calicoctl in a folder of the test's, with an environment that names its etcd."""

    folder: Path
    etcd: Etcd
    environ: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments: str) -> list[str]:
        return [str(PROGRAM), *arguments]

    def __call__(self, *arguments: str, stdin: str | bytes = "", **environ: str) -> Done:
        done = subprocess.run(
            self.command(*arguments),
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            cwd=self.folder,
            env={**self.environ, **environ},
            check=False,
            timeout=DEADLINE_S,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def ok(self, *arguments: str, stdin: str | bytes = "", **environ: str) -> str:
        """Run it, make sure that it went well and complained of nothing; return the output."""
        done = self(*arguments, stdin=stdin, **environ)
        assert (done.code, done.err) == (0, "")
        return done.out

    def apply(self, *documents: Mapping[str, Any]) -> str:
        return self.ok("apply", "-f", "-", stdin=yaml.safe_dump_all(documents))

    def file(self, name: str, *documents: Mapping[str, Any]) -> str:
        """Write a manifest; return its name."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump_all(documents, sort_keys=False))
        return name

    def text(self, plural: str, name: str) -> str:
        """What etcd holds for a resource, as text."""
        return self.etcd.get_prefix(f"{RESOURCES}/{plural}/{name}")[f"{RESOURCES}/{plural}/{name}"]

    def stored(self, plural: str, name: str) -> Any:
        return json.loads(self.text(plural, name))

    def put(self, plural: str, name: str, value: Any) -> None:
        """Store a resource as another program would."""
        self.etcd.put(f"{RESOURCES}/{plural}/{name}", json.dumps(value))

    def keys(self) -> list[str]:
        """Keys of all resources, without what initialising a cluster stores."""
        found = self.etcd.get_prefix(f"{RESOURCES}/")
        fixed = ("clusterinformations/", "tiers/default", "tiers/kube-")
        names = [key.removeprefix(f"{RESOURCES}/") for key in found]
        return [name for name in names if not name.startswith(fixed)]


@pytest.fixture
def ctl(etcd_store, tmp_path):
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ETCD", "CALICO", "FELIX", "DATASTORE", "PYTHON"))
    }
    environ["ETCD_ENDPOINTS"] = etcd_store.endpoint
    return Calicoctl(tmp_path, etcd_store, environ)


def resource(kind: str, name: str, spec: Mapping[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "projectcalico.org/v3",
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": dict(spec),
    }


@pytest.fixture
def make():
    """Build manifests."""
    return resource
