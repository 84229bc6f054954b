"""How our programs log: aligned text for people, JSON lines for machines; and a brake for repetition.

The house rule for a message is a constant event in lower case followed by ``key=%s`` pairs, with the
values as arguments: ``log.info("commit done endpoints=%s took_ms=%s", n, ms)``. Text shows it as it is;
JSON gets the event and each pair as a field. Libraries only call ``logging.getLogger``; programs call
:func:`configure`, once.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

from libcalico.errors import ConfigError

#: Environment variable that chooses the format: "text" or "json".
FORMAT_VARIABLE: Final = "CALICO_LOG_FORMAT"

#: Level names that Calico's settings use, in lower case → level.
_LEVELS: Final = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
    "panic": logging.CRITICAL,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 1,
    "": logging.CRITICAL + 1,
}
_PAIR: Final = re.compile(r" ([a-zA-Z_][a-zA-Z0-9_.]*)=%(?:[sdr]|\.?[0-9]*f)")
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_MOST_SUBJECTS: Final = 4096


class TextFormatter(logging.Formatter):
    """``2026-01-31 12:00:00.123 INFO  libcalico.x: event key=value``, one line and then any traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text; line ends within the message are escaped."""
        message = record.getMessage() + "".join(f" {k}={v}" for k, v in _extra(record).items())
        line = f"{_time(record, ' ')} {record.levelname:<7} {record.name}: {_one_line(message)}"
        for more in (_traceback(self, record), record.stack_info):
            line += f"\n{more}" if more else ""
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, event, and the message's pairs as fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        import json  # noqa: PLC0415 - text needs none

        event, fields = _event_and_fields(record)
        entry: dict[str, Any] = {
            "time": _time(record, "T") + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": event,
        }
        entry |= {key: value for key, value in fields.items() if key not in entry}
        if traceback := _traceback(self, record):
            entry["traceback"] = traceback
        return json.dumps(entry, default=str, ensure_ascii=False)


def parse_level(name: str) -> int:
    """Return the level for a name as Calico's settings have it, in any case; "none" silences everything.

    Raises:
        ConfigError: there is no such level.
    """
    level = _LEVELS.get(name.strip().lower())
    if level is None:
        known = ", ".join(key for key in _LEVELS if key)
        raise ConfigError(f"unknown log level {name!r}; known are {known}")
    return level


def configure(
    level: str = "info",
    file: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Send this program's log to standard error or to a file; takes the place of an earlier call.

    Args:
        level: name of the least level to be logged.
        file: appended to, and opened again when it was rotated; standard error when None.
        environ: where CALICO_LOG_FORMAT is looked up: "json", or "text" as without it. A terminal always
            gets text.

    Raises:
        ConfigError: the level or the format is unknown, or the file cannot be opened.
    """
    number = parse_level(level)
    handler = _handler(file)
    handler.setFormatter(_formatter(environ, is_terminal=file is None and sys.stderr.isatty()))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(number)


class RateLimited:
    """Logs an event about a subject at most once in an interval, and then says how many it left out."""

    def __init__(
        self,
        logger: logging.Logger,
        interval_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Wrap a logger.

        Args:
            logger: what is logged to.
            interval_s: between two messages of the same event and subject.
            clock: seconds that never go back.
        """
        self._logger = logger
        self._interval_s = interval_s
        self._clock = clock
        self._state: OrderedDict[tuple[str, object], tuple[float, int]] = OrderedDict()

    def log(self, level: int, subject: object, event: str, *values: object) -> bool:
        """Log unless the same event about the same subject was logged less than an interval ago.

        Args:
            level: as in :mod:`logging`.
            subject: hashable; what the event is about, such as an endpoint's name.
            event: the message with its ``key=%s`` pairs.
            values: of the pairs.

        Returns:
            Whether it was logged.
        """
        if not self._logger.isEnabledFor(level):
            return False
        now, key = self._clock(), (event, subject)
        since, left_out = self._state.get(key, (-self._interval_s + now, 0))
        if now - since < self._interval_s:
            self._state[key] = (since, left_out + 1)
            return False
        self._state[key] = (now, 0)
        self._state.move_to_end(key)
        if len(self._state) > _MOST_SUBJECTS:
            self._state.popitem(last=False)
        if left_out:
            event, values = f"{event} left_out=%s", (*values, left_out)
        self._logger.log(level, event, *values, stacklevel=2)
        return True

    def warning(self, subject: object, event: str, *values: object) -> bool:
        """Log a warning; see :meth:`log`."""
        return self.log(logging.WARNING, subject, event, *values)

    def forget(self, subject: object) -> None:
        """Log the next event about a subject at once, as after it recovered."""
        for key in [key for key in self._state if key[1] == subject]:
            del self._state[key]


def _handler(file: str | os.PathLike[str] | None) -> logging.Handler:
    if file is None:
        return logging.StreamHandler(sys.stderr)
    from logging.handlers import WatchedFileHandler  # noqa: PLC0415 - loads sockets and pickle

    try:
        return WatchedFileHandler(file, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot log to {os.fspath(file)}: {error.strerror}") from error


def _formatter(environ: Mapping[str, str], *, is_terminal: bool) -> logging.Formatter:
    wanted = environ.get(FORMAT_VARIABLE, "text").strip().lower()
    if wanted not in ("text", "json"):
        raise ConfigError(f"{FORMAT_VARIABLE}={wanted!r}: known are text and json")
    return JsonFormatter() if wanted == "json" and not is_terminal else TextFormatter()


def _event_and_fields(record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
    """Take a message apart if it keeps to the house rule; otherwise all of it is the event."""
    template = str(record.msg)
    pairs = _PAIR.findall(template)
    event = _PAIR.sub("", template)
    values = record.args
    if "%" in event or not isinstance(values, tuple) or len(values) != len(pairs):
        return record.getMessage(), _extra(record)
    return event, dict(zip(pairs, values, strict=True)) | _extra(record)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    if record.exc_info and record.exc_info[0] is not None:
        return formatter.formatException(record.exc_info)
    return ""


def _time(record: logging.LogRecord, between: str) -> str:
    """Return the time in UTC, with milliseconds."""
    seconds = time.strftime(f"%Y-%m-%d{between}%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}"


def _one_line(message: str) -> str:
    """Keep what came from outside from looking like a line of the log's own."""
    return message.replace("\r", "\\r").replace("\n", "\\n")
