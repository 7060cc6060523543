"""`engine=openai` through the command line, against our own server with faults."""

from __future__ import annotations

import functools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ochat_eval.__main__ import main
from ochat_eval.engines.engine import Failure, Work
from ochat_eval.engines.openai import OpenAi
from ochat_eval.model.model import Model
from ochat_eval.records import Message, Request, Response, Sampling, UserError
from tests import fault_server as fs
from tests.conftest import CHECKOUT, command, environment, lines
from tests.fault_server import FaultServer
from tests.serve.serving import ONE_LESS

RUN = "results/runs/r"
SAMPLE = (
    "task=gsm8k", "data=sample", "engine=openai", "run=r", "engine.backoff_seconds=0.01",
    "engine.timeout_seconds=10",
)  # fmt: skip
KEY = "sk-never-to-be-seen"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def questions() -> list[str]:
    """The sample questions, in order; each is the end of one prompt only."""
    rows = [json.loads(x) for x in (CHECKOUT / "tasks/samples/gsm8k.jsonl").open()]
    return [f"Question: {r['question']}\n" for r in rows if "example" not in r]


def files_with(folder: Path, word: str) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and word.encode() in p.read_bytes()]


def session_for(server: FaultServer, model: Model | None = None, **options):
    said: list[str] = []
    work = Work(
        model=model or Model(path="org/small"),
        items=lambda: [],
        seed=0,
        truncate_overlong=False,
        say=said.append,
    )
    options = {"backoff_seconds": 0.01, "timeout_seconds": 5.0, **options}
    return OpenAi(base_url=server.url, **options).start(work), said


def request(i: int, prompt: str = "a", condition: str | None = None) -> Request:
    return Request(f"t/main/{i}", 0, 0, (Message("user", prompt),), condition, Sampling())


@pytest.mark.slow
def test_every_fault_at_once_and_all_answers_arrive(cli, tmp_path):
    passing = [
        fs.error(429, "busy", Retry_After="1"), fs.busy_until(2), fs.error(500, "no"),
        fs.error(503, "no"), fs.reset_before_headers, fs.reset_after_headers, fs.GARBAGE,
        fs.CUT_JSON, fs.NO_CHOICES, fs.closes, fs.slow(0.5, fs.RIGHT), fs.RIGHT,
    ]  # fmt: skip
    script = {q: [fault, fs.RIGHT] for q, fault in zip(questions(), passing, strict=True)}
    with FaultServer(script) as server:
        done = cli(*SAMPLE, f"engine.base_url={server.url}", OPENAI_API_KEY=KEY)
        sent = {headers["authorization"] for _, headers, _ in server.calls}
        bodies = [body for _, _, body in server.calls]
    assert done.returncode == 0, done.stderr
    answers = lines(tmp_path / RUN / "responses.jsonl")
    assert sorted(a["id"] for a in answers) == sorted(f"gsm8k/main/{i}" for i in range(12))
    assert {a["text"] for a in answers} == {"The answer is 4"}
    assert not (tmp_path / RUN / "failures.jsonl").exists()
    assert len(bodies) == 12 + 10
    assert "attempts that were repeated: " in done.stderr
    for part in ("HTTP 429 2 times", "connection lost 3 times", "unreadable answer 3 times"):
        assert part in done.stderr
    summary = json.loads((tmp_path / RUN / "summary.json").read_text())["tasks"]["gsm8k"]
    assert (summary["robust"]["n"], summary["robust"]["truncated"], summary["missing"]) == (
        12,
        0,
        0,
    )
    assert {b["model"] for b in bodies} == {"smollm2_135m"}
    assert sent == {f"Bearer {KEY}"}, "the key was in use"
    assert not files_with(tmp_path, KEY) and KEY not in done.stdout + done.stderr


def test_what_keeps_failing_is_listed_and_asked_again_by_the_same_command(cli, tmp_path):
    first, second, third, fourth, *_ = questions()
    script = {
        first: [fs.error(400, f"This model's maximum context\nis 8 tokens, {KEY}")],
        second: [fs.answer("I will not", "content_filter")],
        third: [fs.error(500, "out of luck")],
        fourth: [fs.answer("")],
    }
    run = (*SAMPLE, "engine.attempts=3")
    with FaultServer(script) as server:
        done = cli(*run, f"engine.base_url={server.url}", OPENAI_API_KEY=KEY)
        assert [len(server.asked(q)) for q in (first, second, third)] == [1, 1, 3]
    assert done.returncode == 0, done.stderr
    failed = {f["id"]: f["reason"] for f in lines(tmp_path / RUN / "failures.jsonl")}
    assert failed == {
        "gsm8k/main/0": "HTTP 400: This model's maximum context is 8 tokens, [key]",
        "gsm8k/main/2": "HTTP 500: out of luck (3 attempts)",
    }
    assert "2 requests got no response" in done.stderr
    assert "1 of them would be refused again: see whether another option" in done.stderr
    assert "Run the same command again to ask the others" in done.stderr
    assert "1 answer stopped by the server's content filter: kept as it is" in done.stderr
    assert not files_with(tmp_path, KEY) and KEY not in done.stdout + done.stderr
    with FaultServer() as server:  # another address is the same run
        again = cli(*run, f"engine.base_url={server.url}")
        assert len(server.calls) == 2
    assert again.returncode == 0 and "going on: 10 of 12" in again.stderr
    answers = {a["id"]: a["text"] for a in lines(tmp_path / RUN / "responses.jsonl")}
    assert len(answers) == 12 and answers["gsm8k/main/3"] == ""
    assert answers["gsm8k/main/1"] == "I will not", "filtered, and not asked anew"
    assert not (tmp_path / RUN / "failures.jsonl").exists()


def test_failures_are_listed_as_they_happen(cli, tmp_path):
    first, *_, last = questions()
    seen = []

    async def looks(connection, body):
        seen.extend(lines(tmp_path / RUN / "failures.jsonl"))
        await fs.RIGHT(connection, body)

    with FaultServer({first: [fs.error(400, "no")], last: [looks]}) as server:
        done = cli(*SAMPLE, f"engine.base_url={server.url}", "engine.concurrency=1")
    assert done.returncode == 0, done.stderr
    assert [f["id"] for f in seen] == ["gsm8k/main/0"], "while the last was still being asked"
    assert lines(tmp_path / RUN / "failures.jsonl") == seen


def test_a_server_that_dies_in_mid_run_leaves_answers_and_failures(cli, tmp_path):
    async def dies(connection, body):
        server.die()

    with FaultServer({questions()[5]: [dies]}) as server:
        done = cli(*SAMPLE, f"engine.base_url={server.url}", "engine.concurrency=1")
    assert done.returncode == 0, done.stderr
    assert len(lines(tmp_path / RUN / "responses.jsonl")) == 5
    failed = lines(tmp_path / RUN / "failures.jsonl")
    assert len(failed) == 7
    assert all(str(f["reason"]).startswith("connection lost: ") for f in failed)


def test_a_key_that_is_revoked_in_mid_run_ends_it_and_what_was_answered_stays(cli, tmp_path):
    run = (*SAMPLE, "engine.concurrency=1")
    with FaultServer({questions()[5]: [fs.echoes_the_key]}) as server:
        stopped = cli(*run, f"engine.base_url={server.url}", OPENAI_API_KEY=KEY)
        assert len(server.asked(questions()[5])) == 1 and len(server.calls) < 12
    assert stopped.returncode == 2
    assert "refuses: HTTP 401: Incorrect API key" in stopped.stderr.splitlines()[-1]
    assert len(lines(tmp_path / RUN / "responses.jsonl")) == 5
    with FaultServer() as server:
        again = cli(*run, f"engine.base_url={server.url}", OPENAI_API_KEY="sk-another")
        assert len(server.calls) == 7
    assert again.returncode == 0 and "going on: 5 of 12" in again.stderr


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        (fs.echoes_the_key, "HTTP 401: Incorrect API key provided: Bearer [key]; check"),
        (fs.error(403, "not for you"), "HTTP 403: not for you; check"),
        (fs.error(404, "The model `smollm2_135m` does not exist."), "does not exist.; check"),
    ],
)
def test_a_wrong_key_or_name_ends_the_run_in_one_line(
    tmp_path, monkeypatch, capsys, reply, complaint
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with FaultServer(default=reply) as server:
        assert main([*SAMPLE, f"engine.base_url={server.url}"]) == 2
        assert len(server.calls) <= 12
    out, err = capsys.readouterr()
    assert complaint in err.splitlines()[-1]
    assert not files_with(tmp_path, KEY) and KEY not in out + err
    assert not (tmp_path / RUN / "responses.jsonl").read_text()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "engine.base_url is not set"),
        (["engine.base_url=http://127.0.0.1:9/v1"], "no server answers at http://127.0.0.1:9/v1"),
        (["engine.base_url=http://me:hush@a/v1"], "has a password or a query in it"),
        (["engine.base_url=http://a/v1", "engine.api_key_env=sk-hush"], "is no name of an"),
        (["engine.base_url=http://a/v1", "engine.api_key=sk-hush"], "there is no such option"),
        (["engine.base_url=http://a/v1", "overlong=truncate"], "overlong=truncate: a server"),
    ],
)
def test_what_cannot_work_is_one_line(tmp_path, monkeypatch, capsys, options, complaint):
    monkeypatch.chdir(tmp_path)
    assert main([*SAMPLE, *options]) == 2
    out, err = capsys.readouterr()
    assert complaint in err.splitlines()[-1]
    assert "hush" not in out + err and not files_with(tmp_path, "hush")


def test_another_served_name_is_another_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with FaultServer() as server:
        run = [*SAMPLE, f"engine.base_url={server.url}", "limit=2", "stage=generate"]
        assert main([*run, "engine.served_name=theirs"]) == 0
        assert {body["model"] for _, _, body in server.calls} == {"theirs"}
        assert main(run) == 2
    assert "did other work: served_name:" in capsys.readouterr().err


@pytest.mark.slow
def test_killed_with_requests_in_flight_it_goes_on(cli, tmp_path):
    q = questions()
    script = {one: [fs.hangs, fs.RIGHT] for one in q[6:]}
    journal = tmp_path / RUN / "responses.jsonl"
    with FaultServer(script) as server:
        run = (*SAMPLE, f"engine.base_url={server.url}", "engine.timeout_seconds=60")
        process = subprocess.Popen(
            command(*run),
            cwd=tmp_path,
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
            # A shell starts what it puts in the background with SIGINT ignored.
            preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
        try:
            until = time.monotonic() + 30
            while not journal.exists() or journal.read_bytes().count(b"\n") < 6:
                assert process.poll() is None and time.monotonic() < until
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 130 and "Traceback" not in errors
        assert (
            "the same command goes on where this one was stopped\nochat-eval: stopped\n" in errors
        )
        done = cli(*run)
        assert done.returncode == 0, done.stderr
    assert "going on: 6 of 12" in done.stderr
    assert len({a["id"] for a in lines(journal)}) == 12


def test_the_condition_goes_to_models_that_have_conditions():
    with_conditions = Model(
        path="org/chat", condition="GPT4 Correct", conditions=["GPT4 Correct", "Math Correct"]
    )
    with FaultServer() as server:
        for model, conditions in ((None, [None]), (with_conditions, ["Math Correct", None])):
            session, _ = session_for(server, model, concurrency=1)
            for i, condition in enumerate(conditions):
                session.submit(request(i, condition=condition))
                [response] = session.collect()
                assert isinstance(response, Response)
            session.close()
        sent = [body.get("condition", "none") for _, _, body in server.calls]
    assert sent == ["none", "Math Correct", "GPT4 Correct"]


def test_answers_come_out_as_they_finish_and_the_window_is_filled():
    replies = {"late": [fs.slow(0.6, fs.RIGHT)], "never": [fs.hangs]}
    with FaultServer(replies, default=fs.slow(0.05, fs.RIGHT)) as server:
        session, said = session_for(server, concurrency=16)
        assert session.window > 16
        for i in range(30):
            session.submit(request(i, {0: "late", 1: "never"}.get(i, "soon")))
        came = []
        while len(came) < 29:
            came += [finished.id for finished in session.collect()]
        assert came[-1] == "t/main/0" and "t/main/1" not in came
        assert server.peak == 16
        session.close()  # with one in flight
        assert not said


def test_finished_answers_are_handed_over_before_what_stops_the_run():
    with FaultServer() as server:
        session, _ = session_for(server)
        four, five = Response("t/main/0", "4"), Response("t/main/1", "5")
        session._finished.put([four])
        session._finished.put([UserError("the key"), five])
        session._finished.put([Response("t/main/2", "too late")])
        assert session.collect() == [four, five]
        with pytest.raises(UserError, match="the key"):
            session.collect()
        session.close()


@pytest.mark.slow
def test_a_hundred_failures_among_two_thousand_at_256_in_flight():
    with FaultServer({"bad": [fs.error(500, "no")]}) as server:
        session, said = session_for(server, attempts=2)
        waiting, flight, came = iter(range(2000)), 0, []
        while True:
            while flight < session.window and (i := next(waiting, None)) is not None:
                session.submit(request(i, f"bad {i}" if i % 20 == 0 else "good"))
                flight += 1
            if not flight:
                break
            finished = session.collect()
            came += finished
            flight -= len(finished)
        session.close()
    assert {f.id for f in came if isinstance(f, Failure)} == {
        f"t/main/{i}" for i in range(0, 2000, 20)
    }
    assert len({r.id for r in came if isinstance(r, Response)}) == 1900
    assert said == ["attempts that were repeated: HTTP 500 100 times"]


@pytest.mark.vllm
@pytest.mark.timeout(600)
def test_a_real_vllm_server(cli, tmp_path):
    """Real answers, a refused prompt and a wrong name, from vLLM's own server."""
    from ochat_eval.config.compose import load
    from ochat_eval.model.chat import load_format
    from ochat_eval.model.weights import prepare

    small = load(["model=smollm2_135m"]).model
    model = prepare(small)
    chat = load_format(small, model)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model),
        "--served-model-name", "small", "--port", str(port), "--max-model-len", "300",
        "--enforce-eager", "--api-key", KEY,
    ]  # fmt: skip
    env = {**os.environ, "VLLM_NO_USAGE_STATS": "1", **ONE_LESS}
    with (tmp_path.parent / "server.log").open("w") as log:
        server = subprocess.Popen(serve, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        until = time.monotonic() + 240
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert server.poll() is None and time.monotonic() < until, Path(log.name).read_text()
            time.sleep(0.5)
        run = (
            "task=gsm8k", "data=sample", "engine=openai", "max_tokens=16", "run=r",
            "tasks.gsm8k.num_fewshot=0", f"engine.base_url=http://127.0.0.1:{port}/v1",
        )  # fmt: skip
        wrong = cli(*run, "engine.served_name=small", OPENAI_API_KEY="sk-wrong")
        assert wrong.returncode == 2 and "HTTP 401" in wrong.stderr.splitlines()[-1]
        unknown = cli(*run, "run=unknown", OPENAI_API_KEY=KEY)
        assert unknown.returncode == 2 and "HTTP 404" in unknown.stderr.splitlines()[-1]
        done = cli(*run, "engine.served_name=small", OPENAI_API_KEY=KEY)
        assert done.returncode == 0, done.stderr
        answers = lines(tmp_path / RUN / "responses.jsonl")
        assert len(answers) == 12
        turns = {item["id"]: item["turns"] for item in lines(tmp_path / RUN / "items.jsonl")}
        for one in answers:
            ours = chat.encode([Message("user", turns[one["id"]][0])], None)
            assert one["text"] and one["prompt_tokens"] == len(ours), "the same chat format"
            assert one["completion_tokens"] <= 16 and one["finish_reason"] in ("stop", "length")
        full = ("engine.served_name=small", "run=full", "tasks.gsm8k.num_fewshot=3")
        too_long = cli(*run, *full, OPENAI_API_KEY=KEY)
        assert too_long.returncode == 2 and "nothing was answered" in too_long.stderr
        assert "They would be refused again" in too_long.stderr
        failed = lines(tmp_path / "results/runs/full/failures.jsonl")
        assert len(failed) == 12
        assert all(str(f["reason"]).startswith("HTTP 400: ") for f in failed)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
