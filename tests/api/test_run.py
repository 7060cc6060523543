"""A run from Python: frames with typed columns, tables, comparisons, the gate."""

from __future__ import annotations

import dataclasses

import pytest

import ochat_eval
from ochat_eval.api.frames import ITEMS, RESPONSES, SCORES
from ochat_eval.records import Item, Response, Score
from tests.api.conftest import replayed
from tests.conftest import door


def test_frames_have_the_files_rows_and_a_type_for_each_column(here):
    run = ochat_eval.load("b")
    items, responses, scores = run.items(), run.responses(), run.scores()
    assert (len(items), len(responses), len(scores)) == (12, 12, 24)
    assert {str(kind) for kind in responses.dtypes[["task", "finish_reason"]]} == {"category"}
    assert str(responses.dtypes["prompt_tokens"]) == "Int64", "unknown ones are NA"
    assert str(scores.dtypes["value"]) == "float64" and str(scores.dtypes["matched"]) == "bool"
    assert responses.set_index("id").text["gsm8k/main/1"] == "No idea \ud800"
    right = scores.groupby(["task", "rule"], observed=True).value.mean()
    for rule in ("published", "robust"):
        score = run.summary["tasks"]["gsm8k"][rule]["score"]
        assert 100 * right["gsm8k", rule] == pytest.approx(score)
    assert set(scores.subset) == {"main"}
    empty = replayed("a", stage="generate", run="asked")
    assert len(empty.items()) == 12
    with pytest.raises(ochat_eval.UserError, match="has no scores.jsonl yet"):
        empty.scores()
    with pytest.raises(ochat_eval.UserError, match="summary.json"):
        _ = empty.summary
    assert "asked" in empty._repr_markdown_()


@pytest.mark.parametrize(
    ("columns", "cls"), [(ITEMS, Item), (RESPONSES, Response), (SCORES, Score)], ids="irs"
)
def test_every_field_has_a_column(columns, cls):
    assert {f.name for f in dataclasses.fields(cls)} == set(columns) - (
        set() if cls is Item else {"task", "subset"}
    )


def test_what_a_notebook_shows(here):
    run = ochat_eval.load(here / "results/runs/a")
    assert run.table().markdown + "\n" == (run.path / "table.md").read_text()
    assert run.table().markdown in run._repr_markdown_()
    assert run.report.is_file() and str(run.report).endswith("a/report.html")
    frame = run.report._repr_html_()
    assert (
        frame.startswith('<iframe sandbox="allow-scripts" srcdoc="&lt;!') and "<script" not in frame
    )
    assert {"a", "b"} <= {one.name for one in ochat_eval.runs()}
    assert ochat_eval.runs("nowhere") == []


def test_compare_gives_what_the_command_prints(here):
    a, b = ochat_eval.load("a"), ochat_eval.load("b")
    found = a.compare(b)
    assert found.rows == ochat_eval.compare("a", "b").rows
    lost = {row.rule: row.flips.lost for row in found.rows}
    assert lost["robust"] == ("gsm8k/main/0",)
    printed = door("compare", "a", "b", folder=here)
    assert str(found).partition("\n")[2].strip() in printed.stdout
    assert "| robust" in found._repr_markdown_()


def test_the_gate_gives_its_verdict(here):
    door("record", "a", "--as", "base", folder=here)
    a, b = ochat_eval.load("a"), ochat_eval.load("b")
    assert ochat_eval.gate(a, "base").verdict == "REFUSED", "recorded without reruns"
    assert ochat_eval.gate(a, "base", margin=60).verdict == "PASS"
    assert ochat_eval.gate("b", "base", margin=5, mode="no-worse").verdict != "PASS"
    assert ochat_eval.gate(b, "base", margin=1, rule="robust").rows[0].score < 100
    with pytest.raises(ochat_eval.UserError, match="margin is 0"):
        ochat_eval.gate(a, "base", margin=0)
    with pytest.raises(ochat_eval.UserError, match=r"'no_worse' - at `\$.mode`"):
        ochat_eval.gate(a, "base", mode="no_worse")
    with pytest.raises(ochat_eval.UserError, match=r"got `str` - at `\$.margin`"):
        ochat_eval.gate(a, "base", margin="5")
    with pytest.raises(ochat_eval.UserError, match="a tuple of published and robust"):
        ochat_eval.compare("a", "b", rules="robust")
    with pytest.raises(ochat_eval.UserError, match="is a recorded run"):
        ochat_eval.load("base")
    with pytest.raises(ochat_eval.UserError, match="no such run"):
        ochat_eval.load("bas")
