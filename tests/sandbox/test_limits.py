"""Attacks on what one program may use: system calls, memory as a whole, processor time.

Root and an ordinary user differ. As root the program is a user of its own (`bwrap.is_root`), and a
control group can be made where cgroup v2 has a memory controller. An ordinary user's program runs
in a user namespace, and there is a control group only where systemd delegated one. The filter of
system calls and the clocks are the same for both; `test_an_ordinary_user…` runs them as one.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ochat_eval.sandbox import cgroup, seccomp
from ochat_eval.sandbox.guards import guards
from ochat_eval.sandbox.limits import Limits
from ochat_eval.sandbox.program import Program, ProgramFailed
from tests.conftest import CHECKOUT
from tests.sandbox.attacks import (
    BUFFERS,
    CALLS,
    EVASIONS,
    FOREIGN,
    GREEDY,
    SQUARE,
    THREADS,
    inside,
)  # fmt: skip
from tests.sandbox.test_sandbox import needs_bwrap
from tests.sandbox.test_workers import soon

pytestmark = pytest.mark.sandbox

LONG = Limits(wall_seconds=60, cpu_seconds=30)
SMALL = Limits(wall_seconds=250, cpu_seconds=200, memory_bytes=256 << 20, tmp_bytes=4 << 20)
COLUMN = {"x86_64": 0, "aarch64": 1}.get(seccomp.machine())
USER = 1_234_567
needs_filter = pytest.mark.skipif(COLUMN is None, reason="no table of system calls")


def needs_group() -> None:
    """Called in tests, not as they are collected: making a group takes time."""
    if cgroup.home() is None:
        pytest.skip(f"no control group can be made: {cgroup.why_none()}")


def number(entry: Any) -> int:
    return entry[COLUMN] if isinstance(entry, tuple) else entry


def outcome(source: str, limits: Limits, sandbox: str = "bwrap", **options: Any) -> str:
    """What becomes of `square(2)`: the verdict's reason, or what it returned."""
    try:
        with Program(source, sandbox, limits) as program:
            return repr(program.call("square", (2,), **options))
    except ProgramFailed as error:
        return str(error)


# --- System calls ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calls() -> Iterator[Program]:
    with Program(CALLS, "bwrap", LONG) as program:
        yield program


@pytest.fixture(scope="module")
def unfiltered() -> Iterator[Program]:
    """The same without a sandbox: shows that a call can succeed."""
    with Program(CALLS, "none", LONG) as program:
        yield program


@needs_bwrap
@needs_filter
@pytest.mark.parametrize("name", [*seccomp._DENIED, *seccomp._DENIED_X86])
def test_denied_calls(name: str, calls: Program) -> None:
    entry = seccomp._DENIED.get(name) or seccomp._DENIED_X86[name]
    if name in seccomp._DENIED_X86 and COLUMN != 0:
        pytest.skip("a call of x86_64 only")
    assert calls.call("call", (number(entry),)) == errno.EPERM


@needs_bwrap
@needs_filter
def test_calls_that_libraries_do_without(calls: Program) -> None:
    for entry in seccomp._ABSENT.values():
        assert calls.call("call", (entry,)) == errno.ENOSYS
    for future in (seccomp._LAST + 1, 500, 1000, 0x3FFFFFFF):
        assert calls.call("call", (future,)) == errno.ENOSYS


@needs_bwrap
@needs_filter
@pytest.mark.parametrize("how", ["shared memory", "message queue", "semaphores", "memfd", "xattr"])
def test_memory_that_no_process_is_charged_for(
    how: str, calls: Program, unfiltered: Program
) -> None:
    assert calls.call("kernel_memory", (how,)) == errno.EPERM
    if how != "xattr":  # a file system may have none
        assert unfiltered.call("kernel_memory", (how,)) == 0


@needs_bwrap
@needs_filter
def test_the_session_keyring_is_out_of_reach(calls: Program) -> None:
    """No fresh keyring is made for it: no call on keys is left that could name one."""
    describe, session = 6, -3
    for name in ("keyctl", "add_key", "request_key"):
        assert calls.call("call", (number(seccomp._DENIED[name]), describe, session)) == errno.EPERM


@needs_bwrap
@needs_filter
def test_sockets_of_other_families(calls: Program, unfiltered: Program) -> None:
    """No netlink, vsock, packet or internet socket; bits above 32 do not mislead the filter."""
    for family in range(50):
        wanted = 0 if family == socket.AF_UNIX else errno.EAFNOSUPPORT
        assert calls.call("family", (family,)) == wanted, family
        if family != socket.AF_UNIX:
            assert calls.call("family", (family | 1 << 32,)) == errno.EAFNOSUPPORT
            assert calls.call("pair", (family,)) == errno.EAFNOSUPPORT
    assert calls.call("pair", (int(socket.AF_UNIX),)) == 0
    assert unfiltered.call("family", (int(socket.AF_NETLINK),)) == 0


@needs_bwrap
@needs_filter
def test_no_new_namespace(calls: Program) -> None:
    """By clone; unshare and setns are denied whatever their flags. Forks and threads work."""
    for bit in (17, 25, 26, 27, 28, 29, 30):  # CLONE_NEWNS, NEWCGROUP, … NEWNET
        assert calls.call("clone", (1 << bit,)) == errno.EPERM
        assert calls.call("clone", (1 << bit | 1 << 40,)) == errno.EPERM
    assert calls.call("clone", (0,)) == 0
    assert calls.call("thread", ()) == 1
    assert calls.call("spawned", ()) == 0


@needs_bwrap
@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors have no such calls")
@pytest.mark.parametrize("name", FOREIGN)
def test_calls_of_another_architecture_end_the_program(name: str) -> None:
    """As root and as a user alike. SIGSEGV: a kernel without 32-bit calls at all."""
    assert re.fullmatch("died: SIG(SYS|SEGV)", outcome(FOREIGN[name], LONG))


def test_filters_jump_to_their_ends() -> None:
    """Each jump lands within the program, and the last steps are what it can answer."""
    for architecture in ("x86_64", "aarch64"):
        code = seccomp.program(architecture)
        assert code is not None
        steps = [code[at : at + 8] for at in range(0, len(code), 8)]
        assert len(steps) < 255
        for at, step in enumerate(steps):
            if step[0] & 7 == 5:  # a jump
                assert at + 1 + max(step[2], step[3]) < len(steps)
        assert [step[0] for step in steps[-len(seccomp._ENDS) :]] == [6] * len(seccomp._ENDS)
    assert seccomp.program("riscv64") is None


HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("architecture", HEADERS)
def test_the_numbers_are_the_kernels(architecture: str) -> None:
    if not HEADERS[architecture].exists():
        pytest.skip("the kernel's headers are not installed (linux-libc-dev)")
    text = HEADERS[architecture].read_text()
    known = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text))
    column = list(HEADERS).index(architecture)
    tables = seccomp._DENIED | seccomp._ABSENT | seccomp._SOCKETS | {"clone": seccomp._CLONE}
    for name, entry in tables.items():
        if name in known:  # not yet in older headers
            assert int(known[name]) == (entry[column] if isinstance(entry, tuple) else entry), name


# --- Memory as a whole -------------------------------------------------------------------------


@needs_bwrap
@pytest.mark.parametrize("name", GREEDY)
def test_memory_is_bounded_over_all_processes(name: str) -> None:
    """Each of these stays below the limits of every single process."""
    needs_group()
    assert outcome(GREEDY[name], SMALL) == "memory limit"


@needs_bwrap
def test_a_single_process_meets_its_own_limit_first() -> None:
    """An exception that it may catch, with a control group and without."""
    body = "try: bytes(1 << 30)\nexcept MemoryError: return 4"
    assert outcome(inside(body), SMALL) == "4"


@needs_bwrap
def test_descriptors_in_flight_hold_little() -> None:
    """The kernel lets a user send no more than may be open; also without a control group."""
    with Program(BUFFERS, "bwrap", LONG) as program:
        assert 1 << 20 < program.call("in_flight", ()) < 64 << 20


@needs_bwrap
def test_the_group_goes_with_the_program() -> None:
    needs_group()
    with Program(SQUARE, "bwrap", SMALL) as program:
        assert program._group is not None
        path = program._group.path
        inside_of_it = (path / "cgroup.procs").read_text().split()
        assert len(inside_of_it) == 3  # bwrap's two, and Python
        assert (path / "memory.max").read_text().strip() == str((256 + 4) << 20)
        assert (path / "pids.max").read_text().strip() == "10"
    assert not path.exists()


@needs_bwrap
def test_the_group_of_a_killed_process_goes_at_the_next_start() -> None:
    needs_group()
    script = (
        "import sys\nfrom ochat_eval.sandbox.limits import Limits\n"
        "from ochat_eval.sandbox.program import Program\n"
        "with Program('def f(): pass', 'bwrap', Limits()) as p:\n"
        "    print(p._group.path, flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        path = Path(process.stdout.readline().strip())
        process.kill()
    assert path.is_dir()
    assert soon(lambda: not (path / "cgroup.procs").read_text().split())
    cgroup.home.cache_clear()
    assert cgroup.home() == path.parent
    assert not path.exists()


def test_leftovers_are_those_of_dead_processes(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as dead:
        pass
    names = [f"{cgroup._prefix()}{pid}-1" for pid in (os.getpid(), dead.pid)]
    for name in (*names, "ochat-eval-1-2-3", "user.slice"):
        (tmp_path / name).mkdir()
    assert [path.name for path in cgroup.leftovers(tmp_path)] == names[1:]


@needs_bwrap
@pytest.mark.parametrize("where", ["in a group below", "in the group itself"])
def test_a_user_makes_groups_where_systemd_delegated_one(where: str) -> None:
    """What `Delegate=yes` gives: a group whose folder and three files are the user's."""
    needs_group()
    needs_setpriv()
    home = cgroup.home()
    assert home is not None
    given = home / f"{cgroup._prefix()}{os.getpid()}-given"
    start = given / "main" if where == "in a group below" else given
    given.mkdir()
    start.mkdir(exist_ok=True)
    try:
        for path in (
            given,
            *(given / f"cgroup.{x}" for x in ("procs", "subtree_control", "threads")),
        ):
            os.chown(path, USER, USER)
        if start != given:
            os.chown(start, USER, USER)
            os.chown(start / "cgroup.procs", USER, USER)
        found = as_user("attacked()", f"echo $$ > {start}/cgroup.procs; ")
        assert found["home"] == str(given)
        assert found["processes"] == "memory limit"
        assert "together" in found["guards"]["memory"]
    finally:
        for path in sorted(given.rglob("*/"), reverse=True):
            path.rmdir()
        given.rmdir()


# --- Processor time ----------------------------------------------------------------------------


@needs_bwrap
@pytest.mark.parametrize("name", EVASIONS)
def test_a_calls_time_is_limited_whatever_it_does_to_signals(name: str) -> None:
    """The signal from within can be caught and blocked; the clock outside cannot."""
    begin = time.monotonic()
    assert outcome(EVASIONS[name], LONG, seconds=0.5) == "time limit"
    assert time.monotonic() - begin < 20  # 1 s; on a busy machine it is the wall time that grows


@needs_bwrap
@pytest.mark.parametrize("name", EVASIONS)
def test_a_programs_time_is_limited_whatever_it_does_to_signals(name: str) -> None:
    limits = dataclasses.replace(LONG, cpu_seconds=1)
    assert re.fullmatch("time limit|died: SIGKILL", outcome(EVASIONS[name], limits))


@needs_bwrap
def test_threads_take_their_program_s_time() -> None:
    assert outcome(THREADS, LONG, seconds=0.5) == "time limit"


@needs_bwrap
def test_processes_that_work_for_it_are_ended_by_the_wall_time() -> None:
    """Each has a processor time of its own, and may start the next before it is over."""
    body = (
        "import os, signal, time\n"
        "if os.fork(): signal.pause()\n"
        "while True:\n"
        "    end = time.process_time() + 0.3\n"
        "    while time.process_time() < end: pass\n"
        "    if os.fork(): os._exit(0)"
    )
    begin = time.monotonic()
    assert outcome(inside(body), dataclasses.replace(LONG, wall_seconds=2)) == "time limit"
    assert time.monotonic() - begin < 15


@needs_bwrap
def test_a_program_within_its_time_is_not_disturbed() -> None:
    body = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"
    assert outcome(inside(body + "return 4"), LONG, seconds=0.4 + 5) == "4"
    assert outcome(inside("import time; time.sleep(1.5); return 4"), LONG, seconds=0.5) == "4"


@needs_bwrap
def test_packing_the_answer_is_not_the_calls_time() -> None:
    """A million numbers come back at once and take a second to pack: HumanEval/130."""
    source = "large = [i + 0.5 for i in range(2_000_000)]\ndef call(): return large"
    with Program(source, "bwrap", LONG) as program:
        answer = program.call("call", (), seconds=0.01, digested=True)
    assert re.fullmatch("[0-9a-f]{64}", answer)


@needs_bwrap
def test_who_says_to_have_returned_is_not_left_alone() -> None:
    """Where the program itself sends the message that ends a call's own time."""
    body = (
        "import os\n"
        "text = b'[\"returned\"]'\n"
        "for link in range(3, 64):\n"
        "    try: os.write(link, len(text).to_bytes(4, 'big') + text)\n"
        "    except OSError: pass\n"
        "while True: pass"
    )
    assert outcome(inside(body), LONG, seconds=0.5) == "time limit"


# --- As an ordinary user -----------------------------------------------------------------------


def attacked() -> dict[str, Any]:
    """What becomes of some attacks; run as another user too."""
    with Program(CALLS, "bwrap", LONG) as program:
        denied = {program.call("call", (number(x),)) for x in seccomp._DENIED.values()}
        families = {program.call("family", (x,)) for x in range(2, 50)}
        clones = {program.call("clone", (1 << bit,)) for bit in (17, 25, 26, 27, 28, 29, 30)}
    home = cgroup.home()
    return {
        "user": os.geteuid(),
        "home": home and str(home),
        "guards": guards("bwrap"),
        "denied": sorted(denied),
        "families": sorted(families),
        "clones": sorted(clones),
        "square": outcome(SQUARE, LONG),
        "foreign": [outcome(x, LONG) for x in FOREIGN.values()] if COLUMN == 0 else [],
        "evasions": sorted({outcome(x, LONG, seconds=0.3) for x in EVASIONS.values()}),
        "processes": outcome(GREEDY["many processes"], SMALL) if home else "",
    }


def needs_setpriv() -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root, with setpriv, can become another user")


def as_user(expression: str, before: str = "") -> dict[str, Any]:
    """A value of this file's, as JSON, computed by an ordinary user."""
    script = f"import json, tests.sandbox.test_limits as t; print(json.dumps(t.{expression}))"
    user = f"setpriv --reuid {USER} --regid {USER} --clear-groups"
    done = subprocess.run(
        ["sh", "-c", f'{before}exec {user} "$@"', "sh", sys.executable, "-c", script],
        env={
            **os.environ,
            "PYTHONPATH": str(CHECKOUT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": "/",
        },
        cwd="/",
        capture_output=True,
        text=True,
    )
    if "Permission denied" in done.stderr and "ochat_eval" not in done.stderr.splitlines()[-1]:
        pytest.skip("another user cannot read this Python or this checkout")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_bwrap
@needs_filter
def test_an_ordinary_user_is_protected_alike() -> None:
    needs_setpriv()
    mine, theirs = attacked(), as_user("attacked()")
    assert (mine["user"], theirs["user"]) == (0, USER)
    assert (mine["guards"]["user"], theirs["guards"]["user"]) == (
        "one of its own, of no rights",
        "this one, in a namespace",
    )
    assert theirs["home"] is None and "each process by itself" in theirs["guards"]["memory"]
    for found in (mine, theirs):
        assert found["denied"] == found["clones"] == [errno.EPERM]
        assert found["families"] == [errno.EAFNOSUPPORT]
        assert found["square"] == "4"
        assert found["evasions"] == ["time limit"]
        assert all(re.fullmatch("died: SIG(SYS|SEGV)", x) for x in found["foreign"])
    assert mine["processes"] == ("memory limit" if mine["home"] else "")


def test_what_protects_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = guards("bwrap")
    assert found.keys() == {"kind", "user", "memory", "system_calls"}
    monkeypatch.setattr(seccomp, "machine", lambda: "riscv64")
    monkeypatch.setattr(cgroup, "home", lambda: None)
    found = guards("bwrap")
    assert found["system_calls"] == "not filtered, for there is no table of riscv64"
    assert found["memory"].startswith("of each process by itself, for ")
    assert "can do what this user can" in guards("none")["kind"]
    assert signal.SIGSYS  # what foreign calls die of
