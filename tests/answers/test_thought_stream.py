"""A thought told from its answer while the text comes in pieces, however it is cut."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ochat_eval.answers.thinking import CHANNELS, KNOWN, Marks, answer_from, find_thought
from ochat_eval.answers.thought_stream import ThoughtStream
from tests.conftest import table
from tests.scaling import check_linear

THINK = Marks("<think>", "</think>")
OPENED = Marks("<think>", "</think>", opened=True)
ODD = Marks("aab", "aaab")  # a mark whose beginning stands within another beginning of it


def of_the_whole(text: str, known: Sequence[Marks]) -> tuple[str, str, bool, Marks | None]:
    """Thought, answer, whether it came to the answer, and the marks."""
    thought = find_thought(text, known, shown=True)
    if thought is None:
        return "", text, True, None
    ended = thought.end is not None
    return thought.reasoning or "", answer_from(text, thought), ended, thought.marks


def of_pieces(pieces: Sequence[str], known: Sequence[Marks]) -> tuple[str, str, bool, Marks | None]:
    stream = ThoughtStream(known)
    given = [stream.feed(piece) for piece in pieces]
    given.append(stream.feed("", last=True))
    thought, answer = ("".join(parts) for parts in zip(*given, strict=True))
    return thought, answer, stream.ended, stream.marks


@pytest.mark.parametrize("case", table("thinking.jsonl"), ids=lambda case: case["text"][:40])
def test_every_cut_in_two_and_every_character_alone(case):
    text = case["text"]
    for known in ((OPENED,), KNOWN):
        whole = of_the_whole(text, known)
        assert of_pieces(list(text), known) == whole
        for place in range(len(text) + 1):
            assert of_pieces([text[:place], text[place:]], known) == whole


WORDS = (
    *(mark for marks in (THINK, ODD) for mark in (marks.start, marks.end)),
    *("<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|start|>", "<|call|>", "<|constrain|>"),
    *("<|start|>assistant", "<|channel|>final<|message|>", "<|channel|>analysis<|message|>"),
    *("final", "finally", "analysis", "assistant", "<", "|", ">", "a", "b", " ", "\n", "\t", "x"),
)  # fmt: skip


@given(
    words=st.lists(st.sampled_from(WORDS), max_size=14),
    known=st.sampled_from([(THINK,), (OPENED,), (ODD,), KNOWN, (CHANNELS, OPENED), (ODD, THINK)]),
    data=st.data(),
)
@example(words=["<think>", "a", "</think>", " \n ", "<think>"], known=(THINK,), data=None)
@example(words=["<|channel|>", "final", "<|constrain|>", "x", "<|constrain|>"], known=KNOWN, data=None)  # fmt: skip
def test_pieces_are_the_whole_however_it_was_cut(words, known, data):
    text = "".join(words)
    places = st.lists(st.integers(0, len(text)), max_size=12).map(sorted)
    cuts = data.draw(places) if data else range(len(text))
    pieces = [text[a:b] for a, b in itertools.pairwise([0, *cuts, len(text)])]
    assert of_pieces(pieces, known) == of_the_whole(text, known)


def test_what_can_be_told_is_given_out_at_once():
    stream = ThoughtStream((THINK,))
    pieces = [
        "\n",
        "<thi",
        "nk>",
        " Two",
        " and <",
        " two",
        "</",
        "think>",
        "\n\n",
        "4",
        " <think>",
    ]
    assert [stream.feed(piece) for piece in pieces] == [
        ("", ""), ("", ""), ("", ""), ("Two", ""), (" and", ""), (" < two", ""), ("", ""), ("", ""),
        ("", ""), ("", "4"), ("", " <think>"),
    ]  # fmt: skip
    plain = ThoughtStream(KNOWN)
    assert plain.feed(" The") == ("", " The") and plain.ended and plain.marks is None


@pytest.mark.parametrize("piece", ["<think></think>", "<|channel|>x", "<|channel|>final", " ", "<"])
@pytest.mark.parametrize("begin", ["", "<think>", "<|channel|>"])
def test_hostile_texts_take_linear_time(piece, begin):
    check_linear(lambda text: ThoughtStream().feed(text, last=True), piece, begin)
