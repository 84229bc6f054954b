"""Runs the tutorial of Docker on hosts with an engine each, with the image of this tree."""

import io
import shutil
import subprocess
import tarfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from calico_docs.blocks import blocks, lab
from calico_test.engine import Engine

PAGE = Path(__file__).parents[2] / "pages" / "tutorials" / "docker.md"
NODE = Path(__file__).parents[3] / "build" / "images" / "node.tar"


def busybox(folder):
    """A root file system of a static busybox alone: no registry is needed."""
    program = shutil.which("busybox")
    assert program is not None, "install busybox-static"
    applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=True)
    file = folder / "busybox.tar"
    with tarfile.open(file, "w") as tar:
        tar.add(program, "bin/busybox")
        for applet in set(applets.stdout.split()) - {"busybox"}:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for name in ("etc", "tmp"):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(directory, io.BytesIO())
    return file


def test_the_tutorial_does_what_it_says(reader, tmp_path):
    if not NODE.exists():
        pytest.skip(f"{NODE} is not there: build the images")
    text, image = PAGE.read_text(), busybox(tmp_path)
    with ExitStack() as engines:

        def prepare(made):
            for host in made.hosts:
                engine = engines.enter_context(Engine(made, host))
                engine.load(NODE)
                engine.docker("import", str(image), "busybox")

        reader(blocks(PAGE, text), lab(PAGE, text), prepare)
