"""A real file system that is full or read-only, in each stage: one line, and it goes on later."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import door
from tests.replays import REPLAY, sample_answers, write


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(place)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system (root)")
    write(place / "a.jsonl", *sample_answers())
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Takes all the space that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(512))
        except OSError:
            return filler


def parts(disk: Path) -> list[str]:
    """Files that are written and have not appeared under their names."""
    found = [path.name for path in disk.rglob(".*") if path.is_file() and path.name != ".lock"]
    return [name for name in found if name.rpartition(".")[2].isdigit()]


STAGES = {
    "plan": (),
    "generate": ("stage=plan",),
    "score": ("stage=generate",),
    "report": ("stage=score", "stage=report"),
}


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk_is_one_line_and_freeing_space_is_enough(disk, stage):
    if stage == "report":
        assert door(*REPLAY, folder=disk).returncode == 0
    elif stage == "score":
        assert door(*REPLAY, "stage=generate", folder=disk).returncode == 0
    elif stage == "generate":
        assert door(*REPLAY, "stage=plan", folder=disk).returncode == 0
    filler = fill(disk)
    again = {"plan": REPLAY, "generate": REPLAY}.get(stage, (f"stage={stage}", "run=r"))
    done = door(*again, folder=disk)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    said = done.stderr.splitlines()[-1]
    assert "No space left on device" in said and "free some space and run the same command" in said
    assert not parts(disk)
    filler.unlink()
    assert door(*REPLAY, folder=disk).returncode == 0
    assert door(*REPLAY, folder=disk).stderr.startswith("finished before, nothing to do")


@pytest.mark.parametrize("command", [REPLAY, ("stage=score", "run=r"), ("stage=report", "run=r")])
def test_a_read_only_folder_is_one_line(disk, command):
    assert door(*REPLAY, folder=disk).returncode == 0
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    done = door(*command, folder=disk)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    said = done.stderr.splitlines()[-1]
    assert "Read-only file system" in said and "results=DIR" in said


def test_reading_runs_needs_no_right_to_write(disk):
    assert door(*REPLAY, folder=disk).returncode == 0
    assert door("record", "r", "--as", "base", folder=disk).returncode == 0
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for command in (
        ("compare", "r", "r"),
        ("gate", "r", "--against", "base", "--margin", "30"),
        ("tables", "r"),
    ):
        assert door(*command, folder=disk).returncode == 0, command


@pytest.mark.slow
@pytest.mark.parametrize("name", ["items.jsonl", "responses.jsonl", "scores.jsonl", "summary.json"])
def test_finished_means_that_the_files_are_those_that_were_finished(cli, tmp_path, name):
    write(tmp_path / "a.jsonl", *sample_answers())
    assert cli(*REPLAY).returncode == 0
    path = tmp_path / "results/runs/r" / name
    whole = path.read_bytes()
    if name == "responses.jsonl":
        path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    else:
        path.write_bytes(whole.replace(b"1", b"2", 1))
    done = cli(*REPLAY)
    assert done.returncode == 0, done.stderr
    assert name == "items.jsonl" or "finished before" not in done.stderr
    assert sorted(path.read_bytes().splitlines()) == sorted(whole.splitlines())
