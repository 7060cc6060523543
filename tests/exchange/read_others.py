"""Reads our exports with the tools that they are for; runs in .venv-others, prints JSON.

`python read_others.py FOLDER`, of which inspect/, lm_eval/ and every_eval_ever/ are exports.
"""

from __future__ import annotations

import json
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
from every_eval_ever.converters.lm_eval.adapter import LMEvalAdapter
from every_eval_ever.converters.lm_eval.instance_level_adapter import LMEvalInstanceLevelAdapter
from every_eval_ever.validator.validate import validate_file
from inspect_ai.log import list_eval_logs, read_eval_log
from lm_eval.utils import make_table

ABOUT = {
    "source_organization_name": "somebody",
    "evaluator_relationship": "other",
    "deployment_type": "self_deployed",
    "model_availability": "open_weights",
}


def inspect(folder: Path) -> Any:
    return {info.task: _inspect_log(read_eval_log(info)) for info in list_eval_logs(str(folder))}


def _inspect_log(log: Any) -> Any:
    samples = log.samples or []
    return {
        "tags": log.eval.tags,
        "metrics": {
            s.name: {m.name: m.value for m in s.metrics.values()} for s in log.results.scores
        },
        "values": [
            [s.id, s.epoch, {rule: v.value for rule, v in s.scores.items()}] for s in samples
        ],
        "completions": [s.output.completion for s in samples],
        "conversation": [[m.role, m.text] for m in samples[-1].messages],
        "stops": sorted({s.output.stop_reason for s in samples}),
    }


def lm_eval(folder: Path) -> Any:
    [file] = folder.glob("*/results_*.json")
    return make_table(json.loads(file.read_text()))


def every_eval_ever(folder: Path) -> Any:
    """What its own check and its schemas find, and the aggregates."""
    schemas = resources.files("every_eval_ever.schemas")
    checks = [
        jsonschema.Draft7Validator(json.loads(schemas.joinpath(name).read_text()))
        for name in ("eval.schema.json", "instance_level_eval.schema.json")
    ]
    found: list[str] = []
    aggregates = []
    for file in sorted((folder / "data").rglob("*.json*")):
        report = validate_file(
            file, repo_path=file.relative_to(folder).as_posix(),
            available_files={f.relative_to(folder).as_posix() for f in folder.rglob("*.json*")},
            read_repo_file=lambda name: (folder / name).read_text(), run_semantic_checks=True,
        )  # fmt: skip
        found += [f"{file.name}: {problem}" for problem in (*report.errors, *report.warnings)]
        samples = file.suffix == ".jsonl"
        for line in file.read_text().splitlines():
            value = json.loads(line)
            found += [error.message for error in checks[samples].iter_errors(value)]
            aggregates += [] if samples else [value]
    return {"problems": found, "aggregates": aggregates}


def converted(folder: Path) -> Any:
    """lm-eval's files as every_eval_ever's converters read them."""
    [results] = (folder / "lm_eval").glob("*/results_*.json")
    [samples] = (folder / "lm_eval").glob("*/samples_gsm8k_*.jsonl")
    by_lm_eval = LMEvalAdapter().transform_from_file(results, {**ABOUT, "file_uuid": "x"})
    rows = LMEvalInstanceLevelAdapter().transform_samples(samples, "id", "model", "task")
    return {
        "lm_eval": {
            r.evaluation_name: r.score_details.score
            for one in by_lm_eval
            for r in one.evaluation_results
        },
        "rows": [[r.evaluation_name, r.sample_id, r.evaluation.score] for r in rows],
    }


if __name__ == "__main__":
    root = Path(sys.argv[1])
    found = {f.__name__: f(root / f.__name__) for f in (inspect, lm_eval, every_eval_ever)}
    print(json.dumps({**found, "converted": converted(root)}))
