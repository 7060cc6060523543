"""Answers of earlier runs, taken over: real runs against a server that counts what it is asked."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest

from ochat_eval.records import Message, Request, Response, Sampling, to_json
from ochat_eval.run.manifest import Facts
from ochat_eval.run.reuse import Earlier, Signature
from tests.conftest import lines
from tests.fault_server import FaultServer, answer
from tests.replays import write

RUNS = Path("results/runs")


def asked(cli, server: FaultServer, *options: str) -> int:
    """Runs it; returns how many requests came in."""
    before = len(server.calls)
    address = f"engine.base_url={server.url}"
    done = cli("data=sample", "engine=openai", address, "engine.served_name=m", *options)
    assert done.returncode == 0, done.stderr
    return len(server.calls) - before


def manifest(folder: Path, run: str) -> dict:
    return json.loads((folder / RUNS / run / "manifest.json").read_text())


@pytest.mark.slow
def test_only_what_is_new_is_asked(cli, tmp_path):
    with FaultServer(default=answer("The answer is 4")) as server:
        assert asked(cli, server, "task=gsm8k", "limit=4", "run=a") == 4
        assert asked(cli, server, "task=gsm8k,agieval", "run=b", "reuse=auto") == 8 + 7
        assert manifest(tmp_path, "b")["reused"] == {"a": 4}
        told = lines(tmp_path / RUNS / "b/responses.jsonl")
        assert sum("reused_from" in one for one in told) == 4
        assert all(len(one["request"]) == 16 for one in told)
        # A changed option of one task, another prompt, another seed of what is drawn.
        assert asked(cli, server, "task=gsm8k,agieval", "tasks.gsm8k.num_fewshot=0", "run=c",
                     "reuse=b") == 12  # fmt: skip
        drawn = ("task=agieval", "tasks.agieval.temperature=1", "tasks.agieval.n=2", "reuse=auto")
        assert asked(cli, server, *drawn, "run=d") == 14
        assert asked(cli, server, *drawn, "run=e") == 0
        assert asked(cli, server, *drawn, "run=f", "seed=1") == 14
        # The first run that was asked is named, however often its answers went on.
        assert manifest(tmp_path, "e")["reused"] == {"d": 14}
        assert asked(cli, server, "task=gsm8k", "run=g", "reuse=b") == 0
        assert manifest(tmp_path, "g")["reused"] == {"a": 4, "b": 8}
        # A kill in the midst of it: half of the journal, its last line torn.
        journal = tmp_path / RUNS / "g/responses.jsonl"
        whole = journal.read_bytes()
        journal.write_bytes(whole[: len(whole) // 2])
        assert asked(cli, server, "task=gsm8k", "run=g", "reuse=b") == 0
        assert sorted(journal.read_bytes().splitlines()) == sorted(whole.splitlines())
        # A rerun must not be a copy.
        copied = cli("record", "b", "g", "--as", "both")
        assert copied.returncode == 2 and "reruns must have been asked" in copied.stderr


@pytest.mark.slow
def test_a_larger_limit_asks_only_the_items_that_it_adds(cli, tmp_path):
    kinds = "aaaaabbc"
    write(tmp_path / "q.jsonl", *({"question": f"{i}?", "answer": i, "subset": kinds[i % 8]}
                                  for i in range(300)))  # fmt: skip
    mine = ("task=file", "tasks.file.path=q.jsonl", "tasks.file.data=full")
    with FaultServer(default=answer("The answer is 4")) as server:
        assert asked(cli, server, *mine, "limit=100", "run=a") == 100
        assert asked(cli, server, *mine, "limit=200", "run=b", "reuse=auto") == 100
        assert asked(cli, server, *mine, "limit=150", "run=c", "reuse=auto") == 0
        assert asked(cli, server, *mine, "run=d", "reuse=auto") == 100


def test_turns_go_on_from_answers_that_were_taken_over(cli, tmp_path):
    row = {"turns": ["Think of 2.", "Double it?"], "answer": 4}
    (tmp_path / "q.jsonl").write_text(json.dumps(row) + "\n")
    mine = ("task=file", "tasks.file.path=q.jsonl", "tasks.file.data=full")
    with FaultServer(default=answer("The answer is 4")) as server:
        assert asked(cli, server, *mine, "run=a") == 2
        (tmp_path / "q.jsonl").write_text(json.dumps({**row, "subset": "new"}) + "\n")
        assert asked(cli, server, *mine, "run=b", "reuse=a") == 0
        row["turns"][1] = "Halve it?"
        (tmp_path / "q.jsonl").write_text(json.dumps(row) + "\n")
        assert asked(cli, server, *mine, "run=c", "reuse=a") == 1


def test_what_cannot_be_reused_is_said(cli, tmp_path):
    with FaultServer(default=answer("The answer is 4")) as server:
        asked(cli, server, "task=agieval", "run=a")
        base = ("task=agieval", "data=sample", "engine=openai", f"engine.base_url={server.url}")
        other = cli(*base, "engine.served_name=other", "run=b", "reuse=a")
        assert other.returncode == 2
        assert "reuse=a: its answers were given otherwise: served_name" in other.stderr
        none = cli(*base, "engine.served_name=m", "run=c", "reuse=nowhere")
        assert none.returncode == 2 and "nowhere: there is no such run" in none.stderr
        itself = cli(*base, "engine.served_name=m", "run=d", "reuse=d")
        assert itself.returncode == 2 and "reuse=d is this run itself" in itself.stderr
        journal = tmp_path / RUNS / "a/responses.jsonl"
        old = [{k: v for k, v in one.items() if k != "request"} for one in lines(journal)]
        journal.write_text("".join(json.dumps(one) + "\n" for one in old) + '{"id": "torn')
        again = cli(*base, "engine.served_name=m", "run=e", "reuse=auto")
        assert "reuse: 7 responses of a cannot be taken over" in again.stderr
        assert "reuse: no earlier run of this model has answers" in again.stderr


@pytest.mark.parametrize(
    "text", ["".join(map(chr, range(127))), "\x7f", "ä 漢 😀 \u2028", "lone \ud800", ""]
)
def test_the_digest_of_a_request_is_that_of_json(text):
    identity = {"model": "m", "overlong": "error"}
    start = json.dumps([{"model": "m"}, "error"], sort_keys=True)
    messages = (Message("system", text), Message("user", "Why?"))
    for sampling, condition in (Sampling(max_tokens=9), None), (Sampling(0.7, seed=3), text):
        request = Request("t/main/0", 2, 0, messages, condition, sampling)
        drawn = dataclasses.asdict(sampling)
        del drawn["max_tokens"]
        asked = [[["system", text], ["user", "Why?"]], condition, drawn, 2]
        whole = start + json.dumps(asked, sort_keys=True)
        assert Signature(identity).of(request) == hashlib.sha256(whole.encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("finish", "tokens", "then", "now", "same"),
    [
        ("stop", 10, None, None, True),
        ("length", 10, None, None, True),
        ("length", 10, 10, 10, True),
        (None, None, 10, 10, True),
        ("length", 10, 10, 20, False),
        ("length", 10, 10, None, False),
        ("stop", 10, 20, None, True),
        ("stop", 10, None, 20, True),
        ("stop", 10, None, 10, False),  # it might have been cut off before its end
        ("stop", 10, 20, 5, False),
        ("repetition", 10, 20, 40, True),
        ("stop", None, 20, 40, False),
        (None, 10, 20, 40, False),
    ],
)
def test_an_answer_under_another_limit(tmp_path, finish, tokens, then, now, same):
    response = Response("t/main/0", "x", 0, 0, finish, 5, tokens, request="0" * 16)
    (tmp_path / "responses.jsonl").write_bytes(to_json(response) + b"\n")
    facts = Facts(
        where="", identity={}, items={}, tasks={"t": {"max_tokens": then}}, model="m", seed=0,
        overlong="error", only_ids=False, published_row=None, report_only={}, about={},
    )  # fmt: skip
    earlier = Earlier()
    assert earlier.add(tmp_path, facts) == (1, 0)
    assert (earlier.find("0" * 16, now) is not None) is same
    assert earlier.find("1" * 16, now) is None
    earlier.close()
