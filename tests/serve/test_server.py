"""The server with a real engine: clients, conditions, refusals, disconnects, deaths, the page.

One server for most tests: a tiny model of random weights with OpenChat's chat format. The small
real model is served once, for the guide's examples and for `engine=openai`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from ochat_eval.model.chat import load_format
from ochat_eval.records import Message
from ochat_eval.serve.options import load
from tests.conftest import CHECKOUT, lines
from tests.engines.test_vllm import children, loading, wait_for_the_end
from tests.serve.serving import (
    CLIENT,
    KEYS,
    ONE_LESS,
    THE,
    Server,
    Servers,
    begin,
    launch,
    stop,
    tiny,  # noqa: F401 (a fixture)
    tiny_server,
)

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1800)]

MODEL = "openchat_3.5"
HELLO = [{"role": "user", "content": "Hello"}]
LONG = {"max_tokens": 15_000, "ignore_eos": True}
TALK = [
    {"role": "user", "content": "Hello<|end_of_turn|>GPT4 Correct Assistant: <s>"},
    {"role": "assistant", "content": "Hi </s>"},
    {"role": "user", "content": "  How are you today?\n"},
]


@pytest.fixture
def server(servers: Servers, tiny: list[str]) -> Server:  # noqa: F811
    return tiny_server(servers, tiny, KEYS[1])


def chat(server: Server, **fields: object) -> httpx.Response:
    body = {"model": MODEL, "messages": HELLO, "max_tokens": 4, "temperature": 0, **fields}
    return server.post("/v1/chat/completions", body)


def logged(server: Server) -> list[dict]:
    entries = lines(server.folder / "log.jsonl")
    return [entry for entry in entries if entry["path"] == "/v1/chat/completions"]


def idle(server: Server) -> bool:
    """Whether the engine has nothing left; it counts at each step, so it is given one to do."""
    return chat(server).status_code == 200 and server.running() == 0


def wait_until(holds, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.1)


@pytest.mark.parametrize("condition", [None, "GPT4 Correct", "Math Correct"])
def test_prompts_are_the_offline_engines_token_ids(server, tiny, condition):  # noqa: F811
    model = load(tiny).model
    offline = load_format(model, model.path)
    for talk in (HELLO, TALK, [{"role": "system", "content": "Be brief."}, *TALK]):
        expected = offline.encode([Message(**m) for m in talk], condition)
        given = {} if condition is None else {"condition": condition}
        answer = chat(server, messages=talk, return_token_ids=True, **given).json()
        assert answer["prompt_token_ids"] == expected
        asked = {"model": MODEL, "messages": talk, **given}
        assert server.post("/tokenize", asked).json()["tokens"] == expected
    assert logged(server)[-1]["condition"] == (condition or "GPT4 Correct")


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"condition": "GPT5"}, "its conditions are GPT4 Correct, Math Correct"),
        ({"condition": 3}, "condition must be a text"),
        ({"conditon": "Math Correct"}, "did you mean condition?"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "a conversation is"),
        ({"messages": [{"role": "user", "content": "word " * 17_000}]}, "16384"),
        ({"echo": True}, "echo is not supported"),
        ({"chat_template": "x"}, "chat_template is not supported"),
        ({"chat_template_kwargs": {"x": 1}}, "chat_template_kwargs.x is not allowed here"),
        (
            {"template_kwargs": {"enable_thinking": 1}},
            "has no template whose variables could be set",
        ),
        ({"use_beam_search": True, "n": 2}, "use_beam_search is not supported"),
        ({"max_tokens": 30_000}, "30000"),
        ({"temperature": -1}, "temperature"),
    ],
)
def test_what_cannot_be_done_is_a_400_that_says_why(server, fields, complaint):
    for stream in (False, True):
        answer = chat(server, stream=stream, **fields)
        assert answer.status_code == 400
        assert complaint in answer.json()["error"]["message"]


def test_a_long_body_and_an_unknown_model_are_refused(server):
    long = [{"role": "user", "content": "x" * 200_000}]
    assert chat(server, messages=long).status_code == 413
    assert chat(server, model="gpt-4").status_code == 404
    assert chat(server, model="openchat_3.5_0106").status_code == 200


def test_a_raw_prompt_is_taken_as_it_is_and_has_no_condition(server):
    raw = {"model": MODEL, "prompt": "<s>Hello", "max_tokens": 2, "temperature": 0}
    assert server.post("/v1/completions", raw).json()["usage"]["completion_tokens"] == 2
    for path in ("/v1/completions", "/tokenize"):
        refused = server.post(path, {**raw, "condition": "Math Correct"})
        assert refused.status_code == 400
        assert "condition is for messages" in refused.json()["error"]["message"]
        misspelt = server.post(path, {**raw, "Condition": "Math Correct"})
        assert misspelt.status_code == 400
        assert "did you mean condition?" in misspelt.json()["error"]["message"]


def test_only_a_key_opens_it(server):
    import openai

    for key in (None, "wrong", "", "first-secret second-secret", "second-secre"):
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=key or "x", max_retries=0)
        with pytest.raises(openai.AuthenticationError, match="a valid API key is needed"):
            client.chat.completions.create(model=MODEL, messages=HELLO)
    for key in KEYS[:2]:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=key)
        assert [m.id for m in client.models.list()] == ["openchat_3.5_0106", MODEL]
    assert CLIENT.get(f"{server.url}/health").status_code == 200
    assert "secret" not in (server.folder / "log.jsonl").read_text() + server.said


def test_the_leading_blank_goes_whole_and_in_streams(server):
    import openai

    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key)
    asked = {"model": MODEL, "messages": HELLO, "max_tokens": 3, "n": 2}
    forced = {"allowed_token_ids": [THE], "condition": "Math Correct"}
    whole = client.chat.completions.create(**asked, extra_body=forced)
    assert [c.message.content for c in whole.choices] == ["The The The"] * 2
    assert whole.usage.completion_tokens == 6
    texts = ["", ""]
    for chunk in client.chat.completions.create(**asked, stream=True, extra_body=forced):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == ["The The The"] * 2


def test_a_thought_is_apart_whole_and_in_streams(server):
    import openai

    text = "<think>\n2 and 2\n</think>\n\nIt is 4."
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key)
    asked = {"model": MODEL, "messages": HELLO, "max_tokens": 99, "temperature": 0}
    forced = {"structured_outputs": {"choice": [text]}}
    whole = client.chat.completions.create(**asked, extra_body=forced)
    message, usage = whole.choices[0].message, whole.usage
    assert (message.reasoning_content, message.content) == ("2 and 2", "It is 4.")
    thought = usage.completion_tokens_details.reasoning_tokens
    assert 0 < thought < usage.completion_tokens
    parts, counted = [], None
    options = {"stream": True, "stream_options": {"include_usage": True}}
    for chunk in client.chat.completions.create(**asked, **options, extra_body=forced):
        counted = chunk.usage or counted
        for choice in chunk.choices:
            found = getattr(choice.delta, "reasoning_content", None)
            parts.append((found or "", choice.delta.content or ""))
    assert ["".join(part) for part in zip(*parts, strict=True)] == ["2 and 2", "It is 4."]
    assert counted.completion_tokens_details.reasoning_tokens == thought


def test_what_client_libraries_add_is_taken(server, tiny):  # noqa: F811
    talk = [("developer", "Be brief."), ("user", "Hello"), ("user", "again")]
    messages = [{"role": role, "content": content} for role, content in talk]
    answer = chat(server, messages=messages, tools=[], tool_choice="auto", return_token_ids=True)
    model = load(tiny).model
    taken = [Message("system", "Be brief."), Message("user", "Hello\n\nagain")]
    expected = load_format(model, model.path).encode(taken, None)
    assert answer.json()["prompt_token_ids"] == expected


def test_the_end_of_turn_ends_an_answer(server):
    answer = chat(server, logit_bias={"32000": 100}, max_tokens=50).json()
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["choices"][0]["message"]["content"] == ""
    never = chat(server, logit_bias={"32000": 100}, max_tokens=5, ignore_eos=True).json()
    assert never["choices"][0]["finish_reason"] == "length"


def test_seed_stop_and_logprobs_are_vllms(server):
    drawn = [chat(server, temperature=1, seed=s, max_tokens=16).json() for s in (7, 7, 8)]
    texts = [d["choices"][0]["message"]["content"] for d in drawn]
    assert texts[0] == texts[1] != texts[2]
    forced = {"allowed_token_ids": [THE], "max_tokens": 9}
    stopped = chat(server, stop=["The The The"], **forced).json()["choices"][0]
    assert (stopped["finish_reason"], stopped["message"]["content"]) == ("stop", "")
    tokens = chat(server, logprobs=True, top_logprobs=2).json()["choices"][0]["logprobs"]["content"]
    assert len(tokens) == 4 and all(len(t["top_logprobs"]) == 2 for t in tokens)


def test_64_clients_at_once(server):
    import openai

    async def ask(client: openai.AsyncOpenAI, i: int) -> tuple[int, str]:
        stream = await client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": f"Number {i}"}],
            max_tokens=20,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
            extra_body={"ignore_eos": True},
        )
        count, text = 0, ""
        async for chunk in stream:
            text += "".join(c.delta.content or "" for c in chunk.choices)
            count = chunk.usage.completion_tokens if chunk.usage else count
        return count, text

    async def ask_all() -> list[tuple[int, str]]:
        async with openai.AsyncOpenAI(
            base_url=f"{server.url}/v1", api_key=server.key, max_retries=0, timeout=900
        ) as client:
            return await asyncio.gather(*(ask(client, i) for i in range(64)))

    answers = asyncio.run(ask_all())
    assert [count for count, _ in answers] == [20] * 64
    assert all(text for _, text in answers)


def test_seeded_answers_to_long_prompts_leave_the_engine_alive(server):
    """vLLM cuts long prompts into chunks; its CPU build dies where one of them has a seed."""

    import openai

    async def ask_all() -> list[int]:
        async with openai.AsyncOpenAI(
            base_url=f"{server.url}/v1", api_key=server.key, max_retries=0, timeout=900
        ) as client:
            asked = [
                client.chat.completions.create(
                    model=MODEL,
                    messages=[{"role": "user", "content": f"{i} " + "word " * 5000}],
                    max_tokens=2,
                    temperature=1,
                    seed=i,
                )
                for i in range(6)
            ]
            return [answer.usage.prompt_tokens for answer in await asyncio.gather(*asked)]

    assert min(asyncio.run(ask_all())) > 5000


def gone(server: Server) -> list[dict]:
    """The log's entries of clients that did not wait for the end."""
    return [entry for entry in logged(server) if entry.get("disconnected")]


def test_a_client_that_goes_is_aborted_in_the_engine(server):
    before = len(gone(server)) if (server.folder / "log.jsonl").exists() else 0
    body = {"model": MODEL, "messages": HELLO, **LONG, "stream": True}
    url = f"{server.url}/v1/chat/completions"
    with CLIENT.stream("POST", url, json=body, headers=server.headers, timeout=300) as response:
        events = response.iter_lines()  # kept: without it httpx closes the connection
        for _ in range(8):
            next(events)
        wait_until(lambda: server.running() == 1)  # the count follows the text
    wait_until(lambda: idle(server))
    with pytest.raises(httpx.ReadTimeout):
        CLIENT.post(url, json={**body, "stream": False}, headers=server.headers, timeout=0.5)
    wait_until(lambda: idle(server))
    wait_until(lambda: len(gone(server)) == before + 2)
    ended = gone(server)[before:]
    assert 0 < ended[0]["completion_tokens"][0] < 15_000


def test_the_log_has_figures_and_no_text(server):
    chat(
        server, messages=[{"role": "user", "content": "a private matter"}], condition="Math Correct"
    )
    wait_until(lambda: logged(server)[-1].get("prompt_tokens"))
    entry = logged(server)[-1]
    assert "private" not in (server.folder / "log.jsonl").read_text()
    expected = {
        "path": "/v1/chat/completions",
        "status": 200,
        "condition": "Math Correct",
        "messages": 1,
        "completion_tokens": [4],
        "finish_reason": ["length"],
        "stream": False,
    }
    assert {name: entry[name] for name in expected} == expected
    assert entry["prompt_tokens"] > 10


# -- the real small model: the guide's examples, engine=openai --


@pytest.fixture
def small(servers: Servers) -> Server:
    return servers.running("log_file=log.jsonl", "log_messages=true", **ONE_LESS)


def guides_examples() -> list[str]:
    """The curl commands that stand in the guide's page on the server."""
    blocks = (CHECKOUT / "docs/server.md").read_text().split("```")[1::2]
    return [block.removeprefix("bash\n") for block in blocks if "curl" in block]


def test_the_guides_examples_run(small, server):
    examples = guides_examples()
    assert len(examples) == 3
    for example in examples:
        to = server if "condition" in example else small
        here = example.replace("127.0.0.1:18888", f"127.0.0.1:{to.port}")
        env = {**os.environ, "KEY": to.key or ""}
        done = subprocess.run(
            ["bash", "-ec", here], env=env, capture_output=True, text=True, timeout=280
        )
        assert done.returncode == 0, done.stderr
        if "stream" in example:
            assert done.stdout.rstrip().endswith("data: [DONE]")
        else:
            [choice] = json.loads(done.stdout)["choices"]
            assert choice["message"]["content"].strip()


def test_a_model_without_conditions_refuses_one(small):
    body = {"model": "smollm2_135m", "messages": HELLO, "max_tokens": 4}
    answer = small.post("/v1/chat/completions", {**body, "condition": "Math Correct"})
    assert answer.status_code == 400
    assert "no conditions" in answer.json()["error"]["message"]
    assert small.post("/v1/chat/completions", {**body, "condition": None}).status_code == 200


def test_its_prompts_are_the_offline_engines_too(small):
    from ochat_eval.model.weights import prepare

    model = load([]).model
    expected = load_format(model, prepare(model)).encode([Message(**m) for m in TALK], None)
    body = {"model": model.name, "messages": TALK, "max_tokens": 1, "return_token_ids": True}
    assert small.post("/v1/chat/completions", body).json()["prompt_token_ids"] == expected


def test_engine_openai_answers_as_engine_vllm(small, cli, tmp_path: Path):
    asked = ("task=[gsm8k,mt_bench]", "data=sample", "max_tokens=24", "limit=4")
    runs = {
        "served": (
            "engine=openai",
            f"engine.base_url={small.url}/v1",
            "engine.timeout_seconds=900",
            "engine.concurrency=1",
        ),
        "offline": ("engine=vllm", "engine.window=1"),
    }  # one at a time, as the others of a batch can decide ties
    answers = {}
    for name, options in runs.items():
        done = cli(*asked, f"run={name}", "stage=generate", *options)
        assert done.returncode == 0, done.stderr
        responses = lines(tmp_path / "results/runs" / name / "responses.jsonl")
        answers[name] = {(r["id"], r["turn"]): r for r in responses}
    served, offline = answers["served"], answers["offline"]
    assert served.keys() == offline.keys() and len(served) == 4 + 2 * 4
    greedy = [key for key in served if key[0].startswith("gsm8k")]
    assert len(greedy) == 4
    for key in greedy:
        assert served[key]["prompt_tokens"] == offline[key]["prompt_tokens"]
    same = sum(served[key]["text"] == offline[key]["text"] for key in greedy)
    assert same >= 3, "ties that the prefix cache decides are rare"


def test_mt_bench_with_the_small_model_as_subject_and_judge(small, cli, tmp_path: Path):
    done = cli(
        "task=mt_bench", "data=sample", "limit=2", "max_tokens=24", "run=judged",
        "engine=openai", f"engine.base_url={small.url}/v1", "engine.timeout_seconds=900",
        "judge=local", f"judge.base_url={small.url}/v1", "judge.served_name=smollm2_135m",
        "judge.max_tokens=24", "judge.timeout_seconds=900",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "results/runs/judged"
    verdicts = lines(folder / "judgments.jsonl")
    assert sorted(v["turn"] for v in verdicts) == [0, 0, 1, 1]
    assert all(v["judge"] == "smollm2_135m" and v["completion_tokens"] for v in verdicts)
    found = json.loads((folder / "summary.json").read_text())["tasks"]["mt_bench"]["published"]
    assert found["n"] + found.get("unread", 0) == 4
    assert "4 of 4 verdicts" in done.stderr


# -- how it ends; last, as a shared server ends here, too --


def test_sigterm_in_mid_stream_ends_in_order(small):
    asked = {"model": "smollm2_135m", "messages": HELLO}
    the = small.post("/tokenize", {"prompt": " The", "add_special_tokens": False}).json()["tokens"]
    said = {**asked, "max_tokens": 4, "allowed_token_ids": the}
    assert small.post("/v1/chat/completions", said).status_code == 200
    living = children(small.process.pid)
    body = {**asked, "max_tokens": 4000, "ignore_eos": True, "stream": True}
    url = f"{small.url}/v1/chat/completions"
    with CLIENT.stream("POST", url, json=body, timeout=300) as response:
        events = response.iter_lines()
        for _ in range(8):
            next(events)
        small.process.send_signal(signal.SIGTERM)
        rest = [line for line in events if line]
    assert rest[-1] == "data: [DONE]", "the stream ends as a stream does"
    assert any('"finish_reason":"abort"' in line for line in rest), rest[-3:]
    assert small.process.wait(timeout=120) == 0
    wait_for_the_end(living)
    assert "Traceback" not in small.said
    first, second = logged(small)[-2:]
    assert first["conversation"] == HELLO and first["answers"] == [" The The The The"]
    assert second["status"] == 200 and second["completion_tokens"][0] < 4000


def test_sigterm_while_it_loads_ends_it(tiny, tmp_path):  # noqa: F811
    server = begin(tmp_path, *tiny)
    try:
        living = loading(server.process)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=120) == 130
        assert server.said.splitlines()[-1] == "ochat-eval serve: stopped while it was starting"
        wait_for_the_end(living)
    finally:
        stop(server)


def test_a_dead_engine_ends_the_server_with_a_code(server):
    living = children(server.process.pid)
    engine = next(pid for pid, name in living.items() if "Engine" in name)
    os.kill(engine, signal.SIGKILL)
    assert server.process.wait(timeout=120) == 1
    assert "engine died" in server.said.splitlines()[-1]
    wait_for_the_end(living)


def test_a_model_in_two_processes_whose_server_is_killed(tiny, tmp_path):  # noqa: F811
    server = launch(tmp_path, *tiny, "engine.tensor_parallel_size=2")
    try:
        assert chat(server).json()["usage"]["completion_tokens"] == 4
        living = children(server.process.pid)
        assert sum("Worker" in name for name in living.values()) == 2, living
        server.process.kill()
        server.process.wait()
        wait_for_the_end(living)
    finally:
        stop(server)
