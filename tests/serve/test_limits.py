"""What one request may ask for, who may ask, and under which name."""

from __future__ import annotations

import asyncio
import json

import pytest

from ochat_eval.serve.refusal import Refused
from tests.conftest import lines
from tests.scaling import check_linear
from tests.serve.gate import CHAT, Engine, client, gate, limits

MESSAGES = [{"role": "user", "content": "Hello"}]


def refusal(body: object, **caps: object) -> Refused | None:
    raw = body if isinstance(body, bytes) else json.dumps({"messages": MESSAGES, **body}).encode()
    try:
        limits(**caps).choices(raw)
    except Refused as refused:
        return refused
    return None


def schema(depth: int) -> dict:
    inner: dict = {"type": "string"}
    for _ in range(depth):
        inner = {"type": "array", "items": inner}
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": inner}}


@pytest.mark.parametrize(
    ("body", "field", "option"),
    [
        ({"n": 17}, "n", "at most 16 (max_choices)"),
        ({"n": 16384, "ignore_eos": True}, "n", "max_choices"),
        ({"n": "16384"}, "n", "must be a whole number"),
        ({"n": 17.0}, "n", "must be a whole number"),
        ({"n": True}, "n", "must be a whole number"),
        ({"n": 10**400}, "n", "max_choices"),
        ({"best_of": 64}, "best_of", "not supported"),
        ({"prompt": ["a"] * 9, "n": 2}, "prompt", "18 answers (n times the prompts)"),
        ({"prompt": [[1, 2]] * 17}, "prompt", "max_choices"),
        ({"prompt_embeds": ["a"] * 17}, "prompt", "max_choices"),
        ({"max_tokens": "9999999"}, "max_tokens", "must be a whole number"),
        ({"stop": ["a"] * 17}, "stop", "17 entries; at most 16 (max_stops)"),
        ({"stop": "a" * 201}, "stop", "at most 200 (max_stop_length)"),
        ({"stop": ["b", "a" * 201]}, "stop", "max_stop_length"),
        ({"stop_token_ids": [1] * 17}, "stop_token_ids", "max_stops"),
        ({"bad_words": ["a"] * 17}, "bad_words", "max_stops"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "at most 20 (max_logprobs)"),
        ({"logprobs": 21}, "logprobs", "max_logprobs"),
        ({"prompt_logprobs": -1}, "prompt_logprobs", "at least 0"),
        ({"guided_json": {}}, "guided_json", "structured_outputs is"),
        ({"guided_regex": "a"}, "guided_regex", "structured_outputs is"),
        ({"response_format": schema(32)}, "response_format", "at most 32 (max_grammar_depth)"),
        ({"response_format": schema(480)}, "response_format", "max_grammar_depth"),
        ({"structured_outputs": {"regex": "(" * 40}}, "structured_outputs", "max_grammar_depth"),
        ({"structured_outputs": {"json": "[" * 40}}, "structured_outputs", "max_grammar_depth"),
        ({"structured_outputs": {"grammar": "a" * 16385}}, "structured_outputs", "max_grammar_len"),
        ({"structured_outputs": {"choice": ["a"] * 16385}}, "structured_outputs", "max_grammar_l"),
        ({"structured_outputs": {"regex": "((a{99}){99}){99}"}}, "structured_outputs", "repeats"),
        ({"structured_outputs": {"regex": "a{1,99999}"}}, "structured_outputs", "repeats counted"),
        ({"structured_outputs": {"regex": "(.*)" * 300}}, "structured_outputs", "max_grammar_l"),
        ({"structured_outputs": {"json": {"maxItems": 10**9}}}, "structured_outputs", "repeats"),
        ({"structured_outputs": {"json": {"maxLength": 1e308}}}, "structured_outputs", "repeats"),
        ({"structured_outputs": {"json": {"x": [[]] * 20000}}}, "structured_outputs", "max_gram"),
        ({"structured_outputs": 7}, "structured_outputs", "must be an object"),
        ({"response_format": [1]}, "response_format", "must be an object"),
        (b"[1]", None, "must be a JSON object"),
        (b"{", None, "cannot be read as JSON"),
        (b'{"stop": "\\ud800"}', None, "cannot be read as JSON"),
        (b'{"n": ' + b"1" * 5000 + b"}", None, "cannot be read as JSON"),
        (b'{"x": ' + b"[" * 100_000, None, "cannot be read as JSON"),
        (b'{"n": 1, "n": 17}', "n", "max_choices"),
    ],
)
def test_beyond_a_cap_is_a_400_that_names_field_and_cap(body, field, option):
    refused = refusal(body)
    assert refused is not None and refused.status == 400
    assert option in str(refused) and "\n" not in str(refused) and len(str(refused)) < 500
    error = json.loads(refused.response().body)["error"]
    assert error["param"] == field and error["code"] == 400 and error["message"] == str(refused)


@pytest.mark.parametrize(
    "body",
    [
        {"n": 16, "stop": ["a" * 200] * 16, "top_logprobs": 20, "logprobs": True},
        {"n": None, "best_of": None, "stop": None, "max_tokens": None, "response_format": None},
        {"n": 2, "best_of": 2},
        {"prompt": list(range(5000))},
        {"prompt": ["a"] * 16},
        {"response_format": schema(10)},
        {"response_format": {"type": "json_object"}},
        {"structured_outputs": {"regex": r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2})?\(\{"}},
        {"structured_outputs": {"regex": "[a-z]+@[a-z]+[.](com|org)"}},
        {"structured_outputs": {"json": {"type": "string", "maxLength": 10_000}}},
        {"structured_outputs": {"grammar": 'root ::= "(" root ")" | "x"'}},
        {"messages": [{"role": "user", "content": "\N{GRINNING FACE} " * 20}]},
        b"",
    ],
)
def test_what_is_within_the_caps_passes(body):
    assert refusal(body) is None


def test_tokens_of_all_answers_have_a_cap():
    cap = {"max_new_tokens": 1000, "context": 500}
    assert refusal({"max_tokens": 500, "n": 2}, **cap) is None
    said = refusal({"max_tokens": 501, "n": 2}, **cap)
    assert said.field == "max_tokens" and "at most 500 for each of 2 answers" in str(said)
    assert "1000 tokens (max_new_tokens)" in str(said)
    assert refusal({"max_completion_tokens": 501, "n": 2}, **cap)
    assert refusal({"max_tokens": 1, "max_completion_tokens": 501, "n": 2}, **cap)
    assert refusal({"n": 2}, **cap) is None, "each may fill the context"
    assert "it must be named, at most 333" in str(refusal({"n": 3}, **cap))
    raw = json.dumps({"prompt": ["a"] * 16}).encode()
    assert limits(**cap).choices(raw) == 16, "16 tokens for each where none are named"


def test_the_worst_grammar_costs_no_time_to_refuse():
    for unit in ("(", "a{", "(a{9999})"):
        assert refusal({"structured_outputs": {"regex": unit * 200_000}})
        check_linear(lambda text: refusal({"structured_outputs": {"regex": text}}), unit)
    assert refusal({"structured_outputs": {"regex": ["("] * 500_000}})


# -- who asks, and under which name --


def status(app, path: str = "/", **headers: str):
    async def ask():
        async with client(app) as c:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return await c.post(path, json={}, headers=named)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("127.0.0.1:18888", 200),
        ("localhost", 200),
        ("LOCALHOST:80", 200),
        ("[::1]:18888", 200),
        ("127.5.5.5", 200),
        ("box.lan", 200),
        ("configured.example:1", 200),
        ("evil.example", 421),
        ("evil.example:18888", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("10.0.0.1", 421),
        ("localhost@evil.example", 421),
        ("", 421),
        ("[::1", 200),
        ("box.lan.", 421),
    ],
)
def test_a_name_that_is_not_ours_is_refused_without_keys(host, wanted):
    app = gate(Engine(held=False), hosts=["configured.example", "box.lan"])
    answer = status(app, CHAT, Host=host)
    assert answer.status_code == wanted
    if wanted == 421:
        assert "hosts=[NAME]" in answer.json()["error"]["message"]


def test_with_keys_any_name_will_do():
    app = gate(Engine(held=False), keys=["k"])
    assert status(app, CHAT, Host="evil.example", Authorization="Bearer k").status_code == 200


@pytest.mark.parametrize(
    ("proxies", "forwarded", "wanted"),
    [
        ([], "6.6.6.6", "127.0.0.1"),
        (["10.0.0.0/8"], "6.6.6.6", "127.0.0.1"),
        (["127.0.0.1"], "6.6.6.6", "6.6.6.6"),
        (["127.0.0.1"], "1.1.1.1, 6.6.6.6", "6.6.6.6"),
        (["127.0.0.1", "10.0.0.0/8"], "1.1.1.1, 6.6.6.6, 10.1.2.3", "6.6.6.6"),
        (["127.0.0.1"], "6.6.6.6, unknown", "127.0.0.1"),
        (["127.0.0.1"], "\x1b[31m", "127.0.0.1"),
        (["127.0.0.1"], "", "127.0.0.1"),
        (["127.0.0.1", "::/0"], "2001:db8::1, ::1", "2001:db8::1"),
    ],
)
def test_who_asks_is_believed_from_named_proxies_only(tmp_path, proxies, forwarded, wanted):
    app = gate(Engine(held=False), proxies=proxies, log=tmp_path / "log")
    assert status(app, CHAT, X_Forwarded_For=forwarded).status_code == 200
    assert lines(tmp_path / "log")[-1]["client"] == wanted
