"""The client against a real server that injects each fault."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from itertools import pairwise

import pytest

from ochat_eval.engines.address import ClientOptions
from ochat_eval.engines.answer import Completion
from ochat_eval.engines.client import Client, NoCompletion, retry_after
from ochat_eval.records import Message, Sampling, UserError
from tests import fault_server as fs
from tests.engines.asking import FINE, GREEDY, OPTIONS, ask
from tests.fault_server import FaultServer


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


PASSING = {
    "429": fs.error(429, "slow down"),
    "408": fs.error(408, "too slow"),
    "500": fs.error(500, "out of luck"),
    "503 without a body": fs.sends(503, b""),
    "reset before the headers": fs.reset_before_headers,
    "reset after the headers": fs.reset_after_headers,
    "closed": fs.closes,
    "no HTTP": fs.no_http,
    "garbage": fs.GARBAGE,
    "cut JSON": fs.CUT_JSON,
    "no choices": fs.NO_CHOICES,
    "no body": fs.NO_BODY,
    "a list": fs.sends(200, [1]),
    "deep JSON": fs.sends(200, b"[" * 100_000),
    "an error with status 200": fs.sends(200, {"error": {"message": "overloaded"}}),
    "endless": fs.endless,
}


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_costs_nothing_but_the_repetition(fault):
    with FaultServer({"odd": [PASSING[fault], PASSING[fault], fs.RIGHT]}) as server:
        assert ask(server, "odd", "even") == [FINE, FINE]
        assert (len(server.asked("odd")), len(server.asked("even"))) == (3, 1)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("500", "HTTP 500: out of luck (4 attempts)"),
        ("503 without a body", "HTTP 503 (4 attempts)"),
        ("reset before the headers", "connection lost: "),
        ("reset after the headers", "connection lost: "),
        ("closed", "connection lost: "),
        ("no HTTP", "connection lost: "),
        ("garbage", "no chat completion but <html>Bad gateway \ufffd</html> (4 attempts)"),
        ("cut JSON", "no chat completion but {"),
        ("no choices", 'no chat completion but {"choices": []} (4 attempts)'),
        ("no body", "no chat completion but nothing (4 attempts)"),
        ("an error with status 200", "no chat completion but overloaded (4 attempts)"),
        ("endless", "an answer of more than 16 MiB (4 attempts)"),
    ],
)
def test_a_fault_that_stays_is_one_failure_with_its_reason(fault, reason):
    with FaultServer({"odd": [PASSING[fault]]}) as server:
        failed, *others = ask(server, "odd", "even", "more")
        assert isinstance(failed, NoCompletion) and failed.reason.startswith(reason)
        assert "\n" not in failed.reason and len(failed.reason) < 400
        assert others == [FINE, FINE]
        assert len(server.asked("odd")) == 4


def test_a_server_that_hangs_is_left_after_the_time_limit_and_asked_again():
    with FaultServer({"odd": [fs.hangs, fs.RIGHT], "dead": [fs.hangs]}) as server:
        start = time.monotonic()
        outcomes = ask(server, "odd", "dead", "even", timeout_seconds=0.3, attempts=2)
        assert outcomes == [FINE, NoCompletion("no answer within 0.3 s (2 attempts)"), FINE]
        assert time.monotonic() - start >= 0.6


def test_a_slow_answer_within_the_limit_is_waited_for():
    with FaultServer(default=fs.slow(0.4, fs.RIGHT)) as server:
        assert ask(server, "odd", timeout_seconds=3, attempts=1) == [FINE]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "message"),
    [(400, "too\nlong"), (413, "too large"), (422, "no"), (403, "not you"), (501, "unheard of")],
)
def test_what_the_server_refuses_is_not_asked_again(status, message):
    script = {"odd": [fs.slow(0.3, fs.error(status, message))]}
    with FaultServer(script) as server:
        refused, fine = ask(server, "odd", "even")
        assert refused == NoCompletion(f"HTTP {status}: {' '.join(message.split())}", final=True)
        assert fine == FINE and len(server.asked("odd")) == 1


@pytest.mark.parametrize("status", [307, 401, 403, 404])
def test_a_wrong_key_name_or_address_at_the_first_request_stops_all(status):
    with FaultServer(default=fs.error(status, "no such thing")) as server:
        with pytest.raises(UserError, match=f"refuses: HTTP {status}: no such thing; check"):
            ask(server, "odd")


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, "revoked"), (402, "pay"), (429, {"code": "insufficient_quota", "message": "no quota"})],
)
def test_a_key_that_is_refused_in_mid_run_stops_all(status, error):
    script = {"odd": [fs.slow(0.3, fs.sends(status, {"error": error}))]}
    with FaultServer(script) as server:
        with pytest.raises(UserError, match=f"refuses: HTTP {status}: .*; check"):
            ask(server, "even", "odd")
        assert len(server.asked("odd")) == 1


def test_empty_cut_and_odd_answers_are_answers():
    script = {
        "empty": [fs.answer("")],
        "null": [fs.answer(None)],
        "cut": [fs.answer("The ans", "length")],
        "surrogate": [fs.answer("\ud83d")],
        "uncounted": [fs.sends(200, {**fs.completion("4"), "usage": None})],
    }
    with FaultServer(script) as server:
        assert ask(server, *script) == [
            Completion("", "stop", 7, 3),
            Completion("", "stop", 7, 3),
            Completion("The ans", "length", 7, 3),
            Completion("\ud83d", "stop", 7, 3),
            Completion("4", "stop", None, None),
        ]


@pytest.mark.slow
@pytest.mark.parametrize("header", ["1", "0.8"])
def test_retry_after_in_seconds_is_waited_for(header):
    script = {"odd": [fs.error(429, "busy", Retry_After=header), fs.RIGHT]}
    with FaultServer(script) as server:
        assert ask(server, "odd", "even") == [FINE, FINE]
        first, second = server.asked("odd")
        assert second - first >= float(header)


@pytest.mark.slow
def test_retry_after_as_a_date_is_waited_for():
    with FaultServer({"odd": [fs.busy_until(2), fs.RIGHT]}) as server:
        assert ask(server, "odd") == [FINE]
        first, second = server.asked("odd")
        assert second - first > 0.9, "the date has no fractions of a second"


def test_a_server_that_asks_to_wait_longer_than_the_limit_is_not_waited_for():
    with FaultServer({"odd": [fs.error(429, "quota", Retry_After="7200")]}) as server:
        assert ask(server, "odd") == [NoCompletion("HTTP 429: quota (1 attempt)")]


@pytest.mark.slow
@pytest.mark.parametrize("fault", [fs.error(429, "busy"), fs.error(503, "busy", Retry_After="0")])
def test_a_busy_server_is_waited_for_beyond_the_attempts_and_it_is_said_once(fault):
    said: list[str] = []
    with FaultServer({"odd": [fault] * 9 + [fs.RIGHT]}) as server:
        assert ask(server, "odd", "odd too", attempts=2, say=said.append) == [FINE, FINE]
        assert len(server.asked("odd")) == 20
    [line] = said
    assert "busy (HTTP" in line and "up to 5 s (engine.wait_seconds)" in line


def test_a_server_that_stays_busy_is_waited_for_up_to_the_limit():
    with FaultServer({"odd": [fs.error(429, "slow down")]}) as server:
        start = time.monotonic()
        [failed] = ask(server, "odd", wait_seconds=0.5)
        assert isinstance(failed, NoCompletion) and not failed.final
        assert re.fullmatch(r"HTTP 429: slow down \(\d+ attempts\)", failed.reason)
        assert time.monotonic() - start > 0.2, "the next wait would have gone beyond half a second"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None), ("7", 7.0), (" 0.5 ", 0.5), ("0", 0.0), ("", None), ("soon", None),
        ("-3", None), ("Sat, 01 Jan 2000 00:00:30 GMT", 30.0), ("1e400", None),
        ("Sat, 01 Jan 2000 00:00:30", 30.0),  # a date without a zone is GMT
        ("Fri, 31 Dec 1999 23:00:00 GMT", 0.0),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(value, seconds, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert retry_after(value, now=946684800.0) == seconds
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_waits_double_and_differ():
    with FaultServer(default=fs.error(500, "no")) as server:
        ask(server, *(f"p{i}." for i in range(20)), backoff_seconds=0.1)
        waits = [[b - a for a, b in pairwise(server.asked(f"p{i}."))] for i in range(20)]
    for nth, backoff in enumerate([0.1, 0.2, 0.4]):
        seen = [w[nth] for w in waits]
        assert min(seen) >= backoff / 2
        assert max(seen) < backoff + 0.3, "the machine may be busy, but not this busy"
        assert max(seen) - min(seen) > backoff / 10, "no two together"


@pytest.mark.slow
@pytest.mark.parametrize("concurrency", [1, 5])
def test_no_more_requests_in_flight_than_allowed_and_no_fewer(concurrency):
    with FaultServer(default=fs.slow(0.05, fs.RIGHT)) as server:
        assert ask(server, *(f"p{i}" for i in range(20)), concurrency=concurrency) == [FINE] * 20
        assert server.peak == concurrency


def test_a_server_that_died_is_given_up_quickly_and_one_that_came_back_is_used():
    """With two in flight, twelve requests of four attempts; all but the first two have one."""

    async def dies(connection, body):
        server.die()

    with FaultServer({"first": [fs.RIGHT]}, default=dies) as server:

        async def story():
            options = ClientOptions(base_url=server.url, **{**OPTIONS, "concurrency": 2})
            client = Client(options, "engine")
            await client.connect()

            async def one(prompt):
                return await client.complete("m", [Message("user", prompt)], GREEDY)

            assert await one("first") == FINE
            outcomes = await asyncio.gather(*(one(f"p{i}") for i in range(12)))
            await asyncio.to_thread(server.listen, server.port)
            server.default = fs.RIGHT
            after = await one("after")
            await client.aclose()
            return outcomes, after

        outcomes, after = asyncio.run(story())
    times = [o.reason.rsplit("(", 1)[1] for o in outcomes]
    assert times[:2] == ["4 attempts)"] * 2 and set(times[2:]) == {"1 attempt)"}
    assert after == FINE


def test_what_is_sent():
    sampled = Sampling(temperature=0.5, top_p=0.9, max_tokens=11, seed=3)
    with FaultServer() as server:
        ask(server, "a")
        ask(server, "b", sampling=sampled, fields={"condition": "Math Correct"})
        (_, headers, plain), (_, _, full) = server.calls
    assert plain == {
        "model": "m", "messages": [{"role": "user", "content": "a"}], "n": 1,
        "temperature": 0.0, "top_p": 1.0,
    }  # fmt: skip
    assert full == {
        "model": "m", "messages": [{"role": "user", "content": "b"}], "n": 1, "temperature": 0.5,
        "top_p": 0.9, "max_tokens": 11, "seed": 3, "condition": "Math Correct",
    }  # fmt: skip
    assert "authorization" not in headers


def test_the_key_comes_from_the_environment_and_is_in_no_message(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-default")
    monkeypatch.setenv("OTHER_KEY", " sk-other \n")
    bad = [fs.slow(0.3, fs.sends(400, b"bad: sk-default")), fs.echoes_the_key]
    with FaultServer({"odd": bad}) as server:
        refused, _ = ask(server, "odd", "even")
        assert refused == NoCompletion("HTTP 400: bad: [key]", final=True)
        ask(server, "even", api_key_env="OTHER_KEY")
        sent = [headers["authorization"] for _, headers, _ in server.calls]
        assert sent == ["Bearer sk-default"] * 2 + ["Bearer sk-other"]
        with pytest.raises(UserError) as caught:
            ask(server, "odd")
        assert "sk-default" not in str(caught.value) and "[key]" in str(caught.value)


def test_the_address_may_come_from_the_environment(monkeypatch):
    with FaultServer(models=False) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url + "/")
        assert ask(server, "a", base_url="") == [FINE]
        assert ask(server, "a", base_url="", default_url="http://127.0.0.1:9/v1") == [FINE]
        monkeypatch.delenv("OPENAI_BASE_URL")
        with pytest.raises(UserError, match="OPENAI_API_KEY is not set"):
            ask(server, "a", base_url="", default_url=server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-default")
        assert ask(server, "a", base_url="", default_url=server.url) == [FINE]


def test_nothing_at_the_address():
    with socket.socket() as bound:  # bound, and never listening
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(UserError, match=r"no server answers at http://127.*engine\.base_url"):
            ask(None, "a", base_url=f"http://127.0.0.1:{bound.getsockname()[1]}/v1")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"base_url": ""}, "engine.base_url is not set"),
        ({"base_url": "127.0.0.1:8000/v1"}, "engine.base_url=127.0.0.1:8000/v1 is no address"),
        ({"base_url": "ftp://a/v1"}, "is no address"),
        ({"base_url": "http://"}, "is no address"),
        ({"base_url": "http://[::1"}, "is no address"),
        ({"base_url": "http://a:99999"}, "is no address"),
        ({"base_url": "http://me:secret@a/v1"}, "has a password or a query in it"),
        ({"base_url": "http://a/v1?key=secret"}, "has a password or a query in it"),
        ({"default_url": "http://me:secret@a/v1"}, "engine.default_url has a password or"),
        ({"concurrency": 0}, "engine.concurrency is 0; it must be at least 1"),
        ({"attempts": 0}, "engine.attempts is 0; it must be at least 1"),
        ({"backoff_seconds": -1}, "engine.backoff_seconds is -1; it must be at least 0"),
        ({"timeout_seconds": 0}, "engine.timeout_seconds is 0; it must be over 0"),
        ({"api_key_env": "sk-secret"}, "engine.api_key_env is no name of an environment variable"),
        ({"api_key_env": "NOT_SET"}, "the environment variable NOT_SET is not set"),
    ],
)
def test_options_that_cannot_work(options, complaint):
    with pytest.raises(UserError) as caught:
        Client(ClientOptions(**{"base_url": "http://a/v1", **options}), "engine")
    assert complaint in str(caught.value) and "secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["sk-a\nsk-b", "clé"])
def test_what_cannot_be_a_key(monkeypatch, value):
    monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(UserError, match="OPENAI_API_KEY has no API key in it") as caught:
        Client(ClientOptions(base_url="http://a/v1"), "engine")
    assert value not in str(caught.value)


def test_a_proxy_of_the_environment_is_used(monkeypatch):
    with FaultServer() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv("NO_PROXY", "elsewhere")
        assert ask(proxy, "a", base_url="http://nowhere.invalid/v1") == [FINE]


def test_a_proxys_password_is_in_no_message(monkeypatch):
    """aiohttp's error for a proxy that refuses has the proxy's whole address."""
    with FaultServer() as proxy:
        address = proxy.url.removesuffix("/v1").replace("://", "://me:hush@")
        monkeypatch.setenv("https_proxy", address)
        monkeypatch.setenv("NO_PROXY", "elsewhere")
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(UserError, match="no server answers at https://nowhere") as caught:
            ask(proxy, "a", base_url="https://nowhere.invalid/v1")
    assert "hush" not in str(caught.value) and "http://127.0.0.1:" in str(caught.value)


# --- What a server says is not believed ----------------------------------------------------------


def counted(**usage: object) -> fs.Reply:
    return fs.sends(200, {**fs.completion("The answer is 4"), "usage": usage})


@pytest.mark.parametrize(
    "count", [True, False, -1, 1.5, "7", 2**53, 10**400, [], {}, float("inf")], ids=repr
)
def test_a_count_that_is_none_is_passed_over(count):
    with FaultServer({"a": [counted(prompt_tokens=7, completion_tokens=count)]}) as server:
        assert ask(server, "a") == [Completion("The answer is 4", "stop", 7, None)]
    with FaultServer({"a": [counted(prompt_tokens=count, completion_tokens=3)]}) as server:
        assert ask(server, "a") == [Completion("The answer is 4", "stop", None, 3)]


def test_a_packed_answer_is_unpacked_to_a_limit():
    import gzip
    import json

    plain = json.dumps(fs.completion("The answer is 4")).encode()
    bomb = gzip.compress(b" " * (64 << 20) + plain)
    assert len(bomb) < 100_000
    script = {
        "packed": [fs.sends(200, gzip.compress(plain), Content_Encoding="gzip")],
        "bomb": [fs.sends(200, bomb, Content_Encoding="gzip")],
        "odd": [fs.sends(200, plain, Content_Encoding="br")],
        "broken": [fs.sends(200, gzip.compress(plain)[:-5], Content_Encoding="gzip")],
        "refused": [fs.sends(429, gzip.compress(b"x" * (32 << 20)), Content_Encoding="gzip")],
    }
    with FaultServer(script) as server:
        packed, *others = ask(server, *script, attempts=1)
    assert packed == FINE
    why = [outcome.reason for outcome in others]
    assert "unpacks to more than 16,777,216 bytes" in why[0]
    assert "packed as 'br', which was not asked for" in why[1]
    assert "its end is missing" in why[2]
    assert "unpacks to more than" in why[3]
