"""A host with a Docker engine, and an etcd."""

from pathlib import Path

import pytest

from calico_test.engine import Engine
from calico_test.lab import Lab

IMAGES = Path(__file__).parents[3] / "build/images"


@pytest.fixture(scope="session")
def engine():
    archive = IMAGES / "ctl.tar"
    assert archive.exists(), f"{archive} is missing; make it with: make images"
    with Lab(1) as lab, Engine(lab, lab.hosts[0]) as running:
        running.load(archive)
        lab.hosts[0].env["ETCD_ENDPOINTS"] = lab.etcd.endpoint
        yield running
