"""The pytest plugin of calico-test: its parts as fixtures, diagnostics on failure, and nothing left behind.

Fixtures: ``netns`` (a private namespace), ``etcd`` (one server for the session), ``etcd_store`` (the same,
emptied before and after the test), ``lab`` (makes labs that end with the test), ``announced`` (patterns of
log lines that the test provokes). ``--keep-lab`` leaves labs up and says how to enter and remove them.
"""

import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, nullcontext, suppress
from typing import Any

import pytest

from calico_test import diags, interrupts, logs, processes, sweep
from calico_test.errors import NotRootError
from calico_test.etcd import Etcd
from calico_test.lab import Lab
from calico_test.netns import NetNs

_REPORTS = pytest.StashKey[dict[str, bool]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our option."""
    group = parser.getgroup("calico-test")
    group.addoption(
        "--keep-lab", action="store_true", help="leave labs up after their tests, for a closer look"
    )


def pytest_configure() -> None:
    """Take the clock away from Hypothesis, if it is there: a loaded machine fails no property."""
    with suppress(ImportError):
        from hypothesis import HealthCheck, settings  # noqa: PLC0415 - programs' users need not have it

        current = settings()
        patient = [*current.suppress_health_check, HealthCheck.too_slow]
        settings.register_profile("calico", current, deadline=None, suppress_health_check=patient)
        settings.load_profile("calico")


def pytest_sessionstart() -> None:
    """Remove what crashed runs have left, and make sure that being terminated is not such a crash."""
    interrupts.raise_on_termination(_terminated)
    sweep.sweep()


def _terminated(signum: int) -> BaseException:
    """End the run as Ctrl-C does: pytest takes SystemExit for a failure of the test it is in, and goes on."""
    return KeyboardInterrupt(f"terminated by {signal.Signals(signum).name}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember for the fixtures whether the test has failed."""
    report = yield
    item.stash.setdefault(_REPORTS, {})[call.when] = report.failed
    return report


@pytest.fixture
def _root() -> None:
    try:
        processes.require_root()
    except NotRootError as error:
        pytest.skip(str(error))


@pytest.fixture
def netns(_root: None, request: pytest.FixtureRequest) -> Iterator[NetNs]:
    """A private network namespace with its loopback up."""
    with NetNs() as namespace:
        yield namespace
        if _has_failed(request):
            _explain(namespace.name, diags.of_namespace(namespace))


@pytest.fixture(scope="session")
def etcd() -> Iterator[Etcd]:
    """One etcd on the loopback for the whole session; a test that stops it must start it again."""
    with Etcd() as server:
        yield server


@pytest.fixture
def etcd_store(etcd: Etcd) -> Iterator[Etcd]:
    """The session's etcd, empty."""
    etcd.clear()
    yield etcd
    etcd.clear()


@pytest.fixture
def announced() -> list[str]:
    """Regular expressions of the log lines that this test provokes on purpose; it appends to it."""
    return []


@pytest.fixture
def lab(
    _root: None, request: pytest.FixtureRequest, announced: list[str]
) -> Iterator[Callable[..., Lab]]:
    """Make labs: ``lab(2)``, arguments as ``Lab``'s. The logs must be free of what was not announced."""
    made: list[Lab] = []
    with ExitStack() as stack:

        def make(*args: Any, **options: Any) -> Lab:
            one = Lab(*args, **options)
            stack.callback(_end, request, one)
            made.append(one)
            return one

        yield make
        for one in made:
            if _has_failed(request):
                _explain(one.name, diags.collect(one))
            else:
                logs.check(diags.log_paths(one), announced)


def _end(request: pytest.FixtureRequest, lab: Lab) -> None:
    if not request.config.getoption("--keep-lab"):
        lab.close()
        return
    lab.save()
    hosts = [f"  a shell on {host.name}: {host.shell_command}" for host in lab.hosts]
    title = f"calico-test: lab {lab.name} of {request.node.nodeid} is up"
    _announce(request, "\n".join([title, *hosts, f"  remove it: {lab.removal_command}"]))


def _has_failed(request: pytest.FixtureRequest) -> bool:
    return any(request.node.stash.get(_REPORTS, {}).values())


def _explain(name: str, text: str) -> None:
    """Say something that belongs to a failure: pytest shows it with the test's report."""
    print(f"calico-test: {name}\n{text}")


def _announce(request: pytest.FixtureRequest, text: str) -> None:
    """Say something to the person at the terminal, whether the test has failed or not."""
    capture = request.config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
        print(f"\n{text}", flush=True)
