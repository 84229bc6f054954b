import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from libcalico import logs
from libcalico.errors import ConfigError
from libcalico.logs import JsonFormatter, RateLimited, TextFormatter

log = logging.getLogger("calico.test")


@pytest.fixture(autouse=True)
def root() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    logger.handlers[:] = []
    yield logger
    for handler in logger.handlers:
        handler.close()
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.fixture
def stream(root: logging.Logger) -> io.StringIO:
    stream = io.StringIO()
    root.addHandler(logging.StreamHandler(stream))
    root.setLevel(logging.DEBUG)
    return stream


def formatted_by(root: logging.Logger, formatter: logging.Formatter) -> None:
    root.handlers[0].setFormatter(formatter)


def test_text_is_one_aligned_line_with_its_pairs(root: logging.Logger, stream: io.StringIO) -> None:
    formatted_by(root, TextFormatter())
    log.info("commit done endpoints=%s took_ms=%.1f", 3, 0.25, extra={"node": "a"})
    when, rest = stream.getvalue().split(" INFO ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", when)
    assert rest == "   calico.test: commit done endpoints=3 took_ms=0.2 node=a\n"


def test_json_takes_the_pairs_apart(root: logging.Logger, stream: io.StringIO) -> None:
    formatted_by(root, JsonFormatter())
    log.info("commit done endpoints=%s took_ms=%.1f name=%r", 3, 0.25, "x", extra={"node": "a"})
    entry = json.loads(stream.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry.pop("time"))
    assert entry == {
        "level": "info",
        "logger": "calico.test",
        "event": "commit done",
        "endpoints": 3,
        "took_ms": 0.25,
        "name": "x",
        "node": "a",
    }


@pytest.mark.parametrize(
    ("template", "values", "event"),
    [
        ("%s of %s done", (1, 2), "1 of 2 done"),
        ("done key=%s of %s", (1, 2), "done key=1 of 2"),
        ("100% done", (), "100% done"),
        ("done %(a)s", ({"a": 1},), "done 1"),
        ("done", (), "done"),
    ],
)
def test_json_keeps_other_messages_whole(
    root: logging.Logger, stream: io.StringIO, template: str, values: tuple[object, ...], event: str
) -> None:
    formatted_by(root, JsonFormatter())
    log.warning(template, *values)
    assert json.loads(stream.getvalue())["event"] == event


def test_a_field_cannot_hide_the_records_own(root: logging.Logger, stream: io.StringIO) -> None:
    formatted_by(root, JsonFormatter())
    log.error("broken level=%s value=%s", "none", object)
    entry = json.loads(stream.getvalue())
    assert entry["level"] == "error"
    assert entry["value"] == "<class 'object'>"


def test_text_from_outside_cannot_begin_a_line_of_its_own(
    root: logging.Logger, stream: io.StringIO
) -> None:
    formatted_by(root, TextFormatter())
    log.info("read name=%s", "a\n2026-01-01 ERROR   forged\r")
    assert stream.getvalue().count("\n") == 1
    assert "\r" not in stream.getvalue()


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_tracebacks_are_kept(
    root: logging.Logger, stream: io.StringIO, formatter: logging.Formatter
) -> None:
    formatted_by(root, formatter)
    try:
        raise ValueError("deep inside")
    except ValueError:
        log.exception("failed")
    assert "Traceback" in stream.getvalue()
    assert "deep inside" in stream.getvalue()


def test_configure_writes_to_a_file_and_only_the_levels_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "felix.log"
    logs.configure("Warning", file, {})
    log.info("not this")
    log.warning("but this")
    file.rename(tmp_path / "felix.log.1")
    log.warning("and this in the new file")
    assert "but this" in (tmp_path / "felix.log.1").read_text()
    assert "not this" not in (tmp_path / "felix.log.1").read_text()
    assert "and this" in file.read_text()


def test_configuring_again_takes_the_place_of_the_first(
    root: logging.Logger, tmp_path: Path
) -> None:
    logs.configure("info", tmp_path / "a", {})
    logs.configure("debug", tmp_path / "b", {"CALICO_LOG_FORMAT": "JSON"})
    log.debug("where")
    assert len(root.handlers) == 1
    assert (tmp_path / "a").read_text() == ""
    assert json.loads((tmp_path / "b").read_text())["event"] == "where"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    logs.configure("info", environ={"CALICO_LOG_FORMAT": "json"})
    log.info("hello")
    assert isinstance(sys.stderr, Terminal)
    assert sys.stderr.getvalue().endswith("calico.test: hello\n")


@pytest.mark.parametrize(
    ("level", "file", "environ"),
    [
        *(("loud", None, {}), ("info", "/no/such/directory/log", {})),
        ("info", None, {"CALICO_LOG_FORMAT": "xml"}),
    ],
)
def test_what_cannot_be_configured_is_said(
    level: str, file: str | None, environ: dict[str, str]
) -> None:
    with pytest.raises(ConfigError):
        logs.configure(level, file, environ)


@pytest.mark.parametrize("name", ["None", ""])
def test_no_level_silences_everything(name: str) -> None:
    assert logs.parse_level(name) > logging.CRITICAL


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_repetition_is_counted_and_not_logged(stream: io.StringIO) -> None:
    clock = Clock()
    limited = RateLimited(log, 60, clock)
    assert limited.warning("a", "cannot reach node=%s", "a")
    assert not limited.warning("a", "cannot reach node=%s", "a")
    assert not limited.warning("a", "cannot reach node=%s", "a")
    assert limited.warning("b", "cannot reach node=%s", "b")
    assert limited.warning("a", "something else node=%s", "a")
    clock.now += 60
    assert limited.warning("a", "cannot reach node=%s", "a")
    assert stream.getvalue().splitlines() == [
        *("cannot reach node=a", "cannot reach node=b", "something else node=a"),
        "cannot reach node=a left_out=2",
    ]


def test_a_subject_that_recovered_is_logged_at_once(stream: io.StringIO) -> None:
    limited = RateLimited(log, 60, Clock())
    limited.warning("a", "down")
    limited.forget("a")
    assert limited.warning("a", "down")


def test_what_is_not_logged_anyway_costs_nothing(root: logging.Logger, stream: io.StringIO) -> None:
    root.setLevel(logging.ERROR)
    assert not RateLimited(log).warning("a", "down")


def test_the_memory_for_subjects_is_bounded(stream: io.StringIO) -> None:
    limited = RateLimited(log, 60, Clock())
    for subject in range(5000):
        limited.log(logging.DEBUG, subject, "down")
    assert limited.warning(0, "down")
    assert not limited.warning(4999, "down")
