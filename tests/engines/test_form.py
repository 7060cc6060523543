"""Requests written down otherwise, by options and because a real server wants it so."""

from __future__ import annotations

import json
import math

import pytest

from ochat_eval.engines.address import ClientOptions
from ochat_eval.engines.client import Client, NoCompletion
from ochat_eval.engines.form import Asked, Form, complaint, folded
from ochat_eval.records import Message, Sampling, UserError
from tests import fault_server as fs
from tests.engines.asking import FINE, ask
from tests.fault_server import FaultServer

SAMPLED = Sampling(temperature=0.5, top_p=0.9, max_tokens=11, seed=3)
SECRET = "sk-of-the-environment-4711"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


# --- By options ------------------------------------------------------------------------------


def test_fields_by_other_names_fewer_and_more():
    with FaultServer() as server:
        ask(
            server, "a", sampling=SAMPLED,
            rename={"max_tokens": "max_completion_tokens"}, leave_out=["seed", "n"],
            extra_body={"top_k": 20, "temperature": 1, "chat": {"thinking": False}},
        )  # fmt: skip
        [(_, _, body)] = server.calls
    assert body == {
        "model": "m", "messages": [{"role": "user", "content": "a"}], "temperature": 1,
        "top_p": 0.9, "max_completion_tokens": 11, "top_k": 20, "chat": {"thinking": False},
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "ä 漢 😀", '\x00\x1b\x7f"\\/\n\u2028', "lone \ud800", "x" * 9999]
)
def test_what_is_written_is_the_body(text):
    messages = (Message("system", text), Message("user", text))
    form = Form(
        extra={"user": text, "bias": {"7": -100}, "far": math.inf}, fold_system=len(text) > 99
    )
    asked = Asked("m", messages, SAMPLED, {"condition": text})
    assert json.loads(form.written(asked)) == form.body(asked)


def test_headers_query_and_variables_of_the_environment(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", f" {SECRET}\n")
    with FaultServer() as server:
        ask(
            server, "a", extra_headers={"Authorization": "Basic $MY_TOKEN", "x-team": "a b"},
            extra_query={"api-version": "2024-10-21", "code": "$MY_TOKEN"},
            extra_body={"user": ["$MY_TOKEN", "costs 5 $"]},
        )  # fmt: skip
        [(_, headers, body)] = server.calls
        [path] = server.paths
    assert headers["authorization"] == f"Basic {SECRET}" and headers["x-team"] == "a b"
    assert path == f"/v1/chat/completions?api-version=2024-10-21&code={SECRET}"
    assert body["user"] == [SECRET, "costs 5 $"]


def test_an_address_of_azures_kind(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", SECRET)
    with FaultServer(models=False) as server:
        base = server.url.replace("/v1", "/openai")
        outcome = ask(
            server, "a", base_url=f"{base}/deployments/d", extra_headers={"api-key": "$MY_TOKEN"},
            extra_query={"api-version": "2024-10-21"}, leave_out=["n"],
        )  # fmt: skip
        [(_, headers, _)] = server.calls
        [path] = server.paths
    assert outcome == [FINE] and headers["api-key"] == SECRET and "authorization" not in headers
    assert path == "/openai/deployments/d/chat/completions?api-version=2024-10-21"


def test_what_the_openai_package_reads_from_the_environment_is_sent(monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Gate: {SECRET}")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "never-sent")
    refusal = fs.error(400, f"bad gate {SECRET}")
    with FaultServer({"odd": [refusal]}) as server:
        [refused] = ask(server, "odd")
        [(_, headers, _)] = server.calls
    assert (headers["openai-organization"], headers["x-gate"]) == ("org-1", SECRET)
    assert "authorization" not in headers and "never-sent" not in str(headers)
    assert refused == NoCompletion("HTTP 400: bad gate [key]", final=True)


def test_no_message_shows_an_extra_value(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", SECRET)
    echo = fs.slow(0.2, fs.error(400, f"Basic {SECRET}, literal-value, in-the-query, {SECRET}"))
    with FaultServer({"odd": [echo]}) as server:
        [refused] = ask(
            server, "odd", extra_headers={"x-a": "Basic $MY_TOKEN", "x-b": "literal-value"},
            extra_query={"q": "in-the-query"},
        )  # fmt: skip
    assert refused == NoCompletion("HTTP 400: [key], [key], [key], [key]", final=True)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"extra_headers": {"x": "$NOT_SET"}}, "extra_headers.x: the environment variable NOT_SET"),
        ({"extra_body": {"a": [{"b": "$NOT_SET"}]}}, "extra_body.a.b: the environment variable"),
        ({"extra_headers": {"a b": "secret"}}, "'a b' cannot be given as a header"),
        ({"extra_headers": {"Host": "secret"}}, "'Host' cannot be given as a header"),
        ({"extra_headers": {"x": "sec\nret"}}, "its value cannot stand in a header"),
        ({"extra_headers": {"x": {"y": "secret"}}}, "extra_headers must be names with texts"),
        ({"extra_query": {"x": ["secret"]}}, "extra_query must be names with texts"),
        ({"leave_out": ["messages"]}, "the field messages can neither"),
        ({"rename": {"model": "engine"}}, "the field model can neither"),
        ({"extra_body": {"model": "x"}}, "the field model can neither"),
        ({"wait_seconds": -1}, "engine.wait_seconds is -1"),
    ],
)
def test_options_that_cannot_work(options, complaint):
    with pytest.raises(UserError) as caught:
        Client(ClientOptions(base_url="http://a/v1", **options), "engine")
    assert complaint in str(caught.value) and "secret" not in str(caught.value)


def test_a_system_message_by_option():
    with FaultServer() as server:
        ask(server, "a", system="Be brief.", fold_system=True)
        [(_, _, body)] = server.calls
    assert body["messages"] == [{"role": "user", "content": "Be brief.\n\na"}]


def test_the_system_text_stands_before_the_first_user_message():
    s, u, a = (Message(role, role) for role in ("system", "user", "assistant"))
    assert folded([s, u, a, u]) == [Message("user", "system\n\nuser"), a, u]
    assert folded([s, a]) == [Message("user", "system"), a]
    assert folded([u, a]) == [u, a]


# --- Learnt from a refusal -------------------------------------------------------------------

OPENAI = "Unsupported parameter: 'max_tokens' is not supported with this model. Use {} instead."
DEFAULT = "Unsupported value: 'temperature' does not support 0.5 with this model. Only the default"
LOC = {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs"}]}


def by_loc(*names):
    """FastAPI's 422, which quotes the whole input."""

    def rule(body):
        there = [name for name in names if name in body]
        errors = [{"loc": ["body", n], "msg": "Extra inputs", "input": body} for n in there]
        return fs.sends(422, {"detail": errors}) if errors else None

    return rule


@pytest.mark.parametrize(
    ("rules", "tries", "learnt"),
    [
        (
            [fs.knows_no("max_tokens", OPENAI.format("'max_completion_tokens'"))],
            2, "{max_tokens: max_completion_tokens}",
        ),
        ([fs.knows_no("max_tokens", "use max_completion_tokens")], 2, "engine.rename="),
        ([fs.knows_no("max_tokens", "Try max_new_tokens")], 2, "{max_tokens: max_new_tokens}"),
        ([fs.knows_no("temperature", DEFAULT, param="temperature")], 2, "leave_out=[temperature]"),
        ([fs.wants("temperature", 1)], 2, "leave_out=[temperature]"),
        ([fs.knows_no("n", "`n` is not taken here")], 2, "leave_out=[n]"),
        ([by_loc("seed")], 2, "leave_out=[seed]"),
        ([by_loc("n", "seed", "top_p")], 2, "leave_out=[n, seed, top_p]"),
        ([fs.knows_no("seed", "[{'loc': ('body', 'seed'), 'input': 3}]")], 2, "leave_out=[seed]"),
        (
            [fs.knows_no("top_p", "temperature and top_p cannot both be given")],
            2, "leave_out=[top_p]",
        ),
        (
            [
                fs.knows_no("max_tokens", "use max_completion_tokens"),
                fs.wants("temperature", 1),
                fs.knows_no("top_p"),
            ],
            4, "leave_out=[temperature, top_p]",
        ),
    ],
)  # fmt: skip
def test_a_field_that_a_server_does_not_know_is_learnt_from_its_first_refusal(rules, tries, learnt):
    said: list[str] = []
    with FaultServer(default=fs.takes(*rules)) as server:
        prompts = ("a", "b", "c")
        assert ask(server, *prompts, sampling=SAMPLED, concurrency=1, say=said.append) == [FINE] * 3
        assert [len(server.asked(p)) for p in prompts] == [tries, 1, 1], "learnt once"
        assert all(set(body) >= {"model", "messages"} for _, _, body in server.calls)
    assert any(learnt in line for line in said) and len(said) <= 2
    assert all("the manifest says so" in line for line in said)


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("no system role here", 400),
        ("System role not supported", 400),
        ("Conversation roles must alternate user/assistant/user/assistant/...", 400),
        ("Developer instruction is not enabled for models/x", 400),
        ("Jinja Exception: System role not supported", 500),
    ],
)
def test_a_server_without_a_system_role(message, status):
    said: list[str] = []
    with FaultServer(default=fs.takes(fs.no_role("system", message, status))) as server:
        outcomes = ask(server, "a", "b", system="Be brief.", concurrency=1, say=said.append)
        assert outcomes == [FINE, FINE] and len(server.calls) == 3
        assert server.calls[-1][2]["messages"] == [{"role": "user", "content": "Be brief.\n\nb"}]
    assert ["engine.fold_system=true" in line for line in said] == [True]


@pytest.mark.parametrize(
    ("status", "message", "calls"),
    [
        # What has nothing to do with a field is not asked in another way.
        (400, "This model's maximum context length is 8 tokens", 1),
        (400, "'max_tokens' or 'max_completion_tokens' is too large: 11", 1),
        (403, "temperature", 1),
        (413, "temperature", 1),
        # What seems to has: once in the other way, and the first reason stays.
        (400, "You may not ask about temperature", 2),
    ],
)
def test_a_refusal_that_teaches_nothing_stays_and_changes_no_other_request(status, message, calls):
    said: list[str] = []
    with FaultServer({"odd": [fs.error(status, message)]}) as server:
        fine, refused, more = (
            ask(server, "first", "odd", "more", sampling=SAMPLED, concurrency=1, say=said.append)
            if calls == 1
            else (FINE, *ask(server, "odd", sampling=SAMPLED, say=said.append), FINE)
        )
        assert (fine, more) == (FINE, FINE)
        assert refused == NoCompletion(f"HTTP {status}: {message}", final=True)
        assert len(server.asked("odd")) == calls
    assert not said


def test_a_field_that_was_answered_before_is_not_what_is_refused_now():
    said: list[str] = []
    refusal = fs.error(400, "I do not talk about temperature, seed, top_p or n")
    with FaultServer({"odd": [refusal]}) as server:
        _, refused = ask(server, "a", "odd", sampling=SAMPLED, concurrency=1, say=said.append)
        assert isinstance(refused, NoCompletion) and len(server.asked("odd")) == 1 and not said


def test_what_a_person_asked_for_by_hand_is_not_dropped():
    with FaultServer(default=fs.takes(fs.knows_no("top_k"))) as server:
        [refused] = ask(server, "a", extra_body={"top_k": 5, "temperature": 0.1})
        assert isinstance(refused, NoCompletion) and len(server.calls) == 1


@pytest.mark.parametrize(
    ("content", "text", "named"),
    [
        ({"error": {"message": "m", "param": "seed"}}, "m", {"seed"}),
        ({"error": {"message": "m", "param": None}}, "m", set()),
        (LOC, json.dumps(LOC), {"seed"}),
        ("plain", "plain", set()),
        ([[["a"]]], '[[["a"]]]', set()),
    ],
)
def test_where_a_refusal_names_its_fields(content, text, named):
    raw = content if isinstance(content, str) else json.dumps(content)
    assert complaint(raw.encode()) == (text, named)


def test_hostile_refusals_are_read():
    form, asked = Form(), Asked("m", [Message("user", "a")], SAMPLED)
    for content in (b"[" * 100_000, b'{"param": 1, "loc": []}', b"\xff", b"", b"n" * 1_000_000):
        form.after(400, content, asked, set())


def test_what_others_have_learnt_meanwhile_helps_a_request_that_is_refused_late():
    rules = (fs.knows_no("max_tokens", "use max_completion_tokens"), fs.wants("temperature", 1))
    late = [fs.slow(1.0, fs.takes(*rules)), fs.takes(*rules)]
    with FaultServer(script={"late": late}, default=fs.takes(*rules)) as server:
        found = ask(server, "at once", "late", sampling=Sampling(max_tokens=9))
        assert found == [FINE, FINE]
        assert len(server.calls) == 3 + 2, "the late one is asked at once as the other was answered"
