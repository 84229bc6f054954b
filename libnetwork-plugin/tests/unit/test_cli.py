"""The command line."""

import logging

import pytest
from click.testing import CliRunner

from libnetwork_plugin.cli import main


@pytest.fixture(autouse=True)
def _log_as_before():
    """Undo what the command does to this process's log."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


def test_it_tells_its_version():
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("libnetwork-plugin, version ")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"ETCD_ENDPOINTS": ""}, "no datastore endpoints; set ETCD_ENDPOINTS"),
        ({"ETCD_ENDPOINTS": "ftp://x"}, "is no endpoint"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, environ, said):
    command = ["serve", "--socket", str(tmp_path / "calico.sock"), "--log-level", "none"]
    result = CliRunner().invoke(main, command, env=environ)
    assert result.exit_code == 1
    assert said in result.output
    assert result.output.startswith("libnetwork-plugin: ")
    assert len(result.output.splitlines()) == 1
