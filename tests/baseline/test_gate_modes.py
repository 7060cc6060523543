"""What a gate can be asked: the same or no worse, a margin, a policy file, unread ratings."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from ochat_eval import stats
from ochat_eval.baseline import gate as gating
from ochat_eval.baseline import verdict_formats
from ochat_eval.baseline.command import gate, record
from ochat_eval.baseline.policy import Policy, TaskPolicy, check_names, read_policy
from ochat_eval.baseline.results import Verdicts
from ochat_eval.records import RULES, UserError
from tests.baseline.conftest import verdicts
from tests.baseline.test_compare import results
from tests.replays import REPLAY, sample_answers, write


def test_recorded_once_is_refused_unless_a_margin_is_said(small, cli, capsys):
    assert gate(["r", "--against", "alone", "--junit", "j.xml"]) == 3
    out = " ".join(capsys.readouterr().out.split())
    assert "recorded once, without reruns" in out and "run its command again with shuffle=1" in out
    assert verdicts("j.xml") == {"gsm8k": "REFUSED"}
    assert gate(["r", "--against", "alone", "--margin", "30"]) == 0
    assert "PASS: r against alone, rule published" in capsys.readouterr().out
    assert gate(["r", "--against", "alone", "--margin", "20"]) == 2, "12 items can tell 25 points"
    out = " ".join(capsys.readouterr().out.split())
    assert "-24.96…+24.96" in out and "its noise (ψ) is unknown" in out
    assert "rerun passes" not in out, "no figure of that name is shown"


def test_other_items_than_the_recorded_ones_are_no_part_of_them(small, capsys):
    assert gate(["r", "--against", "smollm2_135m-cpu"]) == 3
    out = " ".join(capsys.readouterr().out.split())
    assert "12 items are not in the recorded run, gsm8k/main/0 the first" in out
    assert "part: 0 of 200 items, 0 of 8 benchmarks" in out and "--part" not in out
    assert "very same text" not in out


def test_an_improvement_passes_as_no_worse_and_is_said_to_be_one(small, cli, capsys):
    write(small / "a.jsonl", *sample_answers(**{f"i{i}": "No." for i in range(9)}))
    assert cli(*REPLAY[:-1], "run=poor").returncode == 0
    assert record(["poor", "--as", "before"]) == 0
    asked = ["r", "--against", "before", "--rule", "robust", "--margin", "1"]
    capsys.readouterr()
    assert gate([*asked, "--same"]) == 1, "the unmatched rate fell, too"
    assert "the unmatched rate is 0.0 %, recorded 75.0 %" in " ".join(
        capsys.readouterr().out.split()
    )
    assert gate([*asked, "--no-worse"]) == 0, (
        "that more can be read is no fault of a new checkpoint"
    )
    assert record(["r", "--as", "good"]) == 0
    capsys.readouterr()
    assert gate(["poor", "--against", "good", *asked[3:], "--no-worse"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "lie below -1.00; the unmatched rate is 75.0 %, recorded 0.0 %" in out
    write(small / "a.jsonl", *sample_answers(**{f"i{i}": "It is 4321." for i in range(9)}))
    assert cli(*REPLAY[:-1], "run=wrong").returncode == 0
    assert record(["wrong", "--as", "before"]) == 0
    assert gate([*asked, "--no-worse", "--junit", "j.xml"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "better: +75.00 points" in out
    assert "PASS: r against before, no worse, rule robust" in out
    assert gate([*asked, "--same"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "better is not the same: ask --no-worse of a new checkpoint" in out
    assert gate(["wrong", *asked[1:], "--no-worse"]) == 2


def test_a_rerun_recorded_twice_has_its_chances(small, cli, capsys):
    write(small / "a.jsonl", *sample_answers())
    assert cli(*REPLAY[:-1], "run=again").returncode == 0
    assert record(["r", "again", "--as", "twice"]) == 0
    capsys.readouterr()
    assert gate(["r", "--against", "twice"]) == 2, "no flip in 12 is compatible with 25 points"
    out = " ".join(capsys.readouterr().out.split())
    assert "rerun passes 0 %" in out and "no run over 12 items passes 0.30" in out


# --- The policy file -----------------------------------------------------------------------------


def policy(text: str) -> str:
    Path("gate.yaml").write_text(text)
    return "gate.yaml"


def test_a_policy_says_rule_mode_and_margin_by_benchmark(small, capsys):
    file = policy("mode: no-worse\nmargin: 1\ntasks:\n  gsm8k: {margin: 30, rule: robust}\n")
    assert gate(["r", "--against", "alone", "--policy", file]) == 0
    assert "PASS: r against alone, no worse, rule robust" in capsys.readouterr().out
    file = policy("tasks: {gsm8k: {margin: 20}}\n")
    assert gate(["r", "--against", "alone", "--policy", file]) == 2


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("margin: [", "cannot be read"),
        ("- 1", "Expected `object`, got `array`"),
        ("margins: 1", "unknown field `margins`"),
        ("mode: worse", "Invalid enum value 'worse' - at `$.mode`"),
        ("margin: much", "Expected `float | null`, got `str` - at `$.margin`"),
        ("margin: 0", "margin is 0; it must be above 0"),
        ("flip_sds: .nan", "flip_sds is nan"),
        ("tasks: {gsm8k: {rule: mine}}", "Invalid enum value 'mine'"),
        ("tasks: {gsm8k: {margin: 101}}", "tasks.gsm8k.margin is 101"),
        ("tasks: {gsm8k: {weight: -1}}", "tasks.gsm8k.weight is -1"),
        ("tasks: {gsm8k: {veto: false}}", "neither a weight nor a veto"),
        ("tasks: {gms8k: {margin: 1}}", "tasks.gms8k: the recorded run does not have it; did you mean gsm8k?"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_policy_is_one_line(tmp_path, text, complaint):
    path = tmp_path / "gate.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as refused:
        check_names(read_policy(path), ["gsm8k"], f"--policy {path}")
    said = str(refused.value)
    assert complaint in said and said.startswith(f"--policy {path}") and "\n" not in said


def row(task: str, verdict: str, difference: float, half: float, **fields: object):
    given = {
        "n": 100,
        "of": 100,
        "recorded": 50.0,
        "score": 50 + difference,
        "margin": 1.0,
        **fields,
    }
    ends = {"lo": difference - half, "hi": difference + half}
    return gating.TaskGate(task, verdict, difference=difference, **ends, **given)


def test_weighted_benchmarks_pass_together_and_a_veto_alone():
    weights = {"a": TaskPolicy(weight=3), "b": TaskPolicy(weight=1)}
    asked = Policy(margin=1.0, mode="no-worse", tasks=weights)
    rows = [row("a", "PASS", 0.5, 0.4), row("b", "FAIL", -1.2, 0.1), row("c", "PASS", 0.0, 0.1)]
    [mean] = gating.weighted(rows, asked)
    assert (mean.task, mean.verdict, mean.n) == ("weighted mean", "PASS", 200)
    assert mean.difference == pytest.approx((3 * 0.5 - 1.2) / 4)
    half = ((3 * 0.4) ** 2 + 0.1**2) ** 0.5 / 4
    assert (mean.lo, mean.hi) == pytest.approx((mean.difference - half, mean.difference + half))
    assert [asked.veto(name) for name in "abc"] == [False, False, True]
    both = Policy(margin=1.0, tasks={"a": TaskPolicy(weight=1, veto=True)})
    assert both.veto("a") and gating.weighted(rows, Policy()) == []
    decided = [dataclasses.replace(r, decides=asked.veto(r.task)) for r in rows]
    assert gating.overall([*decided, mean]) == "PASS"
    outcome = gating.GateResult("r", "b", asked.title("abc"), "PASS", [*decided, mean], [])
    assert "(FAIL)" in verdict_formats.terminal(outcome)
    suite = ET.fromstring(verdict_formats.junit(outcome).encode())
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("0", "0", "1")
    noise = Policy(tasks=weights)
    [unknown] = gating.weighted(rows, noise)
    assert (unknown.verdict, unknown.reason) == (
        "REFUSED", "its margin is not known: say one, in points",
    )  # fmt: skip
    [known] = gating.weighted([dataclasses.replace(r, psi=0.04) for r in rows], noise)
    sd = 100 * (0.04 / 100 * (0.75**2 + 0.25**2)) ** 0.5
    assert known.margin == pytest.approx(3.29 * sd)
    refused = [gating.TaskGate("a", "REFUSED", "why"), *rows[1:]]
    assert gating.weighted(refused, asked)[0].verdict == "REFUSED"


def test_weighted_benchmarks_of_the_same_questions_rise_and_fall_together():
    """BBH's two, as in the tables' average: taken for independent they passed losses of 1.1."""
    rows = [row("bbh_mc", "PASS", 0.0, 1.1), row("bbh_cot", "PASS", 0.0, 1.1)]
    tasks = dict.fromkeys(("bbh_mc", "bbh_cot"), TaskPolicy(weight=1))
    [mean] = gating.weighted(rows, Policy(margin=1.0, mode="no-worse", tasks=tasks))
    assert (mean.lo, mean.hi, mean.verdict) == (-1.1, 1.1, "INCONCLUSIVE")


def test_several_answers_an_item_are_gated_as_verdicts_and_ratings_as_ratings():
    """Means of verdicts were gated by t alone: one that fell by a half was ±0.8 points of 100."""

    def runs(values, **fields):
        new = results("new", [pair[-1] for pair in values], **fields)
        task = new.tasks["t"]
        outcomes = {
            id_: dataclasses.replace(
                one, rules={r: Verdicts(("x",), (True,), pair[:-1], (0.0, 0.0)) for r in RULES}
            )
            for (id_, one), pair in zip(task.outcomes.items(), values, strict=True)
        }
        recorded = dataclasses.replace(task, outcomes=outcomes)
        return new, dataclasses.replace(new, name="old", runs=2, tasks={"t": recorded})

    asked = Policy(margin=1.0, mode="no-worse")
    sampled = [(1.0, 1.0, 0.5), (0.0, 0.5, 0.5), *[(1.0, 1.0, 1.0)] * 98]
    row = gating.gate_task(*runs(sampled), "t", asked)
    assert row.verdict == "INCONCLUSIVE" and row.lo < -1
    told = stats.chances(1.0, row.psi, 100, 2, mode="no-worse")
    assert row.passes == pytest.approx(told.passes)
    row = gating.gate_task(*runs([(1.0, 0.0, 0.0)] * 3 + [(1.0, 1.0, 0.0)]), "t", Policy())
    assert row.margin > 100 and row.verdict == "INCONCLUSIVE", "it passed, all wrong as it is"
    assert "no score would fail" in row.reason
    one = runs([(8.0, 8.0, 7.0)], bounds=(1.0, 10.0), scale=1.0)
    assert gating.gate_task(*one, "t", Policy()).reason == "one item or cluster tells no error"
    rated = [(8.0, 8.0, 7.0), (5.0, 6.0, 6.0), *[(9.0, 9.0, 9.0)] * 98]
    for bounds in ((1.0, 10.0), (0.0, 10.0)):
        row = gating.gate_task(*runs(rated, bounds=bounds, scale=1.0), "t", asked)
        assert row.verdict == "PASS"
