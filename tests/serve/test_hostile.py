"""Clients that mean no good, and the server with a real engine: odd grammars, floods."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import httpx
import pytest

from tests.serve.serving import KEYS, Server, Servers, tiny, tiny_server  # noqa: F401 (a fixture)

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1800)]

CHAT, MODEL = "/v1/chat/completions", "openchat_3.5"
BAD, *GOOD = KEYS[2:]
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def server(servers: Servers, tiny: list[str]) -> Server:  # noqa: F811
    return tiny_server(servers, tiny, BAD)


def body(**fields: object) -> dict:
    return {"model": MODEL, "messages": HELLO, "max_tokens": 6, "temperature": 0, **fields}


RULES = "\n".join(f"r{i} ::= r{i + 1}" for i in range(600))
GRAMMARS = [
    "root ::= root",
    'root ::= ""',
    "root ::= missing",
    "root ::= [",
    "%%%",
    "",
    " \n",
    f"root ::= r0\n{RULES}\nr600 ::= root",
    'root ::= ("" | root)*',
    'root ::= (("a"*)*)*',
    "start: start",
    "?start: /(/",
    'root ::= "\x00"',
    'root ::= "<|end_of_turn|>"',
    "root ::= [^\\x00-\\U0010ffff]",
    "root ::= [\\uffff]",
]
REGEXES = ["(", "[", "\\", "*", "a{5,1}", "(?=a)b", "(a+)+b", "(?P<x>a)\\1", "\x00", "", "[^\\s\\S]",
           "(.*)" * 60, "a{1,16000}", "$^", "\\p{L}", "(?i)a", "|" * 5000]  # fmt: skip
SCHEMAS = [
    {"$ref": "#"},
    {"$ref": "#/nowhere"},
    {"$ref": "https://127.0.0.1/x"},
    {"type": "nope"},
    {"type": 5},
    {"enum": []},
    {"enum": 7},
    {"anyOf": []},
    {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
    {"allOf": [{"type": "string"}, {"type": "number"}]},
    {"type": "string", "pattern": "("},
    {"type": "string", "pattern": 3},
    {"type": "string", "minLength": 9, "maxLength": 1},
    {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
    {"type": "integer", "minimum": 5, "maximum": 1},
    {"type": "integer", "minimum": -(10**300)},
    {"type": "number", "multipleOf": 0},
    {"type": "object", "minProperties": -1},
    {"type": "object", "required": ["a"], "additionalProperties": False},
    {"properties": {"a": 1}},
    {"type": "array", "minItems": 16000},
]
ODD: list[dict] = [
    *({"structured_outputs": {"grammar": one}} for one in GRAMMARS),
    *({"structured_outputs": {"regex": one}} for one in REGEXES),
    *({"structured_outputs": {"json": one}} for one in [*SCHEMAS, "{", "", "[1", "5"]),
    *(
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": one}}}
        for one in SCHEMAS
    ),
    {"response_format": {"type": "json_schema"}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
    {"response_format": {"type": "json_object"}},
    {"response_format": {"type": "nope"}},
    {"response_format": 3},
    {"response_format": {"type": "structural_tag", "format": {}}},
    {"response_format": {"type": "structural_tag", "structures": [{}], "triggers": []}},
    {"structured_outputs": {}},
    {"structured_outputs": 7},
    {"structured_outputs": {"choice": []}},
    {"structured_outputs": {"choice": [""]}},
    {"structured_outputs": {"choice": ['"', "\\", "\n", "\x00"]}},
    {"structured_outputs": {"json_object": False}},
    {"structured_outputs": {"structural_tag": "{}"}},
    {"structured_outputs": {"structural_tag": "{"}},
    {"structured_outputs": {"regex": "a", "json": {}}},
    {"structured_outputs": {"regex": "a", "whitespace_pattern": "("}},
    {"structured_outputs": {"regex": "a"}, "stop_token_ids": [97], "ignore_eos": True},
    {"structured_outputs": {"regex": "a"}, "allowed_token_ids": [5]},
    {"structured_outputs": {"regex": "a"}, "logit_bias": {"32000": 100}},
    {"structured_outputs": {"regex": "a"}, "min_tokens": 5},
    *(
        {name: 7}
        for name in (
            "stream_options",
            "tools",
            "tool_choice",
            "documents",
            "stop",
            "model",
            "logit_bias",
            "chat_template_kwargs",
            "messages",
            "prompt",
        )
    ),
    *({name: "x"} for name in ("stream_options", "tools", "logprobs", "top_logprobs", "seed")),
    {"messages": [7]},
    {"messages": [{"role": "user", "content": [[]]}]},
    {"tools": [7]},
    {"logit_bias": {"x": 1}},
    {"seed": 10**30},
    {"temperature": "nan"},
]


def test_odd_grammars_are_a_400_and_leave_the_engine_alive(server):
    alive = server.post(CHAT, body()).json()["choices"]
    assert alive
    found: list[tuple[int, str, str]] = []
    for odd in ODD:
        for path, asked in ((CHAT, body(**odd)), ("/v1/completions", raw(odd))):
            answer = server.post(path, asked)
            found.append((answer.status_code, str(odd)[:100], answer.text[:200]))
    for odd in ODD:
        answer = server.post(CHAT, body(stream=True, **odd))
        inside = 500 if '"code":500' in answer.text.replace(" ", "") else answer.status_code
        found.append((inside, str(odd)[:100], answer.text[:200]))
    wrong = [one for one in found if one[0] not in (200, 400)]
    assert not wrong, wrong
    assert sum(status == 400 for status, *_ in found) > 100
    assert server.process.poll() is None
    assert server.post(CHAT, body()).json()["choices"] == alive


def raw(odd: dict) -> dict:
    return {"model": MODEL, "prompt": "Hello", "max_tokens": 6, **odd}


def test_64_clients_finish_while_one_misbehaves(server):
    """It asks for all that it can get: 400 requests at once of 16 answers without end."""

    async def flood(client: httpx.AsyncClient, said: Counter) -> None:
        asked = body(n=16, ignore_eos=True, max_tokens=15_000, temperature=1)
        headers = {"Authorization": f"Bearer {BAD}"}
        answer = await client.post(CHAT, json=asked, headers=headers)
        said[answer.status_code] += 1

    async def ask(client: httpx.AsyncClient, key: str) -> tuple[int, float]:
        begun = time.monotonic()
        headers = {"Authorization": f"Bearer {key}"}
        asked = body(ignore_eos=True, max_tokens=20)
        answer = await client.post(CHAT, json=asked, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()["usage"]["completion_tokens"], time.monotonic() - begun

    async def play() -> None:
        said: Counter = Counter()
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=server.url, timeout=900, limits=limits) as client:
            headers = {"Authorization": f"Bearer {BAD}"}
            worst = await client.post(CHAT, json=body(n=16384, ignore_eos=True), headers=headers)
            assert worst.status_code == 400 and "max_choices" in worst.text
            bad = [asyncio.create_task(flood(client, said)) for _ in range(400)]
            while not said[429] or server_running(await client.get("/metrics")) < 48:
                assert set(said) <= {429}, said
                await asyncio.sleep(0.2)
            answers = await asyncio.gather(*(ask(client, key) for key in GOOD))
            assert [tokens for tokens, _ in answers] == [20] * 64
            print("slowest:", max(seconds for _, seconds in answers), "refused:", said[429])
            assert set(said) == {429}, (
                "the misbehaving client's answers take longer than all others"
            )
            assert 50 <= said[429] <= 400 - 256
            for task in bad:
                task.cancel()
            await asyncio.gather(*bad, return_exceptions=True)

    asyncio.run(play())
    until = time.monotonic() + 120
    while (answer := server.post(CHAT, body())).status_code != 200 or server.running():
        assert time.monotonic() < until, answer.text
        time.sleep(0.2)


def server_running(metrics: httpx.Response) -> int:
    lines = metrics.text.splitlines()
    [line] = [x for x in lines if x.startswith("vllm:num_requests_running{")]
    return int(float(line.rsplit(" ", 1)[1]))
