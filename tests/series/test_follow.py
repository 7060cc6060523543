"""The order in which checkpoints are run, and how long a watch waits for more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ochat_eval.series.child import Ended
from ochat_eval.series.find import Checkpoint
from ochat_eval.series.follow import Watch, follow
from tests.lora import adapter
from tests.series.folders import checkpoint, weights


@pytest.fixture
def out(tmp_path: Path) -> Path:
    for step in (300, 20):
        checkpoint(tmp_path / f"checkpoint-{step}")
    return tmp_path


def ran(some: Sequence[Checkpoint]) -> dict[Checkpoint, Ended]:
    return {one: Ended(one.step == 20) for one in some}  # 20 fails


def test_each_is_run_once_and_what_is_not_whole_is_named(out):
    checkpoint(out / "checkpoint-100", cut=1)
    checkpoint(out / "step-300")
    checkpoint(out / "epoch-3")
    checkpoint(out / "final")
    seen = [list(map(str, (one.label for one in p.ended))) for p in follow([str(out)], ran)]
    assert seen == [["step 20"], ["step 20", "step 300"], ["step 20", "step 300"]]
    *_, last = follow([str(out)], ran)
    assert [ended.code for ended in last.ended.values()] == [True, False] and last.over
    assert {one.path.name: why for one, why in last.left.items()} == {
        "epoch-3": "it is named by its epoch, the others by their step",
        "checkpoint-100": "model.safetensors has 119 of 120 bytes",
        "step-300": f"{out / 'checkpoint-300'} has the same step",
        "final": "neither its name nor a trainer_state.json tells its step",
    }


def test_a_watch_runs_what_appears_once_its_files_rest(out, capsys):
    checkpoint(out / "checkpoint-400", cut=1)
    pauses = iter(range(100))

    def pause(seconds: float) -> None:
        number = next(pauses)
        if number == 2:
            weights(out / "checkpoint-400" / "model.safetensors")
        if number in (3, 4):  # whole as it seems, but still being written
            (out / "checkpoint-400" / "optimizer.pt").write_bytes(bytes(number))

    *_, last = follow([str(out)], ran, Watch(until=3), pause)
    assert [one.step for one in last.ended] == [20, 300, 400]
    assert next(pauses) == 6
    said = capsys.readouterr().err
    assert "step 400 waits: model.safetensors has 119 of 120 bytes" in said
    assert said.count("2 checkpoints of 3 done; waiting for more") == 2, "once for each reason"


def test_a_watch_ends_after_its_time_and_by_ctrl_c(out):
    *_, last = follow([str(out)], ran, Watch(seconds=0))
    assert not last.ended and last.over

    def stopped(seconds: float) -> None:
        raise KeyboardInterrupt

    *_, last = follow([str(out)], ran, Watch(), stopped)
    assert last.over and set(last.left.values()) == {"it is new, or still being written"}


def test_adapters_that_are_there_are_run_together(tmp_path):
    for step in (30, 10):
        adapter(tmp_path / f"checkpoint-{step}")
    checkpoint(tmp_path / "checkpoint-20")
    together: list[list[float | None]] = []

    def noted(some: Sequence[Checkpoint]) -> dict[Checkpoint, Ended]:
        together.append([one.step for one in some])
        return ran(some)

    *_, last = follow([str(tmp_path)], noted)
    assert together == [[10, 30], [20]] and last.over and not last.left
    together.clear()
    *_, last = follow([str(tmp_path)], noted, Watch(until=1), lambda seconds: None)
    assert together == [[10]]
    assert last.over
