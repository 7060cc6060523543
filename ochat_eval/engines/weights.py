"""The engine over a transformers model that a program holds, as a trainer does."""

from __future__ import annotations

import bisect
import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ochat_eval.engines.engine import Failure, Session, Work
from ochat_eval.engines.live import Live
from ochat_eval.engines.overlong import prompt_ids, refuse_overlong
from ochat_eval.model.chat import load_format
from ochat_eval.model.chat.format import ChatFormat
from ochat_eval.model.chat.thinking import decoder
from ochat_eval.model.model import Model
from ochat_eval.records import Request, Response, Sampling, UserError


@dataclass(frozen=True, kw_only=True)
class Weights(Live):
    """A transformers model as it is in memory now, asked by `generate` in batches.

    Prompts are the token ids that the other engines ask with. The model is in evaluation mode while
    it answers; its modes, its generation_config and torch's random state are as before then.

    Attributes:
        model: a causal language model.
        tokenizer: its tokenizer, with a chat template.
        batch_size: how many prompts are answered at a time; sampled ones one by one, each with its
            own seed.
    """

    kind: ClassVar[str] = "weights"
    writes_prompts: ClassVar[bool] = True

    model: Any
    tokenizer: Any
    batch_size: int = 8

    def check_options(self) -> None:
        """As `Engine.check_options`."""
        if self.batch_size < 1:
            raise UserError(f"batch_size is {self.batch_size}; it must be at least 1")

    def start(self, work: Work) -> Session:
        """Reads the tokenizer's chat format.

        Raises:
            UserError: it has none, or a prompt is longer than the context.
        """
        chat = self._format(work)
        context = _context(self.model, work.model)
        if not work.truncate_overlong:
            refuse_overlong(work, chat, context)
        return _WeightsSession(self, chat, context)

    def _format(self, work: Work) -> ChatFormat:
        """The chat format by the tokenizer as it is now, and the ends that the model names."""
        from transformers.utils import logging

        bars = logging.is_progress_bar_enabled()
        with tempfile.TemporaryDirectory() as folder:
            self.tokenizer.save_pretrained(folder)
            ends = self.model.generation_config.eos_token_id
            ends = self.model.config.eos_token_id if ends is None else ends
            values = json.dumps({"eos_token_id": ends})
            Path(folder, "generation_config.json").write_text(values)
            model = dataclasses.replace(work.model, path=folder)
            try:
                return load_format(model, folder, work.say)
            finally:
                if bars:  # the caller's own
                    logging.enable_progress_bar()


def _context(held: Any, model: Model) -> int:
    """The longest prompt and answer together, in tokens."""
    own = getattr(held.config.get_text_config(), "max_position_embeddings", None)
    known = [length for length in (own, model.context) if length is not None]
    if not known:
        raise UserError("the model does not say how long its context is: set model.context=N")
    return int(min(known))


class _WeightsSession(Session):
    def __init__(self, engine: Weights, chat: ChatFormat, context: int):
        self._model, self._tokenizer = engine.model, engine.tokenizer
        self._chat, self._context = chat, context
        self._decode = decoder(engine.tokenizer)
        self._waiting: list[tuple[Request, list[int]]] = []
        self._ready: list[Response | Failure] = []
        self.window = engine.batch_size

    def submit(self, request: Request) -> None:
        ids = prompt_ids(request, self._chat, self._context)
        if not isinstance(ids, list):
            self._ready.append(ids)
        elif request.sampling.presence_penalty:
            raise UserError(f"{request.id}: presence_penalty: transformers has none; set it to 0")
        else:
            self._waiting.append((request, ids))

    def collect(self) -> list[Response | Failure]:
        done, self._ready = self._ready, []
        waiting, self._waiting = self._waiting, []
        for batch in _batches(waiting):
            done += self._answers(batch)
        return done

    def _answers(self, batch: Sequence[tuple[Request, list[int]]]) -> Iterator[Response]:
        import torch

        longest = max(len(ids) for _, ids in batch)
        rooms = [
            min(self._context - len(ids), one.sampling.max_tokens or self._context)
            for one, ids in batch
        ]
        pad = self._tokenizer.pad_token_id or 0
        inputs = [[pad] * (longest - len(ids)) + ids for _, ids in batch]
        mask = [[0] * (longest - len(ids)) + [1] * len(ids) for _, ids in batch]
        sampling = batch[0][0].sampling
        device = next(self._model.parameters()).device
        try:
            with _as_it_was(self._model, sampling.seed):
                written = self._model.generate(
                    input_ids=torch.tensor(inputs, device=device),
                    attention_mask=torch.tensor(mask, device=device),
                    generation_config=self._config(sampling, max(rooms), pad),
                    tokenizer=self._tokenizer,
                )
        except torch.OutOfMemoryError as e:
            raise UserError(
                f"no memory for {len(batch)} prompts at a time: say a smaller batch_size"
            ) from e
        for (request, ids), room, row in zip(batch, rooms, written.tolist(), strict=True):
            yield self._response(request, len(ids), row[longest:][:room])

    def _config(self, sampling: Sampling, room: int, pad: int) -> Any:
        """The sampling in transformers' words."""
        from transformers import GenerationConfig

        drawn = sampling.temperature > 0
        how = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k or 0,
            "min_p": sampling.min_p or None,
        }
        return GenerationConfig(
            do_sample=drawn,
            **(how if drawn else {}),
            repetition_penalty=sampling.repetition_penalty,
            max_new_tokens=room,
            eos_token_id=list(self._chat.stop_token_ids) or None,
            stop_strings=list(self._chat.stop_texts) or None,
            pad_token_id=pad,
        )

    def _response(self, request: Request, prompt: int, ids: list[int]) -> Response:
        """The answer that stands in what was written: up to the end of the turn."""
        ends = self._chat.stop_token_ids
        end = next((place for place, one in enumerate(ids) if one in ends), None)
        inner = ids[:end]
        text, stop = self._decode(inner, True), ""
        if found := [(text.find(one), one) for one in self._chat.stop_texts if one in text]:
            place, stop = min(found)
            text = text[:place]
            inner = inner[: self._tokens_to(inner, stop)]
        response = Response(
            request.id,
            self._chat.clean(text),
            request.sample,
            request.turn,
            "length" if end is None and not stop else "stop",
            prompt,
            len(inner) + (end is not None and not stop),
        )
        return self._chat.thinking.of_tokens(response, inner, self._decode, stop)

    def _tokens_to(self, ids: Sequence[int], stop: str) -> int:
        """How many tokens there are up to where a text that ends the turn is whole."""
        lengths = range(len(ids) + 1)
        return bisect.bisect_left(lengths, True, key=lambda n: stop in self._decode(ids[:n], True))


def _batches(
    waiting: Sequence[tuple[Request, list[int]]],
) -> Iterator[list[tuple[Request, list[int]]]]:
    """What can be answered together: the greedy ones of one penalty; a drawn one by itself."""
    greedy: dict[float, list[tuple[Request, list[int]]]] = {}
    for one in waiting:
        if one[0].sampling.temperature > 0:
            yield [one]
        else:
            greedy.setdefault(one[0].sampling.repetition_penalty, []).append(one)
    yield from greedy.values()


@contextlib.contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """In evaluation mode; afterwards each module of the model is in the mode that it was in."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextlib.contextmanager
def _as_it_was(model: Any, seed: int | None) -> Iterator[None]:
    """In evaluation mode, with the seed; afterwards all is as its trainer had it."""
    import torch
    from transformers import GenerationConfig

    device = next(model.parameters()).device
    kept = model.generation_config
    model.generation_config = GenerationConfig()  # its own would fill in what ours leaves open
    try:
        cards = [device] if device.type == "cuda" else []
        with evaluating(model), torch.no_grad(), torch.random.fork_rng(cards):
            if seed is not None:
                torch.manual_seed(seed)
            yield
    finally:
        model.generation_config = kept
