"""The root file system has busybox, and a link for each of its applets."""

import io
import tarfile

import pytest

from calico_test.busybox import root_file_system
from calico_test.errors import MissingToolError


def test_each_applet_is_a_link(tmp_path, monkeypatch):
    program = tmp_path / "busybox"
    program.write_text("#!/bin/sh\nprintf 'busybox\\nsh\\nwget\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with tarfile.open(fileobj=io.BytesIO(root_file_system())) as tar:
        links = {entry.name: entry.linkname for entry in tar if entry.issym()}
        assert links == {"bin/sh": "busybox", "bin/wget": "busybox"}
        assert tar.extractfile("bin/busybox").read() == program.read_bytes()
        assert tar.getmember("tmp").isdir()


def test_without_busybox_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="apt install busybox-static"):
        root_file_system()
