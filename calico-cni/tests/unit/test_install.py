"""Installing, installing again, removing; and the command that does it."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from calico_cni import install
from calico_cni.cli import main
from calico_cni.install import Network
from calico_cni.plugin import main as plugin_main
from libcalico.errors import ConfigError
from libcalico.workload.cni import parse


@pytest.fixture
def run(tmp_path):
    def run(*arguments, **environ):
        folders = ["--bin-dir", str(tmp_path / "bin"), "--conf-dir", str(tmp_path / "net.d")]
        command, *rest = arguments
        return CliRunner().invoke(main, [command, *folders, *rest], env=environ)

    run.bin, run.conf = tmp_path / "bin", tmp_path / "net.d" / "10-calico.conflist"
    return run


class TestInstall:
    def test_everything_is_in_its_place(self, run):
        done = run("install", "--etcd-endpoints", "http://10.0.0.1:2379", "--mtu", "1440")
        assert (done.exit_code, done.output.count("wrote ")) == (0, 3), done.output
        for plugin in ("calico", "calico-ipam"):
            assert stat.S_IMODE((run.bin / plugin).stat().st_mode) == 0o755
            first = (run.bin / plugin).read_text().splitlines()[0]
            assert first == f"#!{Path(sys.executable).resolve()} -IS"
        network = json.loads(run.conf.read_text())
        (plugin,) = network["plugins"]
        assert (network["name"], network["cniVersion"]) == ("calico", "1.0.0")
        assert (plugin["etcd_endpoints"], plugin["mtu"]) == ("http://10.0.0.1:2379", 1440)
        assert plugin["ipam"] == {
            "type": "calico-ipam",
            "assign_ipv4": "true",
            "assign_ipv6": "false",
        }

    def test_a_second_time_changes_nothing(self, run):
        run("install")
        before = run.conf.stat().st_ino, (run.bin / "calico").stat().st_ino
        done = run("install")
        assert done.output.count("is up to date") == 3
        assert (run.conf.stat().st_ino, (run.bin / "calico").stat().st_ino) == before

    def test_what_changed_is_replaced_in_one_step(self, run):
        run("install")
        with (run.bin / "calico").open() as held:  # a runtime executes it right now
            (run.bin / "calico").chmod(0o700)
            done = run("install", "--network-name", "other")
            assert done.output.count("wrote ") == 2
            assert held.read().startswith("#!")
        assert sorted(os.listdir(run.bin)) == ["calico", "calico-ipam"]
        assert json.loads(run.conf.read_text())["name"] == "other"

    def test_settings_come_from_the_environment_too(self, run):
        run("install", ETCD_ENDPOINTS="http://10.9.9.9:2379", ETCD_CA_CERT_FILE="/ca.pem")
        (plugin,) = json.loads(run.conf.read_text())["plugins"]
        assert plugin["etcd_endpoints"] == "http://10.9.9.9:2379"
        assert plugin["etcd_ca_cert_file"] == "/ca.pem"

    def test_pools_turn_their_family_on(self, run):
        run("install", "--ipv4-pools", "a,b", "--ipv6-pools", "c", "--ipv6-pools", "fd00::/64")
        ipam = json.loads(run.conf.read_text())["plugins"][0]["ipam"]
        assert (ipam["ipv4_pools"], ipam["ipv6_pools"]) == (["a", "b"], ["c", "fd00::/64"])
        assert ipam["assign_ipv6"] == "true"
        run("install", "--no-ipv4", "--ipv6")
        ipam = json.loads(run.conf.read_text())["plugins"][0]["ipam"]
        assert (ipam["assign_ipv4"], ipam["assign_ipv6"]) == ("false", "true")

    def test_what_is_written_is_what_the_plugin_reads(self):
        network = Network(
            name="n",
            cni_version="1.1.0",
            nodename="x",
            mtu=9000,
            pools4=["p"],
            etcd={"etcd_endpoints": "http://h:1"},
        )
        (plugin,) = install.conflist(network)["plugins"]
        etcd = {"DATASTORE_TYPE": "etcdv3", "ETCD_ENDPOINTS": "http://h:1"}
        conf = parse.net_conf(
            json.dumps(plugin | {"name": "n", "cniVersion": "1.1.0"}).encode(), "GC"
        )
        assert (conf.nodename, conf.mtu, conf.etcd) == ("x", 9000, etcd)

    def test_a_configuration_of_ones_own(self, run, tmp_path):
        own = tmp_path / "own.json"
        document = install.conflist(Network(name="own", cni_version="0.4.0"))
        document["plugins"].append({"type": "portmap"})
        own.write_text(json.dumps(document))
        assert run("install", "--network-config", str(own)).exit_code == 0
        assert json.loads(run.conf.read_text()) == document

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("{", "cannot be read as JSON"),
            ("[]", "must be an object"),
            ("{}", "none is of type 'calico'"),
            ('{"name":"n","plugins":[{"type":"portmap"}]}', "none is of type 'calico'"),
            ('{"name":"n/","plugins":[{"type":"calico"}]}', "name: 'n/'"),
            ('{"name":"n","cniVersion":"9","plugins":[{"type":"calico"}]}', "'9' is not supported"),
        ],
    )
    def test_a_wrong_one_is_refused_before_anything_is_written(
        self, run, tmp_path, text, complaint
    ):
        (tmp_path / "own.json").write_text(text)
        done = run("install", "--network-config", str(tmp_path / "own.json"))
        assert done.exit_code == 1
        assert complaint in done.output
        assert done.output.startswith("calico-cni: ")
        assert done.output.count("\n") == 1
        assert not run.bin.exists()

    def test_a_place_that_cannot_be_written_is_one_line(self, run, tmp_path):
        (tmp_path / "bin").write_text("a file")
        done = run("install")
        assert done.exit_code in (1, 2)
        assert "bin" in done.output

    def test_an_interpreter_that_no_first_line_can_name(self, tmp_path):
        with pytest.raises(ConfigError, match="first line cannot name"):
            install.executable("calico", tmp_path, Path("/" + "x" * 300))
        with pytest.raises(ConfigError, match="first line cannot name"):
            install.executable("calico", tmp_path, Path("/with space/python"))


class TestUninstall:
    def test_what_was_installed_goes(self, run):
        run("install")
        assert run("uninstall").output.count("removed ") == 3
        assert not run.conf.exists()
        assert os.listdir(run.bin) == []
        assert run("uninstall").output.count("is not there") == 3

    def test_what_is_not_ours_stays(self, run):
        run.bin.mkdir()
        run.conf.parent.mkdir()
        (run.bin / "calico").write_bytes(b"\x7fELF")
        run.conf.write_text('{"plugins":[{"type":"bridge"}]}')
        done = run("uninstall")
        assert done.output.count("is not ours and stays") == 2
        assert run.conf.exists()


class TestPluginProgram:
    def test_it_tells_its_version(self, capsys):
        assert plugin_main(["calico", "--version"]) == 0
        assert capsys.readouterr().out.strip()

    def test_people_are_told_what_it_is(self, capsys):
        assert plugin_main(["calico", "--help"]) == 2
        assert "container runtime calls it" in capsys.readouterr().err
