"""The worker pool: order, limits, crashes, and that nothing is left behind."""

from __future__ import annotations

import ctypes
import functools
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ochat_eval.sandbox.workers import Killed, Raised, run_jobs
from tests.conftest import CHECKOUT

pytestmark = pytest.mark.slow  # processes are killed, hang and start anew


def square(number: int) -> int:
    return number * number


def act(job: str) -> object:
    """Do what the job says."""
    match job.split():
        case ["sleep", seconds]:
            time.sleep(float(seconds))
        case ["spin"]:
            return 9**9**9
        case ["exit", code]:
            os._exit(int(code))
        case ["signal", number]:
            os.kill(os.getpid(), int(number))
        case ["segfault"]:
            ctypes.string_at(0)
        case ["memory"]:
            return len(bytes(4 << 30))
        case ["raise"]:
            raise ValueError("two\nlines")
        case ["unpicklable"]:
            return lambda: None
        case ["close"]:
            os.closerange(3, 100)
            time.sleep(60)
        case ["child", folder]:
            child = subprocess.Popen(["sleep", "60"])
            Path(folder, "child").write_text(str(child.pid))
            time.sleep(60)
    return job


def no_setup() -> None:
    raise OSError("no such thing")


def set_mark() -> None:
    os.environ["OCHAT_EVAL_TEST_MARK"] = str(os.getpid())


def mark(_: object) -> tuple[str, int]:
    return os.environ["OCHAT_EVAL_TEST_MARK"], os.getpid()


def write_pid(folder: str, job: int) -> None:
    Path(folder, f"worker{job}").write_text(str(os.getpid()))
    time.sleep(60)


def running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # gone before, or while it was read
        return False


def soon(condition: object, seconds: float = 10) -> bool:
    """Whether it becomes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def children() -> set[int]:
    """The processes that this one has started and that still run."""
    lists = Path("/proc/self/task").glob("*/children")
    return {int(pid) for path in lists for pid in path.read_text().split() if running(int(pid))}


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    before = children()
    yield
    assert soon(lambda: children() <= before), children() - before


def test_results_and_places() -> None:
    assert dict(run_jobs(square, range(100), workers=2, seconds=10)) == {
        i: i * i for i in range(100)
    }


def test_no_jobs() -> None:
    assert list(run_jobs(square, [], workers=2, seconds=1)) == []


def test_jobs_are_pulled_as_workers_fall_idle() -> None:
    pulled = 0

    def jobs() -> Iterator[int]:
        nonlocal pulled
        while True:
            pulled += 1
            yield pulled

    results = run_jobs(square, jobs(), workers=2, seconds=10)
    for seen, _ in enumerate(results, 1):
        assert pulled <= seen + 2
        if seen == 50:
            break
    results.close()


def no_worker(number: int) -> int:
    raise AssertionError(number)


def even_here(number: int) -> int | None:
    return None if number % 2 else -number


def test_what_is_known_here_comes_without_a_worker() -> None:
    results = dict(run_jobs(square, range(100), workers=2, seconds=10, here=even_here))
    assert results == {i: i * i if i % 2 else -i for i in range(100)}
    assert dict(run_jobs(no_worker, [0, 2], workers=1, seconds=10, here=even_here)) == {0: 0, 1: -2}


def test_results_known_here_are_not_gathered() -> None:
    results = run_jobs(square, itertools.count(0, 2), workers=2, seconds=10, here=even_here)
    assert [next(results) for _ in range(3)] == [(0, 0), (1, -2), (2, -4)]
    results.close()


def test_five_thousand_jobs_take_little_time() -> None:
    results = run_jobs(square, range(5000), workers=2, seconds=10)
    next(results)
    start = time.monotonic()
    assert sum(1 for _ in results) == 4999
    assert time.monotonic() - start < 60


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        ("sleep 60", "time limit (1 s)"),
        ("spin", "time limit (1 s)"),
        ("exit 0", "died: exit code 0"),
        ("exit 3", "died: exit code 3"),
        ("signal 9", "died: SIGKILL"),
        ("signal 40", "died: signal 40"),
        ("segfault", "died: SIGSEGV"),
        ("memory", "memory limit (1024 MiB)"),
        ("close", "died: SIGKILL"),
        ("raise", "ValueError: two lines"),
    ],
)
def test_a_bad_job_loses_only_itself(job: str, reason: str) -> None:
    jobs = ["a", "b", job, "c", "d", job, "e"]
    results = dict(run_jobs(act, jobs, workers=2, seconds=1, memory_bytes=1 << 30))
    assert sorted(results) == list(range(7))
    for index, what in enumerate(jobs):
        if what == job:
            assert isinstance(results[index], Killed)
            assert results[index].reason == reason
            assert isinstance(results[index], Raised) == (job == "raise")
        else:
            assert results[index] == what


def test_raised_has_the_traceback() -> None:
    [(_, raised)] = run_jobs(act, ["raise"], workers=1, seconds=10)
    assert isinstance(raised, Raised)
    assert 'raise ValueError("two' in raised.traceback


def test_a_result_that_cannot_be_pickled_is_reported() -> None:
    results = dict(run_jobs(act, ["unpicklable", "a"], workers=1, seconds=10))
    assert isinstance(results[0], Raised)
    assert "lambda" in results[0].reason
    assert results[1] == "a"


def test_time_limits_hold_while_other_jobs_keep_coming() -> None:
    jobs = ["sleep 60", *["sleep 0.01"] * 150]
    places = [index for index, _ in run_jobs(act, jobs, workers=2, seconds=0.5)]
    assert sorted(places) == list(range(151))
    assert places.index(0) < 100


def test_a_slow_reader_of_the_results_does_not_make_jobs_late() -> None:
    for _, result in run_jobs(act, ["a"] * 4, workers=2, seconds=0.5):
        assert result == "a"
        time.sleep(0.6)


def test_a_worker_killed_while_it_waits_loses_nothing() -> None:
    """Between two jobs a worker can only be waiting for a job source that is slow."""

    def jobs() -> Iterator[str]:
        yield "a"
        [worker] = children() - before
        os.kill(worker, signal.SIGKILL)
        assert soon(lambda: not running(worker))
        yield "b"

    before = children()
    assert list(run_jobs(act, jobs(), workers=1, seconds=10)) == [(0, "a"), (1, "b")]


def test_setup_runs_once_in_each_worker() -> None:
    for _, (value, pid) in run_jobs(mark, range(20), workers=2, seconds=10, setup=set_mark):
        assert value == str(pid)


def test_workers_that_cannot_start_stop_the_run() -> None:
    with pytest.raises(RuntimeError, match="no such thing"):
        list(run_jobs(square, [1], workers=2, seconds=1, setup=no_setup))
    with pytest.raises(RuntimeError, match=r"cannot start.*exit code 3"):
        list(run_jobs(square, [1], workers=2, seconds=1, setup=functools.partial(os._exit, 3)))


@pytest.mark.parametrize(("workers", "seconds"), [(0, 1), (1, 0)])
def test_bad_arguments(workers: int, seconds: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        list(run_jobs(square, [1], workers=workers, seconds=seconds))


def test_an_error_of_the_job_source_is_raised() -> None:
    def jobs() -> Iterator[int]:
        yield from range(4)
        raise LookupError("source")

    with pytest.raises(LookupError, match="source"):
        list(run_jobs(square, jobs(), workers=2, seconds=10))


def test_a_killed_worker_takes_its_children_along(tmp_path: Path) -> None:
    list(run_jobs(act, [f"child {tmp_path}"], workers=1, seconds=1))
    child = int((tmp_path / "child").read_text())
    assert soon(lambda: not running(child))


def test_closing_early_leaves_no_process() -> None:
    before = children()
    results = run_jobs(act, ["a", "sleep 60", "sleep 60"], workers=2, seconds=100)
    assert next(results) == (0, "a")
    assert len(children() - before) == 2
    results.close()
    assert children() == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_parents_death_leaves_no_process(tmp_path: Path, number: int) -> None:
    program = (
        f"import functools, signal, sys; sys.path.insert(0, {str(CHECKOUT)!r})\n"
        # A shell starts what it puts in the background with SIGINT ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import tests.sandbox.test_workers as t\n"
        f"job = functools.partial(t.write_pid, {str(tmp_path)!r})\n"
        "list(t.run_jobs(job, range(2), workers=2, seconds=100))"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    try:
        assert soon(lambda: len(list(tmp_path.glob("worker*"))) == 2)
        time.sleep(0.1)
        pids = [int(path.read_text()) for path in tmp_path.glob("worker*")]
        assert all(running(pid) for pid in pids)
        parent.send_signal(number)
        parent.wait(10)
        assert soon(lambda: not any(running(pid) for pid in pids))
    finally:
        parent.kill()
