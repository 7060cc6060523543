"""Answers as servers write them, read in one call from a real one."""

from __future__ import annotations

import json

import pytest

from ochat_eval.engines.answer import FILTERED, Completion, is_filtered, read
from ochat_eval.engines.client import NoCompletion
from tests import fault_server as fs
from tests.engines.asking import FINE, ask
from tests.fault_server import FaultServer


def message(end="stop", usage=None, **fields):
    """A reply with such a message."""
    body = fs.completion("")
    body["choices"] = [{"index": 0, "message": fields, "finish_reason": end}]
    return fs.sends(200, {**body, "usage": usage})


def thinks(text):
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


def says(text):
    return {"type": "text", "text": text}


ENDS = {
    "stop": ("stop", "eos", "eos_token", "STOP", "end_turn", "stop_sequence"),
    "length": ("length", "max_tokens", "model_length", "MAX_TOKENS"),
    "content_filter": ("content_filter", "SAFETY"),
    None: (None, ""),
}


@pytest.mark.parametrize(("end", "ours"), [(e, ours) for ours, es in ENDS.items() for e in es])
def test_an_answers_end_in_any_spelling(end, ours):
    with FaultServer({"odd": [fs.answer("The answer is 4", end)]}) as server:
        assert ask(server, "odd") == [Completion("The answer is 4", ours, 7, 3)]
        assert len(server.calls) == 1


def test_an_end_that_is_missing_is_unknown():
    body = {"choices": [{"message": {"content": "4"}}]}
    with FaultServer({"odd": [fs.sends(200, body)]}) as server:
        assert ask(server, "odd") == [Completion("4", None)]


@pytest.mark.parametrize(
    ("end", "final"), [("tool_calls", True), ("abort", False), (["stop"], True)]
)
def test_an_answer_that_ended_otherwise_is_a_failure(end, final):
    with FaultServer({"odd": [fs.answer("So", end)]}) as server:
        refused, fine = ask(server, "odd", "even")
        reason = f"the server ended it with finish_reason {end!r}"
        assert refused == NoCompletion(reason, final)
        assert fine == FINE and len(server.asked("odd")) == 1


@pytest.mark.parametrize(
    ("reply", "read_as"),
    [
        (message(content=[thinks("2 and 2"), says("The answer "), says("is 4")]),
         Completion("The answer is 4", "stop", reasoning="2 and 2")),
        (message(content=["a", {"type": "output_text", "text": "b"}, {"text": "c"}]),
         Completion("abc", "stop")),
        (message(content=[{"type": "reasoning", "reasoning": "hm"}, says("4")]),
         Completion("4", "stop", reasoning="hm")),
        (message(content="4", reasoning_content="hm"), Completion("4", "stop", reasoning="hm")),
        (message(content="4", reasoning="hm"), Completion("4", "stop", reasoning="hm")),
        (message(content="4", reasoning_content=None), Completion("4", "stop")),
        (message(content="4", reasoning_content="hm", usage={
            "completion_tokens": 9.0, "completion_tokens_details": {"reasoning_tokens": 7.0}}),
         Completion("4", "stop", None, 9, "hm", 7)),
        (message(content="4", usage={
            "prompt_tokens": 7.0, "completion_tokens_details": {"reasoning_tokens": 0}}),
         Completion("4", "stop", 7)),
        (message(content=None, refusal="I will not."), Completion("I will not.", "stop")),
        (message(content=[]), Completion("", "stop")),
        (message(), Completion("", "stop")),
    ],
)  # fmt: skip
def test_parts_thoughts_and_counts_are_read_in_one_call(reply, read_as):
    with FaultServer({"odd": [reply]}) as server:
        assert ask(server, "odd") == [read_as]
        assert len(server.calls) == 1


def test_of_several_choices_the_first_counts():
    def choice(index, text):
        return {"index": index, "message": {"content": text}, "finish_reason": "stop"}

    body = {"choices": [choice(1, "no"), choice(0, "yes"), choice(2, "no")], "usage": None}
    with FaultServer({"odd": [fs.sends(200, body)]}) as server:
        assert ask(server, "odd") == [Completion("yes", "stop")]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (7, "content is int"),
        ({"text": "4"}, "content is dict"),
        ([{"type": "image_url", "image_url": {}}], "a part of the content is 'image_url'"),
        ([7], "a part of the content is int"),
        ([{"type": ["text"]}], "a part of the content is list"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_call_with_why(content, what):
    with FaultServer({"odd": [message(content=content)]}) as server:
        [refused] = ask(server, "odd")
        why = f"a chat completion with fields of a wrong type: {what}"
        assert refused == NoCompletion(why, final=True)
        assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("end", "text", "thought", "unfinished"),
    [
        ("length", "", "hm", True), ("length", "4", "hm", False), ("stop", "", "hm", False),
        ("length", "", None, False),
    ],
)  # fmt: skip
def test_a_thought_that_is_cut_off_has_no_end(end, text, thought, unfinished):
    assert Completion(text, end, reasoning=thought).unfinished is unfinished


AZURE = {
    "error": {"code": "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}}
}


def test_a_prompt_that_a_content_filter_refuses_is_answered_with_nothing():
    with FaultServer({"odd": [fs.sends(400, AZURE)]}) as server:
        assert ask(server, "odd", "even") == [FILTERED, FINE]
        assert len(server.asked("odd")) == 1
    for other in (b"[]", b'{"error": "content_filter"}', b'{"error": {"innererror": 7}}', b"\xff"):
        assert not is_filtered(other)


@pytest.mark.parametrize(
    "body",
    [
        {"choices": None}, {"choices": [None]}, {"choices": [{"message": {}}]},
        {"choices": [{"message": None}]}, {"choices": {"0": 1}}, {"choices": [{"index": "x"}, {"index": 1}]}, {"usage": {}}, [], 7, None,
    ],
)  # fmt: skip
def test_what_is_no_chat_completion_is_none(body):
    assert read(json.dumps(body).encode()) is None


def test_what_is_deep_is_read_or_refused_and_nothing_raises():
    deep = {"type": "text", "text": "x"}
    for _ in range(200):
        deep = {"type": "text", "text": [deep]}
    body = {"choices": [{"message": {"content": [deep]}, "finish_reason": "stop"}]}
    assert read(json.dumps(body).encode()) == Completion("x", "stop")
    assert read(b'{"choices":' + b"[" * 200_000) is None
