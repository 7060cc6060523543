"""A run that several tests look at, made from Python."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

import ochat_eval
from tests.replays import sample_answers, write


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with recorded answers, `a.jsonl`, and two runs of them."""
    folder = tmp_path_factory.mktemp("work")
    write(folder / "a.jsonl", *sample_answers(i1="No idea"))
    write(folder / "b.jsonl", *sample_answers(i0="It is 41.", i1="No idea \ud800"))
    with contextlib.chdir(folder):
        for name in "ab":
            replayed(name)
    return folder


def replayed(name: str, **options: Any) -> ochat_eval.Run:
    """The run of a file of recorded answers, named like it."""
    path = {"engine.path": f"{name}.jsonl", **options.pop("options", {})}
    given = {"data": "sample", "engine": "replay", "run": name, **options}
    return ochat_eval.evaluate("gsm8k", options=path, **given)


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That folder as the current one."""
    monkeypatch.chdir(folder)
    return folder
