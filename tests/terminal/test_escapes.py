"""Texts of models, servers, files and people with escape sequences in them: none is printed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ochat_eval.terminal.say import bar, say, tell
from tests import fault_server as fs
from tests.conftest import CHECKOUT, Done, environment
from tests.fault_server import FaultServer
from tests.stages.test_judge import IDS

ESC = "\x1b]0;owned\x07\x1b[2J\x1b[31m\u202eEVIL\x9b1m\r\x08"
"""Sets a window's title, wipes the screen, turns text around; with a C1 control as well."""
REPLAY = ("task=gsm8k", "data=sample", "engine=replay", "run=r")


def harmless(done: Done, word: str = "EVIL") -> str:
    """What was printed, if a terminal can be given it; `word` has to be in it."""
    printed = done.stdout + done.stderr
    odd = {c for c in printed if not c.isprintable() and c not in "\n\t\r"}  # a bar's is \r
    assert not odd, odd
    assert "EVIL\N{REPLACEMENT CHARACTER}1m\r" not in printed
    assert word in printed, "the text was shown"
    return printed


def test_a_line_stands_above_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with bar("generate", "answers", 10, delay=0) as progress:
        progress.update(3)
        say("the server refused")
    shown = capsys.readouterr().err
    line = next(part for part in shown.split("\n") if "refused" in part)
    assert line.rpartition("\r")[2] == "the server refused", "the bar was wiped off first"
    assert shown.rpartition("\r")[2].startswith("generate:  30%")


def answers(folder: Path, **more: object) -> Path:
    """A file that answers every sample question of GSM8K."""
    count = sum("example" not in json.loads(x) for x in SAMPLES.open())
    path = folder / "answers.jsonl"
    with path.open("w") as file:
        for i in range(count):
            line = {"id": f"gsm8k/main/{i}", "turn": 0, "text": f"{ESC} The answer is {i}"}
            file.write(json.dumps({**line, **more}) + "\n")
    return path


SAMPLES = CHECKOUT / "tasks/samples/gsm8k.jsonl"


def quoted(name: str, value: str = ESC) -> str:
    """An option whose value Hydra reads as it stands."""
    return f"{name}={json.dumps(value, ensure_ascii=False)}"


@pytest.mark.parametrize("status", [400, 404, 401])
def test_an_error_of_a_server(cli, status):
    with FaultServer(default=fs.error(status, f"no {ESC}")) as server:
        done = cli(
            "task=gsm8k", "data=sample", "engine=openai", "run=r", f"engine.base_url={server.url}",
            "engine.served_name=m", "engine.attempts=1", OPENAI_API_KEY="k",
        )  # fmt: skip
    harmless(done, "EVIL" if status != 401 else "")


def test_the_name_of_a_model_and_of_a_run_in_tables_and_comparisons(cli, tmp_path):
    path = answers(tmp_path)
    done = cli(*REPLAY, f"engine.path={path}", quoted("model.name"))
    assert done.returncode == 0, done.stderr
    harmless(done, "gsm8k")
    folder = tmp_path / "results/runs/r"
    summary = json.loads((folder / "summary.json").read_text())
    summary["model"] = summary["run"] = ESC
    summary["tasks"]["gsm8k"]["notes"] = [ESC]
    (folder / "summary.json").write_text(json.dumps(summary))
    harmless(cli("tables", "r"))
    cli(*REPLAY, f"engine.path={path}", "run=s", quoted("model.name"))
    for form in ("tables", "compare", "export", "report"):
        harmless(cli(form, "r", "s"), "")
    harmless(cli("--cfg", "job", *REPLAY, quoted("model.name")), "EVIL")


def test_the_id_and_the_path_of_a_replay_file(cli, tmp_path):
    path = answers(tmp_path)
    with path.open("a") as file:
        file.write(json.dumps({"id": f"gsm8k/{ESC}/0", "turn": 0, "text": "x"}) + "\n")
    done = cli(*REPLAY, f"engine.path={path}")
    assert done.returncode == 2
    harmless(done)
    harmless(cli(*REPLAY, quoted("engine.path", f"/nowhere/{ESC}")))
    broken = tmp_path / "broken\x1b[2JEVIL.jsonl"
    broken.write_text(f'{{"id": "{"x" * 9}\n')
    harmless(cli(*REPLAY, quoted("engine.path", str(broken))))


def test_a_judge_and_what_it_says(cli, tmp_path):
    with FaultServer(default=fs.error(400, f"no {ESC}")) as server:
        base = ("task=mt_bench", "data=sample", "run=r")
        path = tmp_path / "a.jsonl"
        with path.open("w") as file:
            for id_ in IDS:
                for turn in (0, 1):
                    file.write(json.dumps({"id": id_, "turn": turn, "text": ESC}) + "\n")
        done = cli(
            *base, "engine=replay", f"engine.path={path}", "judge=local", "judge.attempts=1",
            f"judge.base_url={server.url}", quoted("judge.served_name"), OPENAI_API_KEY="k",
        )  # fmt: skip
    harmless(done)


@pytest.mark.parametrize(
    "arguments",
    [
        (quoted("model", f"{ESC}"),),
        (f"{ESC}=1",),
        (f"--{ESC}",),
        (ESC,),
        ("tables", ESC),
        ("compare", ESC, ESC),
        ("report", f"--{ESC}", "r", "-o", "x"),
        ("serve", quoted("log_file", f"/proc/{ESC}/x")),
        ("serve", quoted("host")),
        ("--config-dir", f"/{ESC}"),
    ],
)
def test_what_is_typed_or_lies_in_a_script(cli, arguments):
    done = cli(*arguments)
    assert done.returncode != 0
    harmless(done)


def test_what_is_said_stays_in_its_lines(capsys):
    say(f"a\n{ESC}\tb")
    tell(f"c\n{ESC}", end="")
    out, err = capsys.readouterr()
    assert err.startswith("a\n") and err.endswith("\tb\n") and err.count("\n") == 2
    assert not {"\x1b", "\x9b", "\r", "\x08", "\u202e"} & set(out + err)


def test_a_mistake_of_ours_is_reported_without_them():
    import subprocess

    script = (
        "import ochat_eval.__main__ as m, ochat_eval.pipeline as p\n"
        f"def fail(*_): raise RuntimeError({ESC!r})\n"
        "p.run = fail\nm.main(['task=gsm8k'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=120,
    )
    assert done.returncode == 1
    assert "RuntimeError" in harmless(Done(1, done.stdout, done.stderr))
