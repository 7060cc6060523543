"""Terminals that are not UTF-8: every command prints what it has to say, and ends as elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from ochat_eval.__main__ import COMMANDS
from ochat_eval.terminal.encoding import fitting
from ochat_eval.terminal.grid import grid
from tests.conftest import door
from tests.replays import REPLAY, sample_answers, write

ENCODINGS = ("ascii", "latin-1", "cp1252")
AFTER_A_RUN = {
    "show": ("task=gsm8k", "data=sample", "engine=replay", "engine.path=a.jsonl", "run=r"),
    "compare": ("compare", "r", "s", "--flips", "5"),
    "record": ("record", "r", "s", "--as", "kept"),
    "gate": ("gate", "s", "--against", "r"),
    "tables": ("tables", "r", "s"),
    "report": ("report", "r", "s", "-o", "both.html"),
    "export": ("export", "parquet", "r", "-o", "o.parquet"),
    "completion": ("completion", "bash"),
    "a mistake": ("task=gsm8k", "data=sample", "limit=…", "run=–"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs that differ, whose texts no terminal but one of UTF-8 can show."""
    folder = tmp_path_factory.mktemp("runs")
    write(folder / "a.jsonl", *sample_answers(i3="The answer is − 7 … “no” 数学"))
    write(folder / "b.jsonl", *sample_answers(i5="The answer is −1 †"))
    assert door(*REPLAY, folder=folder).returncode == 0
    other = (*REPLAY[:3], "engine.path=b.jsonl", "run=s")
    assert door(*other, folder=folder).returncode == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("what", AFTER_A_RUN)
def test_every_command_ends_as_in_utf_8(runs, what, encoding):
    usual = door(*AFTER_A_RUN[what], folder=runs)
    there = door(*AFTER_A_RUN[what], folder=runs, encoding=encoding)
    assert there.returncode == usual.returncode, there.stderr
    assert len(there.stdout.splitlines()) == len(usual.stdout.splitlines())
    assert "Traceback" not in usual.stderr + there.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_is_shown(runs, command):
    there = door(command, "--help", folder=runs, encoding="ascii")
    assert there.returncode == 0 and there.stdout


def test_a_run_prints_its_table_in_ascii(runs):
    table = door(*REPLAY[:-1], "run=t", folder=runs, encoding="ascii")
    assert table.returncode == 0, table.stderr
    row = next(line for line in table.stdout.splitlines() if "published" in line)
    assert "..." in row and "…" not in row


def test_columns_stand_below_their_headers(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    shown = grid([["1…2", "é"], ["−", "数"]], ["95…", "B − A"])
    assert shown.splitlines() == ["95...  B - A", "-----  -----", "1...2  e", "-      ?"]


def test_what_the_output_can_show_stays(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "latin-1"))
    assert fitting("± é … ψ") == "± é ... psi"
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert fitting("± é … ψ") == "± é … ψ"


@pytest.mark.slow
def test_a_process_of_its_own(process, tmp_path):
    """As a user has it: the encoding comes from the environment."""
    write(tmp_path / "a.jsonl", *sample_answers())
    done = process(*REPLAY, PYTHONIOENCODING="latin-1")
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert "..." in done.stdout
