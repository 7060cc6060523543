"""`evaluate(generate=…)`: a function, or a server whose weights the program changes."""

from __future__ import annotations

import json
import re

import pytest

import ochat_eval
from ochat_eval.records import Sampling
from tests.conftest import door
from tests.fault_server import FaultServer, answer

SAMPLE = {"data": "sample", "limit": 3}


def adds(chats: list[list[dict[str, str]]]) -> list[str]:
    """A model that answers with the last number of the question."""
    return [f"The answer is {re.findall(r'[0-9]+', chat[-1]['content'])[-1]}" for chat in chats]


def test_a_function_answers_messages_and_reports_say_so(here):
    run = ochat_eval.evaluate("gsm8k", generate=adds, name="mine/step 3", **SAMPLE)
    asked, given = run.items(), run.responses()
    assert run.name.startswith("mine-step-3-function-")
    expected = adds([[{"role": "user", "content": turns[0]}] for turns in asked.turns])
    assert dict(zip(given.id, given.text, strict=True)) == dict(
        zip(asked.id, expected, strict=True)
    )
    changed = run.summary["tasks"]["gsm8k"]["changed"]
    assert changed == [
        "engine=function, of a program: no command makes it again", "sampling=the engine's own",
    ]  # fmt: skip
    manifest = json.loads((run.path / "manifest.json").read_text())
    assert manifest["overrides"][-1] == "(from Python: engine=function)"
    assert run.summary["model"] == "mine/step 3"
    again = door("stage=score", f"run={run.name}", "task=gsm8k", folder=here)
    assert again.returncode == 0, again.stderr


def test_nobody_can_tell_whether_it_is_the_same_so_each_call_is_a_new_run(here):
    def other(chats: list[object]) -> list[str]:
        return ["other"] * len(chats)

    first = ochat_eval.evaluate("gsm8k", generate=adds, name="same", **SAMPLE)
    second = ochat_eval.evaluate("gsm8k", generate=other, name="same", reuse="auto", **SAMPLE)
    assert first.name != second.name
    assert set(second.responses().text) == {"other"}
    with pytest.raises(ochat_eval.UserError, match="did other work: version"):
        ochat_eval.evaluate("gsm8k", generate=other, name="same", run=first.name, **SAMPLE)


def test_a_version_vouches_for_it_and_the_run_goes_on(here):
    calls: list[int] = []

    def dies(chats: list[list[dict[str, str]]]) -> list[str]:
        calls.append(len(chats))
        if len(calls) == 2:
            raise RuntimeError("out of memory")
        return adds(chats)

    mine = ochat_eval.Function(generate=dies, batch_size=2, version="step 4")
    with pytest.raises(RuntimeError, match="out of memory"):
        ochat_eval.evaluate("gsm8k", generate=mine, name="going on", **SAMPLE)
    run = ochat_eval.evaluate("gsm8k", generate=mine, name="going on", **SAMPLE)
    assert calls == [2, 1, 1], "what was answered is kept"
    assert ochat_eval.evaluate("gsm8k", generate=mine, name="going on", **SAMPLE) == run
    assert calls == [2, 1, 1], "and nothing is asked of a finished run"


def test_it_is_told_how_to_draw_where_it_asks_and_says_how_it_ended(here):
    seen: list[Sampling] = []

    def draws(
        chats: list[list[dict[str, str]]], sampling: list[Sampling]
    ) -> list[ochat_eval.Completion]:
        seen.extend(sampling)
        return [ochat_eval.Completion("<think>hm", "length", 5, 7) for _ in chats]

    run = ochat_eval.evaluate(
        "gsm8k", generate=draws, name="thinks", max_tokens=7, tasks={"gsm8k": {"temperature": 1}},
        **SAMPLE,
    )  # fmt: skip
    assert {(one.temperature, one.max_tokens) for one in seen} == {(1.0, 7)}
    assert len({one.seed for one in seen}) == 3
    gsm8k = run.summary["tasks"]["gsm8k"]
    assert gsm8k["robust"]["truncated"] == 1 and gsm8k["robust"]["unfinished"] == 1
    assert "sampling=the engine's own" not in gsm8k["changed"]
    assert list(run.responses().completion_tokens) == [7, 7, 7]


@pytest.mark.parametrize(
    ("generate", "options", "message"),
    [
        (lambda chats: "one text", {}, "generate returned a str to 3 chats"),
        (lambda chats: ["a"], {}, "generate returned 1 answer to 3 chats"),
        (lambda chats: None, {}, "generate returned a NoneType to 3 chats"),
        (lambda chats: [None] * len(chats), {}, "returned NoneType for an answer"),
        (adds, {"name": None}, "generate and name go together"),
        (None, {}, "generate and name go together"),
        (3, {}, "generate is of the type int"),
        (adds, {"engine": "vllm"}, "engine: generate is the engine"),
        (adds, {"options": {"engine.dtype": "auto"}}, "engine.dtype: generate is the engine"),
        (adds, {"model": {"template_kwargs": {"a": 1}}}, "model.template_kwargs"),
        (adds, {"overlong": "truncate"}, "overlong=truncate"),
        (ochat_eval.Function(generate=adds, batch_size=0), {}, "batch_size is 0"),
        ("http://127.0.0.1:9/v1", {}, "no server answers"),
        ("127.0.0.1:9", {}, "base_url"),
    ],
)
def test_what_cannot_work_is_one_line(here, generate, options, message):
    with pytest.raises(ochat_eval.UserError, match=re.escape(message)):
        ochat_eval.evaluate("gsm8k", **{"generate": generate, "name": "bad", **SAMPLE, **options})


def test_a_servers_weights_may_have_changed_since(here):
    texts = []
    for text in "41", "42":
        with FaultServer({}, answer(text)) as server:
            served = ochat_eval.Server(base_url=server.url, served_name="org/base")
            run = ochat_eval.evaluate("gsm8k", generate=served, name="trained", **SAMPLE)
            texts += list(run.responses().text)
            assert {body["model"] for _, _, body in server.calls} == {"org/base"}
    assert texts == ["41"] * 3 + ["42"] * 3
    identity = json.loads((run.path / "manifest.json").read_text())["identity"]
    assert identity["live"] == "server" and identity["served_name"] == "org/base"
