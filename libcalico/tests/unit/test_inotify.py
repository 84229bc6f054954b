"""Events of a directory's files are heard, and a closed instance leaves the files of others alone."""

import os

import pytest

from libcalico.inotify import CLOSE_WRITE, Event, Inotify


def test_a_written_file_is_told(tmp_path):
    inotify = Inotify()
    watch = inotify.watch(tmp_path, CLOSE_WRITE)
    assert inotify.read() == []
    (tmp_path / "felix.cfg").write_text("x")
    assert inotify.read() == [Event(watch, CLOSE_WRITE, "felix.cfg")]
    inotify.close()


def test_closed_twice_it_closes_nobody_elses_file(tmp_path):
    inotify = Inotify()
    inotify.close()
    other = os.open(tmp_path, os.O_RDONLY)
    inotify.close()
    os.fstat(other)
    os.close(other)
    with pytest.raises(OSError, match="Bad file descriptor"):
        inotify.read()
