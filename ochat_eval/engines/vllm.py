"""vLLM's offline engine, driven so that each response comes out the moment it is finished."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ochat_eval.engines.engine import Engine, Failure, Session, Work
from ochat_eval.engines.guard import Guard
from ochat_eval.engines.loops import loops_parameters
from ochat_eval.engines.lora import check_adapters, load_adapters, lora_arguments
from ochat_eval.engines.overlong import prompt_ids, refuse_overlong
from ochat_eval.engines.speculation import (
    check_speculation,
    not_to_be_guessed,
    speculation_arguments,
)
from ochat_eval.engines.vllm_build import (
    OURS,
    TRANSPORT,
    budget_arguments,
    cpu_arguments,
    cpu_build,
    cpu_environment,
    import_vllm,
    know_model_class,
    on_cpu,
    one_line,
    settled,
    vllm_arguments,
)
from ochat_eval.model.adapter import adapters_of
from ochat_eval.model.chat import load_format
from ochat_eval.model.chat.format import ChatFormat
from ochat_eval.model.chat.thinking import decoder
from ochat_eval.model.context import context_of
from ochat_eval.model.imports import importing
from ochat_eval.model.model import Model
from ochat_eval.model.weights import check_there, digest_of, prepare
from ochat_eval.records import Request, Response, UserError
from ochat_eval.run import hardware
from ochat_eval.run.identity import ADAPTER, STOP_LOOPS
from ochat_eval.terminal.words import counted, nearest

_WATCH_SECONDS = 0.2
_COLLECT_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Vllm(Engine):
    """`vllm.LLM` on this machine.

    Attributes:
        window: requests in flight; None is twice vLLM's `max_num_seqs`, so that the scheduler
            always has one waiting and a long run does not sit in its queue.
        in_process: run the engine in this process; None is only on CPUs, where it halves both
            start and run time.
        stop_loops: end an answer whose last tokens, up to 64 of them, come so many times in a row
            (vLLM's repetition detection); None ends none, as published.
        speculate: guess so many tokens ahead while few answers are left; None guesses none.
        arguments: any other argument of `vllm.LLM`, given as `engine.NAME=VALUE`.
    """

    takes_adapters: ClassVar[bool] = True

    window: int | None = None
    in_process: bool | None = None
    stop_loops: int | None = None
    speculate: int | None = None
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The engine's part in the run's default name."""
        return "vllm"

    def identity(self, model: Model) -> dict[str, Any]:
        """The weights, the context and every vLLM argument that is no transport option."""
        chosen = {k: v for k, v in sorted(settled(self.arguments).items()) if k not in TRANSPORT}
        adapters = adapters_of(model)
        return {
            "model": model.name,
            "weights": digest_of(model),
            "chat": model.chat,
            "context": context_of(model) if model.context is None else model.context,
            "arguments": chosen,
            **({STOP_LOOPS: self.stop_loops} if self.stop_loops else {}),
            **({"speculate": self.speculate} if self.speculate else {}),
            **({ADAPTER: adapters[0].digest} if adapters else {}),
        }

    def start(self, work: Work) -> Session:
        """Loads the model.

        Raises:
            UserError: vLLM is missing, refuses an argument or the model, or a prompt is longer
                than the context.
        """
        self.check_machine()
        preload = os.environ.get("LD_PRELOAD")
        try:
            llm_class = self.import_llm()
            path, chat = self.check_prompts(work)
            arguments, guard = self.llm_arguments(work.model, work.seed), Guard()
            budget = budget_arguments(work.model, chat)
            dtype = arguments.get("dtype", "auto")
            named = "" if dtype == "auto" else f" ({dtype})"
            work.say(f"loading {work.model.name} in vLLM{named} …")
            try:
                if self._in_process() and self.world == 1:
                    know_model_class(path)
                llm = llm_class(model=path, **arguments, **budget)
            except (ValueError, RuntimeError, OSError, TypeError, AttributeError) as e:
                guard.stand_down()
                raise UserError(f"vLLM cannot load {work.model.name}: {one_line(e)}") from e
        finally:  # it names its libraries for its own processes; ours are none of them
            os.environ.pop("LD_PRELOAD", None)
            if preload is not None:
                os.environ["LD_PRELOAD"] = preload
        loops = loops_parameters(self.stop_loops)
        more = {"thinking_token_budget": work.model.thinking_budget, **loops}
        session = _VllmSession(llm, chat, self.window, guard, more)
        try:
            session.adapters = load_adapters(llm, work.model, path)
        except UserError:
            session.close()
            raise
        session.gpus = 0 if on_cpu() else self.world
        return session

    def llm_arguments(self, model: Model, seed: int) -> dict[str, Any]:
        """What `vllm.LLM` gets beside the model's path."""
        return {
            **cpu_arguments(self.arguments, self._context(model)),
            "max_model_len": self._context(model),
            "enable_prefix_caching": True,
            "use_tqdm_on_load": False,
            "seed": seed,
            **speculation_arguments(self.speculate),
            **({"revision": model.revision} if model.revision else {}),
            **({"trust_remote_code": True} if model.trust_remote_code else {}),
            **lora_arguments(model),
            **settled(self.arguments),
        }

    @property
    def world(self) -> int:
        """The GPUs (or processes on CPUs) that one copy of the model is spread over."""
        return self._degree("tensor_parallel_size") * self._degree("pipeline_parallel_size")

    def _degree(self, name: str) -> int:
        value = self.arguments.get(name, 1)
        if not isinstance(value, int) or value < 1:
            raise UserError(f"engine.{name} is {value}; it must be a whole number of at least 1")
        return value

    def check_model(self, model: Model) -> None:
        """As `Engine.check_model`; a finished run needs neither machine nor model."""
        self.check_machine()
        check_there(model)

    def check_machine(self) -> None:
        """Refuses what this machine has too little for.

        Raises:
            UserError: as `check_options`, or what is lacking, with what there is.
        """
        self.check_options()
        needed, found = f"{self._parallel()} needs", hardware.gpus()
        if cpu_build():
            if self.world > hardware.cores():
                raise UserError(
                    f"{needed} {counted(self.world, 'CPU core')}; there are {hardware.cores()}"
                )
        elif found is not None and self.world > len(found):
            there = f"{len(found)}: {', '.join(found)}" if found else "none that may be used"
            raise UserError(
                f"{needed} {counted(self.world, 'GPU')} on this machine; there are {there}"
            )

    def check_options(self) -> None:
        """As `Engine.check_options`."""
        if self.window is not None and self.window < 1:
            raise UserError(f"engine.window is {self.window}; it must be at least 1")
        if self.stop_loops is not None and self.stop_loops < 2:
            raise UserError(f"engine.stop_loops is {self.stop_loops}; it must be at least 2")
        check_speculation(self.speculate, self.arguments)
        if (copies := self._degree("data_parallel_size")) > 1:
            raise UserError(
                f"engine.data_parallel_size={copies}: vLLM's offline engine has no data "
                f"parallelism; replicas do the same: engine=ray engine.replicas={copies}"
            )
        _ = self.world  # refuses a degree that is none
        for name, instead in OURS.items():
            if name in self.arguments:
                raise UserError(f"engine.{name} changes nothing here: {instead}")
        known = vllm_arguments()
        for name in self.arguments if known else ():
            if name not in known:
                raise UserError(
                    f"engine.{name}: vllm.LLM has no such argument{nearest(name, sorted(known))}"
                )

    def _in_process(self) -> bool:
        return on_cpu() if self.in_process is None else self.in_process

    def _parallel(self) -> str:
        names = ("tensor_parallel_size", "pipeline_parallel_size")
        given = [f"engine.{n}={self._degree(n)}" for n in names if self._degree(n) > 1]
        return " with ".join(given) or "vLLM"

    def _context(self, model: Model) -> int:
        """The longest prompt and answer together, in tokens."""
        given = self.arguments.get("max_model_len")
        return context_of(model) if given is None else int(given)

    def check_prompts(self, work: Work) -> tuple[str, ChatFormat]:
        """The model's place and chat format, prompts that are too long for it refused."""
        path = str(prepare(work.model))
        chat = load_format(work.model, path, work.say).sharing(work.say)
        check_adapters(work.model, path, chat)
        if not work.truncate_overlong:
            refuse_overlong(work, chat, self._context(work.model))
        return path, chat

    def import_llm(self) -> Any:
        """The class `vllm.LLM`, our arguments checked against it; sets vLLM's environment."""
        import_vllm("engine=vllm")
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0" if self._in_process() else "1"
        cpu_environment(self.world, self.arguments)
        with importing():
            from vllm import LLM

        return LLM


def with_loops_ended(session: Session, times: int) -> Session:
    """As a session of this engine's, which keeps the model, but with `stop_loops`."""
    assert isinstance(session, _VllmSession)
    more = {**session._more, **loops_parameters(times)}
    again = _VllmSession(session._llm, session._chat, session.window, None, more)
    again.adapters = session.adapters
    return again


def held_session(llm: Any, chat: ChatFormat) -> Session:
    """A session over a `vllm.LLM` that somebody else has loaded, and keeps when it is closed."""
    return _VllmSession(llm, chat, None, None, {})


class _VllmSession(Session):
    def __init__(
        self,
        llm: Any,
        chat: ChatFormat,
        window: int | None,
        guard: Guard | None,
        more: Mapping[str, Any],
    ):
        """`guard`: None where the engine is not ours to end; `more`: parameters of every request's
        sampling.

        Attributes:
            adapters: by name, what vLLM knows each by that a request may be for.
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
        done = list(self._ready)
        self._ready.clear()
        until = time.monotonic() + _COLLECT_SECONDS
        while not done and self._in_flight and time.monotonic() < until:
            done = list(self._step())
        return done

    def _unfinished(self) -> list[int]:
        """The tokens written so far, of each request in flight."""
        states = self._engine.output_processor.request_states.values()
        return [s.detokenizer.num_output_tokens() for s in states if s.detokenizer]

    def unfinished_tokens(self) -> int:
        return sum(self._unfinished())

    def state(self) -> list[str]:
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
        self._closed.set()
        if self._guard is None:
            self._engine.abort_request(list(self._in_flight))
            return
        self._engine.engine_core.shutdown()
        self._guard.stand_down()
