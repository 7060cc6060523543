"""Two runs side by side: pairing, tests against statsmodels, flips, and what is never paired."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest

from ochat_eval import stats
from ochat_eval.baseline import compare as c
from ochat_eval.baseline import difference_formats, figures
from ochat_eval.baseline.command import compare
from ochat_eval.baseline.flips import Answer, Flip
from ochat_eval.baseline.gate import gate_task
from ochat_eval.baseline.policy import Policy
from ochat_eval.baseline.recorded import combined
from ochat_eval.baseline.results import Outcome, RunResults, TaskResults, Verdicts
from ochat_eval.baseline.runs import prompt_digest, read
from ochat_eval.baseline.sides import compare_sides
from ochat_eval.records import RULES, Item, UserError
from ochat_eval.report.command import tables
from tests.replays import REPLAY, sample_answers, write


def outcome(task: str, index: int, value: float | None, **changes: object) -> Outcome:
    values = () if value is None else (value,)
    verdicts = Verdicts(("x",), (True,), values, (0.0,) * len(values))
    id_ = f"{task}/main/{index}"
    made = Outcome(
        id_, f"p{index}", id_, "main", ("r",), (("stop", 1, 1),), dict.fromkeys(RULES, verdicts)
    )
    return replace(made, **changes)


def results(name: str, values, task: str = "t", **fields: object) -> RunResults:
    outcomes = [outcome(task, i, v) for i, v in enumerate(values)]
    made = TaskResults(
        task, "accuracy", (0.0, 1.0), 100.0, {}, len(outcomes), len(outcomes),
        {o.id: o for o in outcomes},
    )  # fmt: skip
    return RunResults(name, "m", {}, {task: replace(made, **fields)})


def one(a: RunResults, b: RunResults) -> c.TaskComparison:
    [row] = c.compare(a, b, "published")
    return row


def test_difference_mcnemar_and_flips_agree_with_statsmodels():
    from statsmodels.stats.contingency_tables import mcnemar

    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 2, 500), rng.integers(0, 2, 500)
    row = one(results("a", x.astype(float)), results("b", y.astype(float)))
    assert row.a == pytest.approx(100 * x.mean()) and row.b == pytest.approx(100 * y.mean())
    d = y - x
    assert row.difference.score == pytest.approx(100 * d.mean())
    assert row.difference.stderr == pytest.approx(100 * d.std(ddof=1) / 500**0.5)
    table = [[np.sum((x == i) & (y == j)) for j in (0, 1)] for i in (0, 1)]
    assert row.test == "McNemar"
    assert row.p == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert len(row.flips.gained) == table[0][1] and len(row.flips.lost) == table[1][0]
    assert row.flips.lost[0] == f"t/main/{int(np.argmax((x == 1) & (y == 0)))}"
    assert row.detectable == pytest.approx(100 * stats.mcnemar_detectable(500, np.mean(d != 0)))


def test_holm_over_the_columns_is_statsmodels():
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(1)
    a, b = {}, {}
    for k, shift in enumerate((0.0, 0.02, 0.05, 0.1)):
        x = rng.random(400) < 0.5
        y = x ^ (rng.random(400) < 0.1) | (rng.random(400) < shift)
        a |= results("a", x.astype(float), f"t{k}").tasks
        b |= results("b", y.astype(float), f"t{k}").tasks
    [rows] = c.corrected(
        [c.compare(RunResults("a", "m", {}, a), RunResults("b", "m", {}, b), "robust")]
    )
    expected = multipletests([row.p for row in rows], method="holm")[1]
    assert [row.p_holm for row in rows] == pytest.approx(list(expected))


def test_holm_is_over_all_pairs_that_are_shown_and_each_rule_by_itself():
    rng = np.random.default_rng(2)
    base = rng.random(300) < 0.6
    tables = []
    for name in "bcdef":
        other = base ^ (rng.random(300) < 0.1)
        two = (results("a", base.astype(float)), results(name, other.astype(float)))
        tables.append([row for rule in RULES for row in c.compare(*two, rule)])
    together = c.corrected(tables)
    published = [row for rows in together for row in rows if row.rule == "published"]
    expected = stats.holm([row.p for row in published])
    assert len(expected) == 5 and [row.p_holm for row in published] == pytest.approx(expected)
    alone = [c.corrected([rows])[0][0].p_holm for rows in tables]
    assert all(a == row.p <= b for a, b, row in zip(alone, expected, published, strict=True))
    assert max(expected) > max(alone) or max(expected) == 1


def test_other_prompts_unjudged_and_missing_items_are_said_and_not_paired():
    a, b = results("a", [1, 0, 1, 1, 0]), results("b", [0, 0, 1, None, 0], asked=7)
    there = dict(b.tasks["t"].outcomes)
    there["t/main/0"] = replace(there["t/main/0"], prompt="other words")
    del there["t/main/4"]
    b = replace(b, tasks={"t": replace(b.tasks["t"], outcomes=there)})
    row = one(a, b)
    assert row.pairing.ids == ("t/main/1", "t/main/2")
    assert row.flips == type(row.flips)((), ()), "the item asked otherwise is no flip"
    assert row.note == (
        "1 asked differently (t/main/0); 1 not judged or unread; 1 only in A; 3 missing in B"
    )
    nothing = one(a, results("b", [1, 1], task="t", outcomes={}))
    assert nothing.difference is None and "nothing in common" in nothing.note


def test_limited_runs_and_sample_items_are_not_shown_as_the_benchmark():
    part = {"asked": 3, "of": 1000}
    row = one(results("a", [1.0, 0.0, 1.0], **part), results("b", [1.0, 1.0, 1.0], **part))
    assert row.note == "limited to 3 of 1,000"
    cut = results("b", [1.0, 1.0, 1.0], options={"max_tokens": 16})
    row = one(results("a", [1.0, 0.0, 1.0], options={"max_tokens": None}), cut)
    assert row.note == "max_tokens null in A, 16 in B", "as it is written on the command line"
    ours = {"options": {"data": "sample"}}
    row = one(results("a", [1.0, 0.0, 1.0], **ours), results("b", [1.0, 1.0, 1.0], **ours))
    assert row.note == "sample items, not the benchmark"


def test_a_run_that_was_stopped_early_is_said():
    """Its items are as many as it took to decide: the ordinary p is too sure."""
    row = one(results("a", [1.0] * 9), results("b", [0.0] * 6, asked=9, of=9, stopped=True))
    assert "B was stopped early" in row.note and "3 only in A" in row.note


def test_clusters_ratings_and_identical_runs():
    rng = random.Random(2)
    values = [float(rng.random() < 0.5) for _ in range(60)]
    a, b = results("a", values), results("b", [float(rng.random() < 0.5) for _ in range(60)])
    together = {
        i: replace(o, cluster=f"passage {k // 3}")
        for k, (i, o) in enumerate(a.tasks["t"].outcomes.items())
    }
    clustered = replace(a, tasks={"t": replace(a.tasks["t"], outcomes=together)})
    row = one(clustered, b)
    assert row.test == "permutation" and row.difference.stderr != one(a, b).difference.stderr
    pairs = {
        i: replace(o, cluster=f"passage {k // 2}")
        for k, (i, o) in enumerate(a.tasks["t"].outcomes.items())
    }
    assert one(replace(a, tasks={"t": replace(a.tasks["t"], outcomes=pairs)}), b).test == "t"
    rated = results("a", [7.0, 8.0, 3.0], bounds=(1.0, 10.0), scale=1.0)
    better = results("b", [7.0, 9.0, 6.0], bounds=(1.0, 10.0), scale=1.0)
    row = one(rated, better)
    assert (row.a, row.b, row.test) == (6.0, pytest.approx(22 / 3), "permutation")
    assert row.p >= 2 / 2**3 and row.detectable is None, "three items are never below 0.05"
    same = one(a, a)
    assert (same.p, same.flips.gained) == (1.0, ())
    assert same.detectable == pytest.approx(100 * stats.mcnemar_detectable(60, 0.0))
    assert same.difference.hi == -same.difference.lo > 4, "no flip in 60 is no certainty"


def test_an_unread_rating_is_not_paired_and_said():
    rated = results("a", [7.0, 8.0, 3.0, 6.0], bounds=(1.0, 10.0), scale=1.0)
    outcomes = dict(rated.tasks["t"].outcomes)
    verdicts = replace(outcomes["t/main/1"].rules["published"], unread=(0.5,))
    outcomes["t/main/1"] = replace(outcomes["t/main/1"], rules=dict.fromkeys(RULES, verdicts))
    other = replace(rated, tasks={"t": replace(rated.tasks["t"], outcomes=outcomes)})
    row = one(rated, other)
    assert row.pairing.unjudged == ("t/main/1",) and "1 not judged or unread" in row.note
    row = c.compare_figure(7.8, other.tasks["t"], "published")
    assert row.b == pytest.approx(16 / 3), "nor counted beside a published figure"
    assert "3 of 4 items" in row.note and "1 not judged or unread" in row.note


def test_a_rating_is_not_compared_with_a_win_rate():
    """It was a ValueError, beside a published rating a difference of 42."""
    rated = results("a", [7.0, 8.0], task="mt_bench", metric="rating", bounds=(1.0, 10.0), scale=1)
    wins = results("b", [0.0, 1.0], task="mt_bench", metric="win rate")
    row = one(rated, wins)
    assert (row.a, row.b, row.p) == (None, None, None)
    assert row.note == "not compared: rating (1 to 10) in A, win rate (0 to 1) in B"
    published = figures.Row("OpenChat-3.5-0106", {"mt_bench": 7.8})
    [row] = compare_sides(wins, published, RULES)
    assert row.difference is None and "rating (1 to 10) in B" in row.note
    [row] = compare_sides(published, rated, RULES)
    assert row.difference.score == pytest.approx(-0.3)


def test_ratings_of_different_judges_are_named_and_neither_gated_nor_reruns():
    """MT-Bench's ratings move by a point from judge to judge: FAIL or PASS said nothing."""
    rated = {"bounds": (1.0, 10.0), "scale": 1.0}
    a, b, c_ = (
        results(name, [7.0, 8.0, 9.0], **rated, judges=judges)
        for name, judges in (("a", ("gpt-4 (graded)",)), ("b", ("local (graded)",)), ("c", ()))
    )
    assert "judged by gpt-4 (graded) in A, local (graded) in B" in one(a, b).note
    assert "judged" not in one(a, a).note + one(a, c_).note
    found = c.compare_figure(7.8, b.tasks["t"], "published")
    assert "judged by local (graded)" in found.note
    row = gate_task(b, a, "t", Policy(margin=50.0))
    assert row.verdict == "REFUSED"
    assert row.reason == "judged by local (graded), recorded by gpt-4 (graded)"
    assert gate_task(c_, a, "t", Policy(margin=50.0)).verdict != "REFUSED", "nobody noted it"
    with pytest.raises(UserError, match="b is no rerun of a: t is judged by local"):
        combined([a, b])


def test_random_answers_to_a_few_passages_are_seldom_called():
    """At n = 7 clusters' normal test called noise significant in 11 of 60 pairs."""
    rng = np.random.default_rng(7)
    called = 0
    for _ in range(200):
        runs = []
        for name in "ab":
            run = results(name, (rng.random(7) < 0.25).astype(float))
            outcomes = {
                i: replace(o, cluster=f"passage {k // 2}")
                for k, (i, o) in enumerate(run.tasks["t"].outcomes.items())
            }
            runs.append(replace(run, tasks={"t": replace(run.tasks["t"], outcomes=outcomes)}))
        row = one(*runs)
        assert row.test == "permutation"
        called += row.p <= 0.05
    assert called == 0, "four passages can tell nothing at 5 %"


def test_a_published_figure_is_unpaired_and_says_so():
    run = results("b", [1.0] * 60 + [0.0] * 40, of=1000)
    row = c.compare_figure(65.8, run.tasks["t"], "published")
    assert row.difference.score == pytest.approx(-5.8)
    assert row.difference.stderr == pytest.approx(100 * (2 * 0.24 / 99) ** 0.5)
    assert row.p is None and "unpaired" in row.note and "100 of 1,000 items" in row.note
    sample = results("b", [1.0] * 3, options={"data": "sample"}).tasks["t"]
    assert "sample items" in c.compare_figure(65.8, sample, "published").note
    none = c.compare_figure(65.8, results("b", [0.0] * 25).tasks["t"], "published").difference
    assert none.lo == pytest.approx(-65.8) and none.hi > -50, "0 of 25 is no certainty"
    turned = c.compare_figure(65.8, run.tasks["t"], "published", figure_is_b=True)
    assert (turned.a, turned.b, turned.difference.score) == (60, 65.8, pytest.approx(5.8))


def test_the_prompt_digest_is_of_what_is_asked_not_of_the_chat_format():
    item = Item("t/main/0", "t", "main", 0, ("q",), ("A",), ("A", "B"), "GPT4 Correct")
    same = replace(item, condition=None)
    assert prompt_digest(item) == prompt_digest(same)
    for change in ({"turns": ("q ",)}, {"target": ("B",)}, {"choices": ("A",)}, {"id": "t/main/1"}):
        assert prompt_digest(replace(item, **change)) != prompt_digest(item)


def test_hostile_text_cannot_leave_its_column_or_fence():
    bad = Answer(("\x1b[31m~~~~\n~~~\x00\u202e",), ("\x1b]0;x\x07",), 1.0)
    flip = Flip("t/main/0", "t", "published", "lost", bad, bad)
    for form in ("terminal", "markdown"):
        text = difference_formats.side_by_side(flip, form)
        assert not any(ch in text for ch in "\x1b\x00\x07\u202e")
    assert "~~~~~\n" in difference_formats.side_by_side(flip, "markdown")


# --- The command line ----------------------------------------------------------------------------


@pytest.fixture
def two_runs(cli, tmp_path, monkeypatch):
    """Runs a and b over the sample items: b lost item 3, and gained item 0."""
    for name, changed in ("a", {"i0": "It is 41."}), ("b", {"i3": "No \x1b[31midea"}):
        write(tmp_path / "a.jsonl", *sample_answers(**changed))
        assert cli(*REPLAY[:-1], f"run={name}").returncode == 0
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_compare_two_runs_in_every_format(two_runs, capsys):
    assert compare(["a", "b", "--flips", "9", "--flips-file", "flips.jsonl"]) == 0
    out = capsys.readouterr().out
    assert "A: a (smollm2_135m)    B: b (smollm2_135m)" in out and "+1 −1" in out
    assert "gsm8k/main/3 (published): lost" in out and "It is 41." in out and "\x1b" not in out
    flips = [json.loads(line) for line in (two_runs / "flips.jsonl").open()]
    assert {(f["id"], f["rule"], f["change"]) for f in flips} == {
        (f"gsm8k/main/{i}", rule, change)
        for i, change in ((0, "gained"), (3, "lost")) for rule in RULES
    }  # fmt: skip
    assert flips[0]["b"]["texts"] == ["No \x1b[31midea"], "the file has the text as it was"
    assert compare(["a", "b", "--format", "markdown", "--rule", "robust"]) == 0
    assert "| gsm8k  | robust |  12 | 91.67" in capsys.readouterr().out
    assert compare(["a", "published:OpenChat-3.5-0106", "--format", "markdown"]) == 0
    assert "sample items, not the benchmark" in capsys.readouterr().out
    assert compare(["results/runs/a", "b", "b", "--format", "json"]) == 0
    [first, second] = json.loads(capsys.readouterr().out)["comparisons"]
    assert first["tasks"][0]["flips"] == {"gained": ["gsm8k/main/0"], "lost": ["gsm8k/main/3"]}
    assert first["tasks"] == second["tasks"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["a", "bb"], "bb: there is no such run or recorded run"),
        (["a", "b", "--flips", "-1"], "--flips is -1"),
        (["a", "published:GPT-5"], "published"),
    ],
)
def test_what_cannot_be_compared_is_one_line(two_runs, capsys, arguments, complaint):
    assert compare(arguments) == 2
    errors = capsys.readouterr().err.splitlines()
    assert complaint in errors[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "complaint"), [("manifest", "is no manifest of a run"), ("summary", "is no summary")]
)
def test_a_file_of_a_run_that_is_something_else_is_one_line(two_runs, capsys, name, complaint):
    (two_runs / f"results/runs/b/{name}.json").write_text("{}")
    command = {"manifest": compare, "summary": tables}[name]
    assert command(["a", "b"]) == 2
    assert complaint in capsys.readouterr().err.splitlines()[-1]


def test_a_run_without_scores_is_refused(two_runs, capsys):
    (two_runs / "results/runs/b/scores.jsonl").unlink()
    assert compare(["a", "b"]) == 2
    assert "has no scores.jsonl yet: run its command with stage=score" in capsys.readouterr().err


def test_published_rows_need_a_run_and_the_published_rule(two_runs):
    row = figures.Row("X", {"gsm8k": 77.3})
    run = read("a")
    assert compare_sides(row, run, ["published"])[0].a == 77.3
    assert compare_sides(run, row, RULES)[0].b == 77.3
    with pytest.raises(UserError, match="both published rows"):
        compare_sides(row, row, RULES)
    with pytest.raises(UserError, match="--rule published"):
        compare_sides(run, row, ["robust"])
    with pytest.raises(UserError, match="no benchmark in common"):
        compare_sides(run, figures.Row("Y", {"mmlu": 1.0}), RULES)
