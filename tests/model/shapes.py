"""Small models with the chat templates of public kinds, written here: a byte tokenizer, the kind's
special tokens, a template of its shape, and where they are asked for random weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A kind of chat model.

    Attributes:
        template: its Jinja text, or several by name.
        special: its special tokens; the last one ends its answers.
        added: tokens that are added, but not special.
        ends: of generation_config.json; None where it has no such file.
        bos: put in front of a text by the tokenizer.
        variables: of the template, as `model.template_kwargs`.
    """

    template: str | dict[str, str]
    special: Sequence[str]
    added: Sequence[str] = ()
    ends: Sequence[str] | None = None
    bos: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)


_CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
_QWEN3 = (
    "{% for m in messages %}{% set text = m.content.split('</think>')[-1].lstrip('\\n') %}"
    "{{ '<|im_start|>' + m.role + '\\n' + text + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\\n\\n</think>\\n\\n' }}"
    "{% endif %}{% endif %}"
)
_MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + "
    "' [/INST]' }}{% elif m.role == 'assistant' %}{{ ' ' + m.content + eos_token }}{% else %}"
    "SYSTEM{% endif %}{% endfor %}"
)
SHAPES: dict[str, Shape] = {
    "chatml": Shape(template=_CHATML, special=("<|im_start|>", "<|im_end|>")),
    "llama3": Shape(
        template=(
            "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m.role + "
            "'<|end_header_id|>\\n\\n' + m.content | trim + '<|eot_id|>' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}"
            "{% endif %}"
        ),
        special=("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        bos="<|begin_of_text|>",
    ),
    "gemma": Shape(
        template=(
            "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}"
            "{% endif %}{% for m in messages %}{{ '<start_of_turn>' + ('model' if m.role == "
            "'assistant' else m.role) + '\\n' + m.content | trim + '<end_of_turn>\\n' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
        ),
        special=("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
        ends=("<eos>", "<end_of_turn>"),
        bos="<bos>",
    ),
    "mistral": Shape(
        template=_MISTRAL.replace("SYSTEM", "{{ raise_exception('no system role') }}"),
        special=("<s>", "[INST]", "[/INST]", "</s>"),
        bos="<s>",
    ),
    "mistral_system": Shape(
        template=_MISTRAL.replace(
            "SYSTEM", "{{ '[SYSTEM_PROMPT]' + m.content + '[/SYSTEM_PROMPT]' }}"
        ),
        special=("<s>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "</s>"),
        bos="<s>",
    ),
    "qwen3_thinking": Shape(
        template=_QWEN3,
        special=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        added=("<think>", "</think>"),
        ends=("<|im_end|>", "<|endoftext|>"),
    ),
    "qwen3_not_thinking": Shape(
        template=_QWEN3,
        special=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        added=("<think>", "</think>"),
        variables={"enable_thinking": False},
    ),
    "deepseek_r1": Shape(
        template=(
            "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}"
            "{% elif m.role == 'user' %}{{ '<|User|>' + m.content }}{% else %}{{ '<|Assistant|>' + "
            "m.content.split('</think>')[-1] + '<|end_of_sentence|>' }}{% endif %}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|Assistant|><think>\\n' }}{% endif %}"
        ),
        special=("<|begin_of_sentence|>", "<|User|>", "<|Assistant|>", "<|end_of_sentence|>"),
        added=("<think>", "</think>"),
        bos="<|begin_of_sentence|>",
    ),
    "gpt_oss": Shape(
        template=(
            "{% for m in messages %}{% if m.role == 'assistant' %}"
            "{{ '<|start|>assistant<|channel|>final<|message|>' + m.content + '<|end|>' }}"
            "{% elif m.role == 'system' %}{{ '<|start|>developer<|message|>' + m.content + "
            "'<|end|>' }}{% else %}{{ '<|start|>user<|message|>' + m.content + '<|end|>' }}"
            "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant' }}"
            "{% endif %}{# <|channel|>analysis<|message|> #}"
        ),
        special=("<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>"),
        ends=("<|return|>",),
    ),
    "phi": Shape(
        template=(
            "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
        ),
        special=("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
    ),
    "smollm_parts": Shape(
        template=(
            "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}{% for p in m.content %}"
            "{% if p.type == 'text' %}{{ p.text }}{% endif %}{% endfor %}{{ '<|im_end|>\\n' }}"
            "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
        ),
        special=("<|im_start|>", "<|im_end|>"),
    ),
}
"""The public kinds, by name."""


def tokenizer_of(shape: Shape) -> Any:
    """A transformers tokenizer: a token for each byte, and the shape's own."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(list(shape.special))
    backend.add_tokens([AddedToken(text, special=False, normalized=False) for text in shape.added])
    if shape.bos:
        backend.post_processor = processors.TemplateProcessing(
            single=f"{shape.bos} $A",
            special_tokens=[(shape.bos, backend.token_to_id(shape.bos))],
        )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=shape.bos, eos_token=shape.special[-1]
    )
    tokenizer.chat_template = shape.template
    return tokenizer


def write_model(folder: Path, shape: Shape, *, weights: bool = False) -> Path:
    """A model's folder: its tokenizer and configuration, and random weights if they are wanted."""
    from transformers import LlamaConfig

    tokenizer = tokenizer_of(shape)
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=2048,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    if weights:
        import torch
        from transformers import LlamaForCausalLM

        torch.manual_seed(0)
        LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    else:
        config.save_pretrained(folder)
    named = folder / "generation_config.json"
    named.unlink(missing_ok=True)
    if shape.ends is not None:
        ids = tokenizer.convert_tokens_to_ids(list(shape.ends))
        named.write_text(json.dumps({"eos_token_id": ids}))
    return folder
