"""Trackers, each with its real package, offline; what it keeps is read with that package."""

from __future__ import annotations

import dataclasses
import json
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from ochat_eval.config.groups import node
from ochat_eval.config.load import trackers
from ochat_eval.track.send import chosen
from tests import others, replays
from tests.conftest import CHECKOUT, door

ALL = ("mlflow", "wandb", "tensorboard", "trackio")
KEYS = {"WANDB_API_KEY": "f0e1" * 10, "MLFLOW_TRACKING_TOKEN": "secret-token-of-mlflow"}
QUIET = {"DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}


def answers(folder: Path) -> None:
    rows = replays.sample_answers(i1="no idea", i2="The answer is 7")
    replays.write(folder / "a.jsonl", *rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run that told all of them at its end as step 1000, and again by the command as 2000."""
    others.ready()
    folder = tmp_path_factory.mktemp("track")
    answers(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", str(others.BIN / "python"))
        changes = {**KEYS, **QUIET, "WANDB_MODE": "offline", "TRACKIO_DIR": str(folder / "trackio")}
        track = (f"track={','.join(ALL)}", "step=1000")
        done = door(*replays.REPLAY, *track, folder=folder, **changes)
        assert done.returncode == 0 and "not sent" not in done.stderr, done.stderr
        again = ("--to", "mlflow", "tensorboard", "trackio", "--step", "2000")
        done = door("track", "r", *again, folder=folder, **changes)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def kept(folder):
    script = Path(__file__).with_name("read_trackers.py")
    read = others.run(script, folder=folder, TRACKIO_DIR=str(folder / "trackio"), **QUIET)
    return json.loads(read.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_a_tracker_keeps_every_figure_over_the_step(folder, kept, name):
    told = json.loads((folder / replays.RUN / "summary.json").read_text())["tasks"]["gsm8k"]
    found = kept[name]["figures"]
    for rule in ("published", "robust"):
        low, high = told[rule]["ci95"]
        wanted = {
            "score": told[rule]["score"], "stderr": told[rule]["stderr"], "ci95_low": low,
            "ci95_high": high, "unmatched": told[rule]["unmatched"], "empty": 0, "unfinished": 0,
        }  # fmt: skip
        for key, value in wanted.items():
            assert found[f"gsm8k/{rule}/{key}"] == pytest.approx(value, rel=1e-6), key
        assert f"gsm8k/{rule}/truncated" not in found, "no response says how it ended"
    assert kept[name]["name"] == "r"
    if name == "wandb":
        assert found["step"] == 1000
    else:
        assert [step for step, _ in kept[name]["steps"]] == [1000, 2000]


@pytest.mark.slow
def test_marks_tables_and_the_page_go_along(folder, kept):
    mark = "† sample items, not the benchmark"
    assert kept["mlflow"]["tags"]["mark.gsm8k"] == mark
    assert kept["wandb"]["config"]["mark.gsm8k"] == mark
    assert kept["trackio"]["config"]["mark.gsm8k"] == mark
    table = (folder / replays.RUN / "table.md").read_text()
    assert kept["tensorboard"]["table"] == table and mark[2:] in table
    assert kept["mlflow"]["tags"]["mlflow.note.content"] == table.rstrip("\n")
    names = {"report.html", "summary.json", "table.md", "tables.csv", "tables.md", "why.md"}
    assert set(kept["mlflow"]["files"]) == {f"step-1000/{name}" for name in names}
    assert names == set(kept["wandb"]["files"])
    blobs = [
        file.read_bytes() for file in (folder / "trackio/artifacts").rglob("*") if file.is_file()
    ]
    assert (folder / replays.RUN / "report.html").read_bytes() in blobs


@pytest.mark.slow
def test_no_key_is_written_anywhere(folder, kept):
    for file in folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert not [name for name, key in KEYS.items() if key.encode() in content], file


@pytest.mark.slow
def test_mlflows_page_shows_the_run(folder, kept, chromium):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [others.BIN / "mlflow", "server", "--port", str(port), "--workers", "1"]
    env = others.environment(
        PATH=f"{others.BIN}:/usr/bin:/bin", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", **QUIET
    )
    with (folder.parent / "mlflow.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
    try:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=5):
                    break
            except OSError:
                assert server.poll() is None, (folder.parent / "mlflow.log").read_text()
                time.sleep(0.2)
        page = chromium.new_page()
        experiment, run = kept["mlflow"]["id"]
        page.goto(f"{address}/#/experiments/{experiment}/runs/{run}")
        page.get_by_text("gsm8k/robust/score").first.wait_for(timeout=120_000)
        assert "sample items, not the benchmark" in page.inner_text("body")
    finally:
        server.terminate()
        server.wait()


@pytest.mark.parametrize("name", ALL)
def test_every_option_stands_in_its_file_and_in_the_guide(name):
    tracker = chosen(trackers([name], []))[name]
    listed = {key for key in node("track", name) if key != "_target_"}
    assert listed == {field.name for field in dataclasses.fields(tracker)}
    guide = (CHECKOUT / "docs/trackers.md").read_text()
    for option in listed:
        assert f"trackers.NAME.{option}`" in guide or f"trackers.{name}.{option}`" in guide


@pytest.mark.slow
def test_a_tracker_that_fails_costs_the_run_nothing(cli, tmp_path):
    answers(tmp_path)
    done = cli(*replays.REPLAY, "track=mlflow,trackio", "trackers.trackio.seconds=0")
    assert done.returncode == 0
    assert "mlflow: not sent: it is not installed: pip install 'ochat-eval[mlflow]'" in done.stderr
    assert "trackio: not sent: no end within 0 s; again: ochat-eval track" in done.stderr
    again = cli(*replays.REPLAY, "track=mlflow")
    assert again.returncode == 0 and "told again by: ochat-eval track" in again.stderr
    done = cli("track", "r", "--to", "mlflow")
    assert done.returncode == 2 and "not sent" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["track", "r", "--to", "mlflow"], "r: there is no such run"),
        (["track", "r", "--to", "wand"], "invalid choice: 'wand'"),
        (["track", "r", "--to", "wandb", "--set", "trackers.wandb.projct=x"],
         "trackers.wandb.projct: there is no such option; did you mean project?"),
        ([*replays.REPLAY, "track=mlflw"], "track=mlflw: there is no such track"),
        ([*replays.REPLAY, "trackers.mlflow.project=x"],
         "trackers.mlflow is set but not chosen: choose it with track=mlflow"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(cli, tmp_path, arguments, complaint):
    answers(tmp_path)
    done = cli(*arguments)
    assert done.returncode == 2 and complaint in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / replays.RUN / "responses.jsonl").exists()
