"""until=decided: a run that is stopped as soon as the gate can tell, killed, gone on, completed.

400 questions of a file, answered by a server of ours; the looks stand at every 20th.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from ochat_eval.baseline.command import gate, record
from tests.conftest import door, lines
from tests.fault_server import Body, Connection, FaultServer, completion
from tests.replays import write

N = 400
ASKED = ("task=file", "tasks.file.path=rows.jsonl")
UNTIL = ("until=decided", "against=base", "margin=5")


async def right(connection: Connection, body: Body) -> None:
    """The question's number, which is its answer."""
    number = str(body["messages"][-1]["content"]).split("?")[0]
    await connection.send(200, json.dumps(completion(number)).encode())


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """With a recorded run that was right everywhere."""
    monkeypatch.chdir(tmp_path)
    write(Path("rows.jsonl"), *({"question": f"{i}?", "answer": i} for i in range(N)))
    write(Path("a.jsonl"), *({"id": f"file/main/{i}", "text": str(i)} for i in range(N)))
    ran(tmp_path, "engine=replay", "engine.path=a.jsonl", "run=base")
    assert record(["base", "--as", "base"]) == 0
    return tmp_path


@pytest.fixture
def server():
    with FaultServer(default=right) as one:
        yield one


def served(server: FaultServer, *more: str) -> tuple[str, ...]:
    return (*ASKED, "engine=openai", f"engine.base_url={server.url}", "engine.concurrency=4",
            "run=r", *more)  # fmt: skip


def ran(folder: Path, *arguments: str, code: int = 0) -> str:
    given = arguments if "task=file" in arguments else (*ASKED, *arguments)
    done = door(*given, folder=folder)
    assert done.returncode == code, done.stderr
    return done.stderr


def looked(folder: Path) -> dict:
    return json.loads((folder / "results/runs/r/manifest.json").read_text())["sequential"]


def summed(folder: Path) -> dict:
    return json.loads((folder / "results/runs/r/summary.json").read_text())["tasks"]["file"]


@pytest.mark.slow
def test_stopped_killed_gone_on_and_completed_it_decides_the_same(folder, server, started, capsys):
    process = started(*served(server, *UNTIL))
    while len(server.calls) < 50:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    responses = folder / "results/runs/r/responses.jsonl"
    assert 20 < len(lines(responses)) < 100

    said = ran(folder, *served(server, *UNTIL))
    answered = len(lines(responses))
    told = looked(folder)
    one = told["tasks"]["file"]
    assert (told["against"], told["mode"], told["margin"]) == ("base", "same", 5.0)
    assert one["looks"] == list(range(20, N + 1, 20)) and one["verdict"] == "PASS"
    seen = one["looks"][one["look"] - 1]
    assert f"file: PASS at look {one['look']} of 20, {seen} of 400 items" in said
    assert one["stopped"] and seen <= answered < N

    stopped = summed(folder)
    assert (stopped["asked"], stopped["of"], stopped["missing"]) == (seen, N, 0)
    assert stopped["robust"]["n"] == seen
    assert f"stopped at look {one['look']} of 20, PASS against base, same" in stopped["notes"][0]
    low = stopped["robust"]["ci95"][0]
    assert "stopped at look" in (folder / "results/runs/r/table.md").read_text()

    calls = len(server.calls)
    again = ran(folder, *served(server, *UNTIL))
    assert "finished before, nothing to do" in again and len(server.calls) == calls
    assert looked(folder) == told

    for refused in (["gate", "r", "--against", "base", "--margin", "5"],
                    ["record", "r", "--as", "kept"]):  # fmt: skip
        done = door(*refused, folder=folder)
        assert done.returncode and "stopped early" in done.stdout + done.stderr
    assert gate(["r", "--against", "base", "--margin", "5", "--sequential"]) == 0
    assert f"PASS at look {one['look']} of 20" in capsys.readouterr().out

    ran(folder, *served(server))
    assert len(lines(responses)) == N and len({r["id"] for r in lines(responses)}) == N
    whole = summed(folder)
    assert (whole["asked"], whole["robust"]["n"]) == (N, N) and whole["notes"] == []
    assert low < whole["robust"]["ci95"][0], "all is known now, and at one look"
    assert looked(folder)["tasks"]["file"] == {**one, "stopped": False}
    assert gate(["r", "--against", "base", "--margin", "5", "--sequential"]) == 0
    assert f"PASS at look {one['look']} of 20" in capsys.readouterr().out
    assert "finished before" in ran(folder, *served(server, *UNTIL))


@pytest.mark.slow
def test_only_what_is_decided_is_withdrawn(folder, server):
    """Two benchmarks in turn: one is decided, the other has no recorded run and is asked whole."""
    sample = ("task=file,gsm8k", "tasks.gsm8k.data=sample", "tasks.file.path=rows.jsonl")
    said = ran(folder, *sample, *served(server, *UNTIL)[2:])
    assert "gsm8k is asked whole: base does not have it" in said
    asked = [r["id"].split("/")[0] for r in lines(folder / "results/runs/r/responses.jsonl")]
    assert asked.count("gsm8k") == 12 and 80 <= asked.count("file") < N


@pytest.mark.slow
def test_what_cannot_be_decided_is_refused_before_anything_is_asked(folder, server):
    for options, why in (
        (("until=decided",), "say against=NAME"),
        (("against=base",), "say limit=N"),
        ((*UNTIL[:2],), "recorded once, without reruns"),
        ((*UNTIL[:2], "margin=0"), "margin is 0"),
        ((*UNTIL, "shuffle=1"), "leave shuffle away"),
        ((*UNTIL, "tasks.file.temperature=0.5"), "temperature: 0.0 there, 0.5 now"),
        (("until=decided", "against=bse", "margin=5"), "base"),
        ((*UNTIL, "gate=better"), "gate"),
    ):
        assert why in ran(folder, *served(server, *options), code=2), options
    rows = [{"question": f"{i}?", "answer": i} for i in range(1, N + 1)]
    write(folder / "rows.jsonl", *rows)
    other = (*served(server, *UNTIL)[:-4], "run=other", *UNTIL)
    assert "prompts or targets differ" in ran(folder, *other, code=2)
    assert not server.calls


@pytest.mark.slow
def test_answers_that_are_there_already_are_looked_at_and_nothing_is_asked(folder):
    """All was asked before: it is decided, but nothing is withdrawn, and the figures are whole."""
    said = ran(folder, "engine=replay", "engine.path=a.jsonl", "run=r")
    said = ran(folder, "engine=replay", "engine.path=a.jsonl", "run=r", "stage=generate", *UNTIL)
    assert "file: PASS at look" in said and "nothing to generate" in said
    assert not looked(folder)["tasks"]["file"]["stopped"]
    ran(folder, "stage=report", "run=r")
    assert summed(folder)["robust"]["n"] == N
