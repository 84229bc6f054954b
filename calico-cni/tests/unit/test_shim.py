"""The installed executable on its own: what it sends, prints and becomes. Needs no root."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_cni import install, shim
from libcalico.workload.cni import wire
from libcalico.workload.cni.model import CALICO, CALICO_IPAM, Call, Reply

DEADLINE_S = 20.0
CONFIG = b'{"cniVersion": "0.4.0", "name": "net"}'
NAMES = st.binary(min_size=1, max_size=8).filter(lambda b: b"=" not in b and b"\0" not in b)
VALUES = st.binary(max_size=8).filter(lambda b: b"\0" not in b)


@given(st.dictionaries(NAMES, VALUES, max_size=3), st.binary(max_size=20))
def test_it_writes_calls_as_the_library_does(environ, stdin):
    decoded = {os.fsdecode(name): os.fsdecode(value) for name, value in environ.items()}
    assert shim.encode_call(environ, stdin) == wire.encode_call(Call(CALICO, stdin, decoded))


@pytest.mark.parametrize(
    ("stdin", "version"),
    [
        (CONFIG, b"0.4.0"),
        (b'{"cniVersion":"1.1.0"}', b"1.1.0"),
        (b'{"cniVersion":""}', b"0.1.0"),
        (b'{"cniVersion":"x","y":"z"}', b"0.1.0"),
        (b'{"cniVersion"', b"0.1.0"),
        (b"", b"0.1.0"),
    ],
)
def test_the_version_is_found_without_a_parser(stdin, version):
    assert shim.version_in(stdin) == version


@given(st.binary(max_size=40))
def test_anything_has_a_version(stdin):
    assert shim.version_in(stdin)


def test_it_imports_nothing_but_built_in_modules():
    script = f"import sys; sys.argv=['x']; sys.path[:0]=[{str(Path(shim.__file__).parent)!r}]\n"
    script += "before = set(sys.modules)\nimport shim\nprint(sorted(set(sys.modules) - before))"
    command = [str(install.interpreter()), "-IS", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert set(eval(done.stdout)) <= {"shim", "_socket", "posix"}


class Shim:
    """An installed executable whose other self writes down how it was called."""

    def __init__(self, folder):
        self.socket = folder / "s"
        self.file = folder / "calico"
        fallback = folder / "python"
        fallback.write_text('#!/bin/sh\necho "{\\"args\\":\\"$*\\",\\"stdin\\":$(cat)}"\nexit 7\n')
        fallback.chmod(0o755)
        text = install.executable(CALICO, self.socket, install.interpreter())
        self.file.write_text(text.replace(repr(sys.executable), repr(str(fallback))))
        self.file.chmod(0o755)

    def run(self, *options, stdin=CONFIG, **environ):
        environ = {"CNI_COMMAND": "ADD", "PATH": os.environ["PATH"]} | environ
        done = subprocess.run(
            [str(self.file), *options],
            input=stdin,
            env=environ,
            capture_output=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.stderr == b""
        return done.returncode, done.stdout

    def serve(self, behave):
        """Accept one connection on a thread and give it to a function."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.socket))
        listener.listen()

        def work():
            with listener:
                connection, _ = listener.accept()
                with connection:
                    behave(connection)

        thread = threading.Thread(target=work)
        thread.start()
        return thread


@pytest.fixture
def installed(tmp_path):
    return Shim(tmp_path)


def call_of(connection):
    """Return the call as the shim sent it, and the descriptors that came along."""
    start, rights, _, _ = socket.recv_fds(connection, wire.CALL_HEADER.size, 4)
    header = wire.decode_call_header(start)
    body = b""
    while len(body) < header.environ_bytes + header.stdin_bytes:
        body += connection.recv(1 << 16)
    environ = wire.decode_environ(body[: header.environ_bytes])
    return Call(header.plugin, body[header.environ_bytes :], environ), rights


class TestServed:
    def test_the_reply_is_printed_and_its_status_returned(self, installed):
        def behave(connection):
            call, rights = call_of(connection)
            assert (call.plugin, call.stdin, rights) == (CALICO, CONFIG, [])
            assert call.environ["CNI_COMMAND"] == "ADD"
            connection.sendall(wire.encode_reply(Reply(b'{"a":1}\n', 5)))

        thread = installed.serve(behave)
        assert installed.run() == (5, b'{"a":1}\n')
        thread.join(DEADLINE_S)

    def test_the_namespace_is_opened_by_who_sees_it(self, installed, tmp_path):
        (tmp_path / "netns").touch()
        inodes = []

        def behave(connection):
            _, rights = call_of(connection)
            inodes.extend(os.fstat(right).st_ino for right in rights)
            for right in rights:
                os.close(right)
            connection.sendall(wire.encode_reply(Reply(b"")))

        thread = installed.serve(behave)
        assert installed.run(CNI_NETNS=str(tmp_path / "netns")) == (0, b"")
        thread.join(DEADLINE_S)
        assert inodes == [(tmp_path / "netns").stat().st_ino]

    def test_a_large_configuration_and_reply(self, installed):
        large = b'{"cniVersion":"1.0.0","x":"' + b"y" * (2 << 20) + b'"}'

        def behave(connection):
            call, _ = call_of(connection)
            connection.sendall(wire.encode_reply(Reply(call.stdin)))

        thread = installed.serve(behave)
        assert installed.run(stdin=large) == (0, large)
        thread.join(DEADLINE_S)

    @pytest.mark.parametrize("sent", range(14))
    def test_half_a_reply_is_an_error_and_nothing_of_it_is_printed(self, installed, sent):
        def behave(connection):
            call_of(connection)
            connection.sendall(wire.encode_reply(Reply(b'{"a":1}\n'))[:sent])

        thread = installed.serve(behave)
        status, printed = installed.run()
        thread.join(DEADLINE_S)
        told = json.loads(printed)
        if sent == 14:
            assert status == 0
            return
        assert (status, told["code"], told["cniVersion"]) == (1, 11, "0.4.0")
        assert told["msg"] == "the workload server ended before it answered"

    def test_a_server_that_hangs_up_at_once_is_an_error(self, installed):
        thread = installed.serve(lambda connection: None)
        status, printed = installed.run(stdin=b"x" * (1 << 20))
        thread.join(DEADLINE_S)
        told = json.loads(printed)
        assert (status, told["code"], told["cniVersion"]) == (1, 11, "0.1.0")


class TestAlone:
    def test_without_a_socket_it_becomes_the_plugin(self, installed):
        status, printed = installed.run()
        assert status == 7
        told = json.loads(printed)
        assert told["args"] == f"-I -m calico_cni.plugin {CALICO}"
        assert told["stdin"]["name"] == "net"

    def test_a_socket_that_nobody_listens_on_is_the_same(self, installed):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(installed.socket))
        assert installed.run()[0] == 7

    def test_options_are_for_the_plugin(self, installed):
        thread = installed.serve(lambda connection: None)
        status, printed = installed.run("-v")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(installed.socket))
        thread.join(DEADLINE_S)
        assert (status, json.loads(printed)["args"].split()[-1]) == (7, "-v")

    def test_without_the_plugin_it_says_what_to_do(self, installed):
        (installed.file.parent / "python").unlink()
        status, printed = installed.run()
        told = json.loads(printed)
        assert (status, told["code"], told["cniVersion"]) == (1, 101, "0.4.0")
        assert told["msg"].endswith("No such file or directory; run 'calico-cni install' again")


def test_both_plugins_are_told_apart(tmp_path):
    texts = [
        install.executable(plugin, tmp_path / "s", install.interpreter())
        for plugin in (CALICO, CALICO_IPAM)
    ]
    assert "PLUGIN = 0\n" in texts[0]
    assert "PLUGIN = 1\n" in texts[1]
    for text in texts:
        compile(text, "shim", "exec")
