"""Servers and judges as they are, through the command line: what was met in public reports."""

from __future__ import annotations

import asyncio
import json
import resource
import shlex
import subprocess

import pytest

from ochat_eval.baseline.runs import read_run
from ochat_eval.engines.address import ClientOptions
from ochat_eval.engines.client import Client, NoCompletion
from ochat_eval.records import Message, Sampling, UserError
from ochat_eval.run.otherwise import asked_otherwise, learnt_of
from ochat_eval.run.store import write_json
from tests import fault_server as fs
from tests.conftest import command, environment, lines
from tests.engines.test_openai import KEY, RUN, SAMPLE, files_with, questions
from tests.fault_server import FaultServer
from tests.stages.test_judge import REPLAY, judge, write_answers

SECRETS = ("value-of-the-variable", "literal-in-a-header", "literal-in-the-query")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def manifest(folder):
    return json.loads((folder / RUN / "manifest.json").read_text())


def other_names(then=None):
    """A server of the kind of OpenAI's newer models."""
    return fs.takes(
        fs.knows_no("max_tokens", "use max_completion_tokens"),
        fs.wants("temperature", 1),
        fs.knows_no("top_p"),
        then=then,
    )


def test_a_model_with_other_names_is_asked_as_it_wants_and_all_files_say_so(cli, tmp_path):
    with FaultServer(default=other_names()) as server:
        run = (*SAMPLE, f"engine.base_url={server.url}", "max_tokens=64", "engine.concurrency=1")
        done = cli(*run)
        assert done.returncode == 0, done.stderr
        assert len(server.calls) == 12 + 3
        assert len(lines(tmp_path / RUN / "responses.jsonl")) == 12
        assert "engine.rename={max_tokens: max_completion_tokens}: all are asked so" in done.stderr
        assert "engine.leave_out=[temperature, top_p]: all" in done.stderr
        last = server.calls[-1][2]
    assert set(last) == {"model", "messages", "n", "max_completion_tokens"}
    assert manifest(tmp_path)["learnt"] == {
        "engine": {
            "rename": {"max_tokens": "max_completion_tokens"},
            "leave_out": ["temperature", "top_p"],
            "fold_system": False,
        }
    }
    summary = json.loads((tmp_path / RUN / "summary.json").read_text())
    marked = 'engine.leave_out=["temperature", "top_p"]'
    assert marked in summary["tasks"]["gsm8k"]["changed"], "not greedy, so not as published"
    run = read_run(tmp_path / RUN)
    assert asked_otherwise(run.identity, learnt_of(run.about, "engine", RUN)) == [marked]


def test_the_same_by_options_is_another_run(cli, tmp_path):
    options = (
        "engine.rename={max_tokens: max_completion_tokens}", "engine.leave_out=temperature,top_p",
    )  # fmt: skip
    with FaultServer(default=other_names()) as server:
        run = (*SAMPLE, f"engine.base_url={server.url}", "max_tokens=64", "limit=3")
        done = cli(*run, *options)
        assert done.returncode == 0, done.stderr
        assert len(server.calls) == 3 and "learnt" not in manifest(tmp_path)
        assert cli(*run, *options).returncode == 0 and len(server.calls) == 3
        other = cli(*run)
    assert other.returncode == 2 and "did other work: leave_out:" in other.stderr
    identity = manifest(tmp_path)["identity"]
    assert identity["leave_out"] == ["temperature", "top_p"] and "extra_body" not in identity


def test_a_judge_with_other_names_and_no_system_role_gives_all_its_verdicts(cli, tmp_path):
    write_answers(tmp_path)
    rules = fs.takes(
        fs.no_role("system", "no system role here"), then=other_names(fs.answer("Rating: [[8]]"))
    )
    with FaultServer(default=rules) as server:
        done = cli(*REPLAY, *judge(server))
        assert done.returncode == 0, done.stderr
        assert "judge grader: 8 of 8 verdicts" in done.stderr
        again = cli(*REPLAY, *judge(server))
        assert again.returncode == 0 and "finished before" in again.stderr
    learnt = manifest(tmp_path)["learnt"]["judge"]
    assert learnt["fold_system"] is True and learnt["leave_out"] == ["temperature", "top_p"]
    summary = json.loads((tmp_path / RUN / "summary.json").read_text())
    assert not summary["tasks"]["mt_bench"]["changed"], "the judge's is none of the answers'"


@pytest.mark.parametrize(("end", "truncated"), [("eos_token", 0.0), (None, None)])
def test_an_end_in_another_spelling_or_none_keeps_the_answer(cli, tmp_path, end, truncated):
    with FaultServer(default=fs.answer("The answer is 12", end)) as server:
        done = cli(*SAMPLE, f"engine.base_url={server.url}", "limit=3")
        assert done.returncode == 0, done.stderr
        assert len(server.calls) == 3
    ends = {a["finish_reason"] for a in lines(tmp_path / RUN / "responses.jsonl")}
    assert ends == {"stop" if end else None}
    figures = json.loads((tmp_path / RUN / "summary.json").read_text())["tasks"]["gsm8k"]["robust"]
    assert figures["truncated"] == truncated


def test_what_was_thought_stands_apart_from_the_answer(cli, tmp_path):
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "2 and 2 is 5? No."}]},
        {"type": "text", "text": "The answer is 4"},
    ]
    with FaultServer(default=fs.answer(parts)) as server:  # type: ignore[arg-type]
        assert cli(*SAMPLE, f"engine.base_url={server.url}", "limit=2").returncode == 0
        assert len(server.calls) == 2
    for one in lines(tmp_path / RUN / "responses.jsonl"):
        assert (one["text"], one["reasoning"]) == ("The answer is 4", "2 and 2 is 5? No.")


# --- Nothing came of it ----------------------------------------------------------------------


def test_where_nothing_was_answered_the_command_fails_and_says_what_helps(cli, tmp_path):
    with FaultServer(default=fs.error(400, "not with me")) as server:
        done = cli(*SAMPLE, f"engine.base_url={server.url}", "limit=3")
        assert done.returncode == 2 and len(server.calls) == 3
    assert "Run the same command again" not in done.stderr
    assert "They would be refused again: see whether another option helps" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.endswith(
        "nothing was answered, so there is nothing to score: HTTP 400: not with me"
    )
    failed = lines(tmp_path / RUN / "failures.jsonl")
    assert len(failed) == 3 and all(f["final"] for f in failed)


def test_where_nothing_was_answered_and_it_may_pass_the_same_command_is_named(cli):
    with FaultServer(default=fs.error(500, "out of luck")) as server:
        done = cli(*SAMPLE, f"engine.base_url={server.url}", "limit=3", "engine.attempts=2")
    assert done.returncode == 2 and "would be refused again" not in done.stderr
    assert "Run the same command again to ask them again" in done.stderr


def test_where_nothing_was_judged_the_rest_is_reported_and_the_command_fails(cli, tmp_path):
    write_answers(tmp_path)
    with FaultServer(default=fs.error(400, "not with me")) as server:
        done = cli(*REPLAY, *judge(server))
    assert done.returncode == 2
    assert "judge grader: 0 of 8 verdicts" in done.stderr
    assert "nothing was judged; " in done.stderr.splitlines()[-1]
    assert "judge.fold_system" in done.stderr and "Run the same" not in done.stderr
    assert "8 not judged" in (tmp_path / RUN / "table.md").read_text()


def test_what_a_content_filter_stopped_is_recorded_once_and_not_asked_anew(cli, tmp_path):
    first, second, *_ = questions()
    azure = {"error": {"code": "content_filter", "message": "no"}}
    script = {first: [fs.sends(400, azure)], second: [fs.answer("The ans", "content_filter")]}
    with FaultServer(script) as server:
        run = (*SAMPLE, f"engine.base_url={server.url}")
        done = cli(*run)
        assert done.returncode == 0 and "2 answers stopped by the server's" in done.stderr
        assert cli(*run).returncode == 0 and len(server.calls) == 12
    found = {a["id"]: a for a in lines(tmp_path / RUN / "responses.jsonl")}
    filtered = [found[f"gsm8k/main/{i}"] for i in (0, 1)]
    assert [(a["text"], a["finish_reason"]) for a in filtered] == [
        ("", "content_filter"), ("The ans", "content_filter"),
    ]  # fmt: skip
    assert not (tmp_path / RUN / "failures.jsonl").exists()


# --- The way to the server -------------------------------------------------------------------


def test_a_failing_proxy_is_named(cli, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "elsewhere")
    monkeypatch.delenv("no_proxy", raising=False)
    with FaultServer(default=fs.error(502, "cannot reach it")) as proxy:
        address = proxy.url.removesuffix("/v1")
        hidden = address.replace("://", "://me:hush@")
        run = (*SAMPLE, "engine.base_url=http://nowhere.invalid/v1", "limit=1", "engine.attempts=2")
        refused = cli(*run, http_proxy=hidden)
        assert (
            f"HTTP 502: cannot reach it through the environment's proxy {address}"
            in (refused.stderr.splitlines()[-1])
        )
    dead = cli(*run, http_proxy=hidden)
    for done in (refused, dead):
        assert done.returncode == 2 and "hush" not in done.stdout + done.stderr
        assert f"through the environment's proxy {address}" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_reached_without_a_proxy(cli, monkeypatch, host):
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with FaultServer() as server:
        base = server.url.replace("127.0.0.1", host)
        done = cli(*SAMPLE, f"engine.base_url={base}", "limit=1", http_proxy="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_no_more_connections_than_file_descriptors(tmp_path):
    def limited(files, *more):
        run = shlex.join(command(*SAMPLE, f"engine.base_url={server.url}", *more))
        script = f"ulimit -n {files}; exec {run}"
        return subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=environment(), capture_output=True, text=True
        )

    with FaultServer(default=fs.slow(0.3, fs.RIGHT)) as server:
        done = limited(64, "tasks.gsm8k.n=10")
        assert done.returncode == 0, done.stderr
        assert len(lines(tmp_path / RUN / "responses.jsonl")) == 120
        assert 1 < server.peak < 64
        assert "may open so few files that" in done.stderr and "(ulimit -n)" in done.stderr
        calls = len(server.calls)
        none = limited(24, "run=none")
        assert none.returncode == 2 and len(server.calls) == calls
        assert "raise the limit (ulimit -n)" in none.stderr


def test_running_out_of_file_descriptors_is_said_as_what_it_is():
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def story(server):
        options = ClientOptions(base_url=server.url, attempts=2, backoff_seconds=0.01)
        client = Client(options, "engine")
        await client.connect()
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))  # what is open stays open
        try:
            asked = (client.complete("m", [Message("user", p)], Sampling()) for p in "abc")
            return await asyncio.gather(*asked)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            await client.aclose()

    with FaultServer(default=fs.slow(0.2, fs.RIGHT)) as server:
        outcomes = asyncio.run(story(server))
    failed = [one for one in outcomes if isinstance(one, NoCompletion)]
    assert failed and all("(ulimit -n); raise the limit, or lower" in f.reason for f in failed)


def test_a_file_that_cannot_be_written_for_want_of_descriptors(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        with pytest.raises(
            UserError, match=r"Too many open files; .*raise the limit \(ulimit -n\)"
        ):
            write_json(tmp_path / "manifest.json", {})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


# --- Keys ------------------------------------------------------------------------------------


def test_extra_values_reach_the_server_and_no_file_and_no_line(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", SECRETS[0])
    first, second, *_ = questions()
    echo = ", ".join(SECRETS)
    script = {first: [fs.error(400, echo)], second: [fs.error(500, echo)]}
    options = (
        "engine.extra_headers={x-a: $MY_TOKEN, x-b: literal-in-a-header}",
        "engine.extra_query={q: literal-in-the-query}",
        "engine.extra_body={user: $MY_TOKEN, top_k: 20}",
    )
    with FaultServer(script) as server:
        run = (*SAMPLE, f"engine.base_url={server.url}", "engine.attempts=2", *options)
        done = cli(*run, OPENAI_API_KEY=KEY)
        assert done.returncode == 0, done.stderr
        shown = cli("--cfg", "job", *run, OPENAI_API_KEY=KEY)
        _, headers, body = server.calls[-1]
        assert (headers["x-a"], headers["x-b"]) == SECRETS[:2]
        assert body["user"] == SECRETS[0] and server.paths[-1].endswith("?q=literal-in-the-query")
    written = manifest(tmp_path)
    assert written["identity"]["extra_body"] == {"user": "$MY_TOKEN", "top_k": 20}
    assert "engine.extra_query=[hidden]" in written["overrides"]
    assert "x-a: $MY_TOKEN" in shown.stdout
    for secret in (*SECRETS, KEY):
        assert not files_with(tmp_path, secret), secret
        assert secret not in done.stdout + done.stderr + shown.stdout + shown.stderr


@pytest.mark.parametrize(
    "option",
    [
        "engine.extra_headers=sk-literal", "engine.extra_headers=[sk-literal",
        "engine.extra_headers={a: {b: sk-literal}}", "engine.extra_query={a: ${sk-literal}}",
        "engine.extra_headers={a b: sk-literal}", "engine.extra_query=[sk-literal]",
    ],
)  # fmt: skip
def test_a_mistake_with_an_extra_value_does_not_show_it(cli, tmp_path, option):
    done = cli(*SAMPLE, "engine.base_url=http://127.0.0.1:9/v1", option)
    assert done.returncode == 2 and "sk-literal" not in done.stdout + done.stderr
    assert not files_with(tmp_path, "sk-literal")


def test_a_server_that_leaves_the_marks_of_a_thought_in_its_text(cli, tmp_path):
    texts = {
        "default": "<think>\nIs it 40? No.</think>\n\nThe answer is 42",
        "unfinished": "<think>\nThe answer is 42. Or",
    }
    for name, text in texts.items():
        end = "stop" if name == "default" else "length"
        with FaultServer(default=fs.answer(text, end)) as server:
            url = f"engine.base_url={server.url}"
            done = cli(*SAMPLE, url, "limit=1", f"run={name}")
        assert done.returncode == 0, done.stderr
        [found] = lines(tmp_path / f"results/runs/{name}/responses.jsonl")
        assert "<think>" not in found["reasoning"] and found["reasoning"].strip() in text
        assert found.get("unfinished", False) is (name == "unfinished")
        assert found["text"] == ("The answer is 42" if name == "default" else "")
