"""``calico-node felix render`` as an operator runs it: files, names, errors."""

import json

import pytest
from click.testing import CliRunner

from calico_node.cli import main

MANIFESTS = """\
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: a}
---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {interfacePrefix: tap}
---
apiVersion: projectcalico.org/v3
kind: NetworkSet
metadata: {name: nets}
spec: {nets: [192.0.2.0/24]}
"""


@pytest.fixture
def invoke(tmp_path):
    environ = {
        f"CALICO_{name}_DIR": str(tmp_path / name) for name in ("RUN", "LIB", "LOG", "CONFIG")
    }

    def run(*arguments, stdin="", **variables):
        cleared = {"ETCD_ENDPOINTS": None, "NODENAME": None}
        command = ["felix", "render", *arguments]
        environ_ = {**cleared, **environ, **variables}
        return CliRunner().invoke(main, command, input=stdin, env=environ_)

    return run


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "all.yaml"
    path.write_text(MANIFESTS)
    return str(path)


def test_a_file_is_rendered_for_a_node(invoke, manifest):
    result = invoke("-f", manifest, "--node", "a")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("table inet calico {")
    assert '"tap*"' in result.stdout


def test_the_node_is_this_host_if_nothing_else_is_said(invoke, manifest):
    assert invoke("-f", manifest, NODENAME="a").exit_code == 0
    result = invoke("-f", manifest)
    assert result.exit_code == 1
    assert "the node's name is not known: set NODENAME" in result.stderr


def test_settings_of_this_host_count_for_this_host_only(invoke, manifest):
    here = invoke("-f", manifest, NODENAME="a", FELIX_INTERFACEPREFIX="veth").stdout
    assert '"veth*"' in here
    elsewhere = invoke("-f", manifest, "--node", "a", NODENAME="b", FELIX_INTERFACEPREFIX="veth")
    assert '"veth*"' not in elsewhere.stdout


def test_the_output_of_calicoctl_get_is_read_from_standard_input(invoke):
    items = [{"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": "a"}}]
    listed = {"apiVersion": "projectcalico.org/v3", "kind": "NodeList", "items": items}
    result = invoke("-f", "-", "--node", "a", stdin=json.dumps(listed))
    assert (result.exit_code, result.stderr) == (0, "")


def test_every_mistake_is_named_with_its_place_and_nothing_is_printed(invoke, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(MANIFESTS.replace("192.0.2.0/24", "many").replace("tap", "far/too/odd"))
    result = invoke("-f", str(path), "--node", "a")
    assert (result.exit_code, result.stdout) == (1, "")
    first, second = result.stderr.splitlines()
    assert first.startswith(f"calico-node: {path}:8: document 2 (FelixConfiguration default)")
    assert second.startswith(f"calico-node: {path}:13: document 3 (NetworkSet nets)")


def test_a_namespace_where_there_is_none_is_refused(invoke):
    document = MANIFESTS.split("---", maxsplit=1)[0].replace("{name: a}", "{name: a, namespace: b}")
    result = invoke("-f", "-", "--node", "a", stdin=document)
    assert result.exit_code == 1
    assert "Node is not namespaced" in result.stderr


def test_without_files_there_must_be_a_datastore(invoke):
    result = invoke("--node", "a")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "ETCD_ENDPOINTS" in result.stderr
