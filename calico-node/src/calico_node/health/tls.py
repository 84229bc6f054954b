"""The credentials of an endpoint that speaks TLS, read again when their files change."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Final

from calico_node.health.model import Setting, Tls
from libcalico import logs
from libcalico.errors import ConfigError

log = logging.getLogger(__name__)
repeated = logs.RateLimited(log)

_VERIFY: Final = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
#: What tells that a file was changed or replaced; None: it is not there.
_Fingerprint = tuple[int, int, int] | None


class CertificateError(ConfigError):
    """A certificate or a key cannot be used."""


class Credentials:
    """The context of new connections, as the files are. Files that become unusable change nothing."""

    def __init__(self, tls: Tls) -> None:
        """Read the files.

        Raises:
            CertificateError: they cannot be used.
        """
        self._tls = tls
        self._files = [file for file in (tls.certificate, tls.key, tls.authority) if file.path]
        self._read = self._fingerprints()
        self._context = _load(tls)

    def context(self) -> ssl.SSLContext:
        """Return what a new connection is made with."""
        now = self._fingerprints()
        if now != self._read:
            try:
                self._context = _load(self._tls)
            except CertificateError as error:
                repeated.warning("", "keeping the certificates that were read error=%s", error)
            else:
                self._read = now
                log.info("certificates were read anew")
        return self._context

    def _fingerprints(self) -> list[_Fingerprint]:
        return [_fingerprint(file.path) for file in self._files]


def _fingerprint(path: str) -> _Fingerprint:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _load(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate, key = _readable(tls.certificate), _readable(tls.key)
    try:
        # Without a password here OpenSSL would ask for one at the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError) as error:
        names = f"{tls.certificate.parameter}, {tls.key.parameter}"
        raise CertificateError(
            f"{names}: {certificate} and {key} are no certificate and its own key, in PEM and without a"
            f" password: {error}"
        ) from error
    if tls.clients != "none":
        _trust(context, tls.authority)
    context.verify_mode = _VERIFY[tls.clients]
    return context


def _trust(context: ssl.SSLContext, authority: Setting) -> None:
    try:
        context.load_verify_locations(_readable(authority))
    except OSError as error:
        raise CertificateError(
            f"{authority.parameter}: {authority.path} holds no certificate in PEM: {error}"
        ) from error


def _readable(file: Setting) -> str:
    """Return the file's path; OpenSSL does not say which file it could not read."""
    if not file.path:
        raise CertificateError(f"{file.parameter}: must name a file, as the others of TLS do")
    try:
        with Path(file.path).open("rb"):
            return file.path
    except OSError as error:
        reason = error.strerror or error
        raise CertificateError(f"{file.parameter}: {file.path}: {reason}") from error
