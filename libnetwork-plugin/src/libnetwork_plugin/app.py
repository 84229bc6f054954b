"""The plugin as a WSGI application: Docker's calls come as POST /<Driver>.<Method>."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from flask import Flask, Response, request

from libcalico.errors import CalicoError, UnavailableError, ValidationError
from libnetwork_plugin import wire
from libnetwork_plugin.ipam_driver import IpamDriver
from libnetwork_plugin.network_driver import NetworkDriver

_log = logging.getLogger(__name__)
_MIMETYPE = "application/vnd.docker.plugins.v1.2+json"
Call = Callable[[Any], dict[str, Any]]


def create_app(network: NetworkDriver, ipam: IpamDriver) -> Flask:
    """Return the application that answers for both drivers.

    A call that fails answers ``{"Err": text}``, which Docker shows to its user. The status must tell of the
    failure, too: of a reply with status 200, Docker's IPAM client does not read ``Err``.
    """
    calls: dict[str, Call] = {wire.ACTIVATE: _activate, **network.calls, **ipam.calls}
    app = Flask("libnetwork_plugin", static_folder=None)

    @app.post("/<method>")
    def answer(method: str) -> Response:
        return _answer(calls, method, request.get_data())

    @app.errorhandler(404)
    @app.errorhandler(405)
    def unknown(error: Exception) -> Response:
        del error
        return _unknown(request.path.lstrip("/"))

    return app


def _activate(asked: wire.Request) -> dict[str, Any]:
    del asked
    return {"Implements": ["NetworkDriver", "IpamDriver"]}


def _answer(calls: Mapping[str, Call], method: str, body: bytes) -> Response:
    if method not in calls:
        return _unknown(method)
    began = time.monotonic()
    try:
        reply = calls[method](wire.decode(method, body))
    except CalicoError as error:
        _log.warning("call refused method=%s error=%r request=%s", method, str(error), _text(body))
        return _response(wire.error(str(error)), _status(error))
    except Exception:  # noqa: BLE001 - the edge of the process: Docker must get an answer
        _log.exception("call failed method=%s request=%s", method, _text(body))
        return _response(wire.error(f"{method}: internal error; see the plugin's log"), 500)
    took_ms = (time.monotonic() - began) * 1000
    _log.debug(
        "call method=%s took_ms=%.1f request=%s reply=%s", method, took_ms, _text(body), reply
    )
    return _response(msgspec.json.encode(reply))


def _status(error: CalicoError) -> int:
    match error:
        case ValidationError():
            return 400
        case UnavailableError():
            return 503
    return 500


def _text(body: bytes) -> str:
    return body.decode(errors="backslashreplace").strip()


def _unknown(method: str) -> Response:
    return _response(wire.error(f"{method}: no such call"), 404)


def _response(body: bytes, status: int = 200) -> Response:
    return Response(body, status, mimetype=_MIMETYPE)
