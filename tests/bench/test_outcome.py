"""The table at the end of a bench: every part is in it, and what the noise leaves open is not told."""

from __future__ import annotations

import json

import pytest

from ochat_eval.bench import costs
from ochat_eval.bench.command import bench
from ochat_eval.bench.outcome import Outcome, summary
from ochat_eval.records import UserError


@pytest.mark.parametrize(
    ("ours", "goal", "verdict"),
    [
        ([2, 3, 4], 1.0, "missed"),  # 1.5 ± 0.5
        ([2, 3, 4], 2.0, "ok"),
        ([2, 3, 4], 1.2, "too noisy to say"),
        ([2, 3, 4], 1.9, "too noisy to say"),
        ([2, 2, 2], 1.0, "ok"),
        ([3], 1.0, "too noisy to say"),  # nobody knows
        ([2, 3, 4], None, ""),
    ],
)
def test_a_verdict_is_given_where_the_noise_allows(ours, goal, verdict):
    claim = costs.claim("a / b", ours, [2] * len(ours), goal=goal)
    assert claim.verdict == verdict
    assert claim.measured == costs.ratio(ours, [2] * len(ours))
    assert claim.noise == (None if len(ours) == 1 else (max(ours) - min(ours)) / 4)


def test_every_part_has_a_row():
    claims = [costs.claim("a / b", [2, 3, 4], [2] * 3, goal=1.9), costs.claim("c", [1], [2])]
    done = [
        Outcome("one", costs.Table("t", ["x"], [], claims=claims), seconds=80),
        Outcome("two", costs.Table("t", ["x"], []), seconds=10),
        Outcome("three", None, "no room " * 30),
    ]
    title, _, _, *rows = summary(done).splitlines()
    assert title == "all parts, 1.5 minutes"
    cells = [[cell.strip() for cell in row.split("  ") if cell] for row in rows]
    assert cells[0] == ["one", "a / b", "at most 1.9", "1.500", "±0.500", "too noisy to say"]
    assert cells[1] == ["one", "c", "–", "0.500", "?"]
    assert cells[2] == ["two", "no ratio, its table is above"]
    assert cells[3][0] == "three" and cells[3][1].startswith("no room") and cells[3][-1] == "FAILED"
    assert len(rows[3]) < 120


@pytest.mark.parametrize("problem", [UserError("no room"), KeyError("no room")])
def test_one_that_fails_costs_the_others_nothing(problem, monkeypatch, tmp_path, capsys):
    def broken():
        raise problem

    tables = [("a", broken), ("b", lambda: costs.Table("the other", ["a"], [["1"]]))]
    monkeypatch.setattr("ochat_eval.bench.command._tables", lambda given, engines: iter(tables))
    assert bench(["all", "--record", str(tmp_path / "bench.json")]) == 2
    out, err = capsys.readouterr()
    assert "the other" in out and "no room" in out and "FAILED" in out
    assert [line for line in err.splitlines() if "ochat-eval bench: " in line and "no room" in line]
    assert ("Traceback" in err) == isinstance(problem, KeyError)
    kept = json.loads((tmp_path / "bench.json").read_text())
    assert [table["title"] for table in kept["tables"]] == ["the other"]
    assert [(one["part"], "no room" in one["problem"]) for one in kept["parts"]] == [
        ("a", True), ("b", False)
    ]  # fmt: skip
