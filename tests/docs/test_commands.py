"""What README and the guide tell a reader to type works, and prints what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.conftest import CHECKOUT, environment
from tests.docs.pages import PAGES, TYPED, Block, blocks, matches
from tests.docs.warm import commands
from tests.real_engine import SETTINGS

OLD_DOORS = re.compile(r"python -m ochat_eval\.\w+")


@pytest.fixture(scope="module")
def shell() -> Iterator[dict[str, str]]:
    """The environment of a reader's shell, whose `ochat-eval` and `python -` need no imports."""
    with TemporaryDirectory(prefix="ochat-") as short, commands(Path(short)) as warm:
        path = os.pathsep.join([str(warm), str(Path(sys.executable).parent), os.environ["PATH"]])
        env = environment(PATH=path, COLUMNS="80", **SETTINGS)
        env.pop("OCHAT_EVAL_DATA", None)
        # a reader has seen the demo, which converts the small model and says so
        plan = ["ochat-eval", "task=gsm8k", "data=sample", "limit=1", "stage=plan"]
        subprocess.run(plan, cwd=short, env=env, check=True, capture_output=True, timeout=280)
        yield env


def typed(page: list[Block], folder: Path, env: dict[str, str]) -> None:
    """Types the blocks of a page, in order, in one folder."""
    for block in page:
        for step in block.steps():
            done = subprocess.run(
                ["bash", "-euc", step.command],
                cwd=folder, env=env, text=True, timeout=900,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            where = f"{block.page.name}:{block.line}\n$ {step.command}\n{done.stdout}"
            assert done.returncode == 0, where
            assert step.shown is None or matches(step.shown, done.stdout), where


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_blocks_can_be_told_apart(page):
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        assert block.kind in ("bash", "console", "python"), f"{where}: write bash or console"
        known = re.fullmatch(r"not run: .+|loads the small model|", block.comment)
        assert known, f"{where}: {block.comment}"
    if page.name != "changelog.md":
        assert not OLD_DOORS.search(page.read_text("utf-8")), "the subcommands have one door"


def with_the_model(page: Path) -> bool:
    return any(block.loads_the_model for block in blocks(page))


@pytest.mark.parametrize(
    "page",
    [p for p in TYPED if any(b.runs for b in blocks(p)) and not with_the_model(p)],
    ids=lambda page: page.name,
)
@pytest.mark.slow
def test_its_commands_run(page, tmp_path, shell):
    typed([b for b in blocks(page) if b.runs], tmp_path, shell)


@pytest.mark.vllm
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "page", [p for p in TYPED if with_the_model(p)], ids=lambda page: page.name
)
def test_its_commands_with_the_small_model_run(page, tmp_path, shell):
    typed([b for b in blocks(page) if b.runs], tmp_path, shell)


def test_what_is_shown_is_compared():
    assert matches(["a  1…9", "…", "end"], "a 1, 2, 9\nb\n 50%|##\nend\n")
    assert matches(["…", "end"], "end\n")
    assert not matches(["a"], "a\nb\n")
    assert not matches(["a", "c"], "a\nb\n")


def test_readme_is_one_page():
    lines = (CHECKOUT / "README.md").read_text("utf-8").splitlines()
    assert len(lines) <= 200


def test_the_chinese_page_has_the_same_commands():
    one, other = (blocks(CHECKOUT / name) for name in ("README.md", "README.zh.md"))
    assert [(b.kind, b.text) for b in one] == [(b.kind, b.text) for b in other]
    assert [b.comment.partition(":")[0] for b in one] == [
        b.comment.partition(":")[0] for b in other
    ]


def test_the_files_that_answer_questions_are_there():
    text = (CHECKOUT / "ARCHITECTURE.md").read_text("utf-8")
    section = text.split("## Where is")[1].split("\n## ")[0]
    rows = [row for row in section.split("\n") if row.startswith("| ") and "`" in row]
    assert len(rows) >= 18
    for row in rows:
        for file in re.findall(r"`([\w/]+(?:\.\w+|/))`", row.rsplit("|", 2)[1]):
            known = (CHECKOUT / "ochat_eval" / file, CHECKOUT / file)
            assert any(path.exists() for path in known), row


def test_architecture_names_every_room():
    text = (CHECKOUT / "ARCHITECTURE.md").read_text("utf-8")
    rooms = [p.parent.name for p in (CHECKOUT / "ochat_eval").glob("*/__init__.py")]
    assert [room for room in rooms if f"| `{room}/` |" not in text] == []


def test_pictures_are_small():
    pictures = [*CHECKOUT.glob("docs/*.png"), *CHECKOUT.glob("docs/*.svg")]
    assert pictures
    assert [p.name for p in pictures if p.stat().st_size > 400_000] == []


@pytest.mark.slow
def test_the_site_builds_and_loads_nothing_from_elsewhere():
    make = ["make", "-s", "-C", str(CHECKOUT)]
    ready = subprocess.run(
        [*make, ".venv-docs/.ready"], capture_output=True, text=True, timeout=280
    )
    if ready.returncode:
        pytest.skip(f".venv-docs cannot be installed: {ready.stdout}{ready.stderr}"[-300:])
    done = subprocess.run([*make, "docs"], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    site = CHECKOUT / "build/site"
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|img|iframe|link)[^>]*?(?:src|href)=\"?(?:https?:)?//[^>]*>",
            page.read_text("utf-8"),
        )
        assert loaded == [], page
