"""The wheel, installed into an empty environment, works from any folder."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
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
    venv = [sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")]
    subprocess.run(venv, check=True)
    python = folder / "venv/bin/python"
    [wheel] = folder.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", str(python)]  # to install pip takes longest
    install = ["install", "-q", "--no-compile", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([*pip, *install], check=True)
    return python


def test_every_room_is_among_the_packages_of_the_wheel():
    told = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["setuptools"]
    rooms = {
        ".".join(file.parent.relative_to(CHECKOUT).parts)
        for file in (CHECKOUT / "ochat_eval").rglob("__init__.py")
    }
    assert rooms - set(told["packages"]) == set()


def environment() -> dict[str, str]:
    """The packages that it needs come from this environment; ochat_eval itself must not."""
    return {"PYTHONPATH": sysconfig.get_paths()["purelib"], "PATH": "/usr/bin:/bin"}


def typed(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)


@pytest.mark.slow
def test_the_wheel_runs_the_sample_items(installed, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers())
    where = typed(tmp_path, installed, "-c", "import ochat_eval; print(ochat_eval.__file__)")
    assert str(installed.parent.parent) in where.stdout
    done = typed(
        tmp_path, installed, "-m", "ochat_eval", "task=gsm8k", "data=sample", "engine=replay",
        "engine.path=a.jsonl",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "100.00" in done.stdout
    assert list((tmp_path / "results/runs").glob("smollm2_135m-replay-*/report.html"))


@pytest.mark.slow
def test_the_guide_is_in_it(installed, tmp_path):
    """The pages that its help names, and the package to copy."""
    said = [typed(tmp_path, installed, "-m", "ochat_eval", *words, "--help").stdout
            for words in ((), ("run",), ("gate",), ("bench",))]  # fmt: skip
    [guide] = re.findall("The guide: (.*)", said[0])
    assert guide.startswith(str(installed.parent.parent))
    pages = {
        Path(guide).parent.parent / name for name in re.findall(r"docs/[\w-]+\.md", "".join(said))
    }
    assert len(pages) >= 4 and all(page.is_file() for page in pages)
    there = {str(file.relative_to(Path(guide).parent)) for file in Path(guide).parent.rglob("*.*")}
    for folder in ("template", "notebooks"):
        files = (CHECKOUT / "docs" / folder).rglob("*.*")
        assert {str(f.relative_to(CHECKOUT / "docs")) for f in files if f.suffix != ".pyc"} <= there


@pytest.mark.slow
def test_the_template_of_a_package_works_beside_it(installed, tmp_path):
    """As a new user goes: copied, allowed by hand; then installed, and tested by its own test."""
    copy = tmp_path / "mine"
    shutil.copytree(CHECKOUT / "docs/template", copy)
    rows = ({"id": f"capitals_europe/europe/{i}", "text": "B"} for i in range(4))
    write(copy / "a.jsonl", *rows)
    run = ("--config-dir", "conf", "task=capitals_europe", "engine=replay", "engine.path=a.jsonl")
    door = installed.with_name("ochat-eval")  # which does not look for modules in the folder
    assert "--allow my_benchmarks" in typed(copy, door, *run).stderr
    done = typed(copy, door, "--allow", "my_benchmarks", *run)
    assert done.returncode == 0, done.stderr
    assert "25.00" in done.stdout
    pip = (installed, "-m", "pip", "install", "-q", "--no-compile", "--no-deps", "--no-index")
    done = typed(tmp_path, *pip, "--no-build-isolation", copy)
    assert done.returncode == 0, done.stderr
    done = typed(copy / "tests", installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", ".")
    assert done.returncode == 0, done.stdout + done.stderr


SNIPPET = """
import ochat_eval
from ochat_eval import Comparison, Run

run: Run = ochat_eval.evaluate("gsm8k", limit=3, options={"engine.dtype": "float32"})
found: Comparison = run.compare("before")
flips: tuple[str, ...] = found.rows[0].flips.lost
verdict: str = ochat_eval.gate(run, "base", mode="no-worse").verdict
reveal_type(run.report)
ochat_eval.evaluate(3)
"""


@pytest.mark.slow
def test_its_types_are_there_for_who_uses_it(installed, tmp_path):
    """They are its own alone: what it needs is not there, and takes mypy a minute to read."""
    (tmp_path / "snippet.py").write_text(SNIPPET)
    mypy = (sys.executable, "-m", "mypy", "--strict", "--python-executable", installed)
    done = subprocess.run(
        [*mypy, "snippet.py"], cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, capture_output=True,
        text=True,
    )  # fmt: skip
    assert 'Revealed type is "ochat_eval.api.shown.Page"' in done.stdout
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(errors) == 1 and "snippet.py:10" in errors[0] and "arg-type" in errors[0]
