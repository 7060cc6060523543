"""Judges that compare two runs, and several judges: real servers that judge by what they read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ochat_eval.answers import winner
from ochat_eval.benchmark.task import Answered
from ochat_eval.records import Response
from ochat_eval.tasks.mt_bench import WITH_REFERENCE, MtBench
from tests.conftest import lines
from tests.fault_server import Body, Connection, FaultServer, answer
from tests.stages.test_judge import IDS, judge, write_answers

RUNS = Path("results/runs")


@pytest.mark.parametrize(
    ("text", "published", "robust"),
    [
        ("A is better. [[A]]", "A", "A"),
        ("[[C]]", "C", "C"),
        ("Not [[A]], for it errs: [[B]]", "A", "B"),  # FastChat looks for [[A]] first
        ("So: [[ **B** ]]", None, "B"),
        (r"\[\[A\]\]", None, "A"),
        ("Neither. [[Tie]]", None, "C"),
        ("[[a]]", None, "A"),
        ("A is better.", None, None),
        ("[A]", None, None),
        ("[[D]] [[AB]]", None, None),
        ("", None, None),
    ],
)
def test_the_winner_of_a_verdict(text, published, robust):
    assert winner(text, "published").answer == published
    assert winner(text, "robust").answer == robust
    for rule in ("published", "robust"):
        if span := winner(text, rule).span:
            assert text[slice(*span)][0].upper() in "ABCT"


@pytest.mark.timeout(20)
def test_a_million_characters_take_no_longer_than_reading_them():
    for unit in ("[[", "[[A ", "[[ * ", "A]]"):
        winner(unit * (1_000_000 // len(unit)), "robust")


async def prefers_good(connection: Connection, body: Body) -> None:
    """The answer with `good` wins, the first of two like it; one with `tie` makes a tie."""
    prompt = body["messages"][-1]["content"]
    verdict = "C" if "tie" in prompt else "A"
    if "good" in prompt:
        first, second = prompt.find("good"), prompt.rfind("good")
        half = prompt.find("Second answer of A" if "Second answer" in prompt else "Answer of B")
        verdict = "A" if first < half or first != second else "B"
    await answer(f"So: [[{verdict}]]")(connection, body)


def replayed(cli, folder: Path, run: str, texts: dict[str, str], *options: str):
    """A run of MT-Bench's sample whose answers are these, by category; else `plain`."""
    with (folder / "answers.jsonl").open("w") as file:
        for id_ in IDS:
            text = texts.get(id_.split("/")[1], "plain")
            file.write(json.dumps({"id": id_, "turn": 0, "text": text}) + "\n")
            file.write(json.dumps({"id": id_, "turn": 1, "text": "plain"}) + "\n")
    command = ("task=mt_bench", "data=sample", "engine=replay", "engine.path=answers.jsonl")
    return cli(*command, f"run={run}", *options)


def test_a_comparison_is_asked_in_both_orders_and_what_turns_is_a_tie(cli, tmp_path):
    against = "tasks.mt_bench.against=base"
    with FaultServer(default=prefers_good) as server:
        replayed(cli, tmp_path, "base", {"coding": "good"})
        # writing: a win; math: as the other; coding: a loss; humanities: a tie.
        ours = {"writing": "good", "humanities": "tie"}
        done = replayed(cli, tmp_path, "new", ours, against, *judge(server))
        assert done.returncode == 0, done.stderr
        assert len(server.calls) == 16
        verdicts = lines(tmp_path / RUNS / "new/judgments.jsonl")
        assert {v["style"] for v in verdicts} == {"pairwise"}
        assert sum(v.get("swapped", False) for v in verdicts) == 8
        scores = lines(tmp_path / RUNS / "new/scores.jsonl")
        first = {
            s["id"].split("/")[1]: s for s in scores if s["turn"] == 0 and s["rule"] == "robust"
        }
        assert {c: (s["answer"], s["value"], s["detail"]["turned"]) for c, s in first.items()} == {
            "writing": ("win", 1.0, False),
            "math": ("tie", 0.5, True),
            "coding": ("loss", 0.0, False),
            "humanities": ("tie", 0.5, False),
        }
        summary = json.loads((tmp_path / RUNS / "new/summary.json").read_text())
        found = summary["tasks"]["mt_bench"]
        assert found["metric"] == "win rate" and found["bounds"] == [0, 1]
        assert found["robust"]["turn_1"]["score"] == 50 and found["robust"]["score"] == 50
        assert "% of the verdicts turned with the order" in " ".join(found["notes"])
        # Nothing is asked twice; another answer of the other run makes its verdicts stale.
        assert (
            "finished before"
            in replayed(cli, tmp_path, "new", ours, against, *judge(server)).stderr
        )
        journal = tmp_path / RUNS / "base/responses.jsonl"
        journal.write_text(journal.read_text().replace('"good"', '"fine"'))
        cli("stage=score", "run=new", against, *judge(server))
        assert len(server.calls) == 16 + 4  # both turns of coding, in both orders
        second = ("judge.served_name=two", "judge.beside=true")
        cli("stage=score", "run=new", against, *judge(server), *second)
        found = json.loads((tmp_path / RUNS / "new/summary.json").read_text())["tasks"]["mt_bench"]
        assert found["robust"]["agreement"] == {"alpha": 1, "level": "nominal", "answers": 8}
        assert found["robust"]["two"]["score"] == found["robust"]["score"]
        turned = found["robust"]["turned"]
        assert 0 < turned < 1 and f"{turned:.1%} of the verdicts turned" in " ".join(found["notes"])


def test_a_comparison_that_lacks_something_is_said(cli, tmp_path):
    against = "tasks.mt_bench.against=base"
    none = replayed(cli, tmp_path, "new", {}, against)
    assert none.returncode == 2 and "base: there is no such run" in none.stderr
    replayed(cli, tmp_path, "base", {})
    journal = tmp_path / RUNS / "base/responses.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(b"".join(x for x in whole.splitlines(True) if b"math/2" not in x))
    with FaultServer(default=answer("I cannot tell.")) as server:
        done = replayed(cli, tmp_path, "new", {}, against, *judge(server))
        assert done.returncode == 0, done.stderr
        assert "2 not judged" in done.stdout and "6 unread" in done.stdout
        journal.write_bytes(whole)
        cli("stage=score", "run=new", against, *judge(server))
        assert len(server.calls) == 16
    items = tmp_path / RUNS / "base/items.jsonl"
    items.write_text(items.read_text().replace('"turns":["', '"turns":["Other. '))
    other = cli("stage=score", "run=new", against, *judge(server))
    assert other.returncode == 2 and "asked something else as" in other.stderr


def test_several_judges_and_their_agreement(cli, tmp_path):
    write_answers(tmp_path)
    command = (
        "task=mt_bench",
        "data=sample",
        "engine=replay",
        "engine.path=answers.jsonl",
        "run=r",
    )
    with FaultServer(default=answer("[[8]]")) as kind:
        assert cli(*command, *judge(kind)).returncode == 0
    second = ("judge.served_name=strict", "judge.beside=true")
    with FaultServer(script={"math/2": [answer("none")]}, default=answer("[[4]]")) as strict:
        done = cli(*command, *judge(strict), *second)
        assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / RUNS / "r/summary.json").read_text())["tasks"]["mt_bench"]
    rule = found["robust"]
    assert (rule["score"], rule["grader"]["score"], rule["strict"]["score"]) == (6, 8, 4)
    assert rule["agreement"]["alpha"] == pytest.approx(-5 / 6) and rule["agreement"]["answers"] == 8
    assert rule["unread"] == 2 and rule["unparsed"] == 0.25
    assert "judge: grader, strict (graded)" in " ".join(found["notes"])
    one = next(s for s in lines(tmp_path / RUNS / "r/scores.jsonl") if "writing" in s["id"])
    assert one["detail"]["judges"] == {"grader": 8, "strict": 4} and one["value"] == 6
    # A judge that has not judged everything: what lacks its verdict has no score.
    kept = (tmp_path / RUNS / "r/judgments.jsonl").read_text().splitlines(True)
    (tmp_path / RUNS / "r/judgments.jsonl").write_text("".join(kept[:-1]))
    done = cli("stage=score", "run=r")
    assert done.returncode == 0 and "1 not judged" in done.stdout


def test_fastchats_prompts_for_pairs_are_filled(real_data):
    bench = MtBench(name="mt_bench", data="full", against="base")
    names = set()
    for item in bench.items():
        ours = [Response(item.id, f"OURS {turn}", turn=turn) for turn in (0, 1)]
        theirs = [Response(item.id, f"THEIRS {turn}", turn=turn) for turn in (0, 1)]
        for response in ours:
            request = bench.pair_request(Answered(item, tuple(ours)), response, theirs, True)
            system, asked = request.messages
            assert "[[A]]" in system.content
            assert asked.content.find("THEIRS") < asked.content.find("OURS")
            assert asked.content.count("OURS") == response.turn + 1
            with_reference = "reference answer" in system.content.lower()
            assert with_reference is (item.subset in WITH_REFERENCE)
            names.add((response.turn, with_reference))
    assert len(names) == 4
