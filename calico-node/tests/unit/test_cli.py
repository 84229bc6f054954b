import json

import pytest
from click.testing import CliRunner

from calico_node.cli import main


@pytest.fixture
def run(tmp_path):
    environ = {
        f"CALICO_{name}_DIR": str(tmp_path / name) for name in ("RUN", "LIB", "LOG", "CONFIG")
    }

    def invoke(*arguments, **variables):
        cleared = {"ETCD_ENDPOINTS": None, "NODENAME": None, "IP": None}
        return CliRunner().invoke(main, arguments, env={**cleared, **environ, **variables})

    return invoke


def test_help_shows_examples(run):
    assert "calico-node run --detach" in run("--help").output
    for command in ("startup", "run", "stop", "status", "felix", "bgp", "workloads", "health"):
        assert run(command, "--help").exit_code == 0


@pytest.mark.parametrize("command", ["startup", "bgp"])
def test_without_a_datastore_there_is_one_line_and_exit_code_1(run, command):
    result = run(command, NODENAME="a")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("calico-node: environment: ETCD_ENDPOINTS: no datastore")
    assert result.stderr.count("\n") == 1


def test_an_unknown_log_level_is_refused(run):
    result = run("--log-level", "loud", "version")
    assert result.exit_code == 1
    assert "unknown log level 'loud'" in result.stderr


def test_the_status_of_nothing(run):
    result = run("status")
    assert result.exit_code == 1
    assert "calico-node is not running" in result.stderr
    result = run("status", "--output", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"services": {}, "bgp": None}


def test_stopping_nothing_is_no_error(run):
    result = run("stop")
    assert (result.exit_code, result.output) == (0, "Calico node is not running\n")


@pytest.mark.parametrize(
    ("check", "words"),
    [("--felix-ready", "Felix is not ready"), ("--bird-ready", "BIRD is not ready")],
)
def test_health_says_why_not(run, check, words):
    result = run("health", check, FELIX_HEALTHPORT="1", CALICO_BGP_HEALTHPORT="1")
    assert result.exit_code == 1
    assert result.output.startswith(f"calico/node is not ready: {words}: ")


def test_health_of_nothing_is_a_mistake(run):
    assert run("health").exit_code == 2


def test_the_version_is_printed(run):
    assert run("version").output.strip()
