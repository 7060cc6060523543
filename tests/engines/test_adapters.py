"""Real vLLM with LoRA adapters on a tiny model: one engine, a run each, a kill; test_ray has replicas.

The model is of random weights, so that its logits lie close together: it computes in float32, where
answers do not hang on what else is in a batch.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import lines
from tests.engines.test_vllm import wait_for_lines
from tests.lora import adapter
from tests.serve.serving import make_tiny

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]

ASKED = (
    "model.chat=openchat", "model.condition=GPT4 Correct",
    "model.conditions=[GPT4 Correct, Math Correct]", "task=[gsm8k,mt_bench]", "data=sample",
    "max_tokens=12", "engine.dtype=float32",
)  # fmt: skip


def runs(folder: Path) -> dict[str, Path]:
    """The runs' folders by the adapter's name."""
    found = {}
    for path in (folder / "results/runs").iterdir():
        model = json.loads((path / "manifest.json").read_text())["identity"]["model"]
        found[model.partition("+")[2]] = path
    return found


def answers(run: Path) -> dict[tuple[str, int, int], str]:
    """What a run was answered, each once: by item, sample and turn."""
    found = lines(run / "responses.jsonl")
    keys = [(str(r["id"]), int(str(r["sample"])), int(str(r["turn"]))) for r in found]
    texts = {key: str(one["text"]) for key, one in zip(keys, found, strict=True)}
    assert len(texts) == len(found)
    return texts


def asked(run: Path, samples: int = 1) -> set[tuple[str, int, int]]:
    """What a run asks: by item, sample (so many of GSM8K) and turn."""
    items = {str(one["id"]): one["turns"] for one in lines(run / "items.jsonl")}
    return {
        (id_, sample, turn)
        for id_, turns in items.items()
        for sample in range(samples if id_.startswith("gsm8k/") else 1)
        for turn in range(len(turns))  # type: ignore[arg-type]
    }


def test_each_has_its_own_run_on_one_engine_and_one_that_does_nothing_is_not_scored(
    tmp_path, started, process, cli
):
    """A run is killed; a series of the same adapters goes on with it."""
    make_tiny(tmp_path / "tiny")
    folders = {
        "checkpoint-10": adapter(tmp_path / "out/checkpoint-10", 2.0, seed=1),
        "checkpoint-20": adapter(tmp_path / "out/checkpoint-20", 0.0),
        "checkpoint-30": adapter(tmp_path / "out/checkpoint-30", 2.0, seed=2, rank=9),
    }
    given = ",".join(f"{name}={path}" for name, path in folders.items())
    command = ("model=./tiny", *ASKED, f"model.adapters=[{given}]")

    first = started(*command, "engine.max_num_seqs=4", "engine.window=5")
    until_planned(tmp_path, 3, first)
    wait_for_lines(runs(tmp_path)["checkpoint-10"] / "responses.jsonl", 6, first)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    kept = {n: (run / "responses.jsonl").read_bytes() for n, run in runs(tmp_path).items()}
    assert not kept["checkpoint-20"]

    done = process("series", "out", "model=./tiny", *ASKED)
    errors = done.stderr
    assert done.returncode == 2, errors
    assert errors.count("loading tiny in vLLM") == 1, "one base for all"
    assert "does nothing: its answers to the first 16 prompts are all the base's" in errors
    assert "nothing shows that the adapter acts: tiny+checkpoint-20" in errors
    assert errors.splitlines()[-1].endswith("failed, each said why: step 20")
    table = (tmp_path / "results/series/out.md").read_text()
    shown = [line.split("|")[2].strip() for line in table.splitlines() if "| gsm8k" in line]
    assert sorted(set(shown)) == ["10", "30"]
    assert "- step 20: its run failed (exit code 2)" in table
    found = runs(tmp_path)
    for name in ("checkpoint-10", "checkpoint-30"):
        journal = (found[name] / "responses.jsonl").read_bytes()
        assert journal.startswith(kept[name][: kept[name].rfind(b"\n") + 1])
        assert (found[name] / "report.html").exists()
        assert answers(found[name]).keys() == asked(found[name])
        manifest = json.loads((found[name] / "manifest.json").read_text())
        assert manifest["acts"] in {id_ for id_, _, _ in asked(found[name])}
        assert manifest["step"] == int(name[-2:])
        assert [t["shared"] for t in manifest["times"] if t["stage"] == "start"][-1] >= 2
    assert not (found["checkpoint-20"] / "responses.jsonl").read_bytes()
    assert answers(found["checkpoint-10"]) != answers(found["checkpoint-30"])

    again = cli(*command, "stage=score")
    assert again.returncode == 2 and "loading" not in again.stderr
    assert not (found["checkpoint-20"] / "scores.jsonl").exists()
    assert list((tmp_path / "results/series").glob("models-*.html"))


def until_planned(folder: Path, number: int, process) -> None:
    """Waits until so many runs have a folder with a manifest."""
    until = time.monotonic() + 240
    while len(list(folder.glob("results/runs/*/manifest.json"))) < number:
        assert process.poll() is None, "it ended before that"
        assert time.monotonic() < until, "no run"
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("engine=openai", "engine.base_url=http://127.0.0.1:9"), "engine=openai loads none"),
        (("until=decided", "against=x"), "leave model.adapters away"),
        (("run=r",), "run=r: it names one run"),
    ],
)
def test_what_does_not_go_with_adapters_is_one_line(cli, tmp_path, options, said):
    given = ",".join(f"{name}={adapter(tmp_path / name)}" for name in "ab")
    done = cli("task=gsm8k", "data=sample", f"model.adapters=[{given}]", *options)
    assert done.returncode == 2 and said in done.stderr
    assert not (tmp_path / "results").exists()
