"""A run's folder is written to as itself only: no links, no devices, nothing cut before the lock."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ochat_eval.records import Response, UserError
from ochat_eval.run import store
from ochat_eval.run.folder import RunDir
from ochat_eval.run.journal import Journal
from tests.replays import REPLAY, sample_answers, write

RUN = "results/runs/r"
FILES = (
    ".lock", store.ITEMS, store.RESPONSES, store.SCORES, store.SUMMARY, store.MANIFEST,
    store.CONFIG, store.TABLE, store.REPORT, store.JUDGMENTS, store.FAILURES, store.REPLICAS,
)  # fmt: skip


@pytest.fixture
def victim(tmp_path) -> Path:
    """A file that is none of the run's."""
    path = tmp_path / "victim"
    path.write_text("precious\nhalf a line")
    return path


@pytest.mark.parametrize("name", FILES)
def test_a_link_in_the_place_of_a_file_is_refused_and_its_target_stays(cli, tmp_path, victim, name):
    write(tmp_path / "a.jsonl", *sample_answers())
    folder = tmp_path / RUN
    folder.mkdir(parents=True)
    (folder / name).symlink_to(victim)
    done = cli(*REPLAY)
    assert done.returncode == 2
    assert f"{RUN}/{name} is a link" in done.stderr.splitlines()[-1]
    assert victim.read_text() == "precious\nhalf a line"
    assert sorted(os.listdir(folder)) == [name], "nothing else was written"


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("compare", "r", "r"), ("gate", "r", "--against", "r"), ("tables", "r"),
        ("record", "r", "--as", "x"), ("report", "r", "-o", "x.html"), ("stage=score", "run=r"),
        ("export", "parquet", "r", "-o", "x.parquet"), ("stage=report", "run=r"),
    ],
)  # fmt: skip
def test_a_link_is_not_read_through_either(cli, tmp_path, victim, command):
    write(tmp_path / "a.jsonl", *sample_answers())
    assert cli(*REPLAY).returncode == 0
    (tmp_path / RUN / "extra").symlink_to(victim)
    done = cli(*command)
    assert done.returncode in (2, 3)
    assert "extra is a link" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", [".lock", store.RESPONSES])
def test_a_second_name_of_a_file_is_refused(cli, tmp_path, victim, name):
    write(tmp_path / "a.jsonl", *sample_answers())
    folder = tmp_path / RUN
    folder.mkdir(parents=True)
    os.link(victim, folder / name)
    done = cli(*REPLAY)
    assert done.returncode == 2
    assert "has a second name (a hard link)" in done.stderr.splitlines()[-1]
    assert victim.read_text() == "precious\nhalf a line"


@pytest.mark.parametrize("name", [".lock", store.RESPONSES])
def test_a_pipe_is_no_file(cli, tmp_path, name):
    write(tmp_path / "a.jsonl", *sample_answers())
    folder = tmp_path / RUN
    folder.mkdir(parents=True)
    os.mkfifo(folder / name)
    done = cli(*REPLAY)
    assert done.returncode == 2 and "is no file" in done.stderr.splitlines()[-1]


def test_a_device_is_not_replaced(cli, tmp_path):
    """Root may replace any: /dev/full was a file of ours once."""
    write(tmp_path / "a.jsonl", *sample_answers())
    assert cli(*REPLAY).returncode == 0
    for path in ("/dev/full", "/dev/null", str(tmp_path)):
        done = cli("report", "r", "-o", path)
        assert done.returncode == 2
        assert f"{path} is no file (a device, pipe or folder)" in done.stderr.splitlines()[-1]
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_a_lock_that_is_held_is_not_emptied(tmp_path):
    folder = tmp_path / "run"
    held = RunDir(folder)
    (folder / ".lock").write_text("whose it is")
    with pytest.raises(UserError, match="another process is working in"):
        RunDir(folder)
    assert (folder / ".lock").read_text() == "whose it is"
    del held


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for name in (".scores.jsonl.4711", ".summary.json.1", ".lock", "scores.jsonl", ".mine"):
        (folder / name).write_text("x")
    RunDir(folder)
    assert sorted(os.listdir(folder)) == [".lock", ".mine", "scores.jsonl"]


def test_a_journal_is_opened_only_as_a_file_of_its_own(tmp_path, victim):
    (tmp_path / "link").symlink_to(victim)
    with pytest.raises(UserError, match="is a link and is not written to"):
        Journal(tmp_path / "link")
    journal = Journal(tmp_path / "own")
    journal.append([Response("a", "b")])
    journal.close()
    assert (tmp_path / "own").read_bytes().endswith(b"\n")
    with pytest.raises(UserError, match="is a link"):
        store.append_line(tmp_path / "link", {"a": 1})
    assert victim.read_text() == "precious\nhalf a line"


def test_a_link_where_a_part_is_written_is_not_followed(tmp_path, victim):
    path = tmp_path / "new.json"
    store.part_of(path).symlink_to(victim)
    store.write_json(path, {"a": 1})
    assert victim.read_text() == "precious\nhalf a line" and path.is_file()
