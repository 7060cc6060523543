"""The gate over real benchmarks with made-up answers: reruns, corruption, and unlike work."""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml

from ochat_eval.baseline import against as gate_against
from ochat_eval.baseline import figures, verdict_formats
from ochat_eval.baseline import gate as gating
from ochat_eval.baseline.command import gate, record
from ochat_eval.baseline.runs import prompt_digest, read
from ochat_eval.baseline.same_work import prompts_digest
from ochat_eval.config.compose import load
from ochat_eval.config.load import build_tasks, job
from tests.baseline.conftest import verdicts
from tests.conftest import CHECKOUT, door, lines
from tests.replays import REPLAY, RUN, write

RUNS = Path("results/runs")
TASKS = "task=[gsm8k,truthfulqa]"


def answer(item, right: bool) -> str:
    """A text that both rules read; a wrong answer is read as well as a right one."""
    if item.choices:
        place = item.choices.index(item.target[0]) + (not right)
        return f"So the answer is {item.choices[place % len(item.choices)]}."
    return f"So the answer is {item.target[0] if right else '987654321'}"


class World:
    """One model that is right on most items, and undecided on a few, over whole benchmarks."""

    def __init__(self, folder: Path):
        self.folder = folder
        rng = random.Random(0)
        self.items = [item for task in job([TASKS]).tasks.values() for item in task.items()]
        self.chance = [
            0.5 if rng.random() < 0.02 else float(rng.random() < 0.7) for _ in self.items
        ]

    def run(self, name: str, seed: int, broken=lambda text: text, *options: str) -> None:
        """A run whose undecided items fall anew; every third in a hundred may be broken."""
        rng, spoiler = random.Random(seed), random.Random(99)
        answers = []
        for item, chance in zip(self.items, self.chance, strict=True):
            text = answer(item, rng.random() < chance)
            text = broken(text) if spoiler.random() < 0.03 else text
            answers.append({"id": item.id, "text": text, "finish_reason": "stop"})
        write(self.folder / f"{name}.jsonl", *answers)
        replay = ("engine=replay", f"engine.path={name}.jsonl", "engine.ignore_unknown=true")
        where = {"folder": self.folder, "OCHAT_EVAL_DATA": os.environ["OCHAT_EVAL_DATA"]}
        done = door(TASKS, *replay, f"run={name}", *options, **where)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def world(real_data, tmp_path_factory) -> World:
    made = World(tmp_path_factory.mktemp("gate"))
    for number in range(4):
        made.run(f"r{number}", seed=number)
    return made


@pytest.fixture
def here(world, monkeypatch) -> World:
    monkeypatch.chdir(world.folder)
    if not Path("results/recorded/base").exists():
        assert record(["r0", "r1", "r2", "r3", "--as", "base"]) == 0
    return world


@pytest.mark.slow
def test_a_rerun_passes_and_a_run_with_three_percent_corrupted_fails(here, capsys):
    here.run("new", seed=17)
    arguments = ["--against", "base", "--junit", "j.xml", "--summary", "s.md"]
    assert gate(["new", *arguments]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "PASS: new against base, rule published"
    assert verdicts("j.xml") == {"gsm8k": "PASS", "truthfulqa": "PASS"}
    summary = Path("s.md").read_text()
    assert summary.startswith("### PASS: new against base") and "| gsm8k      | PASS" in summary
    for rule in ("published", "robust"):
        assert gate(["r1", "--against", "base", "--rule", rule]) == 0

    here.run("worse", 17, answer_wrongly)
    assert gate(["worse", *arguments]) == 1
    assert verdicts("j.xml") == {"gsm8k": "FAIL", "truthfulqa": "FAIL"}
    assert "lie outside ±" in capsys.readouterr().out
    assert Path("s.md").read_text().startswith("### FAIL: worse against base")


def answer_wrongly(text: str) -> str:
    """Another answer that is read as well: a number that is no target, or another choice."""
    last = text.removesuffix(".").split()[-1]
    if not last.isalpha():
        return "So the answer is 987654321"
    return f"So the answer is {'D' if last == 'A' else 'A'}."


@pytest.mark.slow
def test_unreadable_answers_never_pass(here, capsys):
    here.run("garbled", 17, lambda text: "I am sorry")
    assert gate(["garbled", "--against", "base", "--junit", "j.xml"]) in (1, 3)
    assert set(verdicts("j.xml").values()) <= {"FAIL", "REFUSED"}
    assert "the unmatched rate is" in " ".join(capsys.readouterr().out.split())


def copy(here: World, name: str, of: str = "r1") -> Path:
    shutil.rmtree(RUNS / name, ignore_errors=True)
    return Path(shutil.copytree(RUNS / of, RUNS / name))


def edit(path: Path, number: int, **fields: object) -> None:
    """Changes fields of one line of a JSON lines file."""
    rows = path.read_text().split("\n")
    rows[number] = json.dumps({**json.loads(rows[number]), **fields})
    path.write_text("\n".join(rows))


@pytest.mark.slow
def test_one_changed_prompt_is_refused(here, capsys):
    run = copy(here, "prompt")
    item = lines(run / "items.jsonl")[5]
    edit(run / "items.jsonl", 5, turns=[item["turns"][0] + " "])
    assert gate(["prompt", "--against", "base", "--junit", "j.xml"]) == 3
    assert f"1 of 1,319 prompts or targets differ from the recorded ones, {item['id']}" in (
        capsys.readouterr().out
    )
    assert verdicts("j.xml") == {"gsm8k": "REFUSED", "truthfulqa": "PASS"}


@pytest.mark.slow
def test_another_reading_of_the_same_response_is_refused(here, capsys):
    run = copy(here, "reading", "r0")
    edit(run / "scores.jsonl", 0, answer="7")
    assert gate(["reading", "--against", "base"]) == 3
    assert "reads 1 unchanged responses otherwise" in capsys.readouterr().out


@pytest.mark.slow
def test_missing_answers_other_sampling_and_parts_are_refused(here, capsys):
    run = copy(here, "missing")
    rows = (run / "responses.jsonl").read_text().splitlines(keepends=True)
    (run / "responses.jsonl").write_text("".join(rows[1:]))
    assert gate(["missing", "--against", "base"]) == 3
    assert "1 of 1,319 items have no answer" in capsys.readouterr().out

    here.run("short", 17, lambda text: text, "max_tokens=64")
    assert gate(["short", "--against", "base"]) == 3
    assert "max_tokens: null there, 64 now" in capsys.readouterr().out

    here.run("part", 17, lambda text: text, "ids=results/recorded/base/items.jsonl", "limit=300")
    assert gate(["part", "--against", "base"]) == 3
    assert "300 of the 1,319 recorded items; say --part" in capsys.readouterr().out
    assert gate(["part", "--against", "base", "--part"]) in (0, 2)
    assert "part: 600 of 2,003 items, 2 of 2 benchmarks" in capsys.readouterr().out


@pytest.mark.slow
def test_a_recorded_run_holds_no_text_and_reads_back_as_it_was(here):
    folder = Path("results/recorded/base")
    stored = (folder / "items.jsonl").read_text() + (folder / "recorded.json").read_text()
    assert "answer is" not in stored and here.items[0].turns[0][-60:-5] not in stored
    again, first = read("base"), read("r0")
    assert again.runs == 4
    for name, task in first.tasks.items():
        kept = again.tasks[name].outcomes
        assert list(kept) == list(task.outcomes)
        for id_, one in task.outcomes.items():
            assert kept[id_].prompt == one.prompt and kept[id_].responses == one.responses
            assert kept[id_].rules["published"].answers == one.rules["published"].answers
            assert kept[id_].rules["robust"].values[0] == one.rules["robust"].values[0]
    head = json.loads((folder / "recorded.json").read_text())
    for name in ("gsm8k", "truthfulqa"):  # 2 % undecided: half of these differ between two runs
        assert head["tasks"][name]["published"]["psi"] == pytest.approx(0.01, abs=0.005)


@pytest.mark.slow
def test_a_published_figure_passes_only_a_full_run_of_the_published_prompts(
    here, capsys, monkeypatch
):
    run = read("r0")
    score = {n: 100 * sum(o.rules["published"].values[0] for o in t.outcomes.values()) / t.asked
             for n, t in run.tasks.items()}  # fmt: skip
    row = figures.Row("Us", {"gsm8k": round(score["gsm8k"] + 0.2, 1), "truthfulqa": 1.0})
    monkeypatch.setattr(gate_against, "row", lambda name: row)
    against = ["--against", "published:Us"]
    assert gate(["r0", *against]) == 3
    assert "a published figure needs --psi" in capsys.readouterr().err
    assert gate(["r0", *against, "--psi", "base", "--junit", "j.xml"]) == 1
    assert verdicts("j.xml") == {"gsm8k": "PASS", "truthfulqa": "FAIL"}
    with monkeypatch.context() as only:
        only.setattr(gate_against, "flip_rates_of", lambda *_: {"gsm8k": 0.01})
        assert gate(["r0", *against, "--psi", "part", "--junit", "j.xml"]) == 3
    assert verdicts("j.xml") == {"gsm8k": "PASS", "truthfulqa": "REFUSED"}
    assert "--psi has no flip rate of it" in capsys.readouterr().out
    copy(here, "other", "r0")
    edit(RUNS / "other/items.jsonl", 5, turns=["else"])
    assert gate(["other", *against, "--psi", "0.01", "--junit", "j.xml"]) == 3
    assert verdicts("j.xml") == {"gsm8k": "REFUSED", "truthfulqa": "FAIL"}
    assert "the prompts are not the published ones" in capsys.readouterr().out


@pytest.mark.slow
def test_the_published_prompts_are_those_on_record(real_data):
    """Those of the benchmarks that the other tests do not ask in full."""
    known = json.loads((CHECKOUT / "results/recorded/prompts.json").read_text())
    tasks = build_tasks(load(["task=all"]))
    assert list(known) == list(tasks)
    for task in tasks.values():
        if task.name not in ("truthfulqa", "bbh_cot"):
            prompts = {item.id: prompt_digest(item) for item in task.items()}
            assert known[task.name]["n"] == len(prompts)
            assert known[task.name]["prompts"] == prompts_digest(prompts)


# --- Without the real data -----------------------------------------------------------------------


def test_of_a_run_and_a_recorded_run_of_one_name_the_recorded_one_is_gated_against(small, cli):
    """As the help of `record` has it: `record base base-1 --as base`."""
    assert cli(*REPLAY[:-1], "run=r-1").returncode == 0
    assert cli("record", "r", "r-1", "--as", "r").returncode == 0
    for more in ((), ("--sequential",)):
        done = cli("gate", "r-1", "--against", "r", *more)
        assert done.returncode == 2, done.stdout  # REFUSED, were it the run, which has no reruns
        assert "INCONCLUSIVE: r-1 against r" in done.stdout
    done = cli(*REPLAY[:-1], "run=new", "until=decided", "against=r")
    assert done.returncode == 0, done.stderr


def test_what_a_recording_takes_the_place_of_is_said_and_a_run_is_not_overwritten(small, cli):
    replaced = "results/recorded/twice was there: what it had recorded is replaced"
    assert replaced not in cli("record", "r", "--as", "twice").stderr
    assert replaced in cli("record", "r", "--as", "twice").stderr
    before = (small / RUN / "items.jsonl").read_bytes()
    done = cli("record", "r", "--as", "r", "--into", "results/runs")
    assert done.returncode == 2 and "results/runs/r is a run's own folder" in done.stderr
    assert (small / RUN / "items.jsonl").read_bytes() == before


def test_a_run_is_named_by_the_folder_one_is_in(small, monkeypatch, capsys):
    monkeypatch.chdir(small / RUN)
    assert gate([".", "--against", str(small / "results/recorded/alone"), "--margin", "90"]) == 0
    assert "PASS: r against alone" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nowhere", "--against", "alone"], "there is no such run"),
        (["r", "--against", "nobody"], "there is no such run or recorded run"),
        (["r"], "--against"),
        (["r", "--against", "alone", "--flip-sds", "-1"], "flip_sds is -1"),
        (["r", "--against", "alone", "--psi", "0.1"], "--psi is for published"),
        (["r", "--against", "alone", "--rule", "mine"], "invalid choice"),
        (["r", "--against", "alone", "--margin", "nan"], "margin is nan"),
        (["r", "--against", "alone", "--margin", "0"], "margin is 0"),
        (["r", "--against", "alone", "--same", "--no-worse"], "not allowed with"),
        (["r", "--against", "alone", "--policy", "none.yaml"], "none.yaml: cannot be read"),
        (["r", "--against", "alone", "--policy", "x", "--margin", "1"], "in the file only"),
        (["r", "--against", "published:Mistral", "--no-worse"], "leave --rule, --no-worse"),
        (["r", "--against", "published:Mistral", "--psi", "7"], "--psi is 7"),
        (["r", "--against", "published:Mistral", "--psi", "nan"], "--psi is nan"),
        (["r", "--against", "published:Mistral", "--psi", "alone"], "it has no flip rates"),
        (["alone", "--against", "alone"], "is no run's folder"),
        (["r", "--against", "alone", "--junit", "x", "--summary", "./x"], "name the same file"),
        (["r", "--against", "alone", "--junit", "no/such/folder/j.xml"], "cannot write"),
    ],
)
def test_a_mistake_is_one_line_and_neither_fail_nor_inconclusive(
    small, capsys, arguments, complaint
):
    try:
        code = gate(arguments)
    except SystemExit as e:
        code = e.code
    assert code == 3
    [line] = capsys.readouterr().err.splitlines()
    assert complaint in line


def test_thoughts_without_an_end_are_said_beside_those_on_record(small, capsys):
    edit(RUNS / "r/responses.jsonl", 3, unfinished=True)
    gate(["r", "--against", "alone"])
    said = capsys.readouterr().out.replace("\n  ", " ")
    assert "8.3 % of the answers are thoughts without an end, recorded 0.0 %" in said
    assert record(["r", "--as", "thoughtful"]) == 0
    kept = read("thoughtful").tasks["gsm8k"].outcomes.values()
    assert sorted(one.unfinished for one in kept) == [0.0] * 11 + [1.0]
    gate(["r", "--against", "thoughtful"])
    assert "without an end, recorded 8.3 %" in capsys.readouterr().out.replace("\n  ", " ")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["r", "r", "--as", "x"], "named twice"),
        (["r", "--as", "../x"], "--as ../x"),
        (["r", "other", "--as", "x"], "other is no rerun of r, it did other work: tasks.gsm8k"),
        (["gone", "--as", "x"], "1 of 12 items of gsm8k have no response"),
    ],
)
def test_what_cannot_be_recorded_is_one_line(small, cli, capsys, arguments, complaint):
    if "other" in arguments:
        assert cli(*REPLAY[:-1], "run=other", "tasks.gsm8k.max_tokens=9").returncode == 0
    if "gone" in arguments:
        shutil.copytree("results/runs/r", "results/runs/gone")
        path = Path("results/runs/gone/responses.jsonl")
        path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    capsys.readouterr()
    assert record(arguments) == 2
    assert complaint in capsys.readouterr().err.splitlines()[-1]
    assert not Path("results/recorded/x").exists()


@pytest.mark.parametrize(
    ("file", "change", "complaint"),
    [
        ("items.jsonl", lambda text: text.split("\n", 1)[1], "has 11 items of gsm8k"),
        ("items.jsonl", lambda text: "{}\n" + text, "line 1 is no recorded item"),
        ("items.jsonl", lambda text: text.replace("[1.0]", "[1.0, 1.0]", 1), "2 values for 1 runs"),
        ("recorded.json", lambda text: text.replace('"version": 1', '"version": 9'), "format 9"),
        ("recorded.json", lambda text: text.replace('"identity"', '"ident"'), "no recorded run"),
    ],
)
def test_a_damaged_recorded_run_is_refused(small, capsys, file, change, complaint):
    path = Path("results/recorded/alone") / file
    path.write_text(change(path.read_text()))
    assert gate(["r", "--against", "alone"]) == 3
    assert complaint in capsys.readouterr().err


def test_the_summary_is_appended_to_the_jobs_own(small, monkeypatch):
    Path("job.md").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "job.md")
    assert gate(["r", "--against", "alone", "--margin", "30", "--summary", "job.md"]) == 0
    assert Path("job.md").read_text().startswith("before\n### PASS")


def test_xml_and_markdown_hold_whatever_a_name_holds():
    name = "a\x00\x1b]]><b>&|`\ud800\n\uffff"
    row = gating.TaskGate(name, "FAIL", reason=name, n=1, of=2)
    outcome = gating.GateResult(name, name, "robust", "FAIL", [row], [name])
    [case] = ET.fromstring(verdict_formats.junit(outcome).encode()).iter("testcase")
    assert case.get("name").startswith("a\ufffd\ufffd]]><b>&|`")
    assert case[0].tag == "failure"
    table = [x for x in verdict_formats.markdown(outcome).splitlines() if x.startswith("|")]
    assert len(table) == 3 and "<b>" not in table[2].replace("\\<", "")


def test_the_example_workflow_says_what_the_commands_take(tmp_path, monkeypatch, capsys):
    workflow = yaml.safe_load((CHECKOUT / ".ci/gate-example.yml").read_text())
    steps = [step["run"] for step in workflow["jobs"]["gate"]["steps"] if "run" in step]
    _, run, judge = (shlex.split(step) for step in steps)
    assert run[0] == ".venv/bin/ochat-eval"
    config = load(run[1:])
    assert judge[:3] == [run[0], "gate", config.run] and "--part" in judge
    recorded = judge[judge.index("--against") + 1]
    assert config.ids == f"results/recorded/{recorded}/items.jsonl"
    monkeypatch.chdir(tmp_path)
    assert gate(judge[2:]) == 3, "its options are known: there is no run only"
    assert f"gate: {config.run}: there is no such run" in capsys.readouterr().err


def test_overall_is_the_worst_and_nothing_is_no_pass():
    rows = [gating.TaskGate("a", v) for v in ("PASS", "INCONCLUSIVE", "FAIL", "REFUSED")]
    assert [gating.overall(rows[:n]) for n in range(5)] == [
        "REFUSED", "PASS", "INCONCLUSIVE", "FAIL", "REFUSED",
    ]  # fmt: skip
    assert [gating.EXIT[row.verdict] for row in rows] == [0, 2, 1, 3]


def test_a_crash_has_another_exit_code_than_fail(small, monkeypatch, capsys):
    Path("results/runs/r/manifest.json").write_text('{"overrides": 7}')
    assert gate(["r", "--against", "alone"]) == 3
