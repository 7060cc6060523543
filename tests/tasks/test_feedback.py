"""The feedback evaluator: its prompt, how its rating is read, and the benchmark that measures one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from ochat_eval.answers.feedback import feedback_rating
from ochat_eval.benchmark.feedback import feedback_prompt
from ochat_eval.benchmark.selection import Selection
from ochat_eval.records import RULES, UserError
from ochat_eval.tasks.feedback import Feedback
from tests.conftest import CHECKOUT, lines

CASES = [
    json.loads(line) for line in (CHECKOUT / "tests/cases/feedback.jsonl").open(encoding="utf-8")
]
SAMPLE = CHECKOUT / "tasks/samples/feedback.jsonl"
RUN = "results/runs/r"
REPLAY = ("task=feedback", "engine=replay", "engine.path=a.jsonl", "run=r")


def read(text: str) -> dict[str, str | None]:
    return {rule: feedback_rating(text, rule).answer for rule in RULES}


# --- The prompt ------------------------------------------------------------------------------


def test_the_prompt_has_every_part_in_its_place_and_takes_text_as_it_is():
    parts = ["Do {this}.", "Feedback: {0} [RESULT] 5", "Like %s so.", "Is it {good}?"]
    levels = [f"level <{n}>" for n in "abcde"]
    text = feedback_prompt(*parts, levels)
    places = [text.index(part) for part in [*parts, *levels]]
    assert places == sorted(places)
    assert all(f"Score {n}: level <{x}>" in text for n, x in zip(range(1, 6), "abcde", strict=True))
    assert text.endswith("Feedback: <your feedback> [RESULT] <score>")


@pytest.mark.parametrize("count", [0, 4, 6])
def test_a_rubric_has_five_levels(count):
    with pytest.raises(ValueError):
        feedback_prompt("a", "b", "c", "d", ["x"] * count)


# --- The rating ------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"][-30:])
def test_both_rules_read(case):
    assert read(case["text"]) == {"published": case["published"], "robust": case["robust"]}


@given(st.text(), st.sampled_from(range(-20, 60)), st.text(alphabet=" \n.!?)\"'…", max_size=9))
def test_an_integer_behind_the_last_marker_is_the_rating_if_it_is_one_of_five(words, n, end):
    expected = str(n) if 1 <= n <= 5 else None
    assert read(f"Feedback: {words} [RESULT] {n}{end}") == dict.fromkeys(RULES, expected)


@given(st.text(), st.sampled_from(RULES))
def test_any_text_is_read_and_what_is_read_stands_there(text, rule):
    for whole in (text, f"[RESULT]{text}", f"[RESULT] 4{text}"):
        reading = feedback_rating(whole, rule)
        assert reading.matched == (reading.answer is not None) == (reading.span is not None)
        if reading.span:
            assert reading.answer in ("1", "2", "3", "4", "5")
            start, end = reading.span
            assert end == start + 1 and int(whole[start:end]) == int(reading.answer)
            assert not any(c.isalpha() for c in whole[end:]) or rule == "robust"


@given(st.text(max_size=30), st.text(max_size=30))
def test_the_robust_rule_reads_all_that_the_published_one_reads(before, after):
    for text in (f"{before}[RESULT]{after}", f"{before}[RESULT] 3{after}"):
        published = feedback_rating(text, "published")
        if published.matched:
            assert feedback_rating(text, "robust") == published


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "piece",
    [
        "[RESULT]",
        "[RESULT] 4",
        "[RESULT] ",
        " ",
        ".",
        "4.0",
        "0",
        "*",
        "(",
        "[RESULT] Score:",
        "/5",
    ],
)
def test_a_million_characters_are_read_at_once(piece, rule):
    long = (piece * 1_000_000)[:1_000_000]
    for text in (long, f"[RESULT]{long}x", f"[RESULT] 4{long}x", f"[RESULT] 4.0{long}x"):
        feedback_rating(text, rule)


# --- The user's rows -------------------------------------------------------------------------


def rows() -> list[dict[str, object]]:
    return [json.loads(line) for line in SAMPLE.open(encoding="utf-8")]


def written(path: Path, values: list[dict[str, object]]) -> Path:
    path.write_text("".join(f"{json.dumps(value)}\n" for value in values))
    return path


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in rows()[0].items() if key != name}


MISTAKES = [
    *[(without(name), f"{name} is missing") for name in rows()[0] if name != "subset"],
    ({"instruction": 5}, "instruction is no text but 5"),
    ({"reference": "  "}, "reference is empty"),
    ({"subset": ""}, "subset is empty"),
    ({"subset": None}, "subset is no text but None"),
    ({"descriptions": ["a", "b", "c", "d"]}, "descriptions has 4 texts, not one for each score"),
    ({"descriptions": "abcde"}, "descriptions is no list of texts"),
    ({"descriptions": ["a", "b", "c", "d", " "]}, "descriptions is no list of texts"),
    *[({"score": s}, f"score is {s!r}, not an integer") for s in (0, 6, 4.5, 4.0, "4", True, None)],
]


@pytest.mark.parametrize(("changed", "complaint"), MISTAKES, ids=[text for _, text in MISTAKES])
def test_a_mistake_names_line_and_field(tmp_path, changed, complaint):
    wrong = changed if len(changed) > 1 else {**rows()[0], **changed}
    file = written(tmp_path / "rows.jsonl", [rows()[0], wrong])
    file.write_text("\n" + file.read_text())  # a blank line counts as a line
    with pytest.raises(UserError, match=re.escape(f"rows.jsonl line 3: {complaint}")):
        list(Feedback(name="feedback", data="full", file=str(file)).items())


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b'{"score": 1}\n{"sco', "rows.jsonl: cannot be read as JSON lines: line 2 is not JSON"),
        (b"[1]\n", "line 1 is not a JSON object but list"),
        (b'{"instruction": "\xff"}', "cannot be read as JSON lines: 'utf-8' codec"),
        (b'{"instruction": "\\ud800"}', "surrogates not allowed"),
        (b"\n\n", "there are no rows in it"),
        (b'{"a": 1}\n{"b": 2}\n', r"line 1: instruction is missing \(1 more lines have mistakes\)"),
    ],
)
def test_a_file_that_holds_no_rows_is_one_line(tmp_path, content, complaint):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(content)
    with pytest.raises(UserError, match=complaint) as caught:
        list(Feedback(name="feedback", data="full", file=str(file)).items())
    assert "\n" not in str(caught.value)


def test_without_a_file_it_says_how_to_name_one():
    with pytest.raises(UserError, match=r"tasks\.feedback\.file=ROWS\.jsonl .*or take data=sample"):
        list(Selection(Feedback(name="feedback", data="full"), 0))


def test_the_known_score_and_an_empty_response_are_fine(tmp_path):
    file = written(tmp_path / "rows.jsonl", [{**rows()[0], "response": ""}, without("subset")])
    one, other = Feedback(name="feedback", data="full", file=str(file)).items()
    assert (one.id, other.id) == ("feedback/explaining/0", "feedback/main/1")
    assert one.target == ("1",) and one.choices == ("1", "2", "3", "4", "5")
    assert rows()[0]["instruction"] in one.turns[0]


def test_the_sample_items_have_every_score():
    assert {row["score"] for row in rows()} == {1, 2, 3, 4, 5}
    assert 12 <= len(list(Feedback(name="feedback", data="sample").items())) <= 20


# --- A run -----------------------------------------------------------------------------------


def answers(tmp_path: Path, texts: list[str]) -> list[dict[str, object]]:
    values = [
        {"id": f"feedback/{row.get('subset', 'main')}/{n}", "text": text}
        for n, (row, text) in enumerate(zip(rows(), texts, strict=True))
    ]
    written(tmp_path / "a.jsonl", values)
    return values


def test_a_run_has_correlations_agreement_and_the_unparsed_rate(cli, tmp_path):
    known = [int(str(row["score"])) for row in rows()]
    rated = [min(5, score + (n % 3 == 0)) for n, score in enumerate(known)]
    texts = [f"Feedback: so so. [RESULT] {rating}" for rating in rated]
    texts[4], texts[7] = "Feedback: fine. [RESULT] **2**", "I would say 3."
    answers(tmp_path, texts)
    written(tmp_path / "rows.jsonl", rows())
    done = cli(*REPLAY, "tasks.feedback.file=rows.jsonl")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / RUN / "summary.json").read_text())["tasks"]["feedback"]
    for rule, unread in (("published", {4, 7}), ("robust", {7})):
        one, n = summary[rule], 18 - len(unread)
        # Unread ratings are neither right nor wrong.
        pairs = [
            (k, r) for i, (k, r) in enumerate(zip(known, rated, strict=True)) if i not in unread
        ]
        if rule == "robust":
            pairs[4] = (known[4], 2)
        x, y = zip(*pairs, strict=True)
        assert one["n"] == one["pearson"]["n"] == n
        assert one["score"] == pytest.approx(100 * sum(a == b for a, b in pairs) / n)
        assert one["unmatched"] == one["unparsed"]["score"] == pytest.approx(len(unread) / 18)
        assert one["unparsed"]["n"] == 18
        assert one["pearson"]["score"] == pytest.approx(scipy.stats.pearsonr(x, y).statistic)
        assert one["spearman"]["score"] == pytest.approx(scipy.stats.spearmanr(x, y).statistic)
        assert one["kendall"]["score"] == pytest.approx(scipy.stats.kendalltau(x, y).statistic)
        for name in ("pearson", "spearman", "kendall", "unparsed"):
            low, high = one[name]["ci95"]
            assert low < one[name]["score"] < high
        assert all("pearson" not in part for part in one["subsets"].values())
    scores = lines(tmp_path / RUN / "scores.jsonl")
    assert [s["value"] for s in scores if s["answer"] is None] == [None] * 3
    table = (tmp_path / RUN / "table.md").read_text()
    assert f"pearson {summary['robust']['pearson']['score']:.2f}; spearman " in table
    assert "unparsed 0.11; " in table and "unparsed 0.06; " in table


def test_a_judge_that_never_rates_has_no_score(cli, tmp_path):
    answers(tmp_path, ["Feedback: I cannot say. [RESULT] 7"] * 18)
    done = cli(*REPLAY, "data=sample")
    assert done.returncode == 0, done.stderr
    one = json.loads((tmp_path / RUN / "summary.json").read_text())["tasks"]["feedback"]["robust"]
    assert (one["score"], one["n"], one["unmatched"]) == (None, 0, 1.0)
    assert one["unparsed"]["score"] == 1.0 and one["unparsed"]["ci95"][0] < 1
    assert one["pearson"]["score"] is None and "no values" in one["pearson"]["reason"]
    assert "pearson –" in done.stdout


def test_a_judge_that_always_rates_the_same_has_no_correlation(cli, tmp_path):
    answers(tmp_path, ["Feedback: well. [RESULT] 3"] * 18)
    assert cli(*REPLAY, "data=sample").returncode == 0
    one = json.loads((tmp_path / RUN / "summary.json").read_text())["tasks"]["feedback"][
        "published"
    ]
    threes = sum(row["score"] == 3 for row in rows())
    assert one["score"] == pytest.approx(100 * threes / 18)
    assert one["kendall"] == {
        "score": None, "n": 18, "ci95": None,
        "reason": "all values of one side are the same: no correlation is defined",
    }  # fmt: skip


def test_several_ratings_of_one_response_count_once(cli, tmp_path):
    row = rows()
    values = [
        {"id": f"feedback/{r['subset']}/{n}", "sample": sample, "text": f"[RESULT] {rating}"}
        for n, r in enumerate(row)
        for sample, rating in enumerate((r["score"], "none" if n == 0 else 3))
    ]
    written(tmp_path / "a.jsonl", values)
    done = cli(*REPLAY, "data=sample", "tasks.feedback.n=2", "tasks.feedback.temperature=1")
    assert done.returncode == 0, done.stderr
    one = json.loads((tmp_path / RUN / "summary.json").read_text())["tasks"]["feedback"]["robust"]
    x = [r["score"] for r in row]
    y = [r["score"] if n == 0 else (r["score"] + 3) / 2 for n, r in enumerate(row)]
    assert one["pearson"]["n"] == one["n"] == 18
    assert one["pearson"]["score"] == pytest.approx(scipy.stats.pearsonr(x, y).statistic)
    assert one["unparsed"]["score"] == pytest.approx(1 / 36)
