"""Responses taken apart by their tokens: marks that text does not show, and exact counts."""

from __future__ import annotations

import dataclasses

import pytest

from ochat_eval.model.chat.thinking import GUESSED, Thinking, decoder, thinking_of
from ochat_eval.model.model import Model
from ochat_eval.records import Response, UserError
from tests.model.shapes import SHAPES, tokenizer_of

KINDS = {
    "deepseek_r1": ("I add: é.\n</think>", "\n\nIt is 4.", "I add: é."),
    "qwen3_thinking": ("<think>\n3, no.\n</think>", "\n\n4", "3, no."),
    "gpt_oss": (
        "<|channel|>analysis<|message|>I add.<|end|><|start|>assistant<|channel|>final<|message|>",
        "It is 4.",
        "I add.",
    ),
    "chatml": ("<think>not in the vocabulary</think>", " 4", "not in the vocabulary"),
}


def thinking(name):
    shape = SHAPES[name]
    opening = "<|Assistant|><think>\n" if name == "deepseek_r1" else "<|assistant|>"
    added = {**dict.fromkeys(shape.special, True), **dict.fromkeys(shape.added, False)}
    return thinking_of("auto", shape.template, opening, added)


def taken_apart(name, text):
    """What of_tokens makes of a text that a model of a kind wrote, as vLLM hands it over."""
    tokenizer = tokenizer_of(SHAPES[name])
    ids = tokenizer(text, add_special_tokens=False).input_ids
    decode = decoder(tokenizer)
    raw = Response("t/main/0", decode(ids, True), finish_reason="stop", completion_tokens=len(ids))
    return thinking(name).of_tokens(raw, ids, decode), tokenizer


@pytest.mark.parametrize("name", KINDS)
def test_tokens_of_a_thought_are_counted_with_their_marks(name):
    thought, answer, reasoning = KINDS[name]
    found, tokenizer = taken_apart(name, thought + answer)
    assert (found.text, found.reasoning) == (answer.lstrip("\n"), reasoning)
    assert found.reasoning_tokens == len(tokenizer(thought, add_special_tokens=False).input_ids)
    assert not found.unfinished


@pytest.mark.parametrize("name", KINDS)
def test_a_thought_that_is_cut_off_is_all_there_is(name):
    thought = KINDS[name][0]
    cut = thought[: thought.index("I") + 3] if "I" in thought else thought[:12]
    found, _ = taken_apart(name, cut)
    assert (found.text, found.unfinished) == ("", True)
    assert found.reasoning_tokens == found.completion_tokens
    assert found.reasoning


def test_an_answer_without_a_thought_is_as_it_was():
    for name in ("qwen3_thinking", "chatml"):
        found, _ = taken_apart(name, "Just 4.")
        assert found == Response("t/main/0", "Just 4.", finish_reason="stop", completion_tokens=7)
    direct, _ = taken_apart("gpt_oss", "<|channel|>final<|message|>4")
    assert (direct.text, direct.reasoning, direct.reasoning_tokens) == ("4", None, None)


def test_a_text_that_ended_the_answer_is_no_part_of_it():
    shape = SHAPES["chatml"]
    tokenizer = tokenizer_of(shape)
    ids = tokenizer("<think>a</think>4\n\nQ:", add_special_tokens=False).input_ids
    raw = Response("t/main/0", "<think>a</think>4", finish_reason="stop")
    assert GUESSED.of_tokens(raw, ids, decoder(tokenizer), "\n\nQ:").text == "4"


def test_a_text_is_taken_apart_once_and_its_tokens_are_not_guessed():
    raw = Response("t/main/0", "<think>a</think>b", completion_tokens=9)
    found = GUESSED.of_text(raw)
    assert found == dataclasses.replace(raw, text="b", reasoning="a")
    assert GUESSED.of_text(dataclasses.replace(found, text="</think>b")).text == "</think>b"
    assert Thinking(()).of_text(raw) == raw
    assert thinking_of(["<a>", "<b>"]).of_text(Response("x", "<a>1<b>2")).text == "2"
    assert thinking_of(["<a>", "<b>"]).of_text(raw) == raw


def test_a_system_message_can_be_a_file(tmp_path):
    file = tmp_path / "system.txt"
    file.write_text("Be brief.\nBe kind.\n")
    assert Model(path="m", system=str(file)).system == "Be brief.\nBe kind."
    assert Model(path="m", system="Be brief.").system == "Be brief."
    assert Model(path="m", system="").system is None
    with pytest.raises(UserError, match="there is no such file"):
        Model(path="m", system=str(tmp_path / "none.txt"))


def test_only_options_that_were_changed_are_in_an_identity(tmp_path):
    assert Model(path="m").changes() == {}
    file = tmp_path / "own.jinja"
    file.write_text("one")
    first = Model(path="m", template=str(file), thinking="none", system="s").changes()
    assert first.keys() == {"template", "thinking", "system"}
    file.write_text("two")
    assert Model(path="m", template=str(file)).changes()["template"] != first["template"]
