"""vLLM's offline engine: its options, what the machine must have, and how it is loaded."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ochat_eval.engines.engine import Engine, Session, Work
from ochat_eval.engines.guard import Guard
from ochat_eval.engines.loops import loops_parameters
from ochat_eval.engines.lora import check_adapters, load_adapters, lora_arguments
from ochat_eval.engines.overlong import refuse_overlong
from ochat_eval.engines.speculation import check_speculation, speculation_arguments
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
from ochat_eval.engines.vllm_session import VllmSession
from ochat_eval.model.adapter import adapters_of
from ochat_eval.model.chat import load_format
from ochat_eval.model.chat.format import ChatFormat
from ochat_eval.model.context import context_of
from ochat_eval.model.imports import importing
from ochat_eval.model.model import Model
from ochat_eval.model.weights import check_there, digest_of, prepare
from ochat_eval.records import UserError
from ochat_eval.run import hardware
from ochat_eval.run.identity import ADAPTER, STOP_LOOPS
from ochat_eval.terminal.words import counted, nearest


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
        session = VllmSession(llm, chat, self.window, guard, more)
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
