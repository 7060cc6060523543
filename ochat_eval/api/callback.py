"""A callback of transformers' Trainer, and of TRL's trainers, which derive from it."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ochat_eval.api.evaluate import composed, evaluate
from ochat_eval.api.run import Run
from ochat_eval.config.arguments import once
from ochat_eval.engines.weights import Weights, evaluating
from ochat_eval.records import UserError

_LOG = logging.getLogger("ochat_eval")


class EvaluationCallback(TrainerCallback):  # type: ignore[misc]
    """Evaluates the weights that a trainer holds every so many steps, and at the end.

    The scores go into the trainer's log, and with it to its trackers: `eval_<task>_<rule>`, and
    the robust rule's `eval_<task>_unmatched` and `eval_<task>_truncated` (0…1). Training goes on as
    if nothing had been: modes and random states are as before. The main process evaluates while
    the others wait for it at their next step.

    What cannot work is refused when the callback is made. What goes wrong later is a warning in
    the log `ochat_eval`, not the end of the training.

    Attributes:
        runs: the runs so far, by step.
    """

    def __init__(
        self,
        trainer: Any,
        task: str | Sequence[str],
        *,
        every: int,
        name: str = "training",
        batch_size: int = 8,
        options: Mapping[str, Any] | None = None,
        **named: Any,
    ):
        """Takes the trainer and what is to be evaluated; `trainer.add_callback` it then.

        Args:
            trainer: its `processing_class` is the tokenizer.
            task: a benchmark, or several.
            every: steps from one evaluation to the next.
            name: what runs call the model; the step is added.
            batch_size: prompts that are answered at a time.
            options, named: of `evaluate`: `limit=100`, `max_tokens=512`.

        Raises:
            UserError: an option that cannot be, weights that are spread over processes, or no
                tokenizer.
        """
        if every < 1:
            raise UserError(f"every is {every}; it must be at least 1")
        if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
            raise UserError(
                "the weights are spread over processes (FSDP, DeepSpeed), and none holds a model "
                "that could answer: evaluate saved checkpoints instead (ochat-eval series)"
            )
        if trainer.processing_class is None:
            raise UserError("the trainer has no tokenizer: give it one as processing_class")
        self.runs: dict[int, Run] = {}
        self._trainer, self._task, self._every = trainer, task, every
        self._name, self._batch_size = name, batch_size
        self._options = once(options or {}, named)
        engine = self._engine(trainer.model)
        engine.check_options()
        composed(task, None, engine, name, self._options)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Evaluates where it is time."""
        if state.global_step % self._every == 0:
            self._evaluate(state, control, kwargs["model"])

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Evaluates the weights at the end, where the last step's were not: with
        `load_best_model_at_end` these are the best."""
        if state.global_step % self._every:
            self._evaluate(state, control, kwargs["model"])

    def _engine(self, model: Any) -> Weights:
        return Weights(
            model=self._trainer.accelerator.unwrap_model(model),
            tokenizer=self._trainer.processing_class,
            batch_size=self._batch_size,
        )

    def _evaluate(self, state: TrainerState, control: TrainerControl, model: Any) -> None:
        if not state.is_world_process_zero:
            return
        step, states = state.global_step, (random.getstate(), np.random.get_state())
        try:
            run = evaluate(
                self._task,
                generate=self._engine(model),
                name=f"{self._name}-step-{step}",
                options=self._options,
                progress=False,
            )
        except UserError as e:
            _LOG.warning("not evaluated at step %s: %s", step, e)
            return
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
        self.runs[step] = run
        logs = control.should_log
        with evaluating(model):  # by which TRL tells whose log it is: it adds its running means
            self._trainer.log(_metrics(run))
        control.should_log = logs  # else the step's own loss would count as logged


def _metrics(run: Run) -> dict[str, float]:
    """What a trainer logs of a run; figures that are not known are left out."""
    found: dict[str, float | None] = {}
    for name, task in run.summary["tasks"].items():
        found |= {f"eval_{name}_{rule}": task[rule]["score"] for rule in ("published", "robust")}
        for rate in ("unmatched", "truncated"):
            found[f"eval_{name}_{rate}"] = task["robust"][rate]
    return {key: value for key, value in found.items() if value is not None}
