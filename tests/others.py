"""The environment of trackers and viewers, `.venv-others`: what we write is read with the real ones."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

BIN = CHECKOUT / ".venv-others" / "bin"


def ready() -> None:
    """Makes the environment where it is missing; skips where it cannot be installed."""
    make = ["make", "-s", "-C", str(CHECKOUT), ".venv-others/.ready"]
    done = subprocess.run(make, capture_output=True, text=True, timeout=600)
    if done.returncode:
        pytest.skip(f".venv-others cannot be installed: {done.stdout}{done.stderr}"[-300:])


def environment(**more: str) -> dict[str, str]:
    """This process's, less what shows its packages to another Python; nothing leaves the machine."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "OCHAT_EVAL"))}
    return {**kept, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(CHECKOUT), **more}


def run(*arguments: str | Path, folder: Path, **more: str) -> str:
    """What a Python program prints in that environment; it must not fail."""
    command = [str(BIN / "python"), *map(str, arguments)]
    done = subprocess.run(
        command, cwd=folder, env=environment(**more), capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
