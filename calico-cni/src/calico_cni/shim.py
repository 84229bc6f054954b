"""The installed executables ``calico`` and ``calico-ipam``: ask the resident server, or do it yourself.

``calico-cni install`` writes this file with a first line of its own and the constants below filled in.
A container start pays for every import, so it imports nothing but built-in modules. It hands standard
input, the environment and an open descriptor of the network namespace to the server of calico-node,
and prints the reply. Without a server it executes the same code in a process of its own. A server that
dies in the middle is an error: what was done then is unknown, and the runtime must clean up.

The protocol is that of ``libcalico.workload.cni.wire``.
"""

import _socket
import posix
import sys

SOCKET = "/var/run/calico/workloads.sock"
PLUGIN = 0
FALLBACK = ("/usr/bin/python3", "-I", "-m", "calico_cni.plugin", "calico")

TIMEOUT_S = 180.0
TRY_AGAIN_LATER = 11
CALL_FAILED = 101
VERSION = 1


def read_all(descriptor: int) -> bytes:
    """Return what is left to read of a descriptor."""
    parts = []
    while part := posix.read(descriptor, 1 << 16):
        parts.append(part)
    return b"".join(parts)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it."""
    while data:
        data = data[posix.write(descriptor, data) :]


def connect() -> _socket.socket | None:
    """Return a connection to the server; None if there is none."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    sock.settimeout(TIMEOUT_S)
    try:
        sock.connect(SOCKET)
    except OSError:
        return None
    return sock


def encode_call(environ: dict[bytes, bytes], stdin: bytes) -> bytes:
    """Return the bytes of a call."""
    pairs = b"".join(name + b"=" + value + b"\0" for name, value in environ.items())
    sizes = len(pairs).to_bytes(4, "big") + len(stdin).to_bytes(4, "big")
    return bytes((VERSION, PLUGIN)) + sizes + pairs + stdin


def descriptor_of(environ: dict[bytes, bytes]) -> list[tuple[int, int, bytes]]:
    """Return the network namespace as ancillary data; nothing if it cannot be opened."""
    path = environ.get(b"CNI_NETNS")
    if not path:
        return []
    try:
        opened = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return []
    rights = opened.to_bytes(4, sys.byteorder)
    return [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)]


def ask(
    sock: _socket.socket, call: bytes, ancillary: list[tuple[int, int, bytes]]
) -> tuple[int, bytes] | None:
    """Send a call; return the exit code and what to print, None if the reply is incomplete."""
    sent = sock.sendmsg([call], ancillary)
    if sent < len(call):  # sending nothing fails once the server has answered and hung up
        sock.sendall(call[sent:])
    reply = b""
    while part := sock.recv(1 << 16):
        reply += part
    if len(reply) < 6 or reply[0] != VERSION or len(reply) - 6 != int.from_bytes(reply[2:6], "big"):
        return None
    return reply[1], reply[6:]


def version_in(stdin: bytes) -> bytes:
    """Return the cniVersion to tell an error in."""
    _, found, rest = stdin.partition(b'"cniVersion"')
    version = rest.split(b'"', 2)[1] if found and rest.count(b'"') >= 2 else b""
    return version if version and not version.strip(b"0123456789.") else b"0.1.0"


def fail(stdin: bytes, code: int, message: str) -> None:
    """Print an error object and end."""
    text = b'{"cniVersion":"%b","code":%d,"msg":"%b"}\n'
    plain = message.replace("\\", "/").replace('"', "'").encode("ascii", "replace")
    write_all(1, text % (version_in(stdin), code, plain))
    posix._exit(1)


def run_here() -> None:
    """Become the plugin in a process of its own; standard input is still unread."""
    try:
        posix.execv(FALLBACK[0], [*FALLBACK, *sys.argv[1:]])
    except OSError as error:
        where = f"{FALLBACK[0]}: {error.strerror}; run 'calico-cni install' again"
        fail(read_all(0), CALL_FAILED, "no workload server, and cannot execute " + where)


def main() -> None:
    """Answer the runtime."""
    sock = connect() if len(sys.argv) == 1 else None
    if sock is None:
        run_here()
        return
    stdin = read_all(0)
    call = encode_call(posix.environ, stdin)
    try:
        reply = ask(sock, call, descriptor_of(posix.environ))
    except OSError as error:
        why = str(error) or "no answer"
        fail(stdin, TRY_AGAIN_LATER, f"the workload server failed during the call: {why}")
        return
    if reply is None:
        fail(stdin, TRY_AGAIN_LATER, "the workload server ended before it answered")
        return
    code, stdout = reply
    write_all(1, stdout)
    posix._exit(code)


if __name__ == "__main__":
    main()
