"""The wheel, installed into an empty environment, works from any folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT
from tests.replays import sample_answers, write


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment that has the wheel and nothing else of its own."""
    folder = tmp_path_factory.mktemp("a wheel")
    source = folder / "source"
    ignored = shutil.ignore_patterns(".*", "runs", "build", "*.egg-info", "__pycache__")
    shutil.copytree(CHECKOUT, source, ignore=ignored)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*build, str(source)], check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = folder / "venv/bin/python"
    [wheel] = folder.glob("*.whl")
    pip = [str(python), "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, check=True)
    return python


@pytest.mark.slow
def test_the_wheel_runs_the_sample_items(installed, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers())
    # The packages that it needs come from this environment; ochat_eval itself must not.
    env = {"PYTHONPATH": sysconfig.get_paths()["purelib"], "PATH": "/usr/bin:/bin"}
    where = subprocess.run(
        [installed, "-c", "import ochat_eval; print(ochat_eval.__file__)"],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert str(installed.parent.parent) in where.stdout
    done = subprocess.run(
        [installed, "-m", "ochat_eval", "task=gsm8k", "data=sample", "engine=replay",
         "engine.path=a.jsonl"],
        cwd=tmp_path, env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "100.00" in done.stdout
    assert list((tmp_path / "results/runs").glob("smollm2_135m-replay-*/report.html"))
