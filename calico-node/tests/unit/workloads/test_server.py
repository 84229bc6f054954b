"""The resident server: framing, limits, faults of its peers and its own, stopping."""

from __future__ import annotations

import array
import json
import os
import socket
import stat
import threading
from contextlib import suppress

import pytest

from calico_node.workloads import server as server_module
from calico_node.workloads.listener import Listener, ServerRunsError
from calico_node.workloads.main import main
from calico_node.workloads.server import WorkloadServer
from calico_node.workloads.stopping import Stop
from libcalico.errors import ConfigError
from libcalico.workload.cni import wire
from libcalico.workload.cni.model import CALICO, CALICO_IPAM, Call, Reply

CALL = Call(CALICO_IPAM, b'{"cniVersion":"1.0.0"}', {"CNI_COMMAND": "ADD"})
DEADLINE_S = 20.0


def echo(call):
    """Answer with what was understood of the call."""
    inode = None if call.netns_fd is None else os.fstat(call.netns_fd).st_ino
    told = [call.plugin, call.stdin.decode(), call.environ, inode]
    return Reply(json.dumps(told).encode(), 3)


class Served:
    """A server on a thread, and its clients."""

    def __init__(self, path, answer, **options):
        self.path = path
        self.listener = Listener(path)
        self.told = Stop()
        self.server = WorkloadServer(self.listener, answer, self.told, **options)
        self.thread = threading.Thread(target=self.server.serve)
        self.thread.start()

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(DEADLINE_S)
        client.connect(str(self.path))
        return client

    def ask(self, data=None, descriptors=()):
        with self.connect() as client:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
            client.sendmsg([data or wire.encode_call(CALL)], rights if descriptors else [])
            return receive(client)

    def stop(self):
        self.told.set()
        self.thread.join(DEADLINE_S)
        self.listener.close()
        self.told.close()
        assert not self.thread.is_alive()


def receive(client):
    """Return what comes until the end; a reset is an end, for what the server left unread."""
    parts = []
    with suppress(ConnectionResetError):
        while part := client.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


@pytest.fixture
def serve(tmp_path):
    started = []

    def start(answer=echo, **options):
        started.append(Served(tmp_path / "run" / "workloads.sock", answer, **options))
        return started[-1]

    yield start
    for served in started:
        served.stop()


def descriptors():
    return len(os.listdir("/proc/self/fd"))


class TestCalls:
    def test_a_call_is_answered(self, serve):
        reply = wire.decode_reply(serve().ask())
        assert reply.exit_code == 3
        assert json.loads(reply.stdout) == [CALICO_IPAM, CALL.stdin.decode(), CALL.environ, None]

    def test_the_descriptor_of_the_namespace_comes_along_and_is_closed(self, serve, tmp_path):
        served = serve()
        before = descriptors()
        with (tmp_path / "netns").open("w") as file:
            reply = wire.decode_reply(served.ask(descriptors=[file.fileno()]))
            assert json.loads(reply.stdout)[3] == os.fstat(file.fileno()).st_ino
            served.ask(descriptors=[file.fileno()] * 5)
            served.ask(wire.CALL_HEADER.pack(9, 0, 0, 0), descriptors=[file.fileno()] * 20)
        assert descriptors() == before

    def test_a_call_may_come_in_pieces(self, serve):
        with serve().connect() as client:
            for byte in wire.encode_call(CALL):
                client.send(bytes([byte]))
            assert wire.decode_reply(receive(client)).exit_code == 3

    def test_a_large_call_and_a_large_reply(self, serve):
        served = serve(lambda call: Reply(call.stdin))
        stdin = b"x" * (3 << 20)
        call = wire.encode_call(Call(CALICO, stdin, {}))
        with served.connect() as client:
            threading.Thread(target=client.sendall, args=(call,)).start()
            assert wire.decode_reply(receive(client)).stdout == stdin

    def test_many_at_once(self, serve):
        served, replies = serve(max_calls=4), []
        threads = [threading.Thread(target=lambda: replies.append(served.ask())) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_S)
        assert {wire.decode_reply(reply).exit_code for reply in replies} == {3}
        assert len(replies) == 40


class TestFaults:
    @pytest.mark.parametrize(
        "data",
        [
            b"x",
            b"GET / HTTP/1.0\r\n\r\n",
            wire.CALL_HEADER.pack(9, 0, 0, 0),
            wire.CALL_HEADER.pack(1, 7, 0, 0),
            wire.CALL_HEADER.pack(1, 0, 1 << 30, 0),
            wire.encode_call(CALL)[:-1],
        ],
    )
    def test_what_is_no_call_is_not_answered_and_harms_nobody(self, serve, data):
        served = serve()
        with served.connect() as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            assert receive(client) == b""
        assert wire.decode_reply(served.ask()).exit_code == 3

    def test_a_peer_that_sends_nothing_is_hung_up_on(self, serve, monkeypatch):
        monkeypatch.setattr(server_module, "IO_TIMEOUT_S", 0.05)
        with serve().connect() as client:
            assert receive(client) == b""

    def test_a_peer_that_left_harms_nobody(self, serve):
        answering, left = threading.Event(), threading.Event()

        def answer(call):
            answering.set()
            left.wait(DEADLINE_S)
            return Reply(b"x" * (1 << 20))

        served = serve(answer)
        with served.connect() as client:
            client.sendall(wire.encode_call(CALL))
            answering.wait(DEADLINE_S)
        left.set()
        assert len(wire.decode_reply(served.ask()).stdout) == 1 << 20

    def test_a_mistake_of_ours_is_told(self, serve, caplog):
        def answer(call):
            raise KeyError("oops")

        reply = wire.decode_reply(serve(answer).ask())
        told = json.loads(reply.stdout)
        assert (reply.exit_code, told["code"], told["cniVersion"]) == (1, 101, "1.0.0")
        assert "KeyError" in told["msg"]
        assert "call failed by a mistake of ours" in caplog.text

    def test_too_many_are_told_to_come_again(self, serve, monkeypatch):
        monkeypatch.setattr(server_module, "MAX_WAITING", 1)
        started, go_on = threading.Event(), threading.Event()

        def answer(call):
            started.set()
            go_on.wait(DEADLINE_S)
            return echo(call)

        served = serve(answer, max_calls=1)
        clients = [served.connect() for _ in range(3)]
        clients[0].sendall(wire.encode_call(CALL))
        started.wait(DEADLINE_S)
        for client in clients[1:]:
            client.sendall(wire.encode_call(CALL))
        deadline = threading.Event()
        while served.server._pending < 3:
            deadline.wait(0.002)
        go_on.set()
        codes = [wire.decode_reply(receive(client)).exit_code for client in clients]
        for client in clients:
            client.close()
        assert codes == [3, 3, 1]

    def test_one_line_is_logged_for_each_call(self, serve, caplog):
        caplog.set_level("INFO")
        environ = {
            "CNI_COMMAND": "DEL",
            "CNI_CONTAINERID": "c1",
            "CNI_IFNAME": "eth0",
            "X": "secret",
        }
        served = serve(lambda call: Reply(b"", 0))
        served.ask(wire.encode_call(Call(CALICO, b"", environ)))
        served.stop()
        (line,) = [r.getMessage() for r in caplog.records if "call answered" in r.getMessage()]
        assert "plugin=calico command=DEL container=c1 ifname=eth0" in line
        assert "outcome='ok'" in line
        assert "secret" not in caplog.text


class TestStopping:
    def test_who_has_connected_is_answered(self, serve):
        started, go_on = threading.Event(), threading.Event()

        def answer(call):
            started.set()
            go_on.wait(DEADLINE_S)
            return echo(call)

        served = serve(answer)
        clients = [served.connect() for _ in range(2)]
        clients[0].sendall(wire.encode_call(CALL))
        started.wait(DEADLINE_S)
        served.told.set()
        clients[1].sendall(wire.encode_call(CALL))
        go_on.set()
        for client in clients:
            assert wire.decode_reply(receive(client)).exit_code == 3
            client.close()
        served.thread.join(DEADLINE_S)
        assert not served.path.exists()

    def test_stopping_twice_is_no_error(self, serve):
        served = serve()
        served.told.set()
        served.stop()


class TestListener:
    def test_the_socket_is_for_root_only(self, tmp_path):
        with Listener(tmp_path / "a" / "s"):
            mode = (tmp_path / "a" / "s").stat().st_mode
            assert stat.S_IMODE(mode) == stat.S_IRUSR | stat.S_IWUSR
        assert not (tmp_path / "a" / "s").exists()

    def test_a_stale_socket_is_replaced(self, tmp_path):
        path = tmp_path / "s"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        with Listener(path) as listener, socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            connection = listener.accept()
            assert connection is not None
            connection.close()

    def test_one_server_at_a_time(self, tmp_path):
        with Listener(tmp_path / "s"):
            with pytest.raises(ServerRunsError, match="another workload server runs"):
                Listener(tmp_path / "s")
            assert (tmp_path / "s").exists()
        Listener(tmp_path / "s").close()

    def test_a_socket_that_is_not_ours_any_more_stays(self, tmp_path):
        path = tmp_path / "s"
        listener = Listener(path)
        path.unlink()
        path.write_text("another's")
        listener.close()
        listener.close()
        assert path.read_text() == "another's"

    def test_a_place_that_cannot_be_written_is_an_error(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(ConfigError, match="cannot listen there"):
            main({"CALICO_RUN_DIR": str(tmp_path / "file" / "run")})
