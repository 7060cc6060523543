"""Tokenizers: OpenChat's SentencePiece model, and what transformers loads."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from ochat_eval.model.files import model_file, unreachable
from ochat_eval.model.imports import importing, quiet_transformers
from ochat_eval.model.model import Model
from ochat_eval.model.starts import cuts_at_lines, lines_apart
from ochat_eval.records import UserError
from ochat_eval.terminal.words import first_line


class Tokenizer(Protocol):
    """What OpenChat's format needs of a tokenizer.

    Attributes:
        cuts_at_lines: whether a text may be cut as `starts` says.
    """

    @property
    def cuts_at_lines(self) -> bool:
        """As above."""
        ...

    def encode_plain(self, text: str) -> list[int]:
        """The text's token ids: nothing added, and special tokens' texts are plain text."""
        ...

    def decode_plain(self, ids: Sequence[int]) -> str:
        """The text of such ids."""
        ...

    def special_id(self, text: str) -> int | None:
        """The id of the special token that is written so; None if there is none."""
        ...


class SentencePieceTokenizer:
    """A SentencePiece model and the tokens added to it: what the published evaluation used."""

    def __init__(self, file: Path, added: dict[str, int]):
        """Loads the model.

        Args:
            file: `tokenizer.model`.
            added: text -> id of the tokens that are not in it.
        """
        from sentencepiece import SentencePieceProcessor

        self._model = SentencePieceProcessor(model_file=str(file))
        self._added = added

    def encode_plain(self, text: str) -> list[int]:
        """As in `Tokenizer`."""
        return self._model.encode(text)  # type: ignore[no-any-return]

    @functools.cached_property
    def cuts_at_lines(self) -> bool:
        """As in `Tokenizer`; the model is byte-pair encoding, as OpenChat's is."""
        pieces = {self._model.id_to_piece(i) for i in range(self._model.vocab_size())}
        lead = [self._model.id_to_piece(i) for i in self.encode_plain("\na")]
        return lead[1:] == ["<0x0A>", "a"] and lines_apart(lead[-2], pieces)

    def decode_plain(self, ids: Sequence[int]) -> str:
        """As in `Tokenizer`."""
        return self._model.decode(list(ids))  # type: ignore[no-any-return]

    def special_id(self, text: str) -> int | None:
        """As in `Tokenizer`."""
        if text in self._added:
            return self._added[text]
        found: int = self._model.piece_to_id(text)
        return found if self._model.is_control(found) else None


class HfTokenizer:
    """A `tokenizers.Tokenizer`: what a `tokenizer.json` or a fast transformers tokenizer holds."""

    def __init__(self, backend: Any):
        self._plain = without_added_tokens(backend)
        self._special = {t.content: i for i, t in backend.get_added_tokens_decoder().items()}

    def encode_plain(self, text: str) -> list[int]:
        """As in `Tokenizer`."""
        return backend_ids(self._plain, text)

    @functools.cached_property
    def cuts_at_lines(self) -> bool:
        """As in `Tokenizer`."""
        return cuts_at_lines(self._plain)

    def decode_plain(self, ids: Sequence[int]) -> str:
        """As in `Tokenizer`."""
        return self._plain.decode(list(ids))  # type: ignore[no-any-return]

    def special_id(self, text: str) -> int | None:
        """As in `Tokenizer`."""
        return self._special.get(text)


def backend_ids(backend: Any, text: str, *, add_special_tokens: bool = False) -> list[int]:
    """A text's token ids; unlike `encode`, this lets other threads run, and finds no offsets."""
    [found] = backend.encode_batch_fast([text], add_special_tokens=add_special_tokens)
    return list(found.ids)


def without_added_tokens(backend: Any) -> Any:
    """A copy of a `tokenizers.Tokenizer` that knows no special and no other added token."""
    from tokenizers import Tokenizer as Backend

    return Backend.from_str(json.dumps({**json.loads(backend.to_str()), "added_tokens": []}))


def load_tokenizer(model: Model, path: str | Path) -> Any:
    """The transformers tokenizer; code that comes with a model is run only if it was asked for.

    Raises:
        UserError: it cannot be loaded, or is slow or of its own code and that was not asked for.
    """
    transformers = quiet_transformers()
    try:
        with importing():
            auto = transformers.AutoTokenizer  # its first mention imports it, and torch
        tokenizer = auto.from_pretrained(
            str(path), revision=model.revision, trust_remote_code=model.trust_remote_code
        )
    except Exception as e:  # transformers and tokenizers raise many kinds; it is reported
        if "trust_remote_code" in str(e):
            raise UserError(
                f"the tokenizer of {path} has code of its own: read it, and allow it to run with "
                "model.trust_remote_code=true"
            ) from e
        raise UserError(unreachable(path, e)) from e
    if getattr(tokenizer, "backend_tokenizer", None) is None and not model.trust_remote_code:
        raise UserError(
            f"{path} has no fast tokenizer; save it with a tokenizer.json, or take the slow one "
            "with model.trust_remote_code=true"
        )
    return tokenizer


def special_ids(tokenizer: Any, texts: Iterable[str], where: str) -> set[int]:
    """The ids of special tokens; a plain piece may be written with other tokens, so is none."""
    known = {t.content: i for i, t in tokenizer.added_tokens_decoder.items()}
    for text in texts:
        if text not in known:
            raise UserError(f"{where}: {text!r} is no special token of this model's tokenizer")
    return {known[text] for text in texts}


def ends_in_files(model: Model, path: str | Path) -> set[int]:
    """The end-of-sequence ids in generation_config.json, else in config.json."""
    for name in ("generation_config.json", "config.json"):
        file = model_file(model, path, name)
        try:
            ends = json.loads(file.read_text()).get("eos_token_id") if file else None
        except ValueError as e:
            raise UserError(f"{file} is no JSON ({first_line(e)}); copy it again") from e
        if ends is not None:
            return set(ends) if isinstance(ends, list) else {ends}
    return set()
