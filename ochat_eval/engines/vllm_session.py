"""A session over a `vllm.LLM`: each response comes out the moment it is finished."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from ochat_eval.engines.engine import Failure, Session
from ochat_eval.engines.guard import Guard
from ochat_eval.engines.loops import loops_parameters
from ochat_eval.engines.overlong import prompt_ids
from ochat_eval.engines.speculation import not_to_be_guessed
from ochat_eval.engines.vllm_build import on_cpu, one_line
from ochat_eval.model.chat.format import ChatFormat
from ochat_eval.model.chat.thinking import decoder
from ochat_eval.records import Request, Response, UserError
from ochat_eval.terminal.words import counted

_WATCH_SECONDS = 0.2
_COLLECT_SECONDS = 1.0
_TOGETHER_SECONDS = 0.1
"""For what came while the last answers went to disk; a slow disk has it in one piece."""


def with_loops_ended(session: Session, times: int) -> Session:
    """As a session of this engine's, which keeps the model, but with `stop_loops`."""
    assert isinstance(session, VllmSession)
    more = {**session._more, **loops_parameters(times)}
    again = VllmSession(session._llm, session._chat, session.window, None, more)
    again.adapters = session.adapters
    return again


def held_session(llm: Any, chat: ChatFormat) -> Session:
    """A session over a `vllm.LLM` that somebody else has loaded, and keeps when it is closed."""
    return VllmSession(llm, chat, None, None, {})


class VllmSession(Session):
    """vLLM's own loop, step by step.

    Attributes:
        adapters: by name, what vLLM knows each by that a request may be for.
    """

    def __init__(
        self,
        llm: Any,
        chat: ChatFormat,
        window: int | None,
        guard: Guard | None,
        more: Mapping[str, Any],
    ):
        """Goes on with an engine that is loaded.

        Args:
            window: requests in flight; None: twice vLLM's `max_num_seqs`.
            guard: None where the engine is not ours to end.
            more: parameters of every request's sampling.
        """
        self.adapters: Mapping[str, Any] = {}
        self._llm = llm
        self._guard = guard
        self._chat = chat
        self._decode = decoder(llm.get_tokenizer())
        self._more = more
        self._engine = llm.llm_engine
        config = self._engine.vllm_config
        self._context: int = config.model_config.max_model_len
        self._guesses = config.speculative_config is not None
        self.window = window or 2 * config.scheduler_config.max_num_seqs
        self._in_flight: dict[str, Request] = {}
        self._cached = self._prompts = 0  # tokens of finished requests
        self._ready: deque[Response | Failure] = deque()
        self._failed: UserError | None = None
        self._closed = threading.Event()
        resources = getattr(self._engine.engine_core, "resources", None)
        if resources is not None:  # the engine has a process of its own
            threading.Thread(target=self._watch, args=(resources,), daemon=True).start()

    def _watch(self, resources: Any) -> None:
        """Wakes `step` when the engine process dies; it would wait for its output for ever."""
        from vllm.v1.engine.exceptions import EngineDeadError

        while not self._closed.wait(_WATCH_SECONDS):
            if resources.engine_dead:
                self._engine.engine_core.outputs_queue.put_nowait(EngineDeadError())
                return

    def submit(self, request: Request) -> None:
        """As `Session.submit`."""
        ids = prompt_ids(request, self._chat, self._context)
        if not isinstance(ids, list):
            self._ready.append(ids)
            return
        room = self._context - len(ids)
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        sampling = request.sampling
        if self._guesses and (reason := not_to_be_guessed(sampling, on_cpu())):
            self._ready.append(Failure(*request.key, reason))
            return
        params = SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=min(room, sampling.max_tokens or room),
            seed=sampling.seed,
            **sampling.beyond_usual(),
            stop_token_ids=list(self._chat.stop_token_ids),
            stop=list(self._chat.stop_texts),
            **self._more,
            ignore_eos=True,  # the chat format's own end of turn, and nothing else, ends it
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        lora = None if request.adapter is None else self.adapters[request.adapter]
        [given] = self._llm.enqueue(
            {"prompt_token_ids": ids}, params, use_tqdm=False, lora_request=lora
        )
        self._in_flight[given.split("-")[0]] = request

    def collect(self) -> list[Response | Failure]:
        """As `Session.collect`."""
        done = list(self._ready)
        self._ready.clear()
        if self._failed is not None:
            raise self._failed
        until = time.monotonic() + _COLLECT_SECONDS
        try:
            while not done and self._in_flight and time.monotonic() < until:
                done += self._step()
            until = time.monotonic() + _TOGETHER_SECONDS
            while self._in_flight and self._has_more() and time.monotonic() < until:
                done += self._step()
        except UserError as e:
            self._failed = e
            if not done:  # else that is kept first
                raise
        return done

    def _has_more(self) -> bool:
        """Whether an engine in a process of its own has written on meanwhile."""
        waiting = getattr(self._engine.engine_core, "outputs_queue", None)
        return waiting is not None and not waiting.empty()

    def _unfinished(self) -> list[int]:
        """The tokens written so far, of each request in flight."""
        states = self._engine.output_processor.request_states.values()
        return [s.detokenizer.num_output_tokens() for s in states if s.detokenizer]

    def unfinished_tokens(self) -> int:
        """As `Session.unfinished_tokens`."""
        return sum(self._unfinished())

    def state(self) -> list[str]:
        """As `Session.state`."""
        if self._prompts:
            share = self._cached / self._prompts
            return [f"{share:.0%} of prompts from cache"] if share else []
        begun = self._unfinished()  # the first answers take a while
        return [f"{sum(map(bool, begun)):,} of {len(begun):,} prompts read"] if begun else []

    def _step(self) -> Iterator[Response | Failure]:
        """One step of the engine: the loop of `vllm.LLM` itself, but nothing is held back."""
        from vllm.v1.engine.exceptions import EngineDeadError

        try:
            outputs = self._engine.step()
        except EngineDeadError as e:
            raise UserError(
                f"vLLM's engine process died with {counted(len(self._in_flight), 'request')} in "
                "flight; what had finished is kept: run the same command again"
            ) from e
        except RuntimeError as e:  # torch's out of memory is one, too
            raise UserError(
                f"vLLM failed: {one_line(e)}; what had finished is kept: run it again, or with "
                "less at a time (engine.max_num_seqs, engine.gpu_memory_utilization)"
            ) from e
        for output in outputs:
            if not output.finished:
                continue
            request = self._in_flight.pop(output.request_id.split("-")[0])
            [answer] = output.outputs
            self._cached += output.num_cached_tokens or 0
            self._prompts += len(output.prompt_token_ids)
            if answer.finish_reason not in ("stop", "length", "repetition"):
                yield Failure(*request.key, f"vLLM ended it with {answer.finish_reason!r}")
                continue
            response = Response(
                request.id,
                self._chat.clean(answer.text),
                request.sample,
                request.turn,
                answer.finish_reason,
                len(output.prompt_token_ids),
                len(answer.token_ids),
            )
            stop = answer.stop_reason if isinstance(answer.stop_reason, str) else ""
            yield self._chat.thinking.of_tokens(response, self._written(answer), self._decode, stop)

    def _written(self, answer: Any) -> list[int]:
        """The tokens of an answer without the one that ended it."""
        ids = list(answer.token_ids)
        return ids[:-1] if ids and ids[-1] in self._chat.stop_token_ids else ids

    def close(self) -> None:
        """As `Session.close`."""
        self._closed.set()
        if self._guard is None:
            self._engine.abort_request(list(self._in_flight))
            return
        self._engine.engine_core.shutdown()
        self._guard.stand_down()
