"""The seam in vLLM's server: chat requests get the harness's token ids, stop tokens and cleaning.

vLLM's renderer writes a conversation as one text and tokenises that; here it takes the ids that
the offline engine would be asked with. Everything else (routes, streaming, sampling) is vLLM's.
Pinned to vLLM 0.32.0: the methods overridden here are no promised interface.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.entrypoints.openai.chat_completion.serving import OpenAIServingChat
from vllm.exceptions import VLLMValidationError
from vllm.renderers.online_renderer import OnlineRenderer

from ochat_eval.model.chat.format import ChatFormat
from ochat_eval.model.model import Model
from ochat_eval.records import UserError
from ochat_eval.serve.clean import StreamCleaner, condition_of, to_messages
from ochat_eval.serve.log import note
from ochat_eval.serve.thoughts import MarksShown, ThoughtParser, with_reasoning_content
from ochat_eval.serve.variables import FIELDS, Variants

REFUSED = (
    "tools",
    "documents",
    "chat_template",
    "echo",
    "add_generation_prompt",
    "continue_final_message",
    "add_special_tokens",
    "truncate_prompt_tokens",
    "reasoning_effort",
    "mm_processor_kwargs",
    "media_io_kwargs",
    "use_beam_search",
    "kv_transfer_params",
    "ec_transfer_params",
)
"""Fields that would change how a prompt is written or ended, which the chat format alone does."""


def install(state: Any, model: Model, chats: Variants, log_texts: bool) -> None:
    """Puts our renderer and chat handler in the place of vLLM's.

    Args:
        state: the application's state, as vLLM's `init_app_state` left it.
        log_texts: whether the request log is to have the texts of messages and answers.
    """
    renderer = HarnessRenderer.__new__(HarnessRenderer)
    renderer.__dict__.update(vars(state.online_renderer), chats=chats)
    handler = HarnessChat.__new__(HarnessChat)
    thinking = chats.usual.thinking
    handler.__dict__.update(
        vars(state.openai_serving_chat),
        online_renderer=renderer,
        chats=chats,
        parser_cls=ThoughtParser if thinking.marks else None,
        _include_reasoning_tokens_details=bool(thinking.marks),
        default_condition=model.condition if model.conditions else None,
        log_texts=log_texts,
    )
    for asks in (state.serving_tokenization, state.openai_serving_completion):
        asks.online_renderer = renderer
    for answers in (handler, state.openai_serving_completion):
        answers.engine_client = GrammarCheck(answers.engine_client)
    if thinking.hidden:
        handler.engine_client = MarksShown(handler.engine_client)
    state.online_renderer = renderer
    state.openai_serving_chat = handler


class HarnessRenderer(OnlineRenderer):  # type: ignore[misc]
    """Makes the prompt of a chat request, and of `/tokenize` with messages."""

    chats: Variants

    async def preprocess_chat(
        self, request: Any, messages: Any, *_: Any, skip_mm_cache: bool = False, **__: Any
    ) -> tuple[list[Any], list[Any]]:
        """The conversation and the engine's input: the ids of the chat format."""
        refuse(request)
        condition = _condition(request)
        chat = await asyncio.to_thread(chat_of, self.chats, request)
        try:
            conversation = to_messages(messages)
            ids = await asyncio.to_thread(chat.encode, conversation, condition)
        except (UserError, ValueError) as e:
            parameter = "condition" if "condition" in str(e) else "messages"
            raise VLLMValidationError(str(e), parameter=parameter) from e
        inputs = await self.preprocess_cmpl(request, [ids], skip_mm_cache=skip_mm_cache)
        return [{"role": m.role, "content": m.content} for m in conversation], inputs

    async def preprocess_completion(self, request: Any, *rest: Any, **named: Any) -> list[Any]:
        """As vLLM's, for a prompt that is raw text; a condition with it would do nothing."""
        if _condition(request) is not None:
            raise VLLMValidationError(
                "condition is for messages (/v1/chat/completions); this prompt is taken as it is",
                parameter="condition",
            )
        return list(await super().preprocess_completion(request, *rest, **named))


def _condition(request: Any) -> str | None:
    """The request's condition; VLLMValidationError, answered as a 400, where it is none."""
    try:
        return condition_of(request.model_extra)
    except ValueError as e:
        raise VLLMValidationError(str(e), parameter="condition") from e


def chat_of(chats: Variants, request: Any) -> ChatFormat:
    """The chat format for a request; VLLMValidationError, a 400, where there is none."""
    given = [getattr(request, name, None) for name in FIELDS]
    try:
        return chats.of(given)
    except UserError as e:
        raise VLLMValidationError(str(e), parameter=FIELDS[0]) from e


def refuse(request: Any) -> None:
    """Refuses what vLLM would do to a prompt, and what would be passed over in silence.

    Raises:
        VLLMValidationError: answered as a 400.
    """
    fields = type(request).model_fields
    for name in REFUSED:
        if name in fields and getattr(request, name) not in (fields[name].default, [], {}):
            raise VLLMValidationError(
                f"{name} is not supported: the prompt is written by the model's own chat format",
                parameter=name,
            )


class GrammarCheck:
    """The engine, which says nothing but "error" of a grammar that it cannot keep to.

    vLLM makes a 500 of that; but it is the request that is wrong.
    """

    def __init__(self, engine: Any):
        """Takes vLLM's engine client."""
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def generate(self, prompt: Any, params: Any, *rest: Any, **named: Any) -> Any:
        """As the engine's.

        Raises:
            VLLMValidationError: answered as a 400, or within a stream that has begun.
        """
        async with aclosing(self._engine.generate(prompt, params, *rest, **named)) as results:
            async for result in results:
                ends = {output.finish_reason for output in result.outputs}
                if "error" in ends and getattr(params, "structured_outputs", None):
                    raise VLLMValidationError(
                        "the grammar or schema cannot be kept to: it lets nothing follow, or it "
                        "cannot be compiled",
                        parameter="structured_outputs",
                    )
                yield result


class HarnessChat(OpenAIServingChat):  # type: ignore[misc]
    """`/v1/chat/completions`: ends turns and cleans answers as the offline engine does."""

    chats: Variants
    default_condition: str | None
    log_texts: bool

    async def create_chat_completion(self, request: Any, *rest: Any, **named: Any) -> Any:
        """As vLLM's; a chat format that no request had before is made while others go on."""
        await asyncio.to_thread(chat_of, self.chats, request)
        return await super().create_chat_completion(request, *rest, **named)

    def _make_parser(self, request: Any, tokenizer: Any, *_: Any) -> ThoughtParser:
        """Ours, in the place of one by `reasoning_parser`."""
        chat = chat_of(self.chats, request)
        return ThoughtParser(tokenizer, chat, plain=request.skip_special_tokens)

    def _finalize_response_message(self, message: Any, *, parser: Any) -> Any:
        """A whole answer, its thought under both names."""
        return with_reasoning_content(message)

    async def render_chat_request(self, request: ChatCompletionRequest) -> Any:
        """As vLLM's; the chat format's end of turn, and nothing else, ends an answer."""
        refuse(request)
        if not request.ignore_eos:  # set by its sender, it means that nothing ends it
            chat = chat_of(self.chats, request)
            stop = [*(request.stop_token_ids or []), *chat.stop_token_ids]
            request.stop_token_ids = list(dict.fromkeys(stop))
            request.ignore_eos = True
            if chat.stop_texts:
                given = [request.stop] if isinstance(request.stop, str) else request.stop or []
                request.stop = list(dict.fromkeys([*given, *chat.stop_texts]))
        rendered = await super().render_chat_request(request)
        note(model=request.model, stream=bool(request.stream))
        if isinstance(rendered, tuple):
            condition = condition_of(request.model_extra) or self.default_condition
            note(condition=condition, messages=len(rendered[0]))
            if self.log_texts:
                note(conversation=rendered[0])
        return rendered

    async def chat_completion_stream_generator(
        self, request: Any, result_generator: AsyncIterator[Any], *rest: Any, **named: Any
    ) -> AsyncGenerator[str, None]:
        """As vLLM's, on cleaned outputs."""
        outputs = self._cleaned(result_generator)
        async for chunk in super().chat_completion_stream_generator(
            request, outputs, *rest, **named
        ):
            yield chunk

    async def chat_completion_full_generator(
        self, request: Any, result_generator: AsyncIterator[Any], *rest: Any, **named: Any
    ) -> Any:
        """As vLLM's, on cleaned outputs."""
        outputs = self._cleaned(result_generator)
        return await super().chat_completion_full_generator(request, outputs, *rest, **named)

    async def _cleaned(self, results: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The engine's results, their texts cleaned; what they were goes into the request log."""
        cleaners: dict[int, StreamCleaner] = {}
        tokens: dict[int, int] = {}
        reasons: dict[int, str | None] = {}
        texts: dict[int, str] = {}
        async for result in results:
            for output in result.outputs:
                i = output.index
                cleaner = cleaners.setdefault(i, StreamCleaner(self.chats.usual.clean))
                output.text = cleaner.feed(output.text)
                tokens[i] = tokens.get(i, 0) + len(output.token_ids)
                reasons[i] = output.finish_reason
                if self.log_texts:
                    texts[i] = texts.get(i, "") + output.text
            note(
                prompt_tokens=len(result.prompt_token_ids or []),
                completion_tokens=[tokens[i] for i in sorted(tokens)],
                finish_reason=[reasons[i] for i in sorted(reasons)],
            )
            if self.log_texts:
                note(answers=[texts[i] for i in sorted(texts)])
            yield result
