"""Runs the tutorial of Docker on hosts with an engine each, with the image of this tree."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from calico_docs.blocks import blocks, lab
from calico_test.busybox import root_file_system
from calico_test.engine import Engine

PAGE = Path(__file__).parents[2] / "pages" / "tutorials" / "docker.md"
NODE = Path(__file__).parents[3] / "build" / "images" / "node.tar"


def test_the_tutorial_does_what_it_says(reader, tmp_path):
    if not NODE.exists():
        pytest.skip(f"{NODE} is not there: build the images")
    text, image = PAGE.read_text(), tmp_path / "busybox.tar"
    image.write_bytes(root_file_system())
    with ExitStack() as engines:

        def prepare(made):
            for host in made.hosts:
                engine = engines.enter_context(Engine(made, host))
                engine.load(NODE)
                engine.docker("import", str(image), "busybox")

        reader(blocks(PAGE, text), lab(PAGE, text), prepare)
