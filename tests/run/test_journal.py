"""The journal of responses: what enters it can be read, and what is damaged in it is asked again."""

from __future__ import annotations

import json

import pytest

from ochat_eval.records import Response, UserError, from_json
from ochat_eval.run.journal import Journal
from tests.conftest import lines
from tests.replays import REPLAY, sample_answers, write

JOURNAL = "results/runs/r/responses.jsonl"


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt_tokens": True},
        {"completion_tokens": 10**400},
        {"completion_tokens": 1.5},
        {"text": None},
        {"text": b"bytes"},
        {"finish_reason": 7},
        {"sample": "0"},
        {"turn": None},
    ],
)
def test_what_could_not_be_read_again_is_not_written(tmp_path, changes):
    journal = Journal(tmp_path / "j")
    journal.append([Response("a", "fine")])
    with pytest.raises(UserError, match="the response to 'b' cannot be written down"):
        journal.append([Response(**{"id": "b", "text": "x", **changes})])
    journal.append([Response("c", "\ud800 and 😀", completion_tokens=2**52)])
    journal.close()
    found = [from_json(Response, line) for line in (tmp_path / "j").read_bytes().splitlines()]
    assert [one.id for one in found] == ["a", "c"]


DAMAGE = {
    "a flipped bit": lambda line: line.replace(b'"text"', b'"tex\xf4"'),
    "half a line": lambda line: line[: len(line) // 2] + b"\n",
    "zeros of a crash": lambda line: b"\0" * 512 + b"\n",
    "a count that is none": lambda line: line.replace(b'"completion_tokens":null', b'"completion_tokens":true'),
    "a number too long": lambda line: line.replace(b'"completion_tokens":null', b'"completion_tokens":1' + b"0" * 400),
    "too deep": lambda line: b"[" * 100_000 + b"\n",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_line_in_the_middle_is_named_set_aside_and_asked_again(cli, tmp_path, damage):
    write(tmp_path / "a.jsonl", *sample_answers())
    assert cli(*REPLAY).returncode == 0
    journal, whole = tmp_path / JOURNAL, (tmp_path / JOURNAL).read_bytes()
    every = whole.splitlines(keepends=True)
    every[3], every[7] = DAMAGE[damage](every[3]), DAMAGE[damage](every[7])
    journal.write_bytes(b"".join(every))

    scored = cli("stage=score", "run=r")
    assert scored.returncode == 2 and "line 4" in scored.stderr.splitlines()[-1]

    done = cli(*REPLAY)
    assert done.returncode == 0, done.stderr
    assert "set 2 damaged lines of" in done.stderr and "asked again" in done.stderr
    assert "going on: 10 of 12 responses are there" in done.stderr
    assert sorted(journal.read_bytes().splitlines()) == sorted(whole.splitlines())
    aside = lines(journal.with_name("responses.damaged.jsonl"))
    assert [one["line"] for one in aside] == [4, 8] and all(one["why"] for one in aside)
    assert cli(*REPLAY).returncode == 0, "and it is a finished run again"


def test_a_response_that_is_there_twice_is_not_damage(cli, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers())
    assert cli(*REPLAY).returncode == 0
    journal = tmp_path / JOURNAL
    first = journal.read_bytes().splitlines(keepends=True)[0]
    journal.write_bytes(journal.read_bytes() + first)
    done = cli(*REPLAY)
    assert done.returncode == 2
    assert f"has two responses of {json.loads(first)['id']!r}" in done.stderr.splitlines()[-1]
