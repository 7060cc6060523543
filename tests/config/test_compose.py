"""The configuration: every file composes, typos are refused with the nearest right name."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ochat_eval.benchmark.task import Task
from ochat_eval.config.build import all_sources, build, build_engine, build_judge, build_tasks
from ochat_eval.config.compose import load, to_yaml
from ochat_eval.config.groups import GROUPS, options
from ochat_eval.config.schema import Config
from ochat_eval.engines.engine import Engine
from ochat_eval.records import UserError
from tests.conftest import CHECKOUT

NEEDED = {
    "model=hf": ["model.path=org/name"],
    "engine=replay": ["engine.path=x.jsonl"],
    "judge=local": ["judge.served_name=x"],
    "judge=feedback": ["judge.served_name=x"],
}


@pytest.mark.parametrize("choice", [f"{g}={name}" for g in GROUPS for name in options(g)])
def test_every_file_of_every_group_composes_and_builds(choice):
    config = load([choice, *NEEDED.get(choice, [])])
    tasks = build_tasks(config)
    assert tasks and all(isinstance(task, Task) for task in tasks)
    assert isinstance(build_engine(config), Engine)
    assert (build_judge(config) is None) == (
        choice.partition("=")[2] == "none" or "judge" not in choice
    )
    assert config.model.name and config.model.path


@pytest.mark.parametrize("group", GROUPS)
def test_every_file_says_what_it_is_in_its_first_line(group):
    assert all(len(text) > 10 for text in options(group).values())


@pytest.mark.parametrize("name", options("task"))
def test_a_task_file_lists_only_options_that_its_class_has(name):
    tree = yaml.safe_load((CHECKOUT / f"conf/task/{name}.yaml").read_text())
    if "_target_" in tree:
        [task] = build_tasks(load([f"task={name}"]))
        assert {f.name for f in dataclasses.fields(task)} >= set(tree) - {"_target_"}


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["limt=3"], "limt: there is no such option; did you mean limit?"),
        (["modle=hf"], "modle: there is no such option; did you mean model?"),
        (["task=gsm8"], "task=gsm8: there is no such task; did you mean gsm8k?"),
        (["task=[gsm8k,humanevl]"], "task=humanevl: there is no such task; did you mean humaneval?"),
        (["task=gsm8k,mmlu"], "task=gsm8k,mmlu: a list is written in brackets: task=[gsm8k,mmlu]"),
        (["task=mmlu", "tasks.mmlu.subsets=anatomy,virology"], "tasks.mmlu.subsets=anatomy,virology: a list is written in brackets: "),
        (["engine=ray", "engine.replica=2"], "engine.replica: there is no such option; did you mean replicas?"),
        (["tokens_per_second=0"], "tokens_per_second=0; it must be above 0"),
        (["tokens_per_second=nan"], "tokens_per_second=nan; it must be above 0"),
        (["engine=vlm"], "engine=vlm: there is no such engine; did you mean vllm?"),
        (["model=smollm"], "model=smollm: there is no such model; did you mean smollm2_135m?"),
        (["model.revison=main"], "model.revison: there is no such option; did you mean revision?"),
        (["limit=many"], "limit=many: Value 'many' of type 'str' could not be converted to Integer"),
        (["stage=plans"], "stage=plans: Invalid value 'plans', expected one of "),
        (["data=real"], "data=real: Invalid value 'real', expected one of "),
        (["tasks.gsm8k.numfewshot=4"], "tasks.gsm8k.numfewshot: there is no such option; did you mean num_fewshot?"),
        (["tasks.gsm8k.num_fewshot=four"], "tasks.gsm8k.num_fewshot: Value 'four'"),
        (["tasks.humaneval.n=2"], "tasks.humaneval is set but not chosen: choose it with task"),
        (["gsm8k"], "'gsm8k' is no option: write NAME=VALUE, as in model=hf"),
        (["task=[]"], "no task is chosen"),
        (["task="], "task=: there is no such task; there are "),
        (["model=hf"], "model.path is not set"),
        (["limit=["], "limit=["),
        (["engine=replay", "engine.pth=x"], "engine.pth: there is no such option; did you mean path?"),
    ],
)  # fmt: skip
def test_mistakes_get_one_line(overrides, line):
    with pytest.raises(UserError) as caught:
        config = load(overrides)
        build_tasks(config)
        build_engine(config)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "target",
    ["os.system", "subprocess.Popen", "ochat_eval.sources.FileSource", "ochat_eval.tasks.gsm8k",
     "ochat_eval.tasks.gsm8k.first_examples", "ochat_eval.tasks.no_such.Thing",
     "ochat_eval.tasks..os.system", "ochat_eval.engines.replay.Replay"],
)  # fmt: skip
def test_a_configuration_cannot_call_what_it_likes(target):
    with pytest.raises(UserError):
        build({"_target_": target}, Task, "tasks.x", name="x")


def test_a_target_cannot_come_from_the_command_line():
    for override in (
        "tasks.gsm8k._target_=os.system",
        "engine._target_=os.system",
        "hydra.run.dir=x",
    ):
        with pytest.raises(UserError, match="cannot be set from the command line"):
            load([override])


def test_any_vllm_argument_can_be_named():
    engine = build_engine(load(["engine.swap_space=2", "engine.window=8"]))
    assert engine.arguments["swap_space"] == 2 and engine.window == 8


def test_task_options_win_over_the_run():
    config = load(["task=[gsm8k,humaneval]", "limit=9", "tasks.gsm8k.limit=4", "data=sample"])
    gsm8k, humaneval = build_tasks(config)
    assert (gsm8k.limit, humaneval.limit, gsm8k.data) == (4, 9, "sample")


def test_conditions_are_kept_only_for_models_that_have_them():
    [with_conditions] = build_tasks(load(["task=gsm8k", "model=openchat_3.5_0106"]))
    [without] = build_tasks(load(["task=gsm8k", "model=smollm2_135m"]))
    assert (with_conditions.condition, without.condition) == ("Math Correct", None)


def test_the_saved_configuration_reads_back():
    config = load(["task=demo", "limit=3"])
    tree = yaml.safe_load(to_yaml(config))
    assert tree["limit"] == 3 and set(tree) == {f.name for f in dataclasses.fields(Config)}


def test_sources_of_all_tasks_are_listed():
    assert len(all_sources([])) > 2
    assert {s.kind for s in all_sources(["gsm8k"])} == {"hub", "file"}


def test_help_teaches_and_is_quick():
    done = subprocess.run(
        [sys.executable, "-m", "ochat_eval", "--help"],
        capture_output=True, text=True, cwd=CHECKOUT, check=True,
    )  # fmt: skip
    assert done.stdout.count("python -m ochat_eval ") >= 3
    for group in GROUPS:
        for name in options(group):
            assert f"\n  {name} " in done.stdout
    for field in dataclasses.fields(Config):
        assert field.name in done.stdout
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv[1:] = ['--help']; "
         "from ochat_eval.__main__ import main; main(); "
         "print(sorted({'hydra', 'torch', 'vllm', 'transformers'} & set(sys.modules)))"],
        capture_output=True, text=True, cwd=CHECKOUT, check=True,
    )  # fmt: skip
    assert loaded.stdout.splitlines()[-1] == "[]"


def test_heavy_packages_are_imported_only_where_used():
    script = (
        "import sys, ochat_eval.pipeline, ochat_eval.tasks.gsm8k, ochat_eval.tasks.humaneval; "
        "print(sorted({'torch', 'vllm', 'transformers', 'datasets', 'pandas', 'evalplus', "
        "'fastchat', 'sympy', 'pyarrow', 'scipy'} & set(sys.modules)))"
    )
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=env, cwd=Path("/")
    )
    assert done.stdout.strip() == "[]", done.stderr
