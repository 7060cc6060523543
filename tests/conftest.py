"""What several tests use: the real data root, and the command line as a user runs it."""

from __future__ import annotations

import contextlib
import functools
import gc
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from ochat_eval.__main__ import main

CHECKOUT = Path(__file__).resolve().parent.parent
hypothesis.settings.register_profile("shared machine", deadline=None)  # pytest has a time limit
hypothesis.settings.load_profile("shared machine")
if data := os.environ.get("OCHAT_EVAL_DATA"):  # tests run in folders of their own
    os.environ["OCHAT_EVAL_DATA"] = str(Path(data).resolve())


_NEEDED = {"chromium": "browser", "real_data": "realdata", "parity": "realdata"}
"""Fixtures, and the marker of the tests that take them."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Marks what takes certain fixtures."""
    for fixture in item.fixturenames:  # type: ignore[attr-defined]
        if fixture in _NEEDED:
            item.add_marker(_NEEDED[fixture])


def _shared(nodeid: str) -> str:
    """What runs in one process: the tests of a file, and the files that share something."""
    file = nodeid.split("::", 1)[0]
    return _TOGETHER.get(file, file)


_TOGETHER = {
    # the import of vLLM, whose engine is in the tests' process
    **{f"tests/engines/test_{x}.py": "engine" for x in ("live_vllm", "ray", "thinking", "vllm")},
    # the servers of a real model
    **{f"tests/serve/test_{name}.py": "served" for name in ("hostile", "page", "server")},
    # the imports of torch, transformers and vLLM: half of what each of these takes
    **{
        f"tests/{file}.py": "loaded"
        for file in (
            "baseline/test_real_engine",
            "engines/test_vllm_build",
            *(f"model/test_{x}" for x in ("chat", "starts", "templates", "thinking", "weights")),
            "serve/test_serve",
            "stages/test_thoughts",
        )
    },
}


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hands out tests by what they share."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _shared(nodeid)

    return Scheduling(config, log)


_LONGEST = (
    "served",
    "engine",
    "loaded",
    "tests/bench/test_bench.py",
    "tests/tasks/test_humaneval_plus.py",
    "tests/report/test_page.py",
    "tests/stages/test_flat_memory.py",
)
"""What takes minutes, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest come first, so that no process is left alone with one at the end."""
    order = {"vllm": 1, "slow": 2, "sandbox": 3, "browser": 4}

    def place(item: pytest.Item) -> tuple[int, int]:
        if (shared := _shared(item.nodeid)) in _LONGEST:
            return 0, _LONGEST.index(shared)
        return min((order.get(m.name, 9) for m in item.iter_markers()), default=9), 0

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """What is there to stay is not looked through whenever Python looks for garbage."""
    gc.collect()
    gc.freeze()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes are named by their number: packed ones hold the time, and every process has another."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The data root with the real benchmarks; skips where there is none."""
    root = os.environ.get("OCHAT_EVAL_DATA")
    if not root:
        pytest.skip("needs OCHAT_EVAL_DATA, a data root with the real benchmarks")
    return Path(root)


@pytest.fixture(scope="session")
def parity(real_data: Path) -> Path:
    """The folder of published prompts and grader verdicts; skips where there is none."""
    folder = real_data.parent / "parity"
    if not folder.is_dir():
        pytest.skip(f"needs published prompts in {folder}")
    return folder


def table(name: str) -> list[dict[str, Any]]:
    """The cases of a file in `tests/cases`; a `filler` is what a million characters of come first.

    They come before the case's `text`, or its `answer` where it has no text.
    """
    lines = (CHECKOUT / "tests" / "cases" / name).read_text("utf-8").splitlines()
    found: list[dict[str, Any]] = [json.loads(line) for line in lines]
    for case in found:
        if filler := case.pop("filler", None):
            key = "text" if "text" in case else "answer"
            case[key] = filler * (10**6 // len(filler) + 1) + case[key]
    return found


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def door(
    *arguments: str, folder: Path | None = None, encoding: str = "utf-8", **changes: str
) -> Done:
    """`python -m ochat_eval` within this process: a start costs a second, and nothing is learnt.

    Args:
        folder: where it runs; None: here.
        encoding: of the terminal.
        changes: to the environment; there is no data root in it unless one is given.
    """
    printed, said = (io.TextIOWrapper(io.BytesIO(), encoding, write_through=True) for _ in "12")
    with (
        contextlib.chdir(folder or Path.cwd()),
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(said),
    ):
        patch.delenv("OCHAT_EVAL_DATA", raising=False)
        for name, value in changes.items():
            patch.setenv(name, value)
        try:
            code = main(arguments)
        except SystemExit as e:  # of an argument parser: what --help and a mistake end with
            assert isinstance(e.code, int | None), e.code
            code = e.code or 0
    texts = (stream.buffer.getvalue().decode(encoding) for stream in (printed, said))
    return Done(code, *texts)


@pytest.fixture
def cli(tmp_path: Path) -> Callable[..., Done]:
    """Runs the command line in an empty folder, within this process."""
    return functools.partial(door, folder=tmp_path)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ochat_eval", *arguments]


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(CHECKOUT), **changes}


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """As `cli`, but in a process of its own: for what is about the process itself."""

    def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        env = environment(**changes)
        if "OCHAT_EVAL_DATA" not in changes:
            env.pop("OCHAT_EVAL_DATA", None)
        return subprocess.run(
            command(*arguments), cwd=tmp_path, env=env, capture_output=True, text=True, timeout=280
        )

    return run


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `python -m ochat_eval` in an empty folder; what still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        log = (tmp_path / f"stderr-{len(running)}").open("w")
        process = subprocess.Popen(
            command(*arguments),
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, 9)
        process.wait()


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().rstrip("\n").split("\n")]


@pytest.fixture(scope="module")  # no longer: its event loop would be in other tests' way
def chromium() -> Iterator[Any]:
    """A real headless Chromium, driven by Playwright; skips where none is installed."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs Chromium (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visited(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens an address in a page of its own; fails on an error in it, and on anything that it asks
    for whose address does not begin with `home`."""
    faults: list[str] = []
    contexts: list[Any] = []

    def open_(address: str, home: str, **options: object) -> Any:
        contexts.append(chromium.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        page.on("request", lambda r: r.url.startswith(home) or faults.append(r.url))
        page.goto(address)
        page.wait_for_selector("html[data-ready]")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert faults == []
