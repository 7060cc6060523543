"""Evaluations of the weights that transformers' Trainer holds: the right answers, and no traces."""

from __future__ import annotations

import logging
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ochat_eval
from ochat_eval.model.chat import load_format
from ochat_eval.model.model import Model
from ochat_eval.records import Message
from tests.model.shapes import SHAPES, tokenizer_of, write_model

pytestmark = pytest.mark.slow
ASKED = {"data": "sample", "limit": 4, "max_tokens": 9}


@pytest.fixture
def tokenizer() -> Any:
    return tokenizer_of(SHAPES["chatml"])


@pytest.fixture
def model(tokenizer) -> Any:
    """A tiny random model with dropout, and habits of its own in its generation_config."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=2048,
        attention_dropout=0.5, eos_token_id=tokenizer.eos_token_id, bos_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.generation_config.repetition_penalty = 1.7
    model.generation_config.no_repeat_ngram_size = 1
    return model


def trained(model: Any, tokenizer: Any, folder: Path, evaluates: bool) -> Any:
    """A Trainer after five steps, and its callback's runs."""
    from transformers import Trainer, TrainingArguments, default_data_collator

    class Noting(Trainer):
        """Notes whose log it is as TRL's trainers tell it: by the model's mode."""

        def log(self, logs: dict[str, float], *more: Any) -> None:
            super().log({**logs, "in_training": self.model.training}, *more)

    texts = [f"{n} and {n} is {2 * n}" for n in range(20)]
    rows = [{"input_ids": (ids := tokenizer(text).input_ids[:8]), "labels": ids} for text in texts]
    rows = [row for row in rows if len(row["input_ids"]) == 8]
    arguments = TrainingArguments(
        str(folder), max_steps=5, per_device_train_batch_size=2, logging_steps=1, report_to=[],
        save_strategy="no", use_cpu=True, disable_tqdm=True, seed=1,
    )  # fmt: skip
    trainer = Noting(
        model=model, args=arguments, train_dataset=rows, processing_class=tokenizer,
        data_collator=default_data_collator,
    )  # fmt: skip
    if evaluates:
        trainer.add_callback(
            ochat_eval.EvaluationCallback(
                trainer, "truthfulqa", every=2, name="tiny", batch_size=3, **ASKED
            )
        )
    trainer.train()
    return trainer


def test_a_trainer_logs_scores_and_trains_as_without(
    model, tokenizer, tmp_path, monkeypatch, capfd
):
    import copy

    import torch

    monkeypatch.chdir(tmp_path)
    plain = trained(copy.deepcopy(model), tokenizer, tmp_path / "plain", evaluates=False)
    capfd.readouterr()
    seen = trained(model, tokenizer, tmp_path / "seen", evaluates=True)
    assert "truthfulqa" not in capfd.readouterr().err
    callback = seen.callback_handler.callbacks[-1]
    assert list(callback.runs) == [2, 4, 5]
    for step, run in callback.runs.items():
        [logged] = [
            one for one in seen.state.log_history
            if one["step"] == step and "eval_truthfulqa_robust" in one
        ]  # fmt: skip
        robust = run.summary["tasks"]["truthfulqa"]["robust"]
        assert logged["eval_truthfulqa_robust"] == robust["score"] and not logged["in_training"]
        assert logged["eval_truthfulqa_truncated"] == robust["truncated"]
        assert run.summary["model"] == f"tiny-step-{step}"
    for name, weights in plain.model.state_dict().items():
        assert torch.equal(weights, seen.model.state_dict()[name]), name
    losses = [
        [one["loss"] for one in trainer.state.log_history if "loss" in one]
        for trainer in (plain, seen)
    ]
    assert losses[0] == losses[1] and len(losses[0]) == 5
    assert all(one["in_training"] for one in seen.state.log_history if "loss" in one)


def test_a_trainer_of_trl_logs_as_without(model, tokenizer, tmp_path, monkeypatch):
    """TRL adds its running means to whatever is logged while the model trains, and forgets them."""
    trl = pytest.importorskip("trl", reason="TRL is in no lock: docs/verified.md says what was run")
    import copy

    from datasets import Dataset

    monkeypatch.chdir(tmp_path)
    rows = Dataset.from_list([{"text": f"{n} and {n} is {2 * n}"} for n in range(20)])
    logs = []
    for evaluates in False, True:
        arguments = trl.SFTConfig(
            str(tmp_path / "out"), max_steps=5, per_device_train_batch_size=2, logging_steps=2,
            report_to=[], save_strategy="no", use_cpu=True, bf16=False, disable_tqdm=True, seed=1,
        )  # fmt: skip
        trainer = trl.SFTTrainer(
            model=copy.deepcopy(model), args=arguments, train_dataset=rows,
            processing_class=tokenizer,
        )  # fmt: skip
        if evaluates:
            callback = ochat_eval.EvaluationCallback(trainer, "truthfulqa", every=3, **ASKED)
            trainer.add_callback(callback)
        trainer.train()
        logs.append(trainer.state.log_history)
    plain, seen = ([one for one in log if "loss" in one] for log in logs)
    assert plain == seen and "mean_token_accuracy" in plain[0]
    evaluated = [one for one in logs[1] if "eval_truthfulqa_robust" in one]
    assert [one["step"] for one in evaluated] == list(callback.runs) == [3, 5]
    assert all("mean_token_accuracy" not in one for one in evaluated)


def test_batches_answer_as_one_by_one_and_all_is_as_before(model, tokenizer, tmp_path, monkeypatch):
    import torch
    from transformers import GenerationConfig

    monkeypatch.chdir(tmp_path)
    model.train()
    model.model.layers[0].eval()
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    held = ochat_eval.Weights(model=model, tokenizer=tokenizer, batch_size=3)
    run = ochat_eval.evaluate("truthfulqa", generate=held, name="held", **ASKED)
    assert model.training and not model.model.layers[0].training
    assert model.generation_config.repetition_penalty == 1.7
    assert torch.equal(before[0], torch.get_rng_state()) and before[1] == random.getstate()
    assert before[2] == np.random.get_state()[1].tolist()
    chat = load_format(Model(path=""), write_model(tmp_path / "model", SHAPES["chatml"]))
    model.eval()
    model.generation_config = GenerationConfig()
    given = run.responses().set_index("id")
    assert len(given) == 4
    for id_, turns in zip(run.items().id, run.items().turns, strict=True):
        ids = chat.encode([Message("user", turns[0])], None)
        written = model.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            max_new_tokens=9, do_sample=False, eos_token_id=list(chat.stop_token_ids),
            pad_token_id=0,
        )[0].tolist()[len(ids) :]  # fmt: skip
        ended = written[-1] in chat.stop_token_ids
        text = tokenizer.decode(written[: len(written) - ended])
        assert given.text[id_] == text and given.completion_tokens[id_] == len(written)
        assert given.prompt_tokens[id_] == len(ids)
        assert given.finish_reason[id_] == ("stop" if ended else "length")
    drawn = [
        ochat_eval.evaluate(
            "truthfulqa", generate=held, name="drawn", sampling={"temperature": 1.0},
            seed=seed, **ASKED,
        ).responses().text.tolist()
        for seed in (0, 0, 1)
    ]  # fmt: skip
    assert drawn[0] == drawn[1] != drawn[2]


def test_what_cannot_work_is_refused_before_the_training_and_a_warning_in_it(
    model, tokenizer, tmp_path, monkeypatch, caplog
):
    from transformers import Trainer, TrainingArguments

    monkeypatch.chdir(tmp_path)
    arguments = TrainingArguments(str(tmp_path / "out"), use_cpu=True, report_to=[])

    def trainer(**options: Any) -> Trainer:
        return Trainer(model=model, args=arguments, **options)

    with pytest.raises(ochat_eval.UserError, match="no tokenizer"):
        ochat_eval.EvaluationCallback(trainer(), "gsm8k", every=1)
    whole = trainer(processing_class=tokenizer)
    for options, message in (
        ({"every": 0}, "every is 0"),
        ({"every": 1, "limt": 3}, "limt: there is no such option"),
        ({"every": 1, "batch_size": 0}, "batch_size is 0"),
    ):
        with pytest.raises(ochat_eval.UserError, match=message):
            ochat_eval.EvaluationCallback(whole, "gsm8k", **options)
    whole.is_fsdp_enabled = True
    with pytest.raises(ochat_eval.UserError, match="spread over processes"):
        ochat_eval.EvaluationCallback(whole, "gsm8k", every=1)
    whole.is_fsdp_enabled = False
    callback = ochat_eval.EvaluationCallback(whole, "mmlu", every=1, data="sample")
    (tmp_path / "results").write_text("no folder")
    with caplog.at_level(logging.WARNING, "ochat_eval"):
        callback.on_step_end(arguments, whole.state, whole.control, model=model)
    assert "not evaluated at step 0: cannot write results/runs" in caplog.text
    assert callback.runs == {}
