"""calicoctl node on a host with a Docker that is a script of the test: order of calls, and what is told."""

import os
import stat

import pytest
from click.testing import CliRunner

from calicoctl.cli import calicoctl
from libcalico.datastore import config

ABSENT = "exit 1"
RUNNING = """echo '[{"State": {"Running": true}, "RestartCount": 0}]'"""
EXITED = """echo '[{"State": {"Running": false}, "RestartCount": 3}]'"""


@pytest.fixture
def host(tmp_path, monkeypatch):
    """Make the directory with the host's programs; ``calls`` holds what Docker was asked."""
    calls = tmp_path / "calls"

    class Host:
        def docker(self, **answers):
            cases = "\n".join(f"  {name}) {script} ;;" for name, script in answers.items())
            self.write(
                "docker", f'echo "$*" >>{calls}\ncase "$1" in\n  version|image) ;;\n{cases}\nesac'
            )

        def write(self, name, script):
            program = tmp_path / name
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(program.stat().st_mode | stat.S_IXUSR)

        def run(self, *arguments):
            return CliRunner().invoke(calicoctl, ["node", *arguments], prog_name="calicoctl")

        def asked(self):
            lines = calls.read_text().splitlines()
            return [line.split()[0] for line in lines]

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", [str(tmp_path / "calicoctl")])
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return Host()


def test_a_start_waits_until_ready(host):
    host.docker(container=ABSENT)
    result = host.run("run")
    assert (result.exit_code, result.output) == (0, "Calico node started successfully\n")
    assert host.asked() == ["version", "image", "rm", "run", "exec"]


def test_a_start_that_fails_is_told_with_the_log_and_undone(host):
    host.docker(container=EXITED, exec="exit 1", logs="echo 'no datastore'")
    result = host.run("run")
    assert "did not start (its container was removed):\n  no datastore" in str(result.exception)
    assert host.asked()[-2:] == ["logs", "rm"]


def test_what_runs_but_is_not_ready_stays(host):
    host.docker(container=RUNNING, exec="echo 'felix: resync' >&2; exit 1", logs="echo starting")
    result = host.run("run")
    assert "calico/node runs, but: felix: resync" in str(result.exception)
    assert host.asked()[-1] == "logs"


def test_a_container_that_docker_refuses_is_removed(host):
    host.docker(container=ABSENT, run="echo 'docker: no such device' >&2; exit 125")
    result = host.run("run")
    assert str(result.exception) == "docker run: docker: no such device"
    assert host.asked()[-1] == "rm"


def test_without_docker_the_other_way_is_named(host):
    result = host.run("run")
    assert "Docker is not installed here" in str(result.exception)
    assert "--runtime=native" in str(result.exception)


def test_an_own_etcd_is_for_native_services(host):
    result = host.run("run", "--etcd=embedded")
    assert result.exit_code == 2
    assert "--etcd=embedded needs --runtime=native" in result.output


def test_native_services_beside_the_container_are_refused(host):
    host.docker(container=RUNNING)
    host.write("calico-node", "exit 9")
    result = host.run("run", "--runtime=native")
    assert "calico/node runs in Docker on this host already" in str(result.exception)


def test_stop_removes_the_container(host):
    host.docker(container=RUNNING)
    result = host.run("stop", "--force")
    assert result.output == "Calico node stopped\n"
    assert host.asked() == ["container", "container", "stop", "rm"]


def test_a_datastore_that_is_away_does_not_keep_from_stopping(host, monkeypatch):
    monkeypatch.setenv("ETCD_ENDPOINTS", "http://127.0.0.1:1")
    host.docker(container=RUNNING)
    result = host.run("stop")
    assert result.output.startswith("Whether workloads are on this host is not known: ")
    assert result.output.endswith("\nCalico node stopped\n")
    assert host.asked()[-2:] == ["stop", "rm"]


def test_what_does_not_run_is_stopped_without_asking_the_datastore(host, monkeypatch):
    monkeypatch.setenv("ETCD_ENDPOINTS", "nonsense")
    host.docker(container=EXITED)
    assert host.run("stop").output == "Calico node is not running\n"


def test_status_without_anything(host):
    result = host.run("status")
    assert result.exit_code == 1
    assert result.output == "Calico process is not running.\n"


CONFIG = """{"kind": "CalicoAPIConfig", "apiVersion": "projectcalico.org/v3",
 "spec": {"etcdEndpoints": "http://10.9.9.9:2379", "etcdUsername": "u", "etcdPassword": "secret"}}"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Make a CalicoAPIConfig and a felix.cfg; the host has none of its own."""
    (tmp_path / "cfg").write_text(CONFIG)
    (tmp_path / "felix").write_text("[global]\nLogSeverityScreen = debug\n")
    monkeypatch.setattr(config, "DEFAULT_FILE", tmp_path / "etc-calico" / "calicoctl.cfg")
    monkeypatch.setenv("CALICO_ETCD_ENDPOINTS", "http://elsewhere:2379")
    return tmp_path


def test_the_container_gets_the_settings_of_the_files_and_no_secret_is_shown(host, files):
    host.docker(container=ABSENT, run=f"/bin/cat /proc/self/environ >{files}/seen")
    options = (f"--config={files}/cfg", f"--felix-config={files}/felix")
    assert host.run("run", *options).exit_code == 0
    seen = dict(word.split("=", 1) for word in (files / "seen").read_text().split("\0") if word)
    assert (seen["ETCD_ENDPOINTS"], seen["ETCD_PASSWORD"]) == ("http://10.9.9.9:2379", "secret")
    assert "CALICO_ETCD_ENDPOINTS" not in seen
    command = host.run("run", *options, "--dryrun").output
    assert "-e ETCD_ENDPOINTS -e ETCD_PASSWORD -e ETCD_USERNAME" in command
    assert "secret" not in command
    assert f"-e CALICO_FELIX_CONFIG_FILE={files}/felix" in command
    assert f"-v {files}/felix:{files}/felix:ro" in command


def test_native_services_get_felixs_file(host, files):
    host.write("calico-node", "exit 0")
    options = ("--runtime=native", f"--felix-config={files}/felix", "--dryrun")
    assert f"CALICO_FELIX_CONFIG_FILE={files}/felix " in host.run("run", *options).output


def test_a_file_that_the_services_would_not_read_is_refused(host, files):
    config.DEFAULT_FILE.parent.mkdir()
    config.DEFAULT_FILE.write_text(CONFIG)
    result = host.run("run", f"--config={files}/cfg", "--dryrun")
    assert "exists, and the services read that" in str(result.exception)
    assert host.run("run", f"--config={config.DEFAULT_FILE}", "--dryrun").exit_code == 0


def test_files_that_are_not_there_are_named(host, files):
    assert "Error reading config file: gone" in str(host.run("run", "--config=gone").exception)
    assert "'gone' does not exist" in host.run("run", "--felix-config=gone").output


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--ip=fd00::1", "--ip: 'fd00::1' is no IPv4 address"),
        ("--ip=10.0.0", "--ip: '10.0.0' is no IPv4 address"),
        ("--ip6=10.0.0.1", "--ip6: '10.0.0.1' is no IPv6 address"),
        ("--as=x", "'x' is no AS number"),
    ],
)
def test_what_is_no_address_or_number_is_refused_before_anything_is_done(host, option, said):
    result = host.run("run", "--dryrun", option)
    assert (result.exit_code, result.output) == (1, "")
    assert said in str(result.exception)


def test_addresses_as_they_may_be_said_and_a_dotted_as_number_as_a_plain_one(host):
    for words in ("--ip=10.0.0.1/24 --ip6=none", "--ip=Autodetect --ip6=fd00::1", "--ip="):
        assert host.run("run", "--dryrun", *words.split()).exit_code == 0
    assert " -e AS=65546 " in host.run("run", "--dryrun", "--as=1.10").output
