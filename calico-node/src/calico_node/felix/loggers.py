"""Where Felix logs: standard error, a file, the system's log; each with a level of its own.

A place that cannot be opened is warned about, and the others are used. Source of the parameters' meaning:
Go Felix's configuration reference.
"""

from __future__ import annotations

import logging
import logging.handlers
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from calico_node.felix import metrics
from libcalico import logs

log = logging.getLogger(__name__)

_SYSLOG_SOCKET: Final = Path("/dev/log")


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Levels are names as Calico's settings have them; an empty one silences the place.

    Attributes:
        file: empty for none.
        debug_files: debug messages are logged only from source files whose name matches.
    """

    screen: str = "Info"
    file: str = ""
    file_level: str = "Info"
    syslog_level: str = ""
    debug_files: str = ""


class Loggers:
    """The root logger's handlers, as settings ask for them."""

    def __init__(self, environ: Mapping[str, str], syslog: Path = _SYSLOG_SOCKET) -> None:
        self._environ = environ
        self._syslog = syslog
        self._settings: LogSettings | None = None

    def apply(self, settings: LogSettings) -> None:
        """Log as these settings say from now on.

        Raises:
            ConfigError: CALICO_LOG_FORMAT is unknown.
        """
        if settings == self._settings:
            return
        self._settings = settings
        logs.configure(settings.screen, environ=self._environ)
        root = logging.getLogger()
        screen = root.handlers[0]
        screen.setLevel(root.level)
        problems = [self._open_file(settings), self._open_syslog(settings)]
        for handler in root.handlers:
            handler.handleError = _count_failure  # type: ignore[method-assign] # logging's way
            handler.addFilter(_DebugFiles(settings.debug_files))
        root.setLevel(min(handler.level for handler in root.handlers))
        for problem in problems:
            if problem:
                log.warning("cannot log there place=%s error=%s", *problem)

    def _open_file(self, settings: LogSettings) -> tuple[str, str] | None:
        if not settings.file or not settings.file_level:
            return None
        try:
            Path(settings.file).parent.mkdir(parents=True, exist_ok=True)
            handler = logging.handlers.WatchedFileHandler(settings.file, encoding="utf-8")
        except OSError as error:
            return settings.file, str(error.strerror)
        self._add(handler, settings.file_level)
        return None

    def _open_syslog(self, settings: LogSettings) -> tuple[str, str] | None:
        """Log to the system's log, if there is one: a container has none, and that is no problem."""
        if not settings.syslog_level or not self._syslog.exists():
            return None
        try:
            facility = logging.handlers.SysLogHandler.LOG_DAEMON
            handler = logging.handlers.SysLogHandler(str(self._syslog), facility)
        except OSError as error:
            return str(self._syslog), str(error.strerror)
        handler.ident = "calico-felix: "
        self._add(handler, settings.syslog_level)
        return None

    @staticmethod
    def _add(handler: logging.Handler, level: str) -> None:
        root = logging.getLogger()
        handler.setFormatter(root.handlers[0].formatter)
        handler.setLevel(logs.parse_level(level))
        root.addHandler(handler)


class _DebugFiles(logging.Filter):
    """Lets debug messages pass only from source files whose name matches."""

    def __init__(self, pattern: str) -> None:
        super().__init__()
        self._pattern = re.compile(pattern)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is to be logged."""
        if record.levelno > logging.DEBUG:
            return True
        return self._pattern.search(record.filename) is not None


def _count_failure(record: logging.LogRecord) -> None:  # noqa: ARG001 - as logging calls it
    """Count what cannot be logged; there is no place to complain."""
    metrics.LOG_ERRORS.inc()
