"""What a Docker engine answers about a container, spoken by a server of the test on a socket of its own."""

import json
import os
import socketserver
import threading
from http.server import BaseHTTPRequestHandler

import pytest

from calicoctl import docker_engine
from calicoctl.containers import Described
from libcalico.errors import ConfigError, NotFoundError, UnavailableError

ID = "4f2a91c0" * 8
DESCRIBED = {
    "Id": ID,
    "State": {"Running": True, "Pid": 7},
    "HostConfig": {"NetworkMode": "bridge"},
}
AMBIGUOUS = {"message": "multiple IDs found with provided prefix: 4f"}
ANSWERS = {"web": (200, DESCRIBED), "4f": (400, AMBIGUOUS), "broken": (500, {"message": "oh"})}


class Engine(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.endswith("/version"):
            status, answer = 200, {"ApiVersion": "1.44"}
        else:
            name = self.path.split("/")[-2]
            status, answer = ANSWERS.get(name, (404, {"message": f"No such container: {name}"}))
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "unix"

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def engine(tmp_path, monkeypatch):
    path = str(tmp_path / "docker.sock")
    with socketserver.ThreadingUnixStreamServer(path, Engine) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        yield
        server.shutdown()


def test_a_container_is_described(engine):
    assert docker_engine.describe("web") == Described(ID, 7, "bridge")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone", "Docker has no container gone; other network namespaces are named by"),
        ("4f", "container 4f: multiple IDs found with provided prefix: 4f"),
        ("broken", "container broken: oh"),
    ],
)
def test_a_container_that_is_not_to_be_had(engine, name, said):
    with pytest.raises(NotFoundError, match=said):
        docker_engine.describe(name)


def test_an_engine_that_is_away(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(UnavailableError, match=r"at tcp://127\.0\.0\.1:1; is its daemon running\?"):
        docker_engine.describe("web")


def test_an_engine_that_we_may_not_ask():
    refused = docker_engine.unreachable(
        OSError(f"aborted: {PermissionError(13, 'Permission denied')!r}")
    )
    assert isinstance(refused, ConfigError)
    assert "run this with sudo, or as a user of the group docker" in str(refused)


def test_a_process_that_is_not_the_containers():
    with pytest.raises(ConfigError, match="the process of container web is not on this host"):
        docker_engine.open_network("web", Described(ID, os.getpid(), "none"))
