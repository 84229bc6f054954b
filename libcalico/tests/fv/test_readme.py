"""The examples of the README work as pasted."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from libcalico import Client
from libcalico.datastore import config
from libcalico.resources.ippools import IPPool, IPPoolSpec
from libcalico.resources.model import ObjectMeta

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def client(etcd_store):
    environ = {"ETCD_ENDPOINTS": etcd_store.endpoint}
    with config.connect(config.load(environ)) as backend:
        yield Client(backend)


def run(example, endpoint):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        env=os.environ | {"ETCD_ENDPOINTS": endpoint},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_examples_work_as_pasted(client, etcd_store):
    pool = IPPool(metadata=ObjectMeta(name="demo"), spec=IPPoolSpec(cidr="10.65.0.0/16"))
    client.ippools.create(pool)
    use, manage, decide = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(use.splitlines()) <= 10
    assert run(use, etcd_store.endpoint) == "demo 10.65.0.0/16\n"
    assert client.ippools.get("demo").spec.nat_outgoing is True
    assert len(manage.splitlines()) <= 20
    client.ensure_initialized()
    assert run(manage, etcd_store.endpoint).splitlines() == [
        "web default ['Ingress']",
        "resource already exists: GlobalNetworkPolicy(web) with error: <nil>",
    ]
    assert client.globalnetworkpolicies.list() == []
    assert run(decide, etcd_store.endpoint).strip()
