"""A host with a Docker engine, and an etcd."""

import sys
from pathlib import Path

import pytest

from calico_test.engine import Engine
from calico_test.lab import Lab

BIN = Path(sys.executable).parent
IMAGES = Path(__file__).parents[3] / "build/images"
PATH = f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture(scope="session")
def engine():
    archive = IMAGES / "ctl.tar"
    assert archive.exists(), f"{archive} is missing; make it with: make images"
    with Lab(1) as lab, Engine(lab, lab.hosts[0]) as running:
        running.load(archive)
        lab.hosts[0].env |= {"ETCD_ENDPOINTS": lab.etcd.endpoint, "PATH": PATH}
        yield running
