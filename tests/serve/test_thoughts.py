"""Thoughts in the server's answers: streamed or whole as the offline engine takes them apart, as
vLLM's own parsers would, and with the variables that a request sets."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ochat_eval.answers.thinking import Marks, answer_from, find_thought
from ochat_eval.engines.vllm_build import import_vllm
from ochat_eval.model.chat import load_format
from ochat_eval.model.chat.thinking import decoder
from ochat_eval.model.model import Model
from ochat_eval.records import Message, Response, UserError
from ochat_eval.serve.variables import Variants
from tests.model.shapes import SHAPES, tokenizer_of, write_model
from tests.model.test_thinking import KINDS, thinking

pytestmark = pytest.mark.slow  # they import vLLM
MESSAGES = [Message("user", "2 + 2?")]
REQUEST = SimpleNamespace(include_reasoning=True)


@pytest.fixture(scope="module", autouse=True)
def _vllm() -> None:
    import_vllm("the test")


def parser(name: str, plain: bool = True):
    from ochat_eval.serve.thoughts import ThoughtParser

    tokenizer = tokenizer_of(SHAPES[name])
    end = tokenizer.convert_tokens_to_ids(SHAPES[name].special[-1])
    chat = SimpleNamespace(thinking=thinking(name), stop_token_ids=(end,))
    return ThoughtParser(tokenizer, chat, plain), tokenizer, end


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_stream_is_the_whole_answer_and_the_offline_engines(name, data):
    thought, answer, _ = KINDS[name]
    text = (thought + answer)[: data.draw(st.integers(0, len(thought + answer)))]
    one, tokenizer, end = parser(name)
    ids, decode = tokenizer(text, add_special_tokens=False).input_ids, decoder(tokenizer)
    raw = Response("t/main/0", decode(ids, True), completion_tokens=len(ids))
    offline = thinking(name).of_tokens(raw, ids, decode)

    hidden = thinking(name).hidden
    written = decode(ids, not hidden)
    found = one.parse(written, REQUEST, model_output_token_ids=[*ids, end])
    assert found == (offline.reasoning or None, offline.text, None)
    assert one.count_reasoning_tokens([*ids, end]) == (offline.reasoning_tokens or 0)

    streamed, _, _ = parser(name)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(ids)), max_size=6)))
    parts: list[tuple[str, str]] = []
    for a, b in itertools.pairwise([0, *cuts, len(ids)]):
        # What vLLM hands over: the text that so many tokens add, whole characters only.
        before, after = (decode(ids[:at], not hidden).rstrip("\ufffd") for at in (a, b))
        delta = streamed.parse_delta(
            after[len(before) :], ids[a:b], REQUEST, finished=b == len(ids) and a == [0, *cuts][-1]
        )
        if delta is not None:
            assert delta.reasoning is None or delta.reasoning == delta.reasoning_content
            parts.append((delta.reasoning or "", delta.content or ""))
    assert "".join(r for r, _ in parts) == (offline.reasoning or "")
    assert "".join(c for _, c in parts) == offline.text
    assert streamed.count_reasoning_tokens([*ids, end]) == (offline.reasoning_tokens or 0)


def test_special_tokens_are_left_out_of_an_answer_unless_they_are_asked_for():
    text = "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b<|start|>c"
    for plain, answer in ((True, "bc"), (False, "b<|start|>c")):
        one, tokenizer, _ = parser("gpt_oss", plain)
        ids = tokenizer(text, add_special_tokens=False).input_ids
        assert one.parse(text, REQUEST, model_output_token_ids=ids)[:2] == ("a", answer)


def test_a_thought_that_is_not_wanted_is_not_given():
    one, tokenizer, _ = parser("qwen3_thinking")
    ids = tokenizer("<think>a</think>b", add_special_tokens=False).input_ids
    silent = SimpleNamespace(include_reasoning=False)
    delta = one.parse_delta("<think>a</think>b", ids, silent, finished=True)
    assert (delta.content, delta.reasoning) == ("b", None)


# --- Beside vLLM's own parsers ----------------------------------------------------------------

CHANNELS = [
    "<|channel|>analysis<|message|>We add 2 and 2.<|end|>"
    "<|start|>assistant<|channel|>final<|message|>It is **4**.\n\nYes.",
    "<|channel|>analysis<|message|>One.<|end|><|start|>assistant<|channel|>analysis<|message|>Two. é"
    "<|end|><|start|>assistant<|channel|>final<|message|>3<|return|>",
    "<|channel|>final<|message|>4",
    "<|channel|>final <|constrain|>json<|message|>{}<|return|>",
    "<|channel|>analysis<|message|>It never ends",
]
BETWEEN = [
    "a\n</think>\n\nb",
    "<think>\na < b\n</think>\n\n**b** </i>",
    "<think>no end",
    "<think></think>x",
]


@pytest.mark.parametrize("text", CHANNELS)
def test_channels_are_told_as_vllms_parser_tells_them(text):
    from vllm.entrypoints.openai.parser.harmony_utils import get_encoding
    from vllm.parser import ParserManager

    theirs = ParserManager.get_parser(reasoning_parser_name="openai_gptoss", is_harmony=True)
    ids = get_encoding().encode(text, allowed_special="all")
    made = theirs(tokenizer_of(SHAPES["gpt_oss"]))
    reasoning, content, _ = made.parse(text, REQUEST, model_output_token_ids=ids)
    thought = find_thought(text)
    assert thought is not None
    # They join several thoughts by one line end, we by two.
    assert (thought.reasoning or "").replace("\n\n", "\n") == (reasoning or "")
    assert answer_from(text, thought) == (content or "")


@pytest.mark.parametrize("text", BETWEEN)
def test_think_marks_are_told_as_vllms_parser_tells_them(text):
    from vllm.reasoning import ReasoningParserManager

    theirs = ReasoningParserManager.get_reasoning_parser("deepseek_r1")
    made = theirs(tokenizer_of(SHAPES["qwen3_thinking"]))
    reasoning, content = made.extract_reasoning(text, REQUEST)
    thought = find_thought(text, (Marks("<think>", "</think>", opened=True),))
    assert thought is not None
    assert (thought.reasoning, answer_from(text, thought)) == (
        reasoning.strip(), (content or "").lstrip("\n"),
    )  # fmt: skip


# --- Variables that a request sets --------------------------------------------------------------


def test_a_request_sets_the_variables_that_are_allowed(tmp_path):
    folder = write_model(tmp_path / "m", SHAPES["qwen3_thinking"])
    model = Model(path=str(folder))
    chats = Variants(load_format(model, folder), model, folder, ["enable_thinking", "other"])
    off = chats.of([{"enable_thinking": False}, None])
    asked = chats.usual.encode(MESSAGES, None), off.encode(MESSAGES, None)
    assert off.decode(asked[1]) == chats.usual.decode(asked[0]) + "<think>\n\n</think>\n\n"
    assert chats.of([None, {}]) is chats.usual
    assert chats.of([{"enable_thinking": True}, {"enable_thinking": False}]) is off, "made once"
    for wrong, complaint in (
        ({"tools": "x"}, "chat_template_kwargs.tools is not allowed here: only enable_thinking"),
        ({"other": 1}, "the model's chat template knows no variable other"),
        ({"enable_thinking": [1]}, "must be a text, a number or a truth value"),
        ([1], "chat_template_kwargs must be an object"),
    ):
        with pytest.raises(UserError, match=complaint):
            chats.of([wrong])
