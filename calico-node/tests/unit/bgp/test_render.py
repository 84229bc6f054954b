"""The text that BIRD reads, for named clusters.

Set ``CALICO_REWRITE_GOLDEN=1`` to write the files anew; commit the difference only if you can say why.
"""

import os
from pathlib import Path

import pytest
from hypothesis import given

from calico_node.bgp.cluster import Cluster
from calico_node.bgp.plan import plan
from calico_node.bgp.render import render
from calico_node.bgp.testing.clusters import GOLDEN
from calico_node.bgp.testing.strategies import clusters
from libcalico.errors import ValidationError

FILES = Path(__file__).with_name("golden")


@pytest.mark.parametrize("name", GOLDEN)
def test_the_configuration_is_as_reviewed(name: str) -> None:
    text = render(plan(GOLDEN[name]).config)
    file = FILES / f"{name}.conf"
    if os.environ.get("CALICO_REWRITE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text()


def test_no_golden_file_is_left_over() -> None:
    assert {file.stem for file in FILES.glob("*.conf")} == set(GOLDEN)


@given(cluster=clusters())
def test_equal_clusters_give_equal_text_whatever_the_order_of_their_parts(cluster: Cluster) -> None:
    mirrored = Cluster(
        **{
            name: dict(reversed(value.items())) if isinstance(value, dict) else value
            for name in Cluster.__dataclass_fields__
            for value in [getattr(cluster, name)]
        }
    )
    try:
        text = render(plan(cluster).config)
    except ValidationError:
        return
    assert render(plan(mirrored).config) == text


def test_no_session_password_breaks_out_of_its_quotes() -> None:
    text = render(plan(GOLDEN["every-peer-option"]).config)
    assert 'password "pass word#1";' in text
