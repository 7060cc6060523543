"""The picture of the replicas: what of `replicas.jsonl` it is drawn from."""

from __future__ import annotations

import json
from pathlib import Path

from ochat_eval.report.page.replicas import over_time


def written(path: Path, lines: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def sample(seconds: float, replica: int) -> dict[str, object]:
    return {"seconds": seconds, "replica": replica, "in_flight": 8, "finished": 3}


def test_of_a_long_run_every_replica_keeps_its_share_and_no_event_is_lost(tmp_path):
    lines = [sample(second, replica) for second in range(1500) for replica in range(4)]
    lines.insert(3001, {**sample(750, 2), "event": "died", "reason": "killed"})
    kept = over_time(written(tmp_path / "r", lines))
    for replica in range(4):
        own = [line["seconds"] for line in kept if line["replica"] == replica]
        assert 200 <= len(own) <= 252
        assert own[0] == 0 and own[-1] > 1490
    assert [line["event"] for line in kept if "event" in line] == ["died"]


def test_a_run_that_went_on_is_drawn_after_what_came_before(tmp_path):
    lines = [sample(s, 0) for s in (5, 10)] + [sample(s, r) for s in (3, 6) for r in (0, 1)]
    assert [line["seconds"] for line in over_time(written(tmp_path / "r", lines))] == [
        5, 10, 13, 13, 16, 16
    ]  # fmt: skip


def test_a_damaged_line_costs_no_more_than_itself(tmp_path):
    path = written(tmp_path / "r", [sample(1, 0)])
    with path.open("ab") as file:
        file.write(
            b'{"seconds": 2, "repl{"seconds": 2, "replica": 0}\n[]\n{"seconds": "x"}\n\xff\n'
        )
        file.write(json.dumps(sample(3, 0)).encode() + b"\n" + b'{"seconds": 4, "rep')
    assert [line["seconds"] for line in over_time(path)] == [1, 3]


def test_there_need_not_be_any(tmp_path):
    assert over_time(tmp_path / "r") == []
