"""How a chat request is written down for a server, and what its refusals teach about that.

The names are those of OpenAI's chat completions. Servers differ in which they know: newer models
of OpenAI want `max_completion_tokens` and take no `temperature` but 1, others know no `n` or
`seed`, and templates such as Gemma's no system role. A server that says so is believed once it has
answered what it was asked in the other way.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ochat_eval.records import Message, Sampling, encoded

_BY_LITTLE = ("n", "top_p", "seed", "temperature", "max_tokens")
"""What a server may go without; where it wants one of several gone, the first of these."""
_LENGTH_NAMES = ("max_completion_tokens", "max_output_tokens", "max_new_tokens")
"""What `max_tokens` is called elsewhere."""
_TOO_LONG = re.compile(
    r"context|too (?:large|long|many|high|big)|exceed|maximum|at most|(?:greater|less) than|≤|<=",
    re.IGNORECASE,
)
"""A complaint about a length, not about the name of its field."""
_NOT_BOTH = re.compile(
    r"\b(?:both|together|simultaneously|only one|either|at the same time)\b", re.I
)
_NO_SYSTEM = re.compile(
    r"\bsystem\b|\bdeveloper (?:instruction|message|role)|\broles? must alternate", re.IGNORECASE
)
_NO_SYSTEM_ROLE = re.compile(r"\bsystem\W{1,3}(?:role|message)|\broles? must alternate", re.I)
"""What a template's error says; it comes as a 500 from some servers."""


@dataclass(frozen=True)
class Asked:
    """What is asked, however it is written down.

    Attributes:
        model: the name that the server knows the model by.
        fields: more fields of the body.
    """

    model: str
    messages: Sequence[Message]
    sampling: Sampling
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Form:
    """How a request is written down.

    Attributes:
        extra: more fields of the body; they win over those of the same name.
        rename: a field's own name -> that by which it is sent.
        leave_out: fields that are not sent.
        fold_system: a system message's text stands in front of the first user message.
    """

    extra: Mapping[str, Any] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    leave_out: frozenset[str] = frozenset()
    fold_system: bool = False

    def own(self, asked: Asked) -> dict[str, Any]:
        """The fields beside model and messages that are sent, by their own names."""
        sampling = asked.sampling
        given = {
            "n": 1,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "seed": sampling.seed,
            **sampling.beyond_usual(),
            **asked.fields,
        }
        return {k: v for k, v in given.items() if v is not None and k not in self.leave_out}

    def written(self, asked: Asked) -> bytes:
        """The body of the request as JSON."""
        body = self.body(asked)
        # The long part. The others may have what only the standard library writes, as NaN, which
        # the server is to refuse.
        messages = encoded(body.pop("messages"))
        return b'{"messages":%b,%b' % (messages, json.dumps(body).encode()[1:])

    def body(self, asked: Asked) -> dict[str, Any]:
        """The body of the request."""
        messages = folded(asked.messages) if self.fold_system else asked.messages
        return {
            "model": asked.model,
            "messages": [{"role": m.role, "content": m.content} for m in messages],
            **{self.rename.get(name, name): value for name, value in self.own(asked).items()},
            **self.extra,
        }

    def taken(self, asked: Asked) -> set[str]:
        """What a server that has answered has no objection to; see `after`."""
        # Seeds differ from request to request; of the others the value may be what is refused.
        sent = {name: value for name, value in self.own(asked).items() if name in _BY_LITTLE}
        found = {name if name == "seed" else f"{name}={value}" for name, value in sent.items()}
        return found | ({"system"} if self._has_system(asked) else set())

    def after(self, status: int, content: bytes, asked: Asked, taken: set[str]) -> Form | None:
        """The form to try once a request in this one was refused.

        Args:
            status, content: the refusal's HTTP status and body.
            taken: what this server has answered before: it is not what is refused now.

        Returns:
            None where the refusal names no field that could be missing or renamed.
        """
        text, named = complaint(content)
        sent = [name for name in _BY_LITTLE if name in self.own(asked) and name not in self.extra]
        fresh = self.taken(asked) - taken
        open_ = [n for n in sent if {n, f"{n}={self.own(asked)[n]}"} & fresh]
        if status in (400, 422):
            if "max_tokens" in open_ and not _TOO_LONG.search(text):
                for other in _LENGTH_NAMES:
                    known_as = self.rename.get("max_tokens", "max_tokens")
                    if other != known_as and _names(other, text):
                        return dataclasses.replace(
                            self, rename={**self.rename, "max_tokens": other}
                        )
            placed = {n for n in open_ if self.rename.get(n, n) in named}
            refused = [n for n in open_ if (n in placed if placed else self._in(n, text))]
            if _TOO_LONG.search(text):
                refused = [n for n in refused if n != "max_tokens"]
            if _NOT_BOTH.search(text):
                refused = refused[:1]
            if refused:
                return dataclasses.replace(self, leave_out=self.leave_out | set(refused))
        no_system = _NO_SYSTEM if status in (400, 422) else _NO_SYSTEM_ROLE
        if "system" in fresh and status in (400, 422, 500) and no_system.search(text):
            return dataclasses.replace(self, fold_system=True)
        return None

    def _in(self, name: str, text: str) -> bool:
        return _names(self.rename.get(name, name), text)

    def _has_system(self, asked: Asked) -> bool:
        return not self.fold_system and any(m.role == "system" for m in asked.messages)

    def joined(self, other: Form) -> Form:
        """With what another form of the same options has learnt."""
        return Form(
            self.extra,
            {**self.rename, **other.rename},
            self.leave_out | other.leave_out,
            self.fold_system or other.fold_system,
        )

    def beyond(self, before: Form) -> dict[str, Any]:
        """What differs from another form of the same options, as plain values."""
        rename = {k: v for k, v in self.rename.items() if before.rename.get(k) != v}
        left = sorted(self.leave_out - before.leave_out)
        fold = self.fold_system and not before.fold_system
        found = {"rename": rename, "leave_out": left, "fold_system": fold}
        return {name: value for name, value in found.items() if value}


def folded(messages: Sequence[Message]) -> list[Message]:
    """The messages with the system's text in front of the first user message's."""
    texts = [m.content for m in messages if m.role == "system"]
    rest = [m for m in messages if m.role != "system"]
    for place, message in enumerate(rest):
        if message.role == "user":
            rest[place] = Message("user", "\n\n".join([*texts, message.content]))
            return rest
    return [*(Message("user", text) for text in texts), *rest]


def _names(name: str, text: str) -> bool:
    """Whether a text speaks of a field; of one with a single letter, only where it is marked."""
    if len(name) > 1:
        return re.search(rf"(?<![\w\\]){re.escape(name)}(?!\w)", text) is not None
    marked = rf"[`'\"]{name}[`'\"]|(?<![\w\\]){name}\s*(?:=|:|>|must)"
    return re.search(rf"{marked}|(?:parameter|field|argument|key)s?:?\s+{name}\b", text) is not None


def complaint(content: bytes) -> tuple[str, set[str]]:
    """What a refusal says: its text, and the fields that it names in a place for that.

    The places are `param` (OpenAI) and the ends of `loc` (FastAPI's 422).
    """
    text = content.decode(errors="replace")
    try:
        body = json.loads(text)
        named = {name for name in _places(body) if name}
    except (ValueError, RecursionError):
        return text, set()
    return error_text(content), named


def _places(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "param" and isinstance(inner, str):
                yield inner
            elif key == "loc" and isinstance(inner, list) and inner:
                yield str(inner[-1])
            else:
                yield from _places(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _places(inner)


def error_text(content: bytes) -> str:
    """What a body says: the message of the usual JSON shapes of errors, else all of it."""
    text = content.decode(errors="replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return text
    for name in ("error", "message", "detail"):
        if isinstance(body, dict) and body.get(name):
            body = body[name]
    return body if isinstance(body, str) else text
