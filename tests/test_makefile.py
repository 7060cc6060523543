"""The Makefile: which lock is installed, and by which Python."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT


@pytest.fixture
def setup(tmp_path):
    """What `make setup` would do in a new checkout, in a path with a blank."""
    folder = tmp_path / "a b"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "locks"):
        place = CHECKOUT / name
        (shutil.copytree if place.is_dir() else shutil.copy)(place, folder / name)

    def printed(*options: str, before: str | None = None) -> str:
        if before is not None:
            ready = folder / ".venv" / f".ready-{before}"
            ready.parent.mkdir(exist_ok=True)
            ready.touch()
        command = ["make", "-n", "setup", *options]
        found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        if before is not None:
            ready.unlink()
        return found.stdout

    return printed


def test_what_was_set_up_stays_until_something_else_is_asked_for(setup):
    assert "locks/cpu.txt" in setup() and "locks/cpu.txt" in setup("GPU=0")
    assert "locks/gpu.txt" in setup("GPU=1") and "locks/cpu" not in setup("GPU=1")
    assert "Nothing to be done" in setup(before="gpu"), "not the CPU's build over the GPU's"
    assert "Nothing to be done" in setup("GPU=1", before="gpu")
    assert "locks/cpu.txt" in setup("GPU=0", before="gpu")
    assert "locks/gpu.txt" in setup("GPU=1", before="cpu")


def test_a_python_in_a_path_with_a_blank_is_one_word(setup, tmp_path):
    python = Path(shutil.which("python3") or "python3")
    there = tmp_path / "c d" / "python3.11"
    there.parent.mkdir()
    there.symlink_to(python)
    said = setup(f"PYTHON={there}")
    assert f'command -v "{there}"' in said and f'"{there}" -m venv' in said
