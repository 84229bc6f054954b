"""Problems in logs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_test import logs

TRACEBACK = """Traceback (most recent call last):
  File "x.py", line 1, in <module>
    1 / 0
ZeroDivisionError: division by zero"""


@pytest.mark.parametrize(
    "line",
    [
        "2026-01-01 12:00:00 ERROR felix.apply commit refused",
        "CRITICAL: out of memory",
        '{"level":"error","msg":"boom"}',
        '{"level": "fatal", "msg": "boom"}',
        "bird: <ERR> Cannot open socket",
        "panic: runtime error",
        "Fatal Python error: Segmentation fault",
    ],
)
def test_severe_lines_are_problems(line):
    assert [p.text for p in logs.find("x", f"fine\n{line}\nfine\n")] == [line]


@pytest.mark.parametrize("line", ["0 errors", "INFO no_error=1", '{"level":"warn"}', "terror", ""])
def test_other_lines_are_not(line):
    assert logs.find("x", line) == []


def test_a_traceback_is_one_problem_with_all_its_lines():
    found = logs.find("felix.log", f"start\n{TRACEBACK}\nINFO next\n")
    assert found == [logs.Problem("felix.log", 2, TRACEBACK)]


def test_a_chained_traceback_is_found_twice():
    text = f"{TRACEBACK}\n\nDuring handling of the above, another occurred:\n\n{TRACEBACK}\n"
    assert [p.line for p in logs.find("x", text)] == [1, 8]


def test_a_prefixed_traceback_is_found():
    text = "ERROR felix: commit failed Traceback (most recent call last):\n  File\nKeyError: 1\n"
    assert [p.text for p in logs.find("x", text)] == [text.strip()]


def test_what_is_announced_is_not_a_problem():
    text = f"{TRACEBACK}\nERROR other\n"
    assert [p.text for p in logs.find("x", text, ["ZeroDivision"])] == ["ERROR other"]
    assert logs.find("x", text, ["ZeroDivision", "^ERROR oth"]) == []


@given(st.lists(st.sampled_from(["ok", "  deep", "", "ERROR x", *TRACEBACK.splitlines()])))
def test_any_log_is_read_to_its_end(lines):
    found = logs.find("x", "\n".join(lines))
    assert len(found) <= len(lines)
    assert [p.line for p in found] == sorted({p.line for p in found})
    assert sum(line == "ERROR x" for line in lines) <= sum(p.text.count("ERROR x") for p in found)


def test_check_raises_with_file_and_line(tmp_path):
    (tmp_path / "a.log").write_text("fine\nERROR bad\n")
    with pytest.raises(logs.UnannouncedProblems, match=r"a\.log:2: ERROR bad"):
        logs.check([tmp_path / "a.log"])
    logs.check([tmp_path / "a.log"], ["bad"])
