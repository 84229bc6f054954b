"""A real etcd."""

import subprocess

import pytest

from calico_test.errors import HarnessError, MissingToolError
from calico_test.etcd import Etcd


def test_data_survives_a_kill(etcd_store):
    etcd_store.put("/a", "1")
    before = etcd_store.endpoint
    etcd_store.kill()
    with pytest.raises(HarnessError, match="no answer"):
        etcd_store.get_prefix("/")
    etcd_store.restart()
    assert etcd_store.endpoint == before
    assert etcd_store.get_prefix("/") == {"/a": "1"}


def test_the_store_of_a_test_begins_empty(etcd_store):
    assert etcd_store.get_prefix("") == {}


def test_clearing_a_prefix_spares_its_neighbours(etcd_store):
    for key in ("/a", "/a/x", "/b", "/é/x", "/ê"):
        etcd_store.put(key, "")
    etcd_store.clear("/a/")
    etcd_store.clear("/é")
    assert set(etcd_store.get_prefix("")) == {"/a", "/b", "/ê"}


def test_a_paused_etcd_does_not_answer_until_it_is_resumed(etcd_store):
    etcd_store.pause()
    try:
        with pytest.raises(HarnessError, match="timed out"):
            etcd_store.call("/v3/kv/range", {"key": "AA=="}, timeout_s=0.1)
    finally:
        etcd_store.resume()
    etcd_store.put("/a", "1")


def test_it_serves_on_given_addresses_of_a_namespace(netns):
    with Etcd(addresses=["127.0.0.1", "::1"], namespace=netns, port=2379) as etcd:
        assert etcd.endpoint == "http://127.0.0.1:2379"
        done = netns.run(
            ["etcdctl", "--endpoints=http://[::1]:2379", "put", "/a", "b"], env={"ETCDCTL_API": "3"}
        )
        assert done.stdout == "OK\n"
        assert etcd.get_prefix("/") == {"/a": "b"}
    assert not etcd.directory.exists()
    with pytest.raises(HarnessError, match="not running"):
        etcd.kill()


def test_a_port_that_is_taken_is_an_error_with_the_log(netns):
    with (
        Etcd(namespace=netns, port=2379),
        pytest.raises(HarnessError, match="address already in use"),
    ):
        Etcd(namespace=netns, port=2379)


def test_a_missing_binary_names_the_package(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingToolError, match="apt-get install etcd-server"):
        Etcd()


def test_no_etcd_is_left_of_an_ended_session(tmp_path):
    script = tmp_path / "test_one.py"
    script.write_text("def test(etcd): open('pid', 'w').write(str(etcd.process.pid))\n")
    import sys

    subprocess.run([sys.executable, "-m", "pytest", "-q", str(script)], cwd=tmp_path, check=True)
    from calico_test.processes import Process

    with pytest.raises(ProcessLookupError):
        Process.of(int((tmp_path / "pid").read_text()))
