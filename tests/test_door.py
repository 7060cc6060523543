"""The one door: its subcommands, its help, and a new user's first mistakes."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from ochat_eval import __version__
from ochat_eval.__main__ import COMMANDS
from tests.conftest import CHECKOUT, environment
from tests.replays import REPLAY, sample_answers, write

HEAVY = (
    "hydra", "omegaconf", "vllm", "torch", "transformers", "datasets", "ray", "evalplus",
    "fastchat", "pandas", "numpy", "scipy", "pyarrow", "sympy", "aiohttp", "requests", "tqdm",
    "tabulate",
)  # fmt: skip


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_nothing_and_help_print_one_screen(cli, arguments):
    done = cli(*arguments)
    assert done.returncode == 0 and not done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    assert all(any(line.startswith(f"  {name} ") for line in lines) for name in COMMANDS)
    assert sum(line.startswith("  ochat-eval ") for line in lines) == 3, "examples"
    assert lines[-1] == f"The guide: {CHECKOUT}/docs/index.md"
    assert not list(CHECKOUT.glob("results/runs/*gsm8k*")), "a bare call starts nothing"


def test_version(cli):
    for flag in ("--version", "-V"):
        assert cli(flag).stdout == f"ochat-eval {__version__}\n"


@pytest.mark.parametrize("arguments", [("--help",), ("task=gsm8k", "stage=plan", "data=sample")])
def test_an_output_without_space_is_one_line(tmp_path, arguments):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ochat_eval", *arguments],
            stdout=full, stderr=subprocess.PIPE, text=True, env=environment(), cwd=tmp_path,
        )  # fmt: skip
    assert done.returncode == 2
    said = done.stderr.splitlines()[-1]
    assert said == "ochat-eval: the output cannot be written: No space left on device"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("given", "then"), [(None, "spawn"), ("fork", "fork")])
def test_an_engine_is_no_fork_of_the_command(cli, monkeypatch, given, then):
    monkeypatch.setenv("VLLM_WORKER_MULTIPROC_METHOD", given or "to be put back")
    if not given:
        monkeypatch.delenv("VLLM_WORKER_MULTIPROC_METHOD")
    cli("--version")
    assert os.environ["VLLM_WORKER_MULTIPROC_METHOD"] == then


@pytest.mark.parametrize("name", COMMANDS)
def test_each_subcommand_teaches_with_an_example(cli, name):
    done = cli(name, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: ochat-eval {'[run]' if name == 'run' else name}")
    assert "example" in done.stdout and f"ochat-eval {name}"[:10] in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 82


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_loads_nothing_heavy(name):
    arguments = [name, "--help"] if name else ["--help"]
    script = (
        f"import sys; from ochat_eval.__main__ import main\n"
        f"try: main({arguments!r})\n"
        f"except SystemExit: pass\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment(),
        cwd=CHECKOUT, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_old_commands_are_gone():
    for name in ("compare", "gate", "record", "tables", "pull", "exchange"):
        done = subprocess.run(
            [sys.executable, "-m", f"ochat_eval.{name}", "--help"], capture_output=True, text=True,
            env=environment(), cwd=CHECKOUT,
        )  # fmt: skip
        assert done.returncode != 0


MISTAKES = [
    ("task=GSM8K", "task=GSM8K: there is no such task; did you mean gsm8k?"),
    ("task=gsm8k,humanevl", "task=humanevl: there is no such task; did you mean humaneval?"),
    ("limit=1,2", "limit=1,2: limit is one value, not several"),
    ("engine=vllm,ray", "engine=vllm,ray: engine is one value, not several"),
    ("+limti=4", "limti: there is no such option; did you mean limit?"),
    ("+wandb.project=x", "wandb.project: there is no such option; did you mean trackers.wandb.project?"),
    ("+experiment=foo", "experiment: there is no such option; there are stage, run, "),
    ("~judge", "'~judge' is no subcommand"),
    ("gsm8k.limit=2", "gsm8k.limit: there is no such option; did you mean tasks.gsm8k.limit?"),
    ("task.gsm8k.limit=2", "task.gsm8k.limit: there is no such option; did you mean tasks.gsm8k.limit?"),
    ("tasks=gsm8k", "tasks: there is no such option; did you mean task?"),
    ("++limit=4", "++limit=4: write limit=4, without ++"),
    ("engine.tensor_paralel_size=2 stage=plan data=sample",
     "engine.tensor_paralel_size: vllm.LLM has no such argument; did you mean tensor_parallel_size?"),
    ("engine.chat_template=x stage=plan data=sample",
     "engine.chat_template changes nothing here: prompts are token ids"),
    ("engine.generation_config=vllm data=sample",
     "engine.generation_config changes nothing here: sampling is the benchmark's own"),
    ("engine.seed=3 data=sample", "engine.seed changes nothing here: write seed=…"),
    ("model=./nowhere data=sample", "model.path=./nowhere: there is no such folder"),
    ("tasks.mmlu.n=2", "tasks.mmlu is set but not chosen: choose it with task=mmlu"),
    ("-m task=gsm8k", "--multirun: it takes several models, one after another: write models=A,B"),
    ("models=a,b model=c", "models, model: name the models in one place"),
    ("-m model=hf,b model.path=c,d", "model, model.path: name the models in one place"),
    ("models=[smollm2_135m,,hf]", "models=[smollm2_135m,,hf]: name each model once"),
    ("models=hf,hf", "models=hf,hf: name each model once"),
    ("models=smollm2_135m,hf run=r", "run=r: it names one run"),
    ("models=smollm2_135m,smolm2", "model=smolm2: there is no such model"),
    ("--cfg", "--cfg: write --cfg job"),
    ("--info task=gsm8k", "--info: write stage=plan"),
    ("--config-name x", "the options of a run stand in conf/config.yaml"),
    ("--verbose", "--verbose: there is no such flag; options are NAME=VALUE"),
    ("--config-dir nowhere task=gsm8k", "--config-dir nowhere: there is no such folder"),
    ("task=gsm8k --config-dir", "--config-dir DIR: no folder is named"),
    ("comprae a b", "'comprae' is no subcommand (an option is written NAME=VALUE, as in limit=20); "
     "did you mean compare?"),
    ("gsm8k", "'gsm8k' is no subcommand"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "complaint"), MISTAKES)
def test_a_mistake_is_one_line_and_nothing_is_made(cli, tmp_path, line, complaint):
    done = cli(*line.split())
    assert done.returncode == 2 and not done.stdout
    [said] = done.stderr.splitlines()
    assert said.startswith(f"ochat-eval: {complaint}")
    assert not (tmp_path / "results").exists(), "no folder of a run"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("compare a b --flip 3", "--flip: there is no such option; did you mean --flips?"),
        ("gate a --against b --noworse", "--noworse: there is no such option; did you mean --no-worse?"),
        ("gate a --against b --seq", "--seq: there is no such option; did you mean --sequential?"),
        ("board --prot=1", "--prot: there is no such option; did you mean --port?"),
        ("report a -o b -t x", "-t: there is no such option; there are -h, --help, -o, --output"),
        ("record a --as b extra --flips", "unrecognized arguments: extra --flips"),
    ],
)  # fmt: skip
def test_a_wrong_flag_of_a_subcommand_names_the_right_one(cli, line, complaint):
    done = cli(*line.split())
    name = f"ochat-eval {line.split()[0]}"
    assert done.returncode in (2, 3) and not done.stdout
    assert done.stderr.startswith(f"{name}: {complaint}")
    assert done.stderr.endswith(f"; {name} --help shows the options\n")


@pytest.mark.parametrize(
    "line",
    ["task=gsm8k data=sample stage=plan run={}", "task=gsm8k data=sample stage=plan results={}",
     "task=gsm8k model={}", "--config-dir {} task=gsm8k", "compare {} b", "gate {} --against b",
     "record {} --as b", "tables {}", "export parquet {} -o x", "series {} task=gsm8k", "read {}"],
)  # fmt: skip
def test_a_path_that_the_system_refuses_is_one_line(cli, line):
    done = cli(*line.format("x" * 300).split())
    assert done.returncode == (3 if line.startswith("gate") else 2)
    said = done.stderr.splitlines()[-1]
    assert said.startswith("ochat-eval") and "File name too long" in said
    assert "Traceback" not in done.stderr


def test_questions_that_cannot_be_read_are_no_matter_of_what_is_written(cli):
    path = "x" * 300
    done = cli("task=file", f"tasks.file.path={path}", "stage=plan")
    assert done.stderr == f"ochat-eval: {path}: cannot be read: File name too long\n"


def test_a_file_in_a_folder_that_is_not_there_is_no_matter_of_results(cli, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers())
    assert cli(*REPLAY, "run=r").returncode == 0
    done = cli("compare", "r", "r", "--flips-file", "none/f.jsonl")
    assert done.returncode == 2 and "make its folder first" in done.stderr.splitlines()[-1]


def test_the_composed_configuration_is_printed_wherever_that_is_asked_for(cli):
    first, last = cli("--cfg", "job", "task=gsm8k"), cli("task=gsm8k", "--cfg", "job")
    assert first == last and first.stdout.startswith("stage: all\n")


@pytest.mark.slow
@pytest.mark.parametrize("option", ["limit=1", "sampling=model", "model.context=null"])
def test_a_model_of_the_hub_that_is_not_there_is_said_at_once(cli, tmp_path, monkeypatch, option):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    asked = ("data=sample", "model=no-such-org/no-such-model", option)
    done = cli(*asked, HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 2
    [said] = done.stderr.splitlines()
    assert "model.path=no-such-org/no-such-model is no folder here and cannot be had" in said
    assert constants.is_offline_mode(), "loaded already, its client would retry for half a minute"
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("model", ["./mine", "mine", "some/folder"])
def test_a_model_is_named_by_its_folder_or_hub_id(cli, tmp_path, model):
    (tmp_path / "mine").mkdir()
    done = cli("--cfg", "job", f"model={model}", "task=gsm8k,mmlu")
    assert done.returncode == 0, done.stderr
    assert f"path: {model}" in done.stdout and f"name: {model.rpartition('/')[2]}" in done.stdout
    assert "ochat_eval.tasks.mmlu.Mmlu" in done.stdout


def test_the_name_of_a_model_makes_no_folders_in_folders(cli, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers())
    done = cli(*REPLAY[:-1], "model.name=step/100")
    assert done.returncode == 0, done.stderr
    [folder] = (tmp_path / "results/runs").iterdir()
    assert folder.name.startswith("step-100-replay-")
    assert "step/100" in (folder / "summary.json").read_text()


@pytest.mark.slow
def test_a_folder_of_ones_own_adds_to_every_group(cli, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # there is no such model to be asked for
    (tmp_path / "mine/task").mkdir(parents=True)
    (tmp_path / "mine/model").mkdir()
    (tmp_path / "mine/task/quick.yaml").write_text(
        "# @package tasks.quick\n# GSM8K with two examples\n"
        "_target_: ochat_eval.tasks.gsm8k.Gsm8k\nnum_fewshot: 2\n"
    )
    (tmp_path / "mine/model/ours.yaml").write_text("# our model\nname: ours\npath: org/ours\n")
    shown = cli("--config-dir", "mine", "run", "--help").stdout
    assert "  quick  " in shown and "GSM8K with two examples" in shown and "our model" in shown
    run = ("task=quick", "model=ours", "data=sample", "stage=plan", "run=q")
    done = cli("--config-dir=mine", *run)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results/runs/q/items.jsonl").read_text().count('"quick/main/') == 12
    assert "there is no such task" in cli(*run).stderr, "only where the folder is named"
    (tmp_path / "mine/task/bad.yaml").write_text("# @package tasks.bad\n_target_: os.system\n")
    refused = cli("--config-dir", "mine", "task=bad", "data=sample", "stage=plan")
    assert "a configuration may name only classes under" in refused.stderr


def test_a_finished_run_prints_the_tables_of_a_terminal(cli, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers())
    first, again = cli(*REPLAY), cli(*REPLAY)
    assert again.returncode == 0 and "finished before, nothing to do" in again.stderr
    assert again.stdout == first.stdout
    assert "|" not in again.stdout and max(map(len, again.stdout.splitlines())) <= 80


AT_AN_IMPORT = """
import os, signal, sys
class Presses:
    def find_spec(self, name, *_):
        if name == os.environ["AT"]:
            os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it
sys.meta_path.insert(0, Presses())
"""


@pytest.mark.slow
@pytest.mark.parametrize("at", ["ochat_eval.config.groups", "yaml", "ochat_eval.pipeline", "hydra"])
def test_ctrl_c_while_it_loads_is_one_line(process, tmp_path, at):
    (tmp_path / "sitecustomize.py").write_text(AT_AN_IMPORT)
    path = f"{tmp_path}{os.pathsep}{CHECKOUT}"
    done = process("task=gsm8k", "data=sample", "stage=plan", PYTHONPATH=path, AT=at)
    assert (done.returncode, done.stderr) == (130, "ochat-eval: stopped\n")


LEAVING = """
import atexit, threading, time
import ochat_eval.__main__ as door

class Imported:
    def __del__(self):
        print("taken apart")

def main():
    atexit.register(print, "closed")
    threading.Thread(target=lambda: (time.sleep(0.1), print("waited for"))).start()
    return given(["nowhere"])

left, given, door.main = Imported(), door.main, main
door.program()
"""


def test_a_program_closes_all_and_takes_nothing_apart():
    command, env = [sys.executable, "-c", LEAVING], environment()
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "waited for\nclosed\n")
    assert done.stderr.startswith("ochat-eval: 'nowhere' is no subcommand")


@pytest.mark.slow
def test_drafts_of_plans_that_were_killed_go_and_those_of_others_stay(cli, tmp_path):
    runs = tmp_path / "results/runs"
    runs.mkdir(parents=True)
    for name, age in ((".plan-1.jsonl", 4000), ("..plan-1.jsonl.1", 4000), (".plan-2.jsonl", 60)):
        (runs / name).write_text("{}")
        os.utime(runs / name, (time.time() - age,) * 2)
    write(tmp_path / "a.jsonl", *sample_answers())
    assert cli(*REPLAY, "stage=plan", "run=r").returncode == 0
    assert sorted(path.name for path in runs.iterdir()) == [".plan-2.jsonl", "r"]
