"""Where ``make ut`` and ``make st`` run, as ``images/where.sh`` decides."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NOBODY = "unix:///run/calico-test-nobody.sock"


def where(*chosen, **env):
    return subprocess.run(
        [ROOT / "images/where.sh", *chosen],
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def engine():
    """The engine that the images were built with."""
    script = ROOT / "images/engine.sh"
    if subprocess.run([script, "status"], check=False).returncode != 0:
        pytest.skip("no engine answers here, as in calico/test")
    said = subprocess.run([script, "start"], capture_output=True, text=True, check=True).stdout
    return said.strip().removeprefix("export DOCKER_HOST=")


@pytest.mark.parametrize("chosen", ["image", "host"])
def test_what_is_chosen_is_done(chosen):
    assert where(chosen, DOCKER_HOST=NOBODY).stdout == f"{chosen}\n"


def test_anything_else_is_refused():
    refused = where("native")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "IN=native is neither image nor host" in refused.stderr


def test_without_an_engine_it_is_the_host():
    decided = where(DOCKER_HOST=NOBODY)
    assert decided.stdout == "host\n"
    assert f"no Docker engine answers at {NOBODY}; IN=image starts one" in decided.stderr


def test_with_an_engine_it_is_the_image(engine):
    decided = where(DOCKER_HOST=engine, ENGINE_STATE="/run/another")
    assert decided.stdout == "image\n"
    assert "IN=host runs them on this machine" in decided.stderr


def test_an_engine_that_was_begun_for_the_images_decides_nothing(engine):
    state = Path(engine.removeprefix("unix://")).parent
    assert where(DOCKER_HOST=engine, ENGINE_STATE=str(state)).stdout == "host\n"


def test_an_engine_elsewhere_decides_nothing():
    """It would mount directories of its own machine."""
    assert where(DOCKER_HOST="tcp://127.0.0.1:1").stdout == "host\n"
