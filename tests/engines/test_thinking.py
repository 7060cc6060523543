"""Real vLLM on tiny models with random weights: its own prompts of public template shapes are
ours, and a thought that is ended by its budget is counted to the token."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import environment, lines
from tests.model.shapes import SHAPES, write_model

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]

ASK = """
import json, sys
from pathlib import Path
from ochat_eval.engines.vllm import Vllm
from ochat_eval.model.chat import load_format
from ochat_eval.model.model import Model
from ochat_eval.records import Message
from tests.model.shapes import SHAPES

llm_class = Vllm().import_llm()
from vllm import SamplingParams

found = {}
for name, shape in SHAPES.items():
    model = Model(
        path=str(Path(sys.argv[1]) / name), context=None, template_kwargs=shape.variables
    )
    said = [("user", "é 1"), ("assistant", "It is 4."), ("user", "and <2>?")]
    if name not in ("gemma", "mistral"):
        said.insert(0, ("system", "Be brief."))
    turns = [{"role": role, "content": content} for role, content in said]
    llm = llm_class(model=model.path, **Vllm().llm_arguments(model, 0))
    [output] = llm.chat(
        turns,
        SamplingParams(max_tokens=1),
        use_tqdm=False,
        chat_template_kwargs=shape.variables or None,
    )
    ours = load_format(model, model.path).encode([Message(*one) for one in said], None)
    found[name] = [output.prompt_token_ids, ours]
    llm.llm_engine.engine_core.shutdown()
print(json.dumps(found))
"""


def test_vllms_own_chat_gives_the_same_tokens(tmp_path):
    for name, shape in SHAPES.items():
        write_model(tmp_path / name, shape, weights=True)
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(tmp_path)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.keys() == SHAPES.keys()
    for name, (theirs, ours) in found.items():
        assert ours == theirs, name


def test_a_thought_ends_with_its_budget_and_is_counted(tmp_path, process):
    folder = write_model(tmp_path / "r1", SHAPES["deepseek_r1"], weights=True)
    ask = ("task=gsm8k", "data=sample", "limit=4", "tasks.gsm8k.max_tokens=24", "run=r")
    done = process(*ask, f"model={folder}", "model.context=null", "model.thinking_budget=6")
    assert done.returncode == 0, done.stderr
    for response in lines(tmp_path / "results/runs/r/responses.jsonl"):
        thought = len(response["reasoning"].encode()) + 1  # the closing mark
        assert response["reasoning_tokens"] >= thought
        assert 6 <= response["reasoning_tokens"] <= 8
        assert response["completion_tokens"] == 24 and response["finish_reason"] == "length"
        assert response["text"] and "unfinished" not in response
    open_ended = process(*ask[:-1], "run=o", f"model={folder}", "model.context=null")
    assert open_ended.returncode == 0, open_ended.stderr
    for response in lines(tmp_path / "results/runs/o/responses.jsonl"):
        assert response["unfinished"] and not response["text"]
        assert response["reasoning_tokens"] == response["completion_tokens"] == 24
    assert "4 of 4 thoughts have no end" in " ".join(open_ended.stdout.split())
    unknown = process(*ask[:-1], "run=u", "model.thinking_budget=6")
    assert unknown.returncode == 2 and "are not known" in unknown.stderr
