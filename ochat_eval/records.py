"""The data types that pass between the stages, and their one-line JSON form.

The field names of `Item`, `Response` and `Score` are a fixed file format
(docs/formats.md): tools outside this project read them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, cast

import msgspec

Rule = Literal["published", "robust"]
RULES: tuple[Rule, ...] = ("published", "robust")
"""`published`: the published answer rule with its quirks; `robust`: a careful reader's."""


class UserError(Exception):
    """Something its user can mend: printed as one line, exit code 2, never a traceback.

    The message says what is wrong, where, and what to do.
    """


@dataclass(frozen=True, slots=True)
class Item:
    """One row of a benchmark, ready to be asked.

    Attributes:
        id: `<task>/<subset>/<index>`, unique in a run.
        task: the benchmark's name.
        subset: the part of the benchmark (an MMLU subject), `main` where there is none.
        index: the row's 0-based place in its source (MT-Bench: the question id).
        turns: the user messages, asked one after another.
        target: the right answers as the benchmark writes them; several where several are right.
        choices: the labels an answer may have, None where the answer is free.
        condition: the chat format's condition (`GPT4 Correct`), None for the model's default.
        examples: worked examples that are asked and answered before the first turn: question and
            answer of each. None where the turns hold them, or there are none.
        system: the item's own system message, in place of the model's; None where it has none.
        cluster: what it shares with other items (a passage); None where it stands alone.
        stratum: the fixed part of the benchmark that it belongs to; None for its subset.
    """

    id: str
    task: str
    subset: str
    index: int
    turns: tuple[str, ...]
    target: tuple[str, ...]
    choices: tuple[str, ...] | None = None
    condition: str | None = None
    examples: tuple[tuple[str, str], ...] = ()
    system: str | None = None
    cluster: str | None = None
    stratum: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation; `role` is `system`, `user` or `assistant`."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How an answer is drawn.

    Attributes:
        temperature: 0 is greedy.
        top_p: nucleus mass, in (0, 1].
        max_tokens: longest answer in tokens; None for what is left of the context.
        seed: the request's own seed; None where `temperature` is 0.
        top_k: so many likeliest tokens are drawn from; None: all.
        min_p: least probability of a token, as a share of the likeliest one's.
        repetition_penalty: by it the logits of tokens that occurred are divided; 1: not at all.
        presence_penalty: it is taken from the logits of tokens that were written.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int | None = None
    seed: int | None = None
    top_k: int | None = None
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0

    def beyond_usual(self) -> dict[str, float]:
        """Those of the last four that are not at their defaults, by name."""
        names = ("top_k", "min_p", "repetition_penalty", "presence_penalty")
        usual = Sampling()
        return {n: v for n in names if (v := getattr(self, n)) != getattr(usual, n)}


@dataclass(frozen=True, slots=True)
class Request:
    """One generation: answer `sample` (0…n-1) of item `id`, at `turn` (0…).

    `adapter` names the one of the model's adapters that is to answer; None: the model itself.
    """

    id: str
    sample: int
    turn: int
    messages: tuple[Message, ...]
    condition: str | None
    sampling: Sampling
    adapter: str | None = None

    @property
    def key(self) -> tuple[str, int, int]:
        """What makes a request, and its response, one of a kind in a run."""
        return (self.id, self.sample, self.turn)

    @property
    def digest(self) -> str:
        """Digest of all that is asked, answers before it included: 16 hex digits of SHA-256."""
        asked = json.dumps([[m.role, m.content] for m in self.messages])
        return hashlib.sha256(asked.encode()).hexdigest()[:16]


Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
"""A number of tokens; JSON's readers agree up to 2**53."""


@dataclass(frozen=True, slots=True)
class Response:
    """What the model wrote.

    Attributes:
        text: the answer alone.
        finish_reason: `stop` (the model ended its turn), `length` (cut off), `repetition` (cut off
            because it repeated itself, `engine.stop_loops`), or None (unknown:
            a replay that does not say).
        prompt_tokens, completion_tokens: counts, None where unknown.
        reasoning: what was thought before the answer; None where nothing was.
        reasoning_tokens: of `completion_tokens`, those of the thought with its marks; None where
            there is no thought or the count is unknown.
        unfinished: the thought has no end, so that there is no answer: `text` is empty.
        request: digest of what it was asked and how (`run.reuse`); None where nobody noted it.
        reused_from: the earlier run that was asked; None where this one was.
    """

    id: str
    text: str
    sample: Count = 0
    turn: Count = 0
    finish_reason: str | None = None
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    reasoning: str | None = None
    reasoning_tokens: Count | None = None
    unfinished: bool = False
    request: str | None = None
    reused_from: str | None = None

    @property
    def cut(self) -> bool:
        """Whether it was cut off: it counts as truncated."""
        return self.finish_reason in ("length", "repetition")

    @property
    def key(self) -> tuple[str, int, int]:
        """The key of the request that this answers."""
        return (self.id, self.sample, self.turn)


@dataclass(frozen=True, slots=True)
class Verdict(Response):
    """What a judge wrote about one response; named like this.

    Attributes:
        judge: the judge's name.
        style: how it was asked: which prompt, which form of a rating.
        prompt: digest of all that it was asked, so that a verdict on another answer is known.
        swapped: of a comparison of two answers, whether the other one stood first.
    """

    judge: str = ""
    style: str = ""
    prompt: str = ""
    swapped: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer rule read in a response.

    Attributes:
        answer: the answer as read; None where nothing was found and the rule does not guess.
        matched: whether the rule found what it looks for (a default or a fallback: False).
        span: `[start, end)` in the response, in characters, of what was read; None if nowhere.
    """

    answer: str | None
    matched: bool
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """One rule's verdict on one answer.

    Attributes:
        value: 0 or 1, or a judge's rating; None for a verdict that could not be read, which
            counts for nothing and is reported.
        turn: which answer of a conversation was judged; 0 where they are judged as one.
        detail: what else there is to say (why it failed, other metrics), JSON-serialisable.
    """

    id: str
    sample: Count
    rule: Rule
    answer: str | None
    matched: bool
    value: float | None
    detail: dict[str, Any] | None = None
    turn: Count = 0

    def with_detail(self, **more: Any) -> Score:
        """The same score with more said in `detail`."""
        return dataclasses.replace(self, detail={**(self.detail or {}), **more})


T = TypeVar("T")
R = TypeVar("R", Item, Response, Verdict, Score)

_ENCODER = msgspec.json.Encoder()
_DECODERS = {cls: msgspec.json.Decoder(cls) for cls in (Item, Response, Verdict, Score)}


_SELDOM_SET = {
    "examples": (), "system": None, "cluster": None, "stratum": None,
    "reasoning": None, "reasoning_tokens": None, "unfinished": False,
    "request": None, "reused_from": None, "swapped": False,
}  # fmt: skip
"""Fields, with their defaults, that a line has only where they say something: so the files of
runs without them are as they always were."""


def to_json(record: Item | Response | Score) -> bytes:
    """The record as one line of JSON, UTF-8, without the line end."""
    fields = {
        name: value
        for name in type(record).__dataclass_fields__
        if (value := getattr(record, name)) != _SELDOM_SET.get(name, ...)
    }
    return encoded(fields)


def encoded(value: Any) -> bytes:
    """Lists, texts, numbers and mappings by name as JSON, UTF-8; what is no number becomes null."""
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:  # a lone surrogate in model text: stays \\u-escaped
        return json.dumps(value).encode()


def from_json(cls: type[R], line: bytes) -> R:
    """The record that a line of JSON holds; unknown fields are passed over.

    Raises:
        ValueError: not a JSON object, a field missing, or a value of the wrong type.
    """
    return cast(R, decoded(_DECODERS[cls], line))


def decoded(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    """What a decoder makes of JSON, lone surrogates of model text included.

    Raises:
        ValueError: no JSON, or of another type than the decoder's.
    """
    try:
        return decoder.decode(data)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # The standard library reads lone surrogates, which UTF-8 cannot say.
        return msgspec.convert(json.loads(data, parse_constant=_no_number), decoder.type)


def _no_number(constant: str) -> None:
    """Raises for NaN and Infinity, which the standard library reads and JSON has not."""
    raise ValueError(f"{constant} is no number")
