"""Whatever the plan gives, the real BIRD accepts its rendering."""

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from calico_node.bgp.apply import check, find_program
from calico_node.bgp.cluster import Cluster
from calico_node.bgp.plan import plan
from calico_node.bgp.render import render
from calico_node.bgp.testing.clusters import GOLDEN
from calico_node.bgp.testing.strategies import clusters
from libcalico.errors import ValidationError


def complaint_of_bird(text: str, directory: Path) -> str:
    file = directory / "bird.conf"
    file.write_text(text)
    return asyncio.run(check(find_program(os.environ["PATH"]), file))


@pytest.mark.parametrize("name", GOLDEN)
def test_bird_accepts_every_golden_file(name: str, tmp_path: Path) -> None:
    assert complaint_of_bird(render(plan(GOLDEN[name]).config), tmp_path) == ""


@given(cluster=clusters())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_bird_accepts_every_configuration_that_is_planned(cluster: Cluster, tmp_path: Path) -> None:
    try:
        planned = plan(cluster)
    except ValidationError:
        return
    assert complaint_of_bird(render(planned.config), tmp_path) == ""


def test_bird_complains_about_a_wrong_file_by_line(tmp_path: Path) -> None:
    assert ":2:" in complaint_of_bird("router id 1.2.3.4;\nnonsense;\n", tmp_path)
