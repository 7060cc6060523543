"""The engine over a `vllm.LLM` that a program holds, as some trainers do."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

from ochat_eval.engines.engine import Session, Work
from ochat_eval.engines.live import Live
from ochat_eval.engines.overlong import refuse_overlong
from ochat_eval.engines.vllm_session import held_session
from ochat_eval.model.chat import load_format


@dataclass(frozen=True, kw_only=True)
class LiveVllm(Live):
    """A loaded `vllm.LLM`, asked as the engine `vllm` asks its own; it stays loaded.

    Attributes:
        llm: the object; nothing else may be in flight in it.
    """

    kind: ClassVar[str] = "live_vllm"
    writes_prompts: ClassVar[bool] = True

    llm: Any

    def start(self, work: Work) -> Session:
        """Reads the chat format of its tokenizer, and drops what it has cached of other weights.

        Raises:
            UserError: the tokenizer has no chat format, or a prompt is longer than the context.
        """
        config = self.llm.llm_engine.vllm_config.model_config
        model = dataclasses.replace(
            work.model, path=config.tokenizer, revision=config.tokenizer_revision
        )
        chat = load_format(model, config.tokenizer, work.say).sharing(work.say)
        if not work.truncate_overlong:
            refuse_overlong(work, chat, config.max_model_len)
        self.llm.reset_prefix_cache()
        return held_session(self.llm, chat)
