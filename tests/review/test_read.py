"""`ochat-eval read`, by a person at a real terminal, and what their marks then say."""

from __future__ import annotations

import json
import os
import signal
import termios
from pathlib import Path

import pytest

from ochat_eval.review.rates import measured
from tests.conftest import lines
from tests.replays import REPLAY, RUN, sample_answers, write
from tests.review.person import reading

HOSTILE = "\x1b[J\x1bc\x1b]owned\x07\u202eEVIL\x9bm\r\x08"
"""Wipes the screen, resets the terminal, names its window, turns text around."""
ALIKE, APART, UNREAD = 8, 2, 2
"""Of the 12 answers: read the same by both rules, differently (`1,500` and `-8`), by neither."""


@pytest.fixture
def run(cli, tmp_path) -> Path:
    """The folder of a run of GSM8K's sample items."""
    write(tmp_path / "a.jsonl", *sample_answers(i0="No idea.", i1=f"{HOSTILE}Nothing ⟦to⟧ say"))
    done = cli(*REPLAY)
    assert done.returncode == 0, done.stderr
    return tmp_path / RUN


def marks(run: Path) -> list[dict]:
    return lines(run / "review.jsonl")


@pytest.mark.slow
def test_a_person_goes_forth_back_and_away_and_goes_on_where_they_stopped(run, tmp_path):
    with reading(tmp_path, "r", "--show", "disagree") as person:
        screen = person.sees("q quit: ")
        assert "r, gsm8k: 2 answers, 0 marked before" in screen
        assert "TARGET" in screen and "QUESTION" in screen
        assert "⟪-⟦8⟧⟫" in screen, "what both read is marked, one in the other"
        person.presses("wbxrq")  # wrong; no, back; no key of ours; right
        assert person.leaves() == 0
        assert "Read right by robust?" in person.screen
    first = marks(run)
    assert [(m["rule"], m["mark"]) for m in first] == [
        ("published", "wrong"),
        ("published", "right"),
    ]
    assert set(first[0]) == {"id", "sample", "turn", "rule", "mark", "reading"}
    with reading(tmp_path, "r", "--task", "gsm8k", "--show", "disagree") as person:
        assert "0 marked before" in person.sees("q quit: "), "the robust rule is still to be asked"
        assert "Read right by robust?" in person.screen
        person.presses("rwr")
        assert person.leaves() == 0
        assert "all, estimated" in person.screen
    assert [(m["rule"], m["mark"]) for m in marks(run)[2:]] == [
        ("robust", "right"), ("published", "wrong"), ("robust", "right"),
    ]  # fmt: skip
    with reading(tmp_path, "r", "--show", "disagree") as person:
        assert person.leaves() == 0
        assert "2 answers, 2 marked before" in person.screen


@pytest.mark.slow
def test_a_kill_loses_nothing_and_a_half_written_line_is_cut_off(run, tmp_path):
    with reading(tmp_path, "r") as person:
        person.presses("rr")
        person.sees("q quit: ", 3)
        os.killpg(person.process.pid, signal.SIGKILL)
        person.process.wait()
    kept = (run / "review.jsonl").read_bytes()
    assert len(kept.splitlines()) == len(marks(run)) >= 2
    with (run / "review.jsonl").open("ab") as file:
        file.write(b'{"id": "gsm8k/main/3", "sam')
    before = measured(run)
    with reading(tmp_path, "r") as person:
        person.sees("q quit: ")
        assert "cut 27 bytes of a half-written last line off" in person.screen
        person.presses("r\x04")  # Ctrl-D leaves
        assert person.leaves() == 0
    assert (run / "review.jsonl").read_bytes().startswith(kept)
    assert len(marks(run)) > len(kept.splitlines())
    assert before["gsm8k"]["stale"] == 0, "a half-written line is no mark"


@pytest.mark.slow
def test_ctrl_c_leaves_the_terminal_as_it_was(run, tmp_path):
    with reading(tmp_path, "r") as person:
        person.presses("u")
        person.sees("q quit: ", 2)
        assert not termios.tcgetattr(person.fd)[3] & termios.ICANON
        os.write(person.fd, b"\x03")
        assert person.leaves() == 130
        assert "ochat-eval read: stopped" in person.screen
        assert termios.tcgetattr(person.fd)[3] & (termios.ICANON | termios.ECHO)
    assert len(marks(run)) >= 1


@pytest.mark.slow
def test_what_a_model_wrote_does_nothing_to_the_terminal(run, tmp_path):
    with reading(tmp_path, "r", "--show", "unmatched") as person:
        person.presses("rr")
        person.leaves()
        odd = {c for c in person.screen if not c.isprintable() and c not in "\n\t\r"}
        assert not odd
        assert "EVIL" in person.screen and "Nothing [to] say" in person.screen
        assert "read nothing" in person.screen
        # Both rules read nothing: one key marks both.
        assert len(marks(run)) == 2 * UNREAD


def marked(run: Path, **opinions: str) -> dict:
    """The rates after marks on every reading of the strata named."""
    from ochat_eval.review.marks import Mark, MarkFile, reading_digest
    from ochat_eval.review.strata import readings

    texts = {r["id"]: r["text"] for r in lines(run / "responses.jsonl")}
    file = MarkFile(run)
    for read in readings(run, "gsm8k"):
        for rule, score in read.scores.items():
            if opinion := opinions.get(f"{rule}_{read.stratum}"):
                digest = reading_digest(texts[read.place[0]], score)
                file.add(Mark(*read.place, rule, opinion, digest))
    file.close()
    return measured(run)["gsm8k"]


def test_a_rate_on_some_kinds_is_none_over_all(run):
    rates = marked(run, published_disagree="wrong", robust_disagree="right")
    assert rates["strata"] == {"agree": ALIKE, "disagree": APART, "unmatched": UNREAD}
    part = rates["published"]["strata"]["disagree"]
    assert (part["marked"], part["wrong"], part["rate"]) == (2, 2, 1.0)
    assert part["ci95"] == pytest.approx([0.3424, 1.0], abs=1e-4)
    assert rates["published"]["strata"]["agree"]["rate"] is None
    for rule in ("published", "robust"):
        assert rates[rule]["rate"] is None and rates[rule]["ci95"] is None


def test_a_rate_over_all_weights_the_kinds(run):
    rates = marked(
        run, published_disagree="wrong", published_agree="right", published_unmatched="right",
        robust_disagree="right", robust_agree="right", robust_unmatched="unclear",
    )  # fmt: skip
    assert rates["published"]["rate"] == pytest.approx(APART / 12)
    low, high = rates["published"]["ci95"]
    assert 0 <= low < APART / 12 < high < 0.5
    assert rates["robust"]["rate"] is None, "an unclear one tells no rate of its kind"
    assert rates["robust"]["strata"]["unmatched"]["unclear"] == UNREAD


def test_a_mark_of_another_reading_counts_for_nothing(run):
    path = run / "scores.jsonl"
    marked(run, published_agree="wrong")
    path.write_text(path.read_text().replace('"answer":"42"', '"answer":"43"'))
    changed = [line for line in lines(path) if line["answer"] == "43"]
    rates = measured(run)["gsm8k"]
    assert rates["stale"] == sum(line["rule"] == "published" for line in changed)
    assert rates["published"]["strata"]["agree"]["marked"] == ALIKE - rates["stale"]


def test_the_last_mark_counts_and_a_bad_line_is_named(cli, run):
    marked(run, published_agree="wrong")
    rates = marked(run, published_agree="right")
    assert rates["published"]["strata"]["agree"]["wrong"] == 0
    with (run / "review.jsonl").open("a") as file:
        file.write('{"id": "gsm8k/main/3", "mark": "maybe"}\n')
    done = cli("report", "r", "-o", "page.html")
    assert done.returncode == 2
    [said] = done.stderr.splitlines()
    assert "review.jsonl line 17 is no mark: " in said and said.endswith("; mend or remove it")


def test_a_report_has_what_the_marks_say(cli, run):
    marked(run, published_disagree="wrong", robust_disagree="right")
    done = cli(*REPLAY, "stage=report")
    assert done.returncode == 0, done.stderr
    summary = json.loads((run / "summary.json").read_text())
    assert summary["tasks"]["gsm8k"]["review"] == measured(run)["gsm8k"]
    why = (run / "why.md").read_text()
    assert "# How often a rule misreads" in why
    rows = [[c.strip() for c in line.split("|")[1:-1]] for line in why.splitlines() if "|" in line]
    assert ["gsm8k", "published", "disagree", "2", "2", "2", "0", "100.0", "34.2…100.0"] in rows
    assert ["gsm8k", "published", "all, estimated", "12", "", "", "", "–", "–"] in rows


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "the following arguments are required: RUN"),
        (("nowhere",), "nowhere: there is no such run or recorded run"),
        (("r", "--task", "mmlu"), "--task mmlu: r has no such benchmark; there are gsm8k"),
        (("r", "--show", "some"), "argument --show: invalid choice: 'some'"),
        (("smollm2_135m-cpu",), "is a recorded run, which has no texts: read the run itself"),
        (("r",), "a person presses keys here: run it in a terminal (over ssh: ssh -t)"),
    ],
)
def test_a_mistake_and_no_terminal_are_one_line(cli, run, arguments, complaint):
    done = cli("read", *arguments)
    assert done.returncode == 2 and not done.stdout
    [said] = done.stderr.splitlines()
    assert said.startswith("ochat-eval read: ") and complaint in said
    assert not (run / "review.jsonl").exists()


@pytest.mark.slow
def test_a_run_without_scores_and_a_judged_benchmark_are_one_line(cli, tmp_path):
    plan = ("data=sample", "stage=plan", "run=p")
    assert cli("task=gsm8k", *plan).returncode == 0
    assert "has no responses.jsonl: it is no run that has been scored" in cli("read", "p").stderr
    two = ("task=gsm8k,mt_bench", "data=sample", "engine=replay", "engine.path=a.jsonl", "run=r")
    write(tmp_path / "a.jsonl", *sample_answers())
    assert cli(*two).returncode == 0
    said = cli("read", "r", "--task", "mt_bench").stderr
    assert "its answers are rated by a judge; no rule reads them" in said
