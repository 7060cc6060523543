"""What several tests use: the real data root, and the command line as a user runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


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


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ochat_eval", *arguments]


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(CHECKOUT), **changes}


@pytest.fixture
def cli(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `python -m ochat_eval` in an empty folder; no network and no data root there."""

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
