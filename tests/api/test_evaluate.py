"""`evaluate` from a script, a notebook and a training run: quiet, and it leaves no traces."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
from pathlib import Path

import hydra
import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

import ochat_eval
from ochat_eval.api.evaluate import composed
from ochat_eval.config.arguments import arguments_of
from ochat_eval.config.compose import load
from tests.api.conftest import replayed
from tests.conftest import environment
from tests.fault_server import FaultServer, answer
from tests.replays import sample_answers, write


def test_it_does_what_the_command_does_and_says_nothing(here, cli, capfd, caplog):
    with caplog.at_level(logging.INFO, "ochat_eval"):
        again = replayed("a")
    assert capfd.readouterr() == ("", "")
    assert "finished before" in caplog.text, "what the command says is in Python's log"
    done = cli(
        "task=gsm8k", "data=sample", "engine=replay", f"engine.path={here / 'a.jsonl'}", "run=a"
    )
    assert done.returncode == 0, done.stderr
    door = ochat_eval.load(Path("results/runs/a"))
    assert again.summary == door.summary
    replayed("a", verbose=True)
    shown = capfd.readouterr()
    assert str(door.table()) in shown.out and "finished before" in shown.err


def test_a_mistake_is_an_exception_with_the_line_that_the_command_says(here, cli):
    with pytest.raises(ochat_eval.UserError) as mistake:
        ochat_eval.evaluate("gsm8k", limt=3)
    assert f"ochat-eval: {mistake.value}\n" == cli("task=gsm8k", "limt=3").stderr
    with pytest.raises(ochat_eval.UserError, match="limit is of the type object"):
        ochat_eval.evaluate("gsm8k", limit=object())


@pytest.mark.parametrize(
    ("twice", "given"),
    [
        ("task", {"options": {"task": "mmlu"}}),
        ("limit", {"options": {"limit": 3}, "limit": 4}),
        ("model", {"model": "hf", "options": {"model": "smollm2_135m"}}),
        ("model.name", {"model": {"name": "a"}, "name": "b", "generate": lambda chats: []}),
        ("tasks.gsm8k.n", {"options": {"tasks.gsm8k.n": 3}, "tasks": {"gsm8k": {"n": 4}}}),
    ],
)
def test_an_option_from_two_places_is_refused(here, twice, given):
    with pytest.raises(ochat_eval.UserError, match=f"^{twice} is given twice"):
        ochat_eval.evaluate("gsm8k", **given)


def test_a_request_without_an_answer_is_a_warning(here, tmp_path, caplog):
    write(tmp_path / "few.jsonl", *sample_answers()[:9])
    with caplog.at_level(logging.WARNING, "ochat_eval"):  # vLLM's server leaves the root at ERROR
        few = replayed("a", run="few", options={"engine.path": str(tmp_path / "few.jsonl")})
    assert few.summary["tasks"]["gsm8k"]["missing"] == 3
    [said] = caplog.records
    assert "some requests got no answer" in said.getMessage()
    assert str(few.path / "failures.jsonl") in said.getMessage()


def test_a_model_described_by_a_mapping_is_the_one_at_its_path(here):
    described = {"path": "org/name", "chat": "raw", "context": 512}
    model = composed("gsm8k", described, None, None, {}).model
    assert (model.path, model.name, model.chat, model.context) == ("org/name", "name", "raw", 512)
    assert model.package is None
    assert composed("gsm8k", {"context": 512}, None, None, {}).model.name == "smollm2_135m"


@pytest.mark.parametrize("begun", [False, True], ids=["before", "in the middle"])
def test_hydra_of_who_calls_is_as_it_was(here, tmp_path, begun):
    (tmp_path / "config.yaml").write_text("defaults: [config_schema, _self_]\nlimit: 7\n")
    store = ConfigStore.instance()
    store.store("config_schema", {"limit": 1, "theirs": True})
    try:
        with hydra.initialize_config_dir(str(tmp_path), version_base="1.2"):
            theirs = GlobalHydra.instance()
            before = theirs.hydra if begun else None
            if not begun:
                theirs.clear()
            replayed("a")
            assert GlobalHydra.instance() is theirs and theirs.hydra is before
            assert str(hydra.version.getbase()) == "1.2"
            if begun:
                assert hydra.compose("config") == {"limit": 7, "theirs": True}
        with hydra.initialize_config_dir(str(tmp_path), version_base="1.2"):
            assert hydra.compose("config", ["limit=8"]).limit == 8
        with pytest.raises(ochat_eval.UserError):
            ochat_eval.evaluate("gsm8k", options={"engine.path": [1, object]})
        assert set(store.repo) >= {"config_schema.yaml"}
    finally:
        del store.repo["config_schema.yaml"]
    replayed("a")
    assert "config_schema.yaml" not in store.repo


def test_in_a_running_event_loop_as_in_a_notebook(here):
    async def cell() -> None:
        assert replayed("a").name == "a"
        with FaultServer({}, answer("42")) as server:
            run = ochat_eval.evaluate(
                "gsm8k", "org/name", data="sample", limit=2, engine="openai", run="served",
                options={"engine.base_url": server.url},
            )  # fmt: skip
        assert list(run.responses()["text"]) == ["42", "42"]

    asyncio.run(cell())


def test_in_a_thread_and_after_another(here):
    found: list[ochat_eval.Run | BaseException] = []

    def work(name: str) -> None:
        try:
            found.append(replayed(name))
        except BaseException as e:
            found.append(e)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(str(run) for run in found) == [
        f"Run('results/runs/{name}')" for name in ("a", "a", "b", "b")
    ]


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({"task": ["gsm8k", "mmlu"]}, ["task=[gsm8k,mmlu]"]),
        ({"tasks": {"gsm8k": {"num_fewshot": 4}}}, ["tasks.gsm8k.num_fewshot=4"]),
        ({"tasks.gsm8k": {"limit": None}}, ["tasks.gsm8k.limit=null"]),
        ({"engine": {"dtype": "float32", "enforce_eager": True}},
         ["engine.dtype=float32", "engine.enforce_eager=true"]),
        ({"model": {"template_kwargs": {"enable_thinking": False}}},
         ["model.template_kwargs={enable_thinking:false}"]),
        ({"sampling": {"temperature": 0.7, "top_k": 20}}, ["sampling={temperature:0.7,top_k:20}"]),
        ({"model": Path("/a b/c")}, ["model=/a b/c"]),
        ({"run": "null"}, ["run='null'"]),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)  # fmt: skip
def test_python_values_as_the_command_line_writes_them(options, arguments):
    assert arguments_of(options) == arguments


@pytest.mark.parametrize(
    "text",
    [
        "a\\b",
        "it's",
        "a\\'b",
        "end\\",
        "a\nb",
        "a, [b], {c: d}",
        "null",
        "",
        " x ",
        '"',
        "1e5",
        "=#",
    ],
)
def test_a_text_arrives_as_it_is(text):
    given = {"task": "gsm8k", "engine.served": text, "model.system": text, "model.path": text}
    config = load(arguments_of(given))
    assert config.engine["served"] == text
    assert config.model.path == text
    assert config.model.system == (text or None)
    assert OmegaConf.create({"a": text}).a == text


def test_a_text_that_would_be_resolved_is_refused(monkeypatch):
    monkeypatch.setenv("SECRET", "s3cret")
    with pytest.raises(ochat_eval.UserError, match="model.system: a text with"):
        ochat_eval.evaluate("gsm8k", options={"model.system": "${oc.env:SECRET}"})


def test_the_import_is_light_and_every_name_is_there():
    code = (
        "import json, sys, ochat_eval\n"
        "known = {name.partition('.')[0] for name in sys.modules}\n"
        "heavy = known & {'pandas', 'numpy', 'hydra', 'omegaconf', 'msgspec', 'yaml', 'tqdm'}\n"
        "rooms = [name for name in sys.modules if name.startswith('ochat_eval.')]\n"
        "assert set(ochat_eval.__all__) == set(ochat_eval._WHERE) <= set(dir(ochat_eval))\n"
        "for name in set(ochat_eval.__all__) - {'EvaluationCallback'}:  # it takes transformers\n"
        "    assert getattr(ochat_eval, name).__name__ == name\n"
        "print(json.dumps([sorted(heavy), rooms]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[], []]
    with pytest.raises(AttributeError):
        _ = ochat_eval.evalute
