"""Real vLLM on tiny models with random weights: its own prompts of public template shapes are
ours, and a thought that is ended by its budget is counted to the token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ochat_eval.engines.vllm import Vllm
from ochat_eval.model.chat import load_format
from ochat_eval.model.model import Model
from ochat_eval.records import Message
from tests.conftest import lines
from tests.model.shapes import SHAPES, write_model

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]


@pytest.fixture
def llm(tmp_path: Path) -> Iterator[Any]:
    """A `vllm.LLM` with a token for each of any shape's."""
    most = max(SHAPES.values(), key=lambda shape: len([*shape.special, *shape.added]))
    folder = write_model(tmp_path / "most", most, weights=True)
    engine = Vllm()
    llm = engine.import_llm()(
        model=str(folder), **engine.llm_arguments(Model(path=str(folder), context=None), 0)
    )
    yield llm
    llm.llm_engine.engine_core.shutdown()


def both(name: str, folder: Path, llm: Any) -> tuple[list[int], list[int]]:
    """The token ids of a conversation in a shape's template: those of `LLM.chat`, and ours.

    What `LLM` makes prompts with is made for each shape as `LLM` makes it; an engine is not.
    """
    from vllm import EngineArgs, SamplingParams
    from vllm.renderers import renderer_from_config

    shape = SHAPES[name]
    write_model(folder, shape)
    model = Model(path=str(folder), context=None, template_kwargs=shape.variables)
    llm.renderer = renderer_from_config(EngineArgs(model=model.path).create_engine_config())
    said = [("user", "é 1"), ("assistant", "It is 4."), ("user", "and <2>?")]
    if name not in ("gemma", "mistral"):
        said.insert(0, ("system", "Be brief."))
    turns = [{"role": role, "content": content} for role, content in said]
    [output] = llm.chat(
        turns,
        SamplingParams(max_tokens=1),
        use_tqdm=False,
        chat_template_kwargs=shape.variables or None,
    )
    ours = load_format(model, model.path).encode([Message(*one) for one in said], None)
    return output.prompt_token_ids, ours


def test_vllms_own_chat_gives_the_same_tokens(tmp_path, llm):
    for name in SHAPES:
        theirs, ours = both(name, tmp_path / name, llm)
        assert ours == theirs, name


def test_a_thought_ends_with_its_budget_and_is_counted(tmp_path, cli):
    folder = write_model(tmp_path / "r1", SHAPES["deepseek_r1"], weights=True)
    ask = ("task=gsm8k", "data=sample", "limit=4", "tasks.gsm8k.max_tokens=24", "run=r")
    done = cli(*ask, f"model={folder}", "model.context=null", "model.thinking_budget=6")
    assert done.returncode == 0, done.stderr
    for response in lines(tmp_path / "results/runs/r/responses.jsonl"):
        thought = len(response["reasoning"].encode()) + 1  # the closing mark
        assert response["reasoning_tokens"] >= thought
        assert 6 <= response["reasoning_tokens"] <= 8
        assert response["completion_tokens"] == 24 and response["finish_reason"] == "length"
        assert response["text"] and "unfinished" not in response
    open_ended = cli(*ask[:-1], "run=o", f"model={folder}", "model.context=null")
    assert open_ended.returncode == 0, open_ended.stderr
    for response in lines(tmp_path / "results/runs/o/responses.jsonl"):
        assert response["unfinished"] and not response["text"]
        assert response["reasoning_tokens"] == response["completion_tokens"] == 24
    assert "4 of 4 thoughts have no end" in " ".join(open_ended.stdout.split())
    unknown = cli(*ask[:-1], "run=u", "model.thinking_budget=6")
    assert unknown.returncode == 2 and "are not known" in unknown.stderr
