import asyncio
import os
import select
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from libcalico import process
from libcalico.errors import ProcessError
from libcalico.process import Completed


def run_async(*args: object, **options: object) -> Completed:
    return asyncio.run(process.run_async(*args, **options))  # type: ignore[arg-type]


both = pytest.mark.parametrize("run", [process.run, run_async])
Run = Callable[..., Completed]


@both
def test_a_command_reads_stdin_and_its_output_is_returned(run: Run) -> None:
    done = run(["sh", "-c", "cat; echo problem >&2"], stdin="grüße")
    assert done == Completed(("sh", "-c", "cat; echo problem >&2"), 0, "grüße", "problem\n")


@both
def test_much_input_and_output_does_not_block(run: Run) -> None:
    text = "x" * 1_000_000
    assert run(["cat"], stdin=text).stdout == text


@both
def test_input_that_nobody_reads_is_no_error(run: Run) -> None:
    assert run(["true"], stdin="x" * 1_000_000).returncode == 0


@both
def test_output_that_is_no_utf8_stays_visible(run: Run) -> None:
    assert run(["printf", "\\377"]).stdout == "\\xff"


@both
def test_a_failure_carries_status_and_stderr(run: Run) -> None:
    with pytest.raises(ProcessError, match=r"^sh -c .*: exit status 3: no such pool$") as caught:
        run(["sh", "-c", "echo no such pool >&2; exit 3"])
    assert caught.value.returncode == 3
    assert caught.value.stderr == "no such pool\n"
    assert caught.value.argv[0] == "sh"


@both
def test_a_failure_can_be_asked_for(run: Run) -> None:
    assert run(["false"], check=False).returncode == 1


@both
def test_death_by_signal_is_named(run: Run) -> None:
    with pytest.raises(ProcessError, match="ended by SIGTERM") as caught:
        run(["sh", "-c", "kill -TERM $$"])
    assert caught.value.returncode == -signal.SIGTERM


@both
def test_a_command_that_does_not_exist_is_named(run: Run) -> None:
    with pytest.raises(
        ProcessError, match=r"^/no/such --all: cannot be started: No such file"
    ) as caught:
        run(["/no/such", "--all"])
    assert caught.value.returncode is None


@both
def test_a_working_directory_that_does_not_exist_is_named(run: Run) -> None:
    with pytest.raises(ProcessError, match=r"\(/no/such\)"):
        run(["true"], cwd="/no/such")


@both
def test_directory_and_environment_are_the_ones_given(run: Run, tmp_path: Path) -> None:
    done = run(["/bin/sh", "-c", "pwd; echo $A"], cwd=tmp_path, env={"A": "1"})
    assert done.stdout == f"{tmp_path.resolve()}\n1\n"


class Family:
    """A shell and its child, which both hold the writing end of a FIFO as long as they live."""

    def __init__(self, folder: Path) -> None:
        self.fifo = folder / "alive"
        os.mkfifo(self.fifo)
        self.fd = os.open(self.fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.argv = [
            "sh",
            "-c",
            'exec 3>"$1"; sleep 60 & echo begun >&3; wait',
            "sh",
            str(self.fifo),
        ]

    def assert_it_began_and_is_dead(self) -> None:
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        assert poll.poll(10_000)
        assert os.read(self.fd, 100) == b"begun\n"
        assert poll.poll(10_000) == [(self.fd, select.POLLHUP)]


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    family = Family(tmp_path)
    yield family
    os.close(family.fd)


@both
def test_what_takes_too_long_is_killed_with_its_children(run: Run, family: Family) -> None:
    with pytest.raises(ProcessError, match=r"killed, did not end within 1 s") as caught:
        run(family.argv, timeout_s=1)
    assert caught.value.returncode is None
    family.assert_it_began_and_is_dead()


def test_what_nobody_waits_for_any_more_is_killed(family: Family) -> None:
    async def cancelled() -> None:
        began = asyncio.Event()
        asyncio.get_running_loop().add_reader(family.fd, began.set)
        task = asyncio.create_task(process.run_async(family.argv))
        async with asyncio.timeout(20):
            await began.wait()
        asyncio.get_running_loop().remove_reader(family.fd)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    family.assert_it_began_and_is_dead()
