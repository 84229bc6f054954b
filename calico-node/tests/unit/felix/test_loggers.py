"""Where Felix logs: each place with its own level, changed live, and none that stops the others."""

import logging
import socket

import pytest

from calico_node.felix import metrics
from calico_node.felix.loggers import Loggers, LogSettings

log = logging.getLogger("calico_node.felix.testing")


@pytest.fixture(autouse=True)
def _root_as_before():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:], root.level = handlers, level
    logging.getLogger().manager._clear_cache()


@pytest.fixture
def syslog(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "log"))
        server.settimeout(5)
        yield server


@pytest.fixture
def loggers(tmp_path):
    return Loggers({}, syslog=tmp_path / "log")


def test_each_place_has_its_own_level(loggers, tmp_path, capsys, syslog):
    file = tmp_path / "deep" / "felix.log"
    loggers.apply(LogSettings("Error", str(file), "Info", "Warning"))
    log.info("quiet words")
    log.warning("middling words")
    log.error("loud words")
    assert "loud words" in (screen := capsys.readouterr().err)
    assert "middling words" not in screen
    lines = file.read_text().splitlines()
    assert [line.rsplit(": ", 1)[1] for line in lines] == [
        "quiet words",
        "middling words",
        "loud words",
    ]
    first, second = syslog.recv(4096), syslog.recv(4096)
    assert b"calico-felix: " in first
    assert b"middling words" in first
    assert b"loud words" in second


def test_a_place_is_left_and_another_taken_live(loggers, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    loggers.apply(LogSettings("none", str(first)))
    log.info("one")
    loggers.apply(LogSettings("none", str(second)))
    log.info("two")
    assert "two" not in first.read_text()
    assert "one" not in second.read_text()


def test_debug_messages_are_logged_from_chosen_files_only(loggers, tmp_path):
    file = tmp_path / "felix.log"
    loggers.apply(LogSettings("none", str(file), "Debug", debug_files="^other"))
    log.debug("not chosen")
    log.info("always")
    loggers.apply(LogSettings("none", str(file), "Debug", debug_files="loggers"))
    log.debug("chosen")
    text = file.read_text()
    assert "not chosen" not in text
    assert "always" in text
    assert text.rstrip().endswith("chosen")


def test_a_place_that_cannot_be_opened_is_told_of_and_the_others_are_used(
    loggers, tmp_path, capsys
):
    (tmp_path / "taken").touch()
    loggers.apply(LogSettings("Info", str(tmp_path / "taken" / "felix.log")))
    log.info("still here")
    screen = capsys.readouterr().err
    assert "cannot log there" in screen
    assert "still here" in screen


def test_without_a_system_log_nothing_is_said_of_it(loggers, capsys):
    loggers.apply(LogSettings("Info", syslog_level="Info"))
    assert capsys.readouterr().err == ""


def test_what_cannot_be_logged_is_counted(loggers, syslog):
    loggers.apply(LogSettings("none", syslog_level="Info"))
    before = metrics.REGISTRY.get_sample_value("felix_log_errors_total")
    syslog.close()
    log.info("to nobody")
    assert metrics.REGISTRY.get_sample_value("felix_log_errors_total") == before + 1
