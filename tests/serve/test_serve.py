"""The server without an engine: options and keys, messages, cleaned streams, the gate, the log."""

import json
import re
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from ochat_eval.model.model import Model
from ochat_eval.records import Message, UserError
from ochat_eval.serve.clean import (
    StreamCleaner,
    condition_of,
    to_messages,
    without_empty_tools,
)
from ochat_eval.serve.command import serve
from ochat_eval.serve.log import RequestLog, begin, note
from ochat_eval.serve.options import KEYS_VARIABLE, is_local, keys, load

# -- options and keys --


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("dtype=float32", "dtype: there is no such option; did you mean engine.dtype?"),
        ("prot=80", "prot: there is no such option; did you mean port?"),
        ("port=0", "port=0: a port is 1 to 65535"),
        ("port=x", "port=x: "),
        ("max_body_bytes=0", "max_body_bytes=0: it must be at least 1"),
        ("max_choices=0", "max_choices=0: it must be at least 1"),
        ("read_timeout_seconds=inf", "read_timeout_seconds=inf: it must be"),
        ("hosts=[https://a.example]", "'https://a.example' is no name"),
        ("hosts=['a.example:80']", "'a.example:80' is no name"),
        ("proxies=[proxy.lan]", "'proxy.lan' is no address"),
        ("engine.max_logprobs=50", "engine.max_logprobs: not here; it is set by max_logprobs"),
        ("log_backups=0", "log_backups=0: "),
        ("cors=[example.com]", "'example.com' is no origin"),
        ("cors=[https://a.example/]", "'https://a.example/' is no origin"),
        ("model=openchat", "model=openchat: there is no such model; did you mean"),
        ("engine.tensor_paralel_size=2", "did you mean tensor_parallel_size?"),
        ("engine.tensor_parallel_size=x", "it must be a whole number of at least 1"),
        ("engine.tensor_parallel_size=100000", "engine.tensor_parallel_size=100000 needs 100,000"),
        ("engine.uvicorn_log_level=info", "engine.uvicorn_log_level: not here"),
        ("engine.allow_credentials=true", "engine.allow_credentials: not here"),
        ("engine.api_key=[x]", "engine.api_key: not here; it is set by api_keys"),
        ("api_keys_file=/nowhere", "api_keys_file=/nowhere: cannot be read"),
        ("log_file=/proc/no/log", "log_file=/proc/no/log: it cannot be written"),
        ("model.path=/nowhere model=hf", "there is no such folder"),
        ("serve", "'serve' is no option"),
    ],
)
def test_a_mistake_is_one_line(capsys, option, line):
    assert serve(option.split()) == 2
    said = capsys.readouterr().err
    assert line in said and said.count("\n") == 1


@pytest.mark.slow
def test_an_address_that_is_taken_is_one_line(capsys):
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        assert serve([f"port={port}"]) == 2
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err.splitlines()[-1]


def test_help_names_every_model_and_option(capsys):
    assert serve(["--help"]) == 0
    said = capsys.readouterr().out
    for word in ("openchat_3.5_0106", "smollm2_135m", "api_keys_file", "log_messages", "engine."):
        assert word in said


def test_keys_come_from_options_file_and_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    monkeypatch.delenv(KEYS_VARIABLE, raising=False)
    assert keys(load([])) == []
    file = tmp_path / "keys"
    file.write_text("b\n\n  c \n")
    monkeypatch.setenv(KEYS_VARIABLE, "d e")
    assert keys(load(["api_keys=[a]", f"api_keys_file={file}"])) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("option", "variable", "complaint"),
    [
        ("api_keys_file=empty", None, "there is no key in it"),
        ("port=1", "  ", "set but empty"),
        ("api_keys=['a b ']", None, "printable ASCII"),
        ("api_keys=['sécret']", None, "printable ASCII"),
        ("api_keys=['']", None, "printable ASCII"),
    ],
)
def test_keys_that_cannot_work_are_refused_and_not_shown(
    tmp_path, monkeypatch, option, variable, complaint
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").write_text("\n")
    if variable is not None:
        monkeypatch.setenv(KEYS_VARIABLE, variable)
    with pytest.raises(UserError, match=complaint) as refused:
        keys(load([option]))
    assert "cret" not in str(refused.value)


@pytest.mark.parametrize("option", ["api_keys=[secret", "api_keys=secret", "+api_keys={secret:1}"])
def test_keys_that_cannot_be_read_are_not_shown(capsys, option):
    assert serve([option]) == 2
    said = capsys.readouterr().err
    assert "write api_keys=[KEY,KEY]" in said and said.count("\n") == 1
    assert "secret" not in said


def test_vllms_own_key_variable_is_not_passed_over(monkeypatch):
    monkeypatch.setenv("VLLM_API_KEY", "topsecret")
    with pytest.raises(UserError, match=f"set {KEYS_VARIABLE}") as refused:
        keys(load([]))
    assert "topsecret" not in str(refused.value)


def test_which_addresses_are_local():
    assert all(is_local(host) for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"))
    assert not any(is_local(host) for host in ("0.0.0.0", "::", "10.0.0.1", "example.com"))


# -- messages and streams --


def test_messages_are_text_and_nothing_else():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    given = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None, "tool_calls": [], "refusal": None},
    ]
    assert to_messages(given) == [
        Message("system", "s"),
        Message("user", "a\nb"),
        Message("assistant", ""),
    ]
    thought = {"role": "assistant", "content": "4", "reasoning": "r", "reasoning_content": "r"}
    assert to_messages([thought]) == [Message("assistant", "4")], "a later turn has the answer only"
    for bad in (
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]},
        {"role": "user", "content": "x", "name": "Ann"},
        {"role": "user", "content": "x", "reasoning": "r"},
    ):
        with pytest.raises(ValueError, match="not supported"):
            to_messages([bad])


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("developer:a user:b", "system:a user:b"),
        ("system:a developer:b user:c", "system:a|b user:c"),
        ("user:a user:b assistant:c user:d user:e", "user:a|b assistant:c user:d|e"),
        ("user: user:b", "user:b"),
        ("user:a assistant:b assistant:c", "user:a assistant:b assistant:c"),
    ],
)
def test_messages_of_one_role_are_one_and_a_developers_are_the_systems(given, taken):
    messages = [dict(zip(("role", "content"), m.split(":"), strict=True)) for m in given.split()]
    told = [f"{m.role}:{m.content.replace(chr(10) * 2, '|')}" for m in to_messages(messages)]
    assert " ".join(told) == taken


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({"tools": []}, {}),
        ({"tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "n": 1}, {"n": 1}),
        ({"tools": [], "tool_choice": "required"}, None),
        ({"tools": [{"type": "function"}]}, None),
        ({"messages": [{"content": 'say "tools"'}]}, None),
        ({"n": 1}, None),
    ],
)
def test_an_empty_list_of_tools_is_none(fields, left):
    body = json.dumps(fields).encode()
    given = without_empty_tools(body)
    assert given == body if left is None else json.loads(given) == left


def test_a_condition_is_a_text_and_spelt_so():
    assert condition_of(None) is None and condition_of({"condition": None, "store": True}) is None
    assert condition_of({"condition": "Math Correct"}) == "Math Correct"
    for extra in ({"condition": 3}, {"condition": ["a"]}, {"conditon": "a"}, {"Condition": "a"}):
        with pytest.raises(ValueError, match="condition"):
            condition_of(extra)


PIECES = st.lists(st.text(" \n\tab▁", max_size=4), max_size=12)


@given(pieces=PIECES)
@pytest.mark.parametrize(
    "clean", [str.strip, lambda t: t.removeprefix(" "), str], ids=["strip", "first blank", "none"]
)
def test_pieces_cleaned_are_the_whole_cleaned(clean, pieces):
    cleaner = StreamCleaner(clean)
    assert "".join([cleaner.feed(piece) for piece in pieces]) == clean("".join(pieces))


def test_a_piece_is_not_held_back_longer_than_it_must():
    cleaner = StreamCleaner(lambda text: text.removeprefix(" "))
    assert [cleaner.feed(p) for p in (" ", "The", " ", "end", " ")] == ["", "The", " ", "end", " "]


# -- the gate, before vLLM's own routes --


def application(tmp_path, *options: str):
    """vLLM's application without an engine, guarded as `serve` does, and all its routes before."""
    from ochat_eval.engines.vllm_build import import_vllm
    from ochat_eval.serve import server

    import_vllm("the test")
    chosen = load([*options, f"log_file={tmp_path / 'log'}"])
    from vllm.entrypoints.launchers.app import build_app

    args = server._arguments(chosen, chosen.model)
    args.model = "none"
    app = build_app(args, ("generate",), None)
    app.state.log_stats = False
    before = list(app.routes)
    log = RequestLog(chosen.log_file, chosen.log_max_bytes, chosen.log_backups, chosen.log_messages)
    server.guard(app, chosen, keys(chosen), log, slots=256, context=chosen.model.context)
    return app, before


def client_of(app, **options: object) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1", **options)


@pytest.mark.slow
def test_every_route_is_open_by_name_or_asks_for_the_key(tmp_path):
    from ochat_eval.serve.server import KEPT, OPEN

    app, before = application(tmp_path, "api_keys=[right,other]")
    paths = {route.path for route in app.routes}
    assert paths == KEPT | OPEN
    assert {"/invocations", "/v1/responses", "/v1/completions"} <= {r.path for r in before}
    client = TestClient(app)
    asked = 0
    for route in [*before, *app.routes]:
        path = re.sub(r"\{.*?\}", "x", route.path)
        for method in (getattr(route, "methods", None) or {"GET"}) | {"POST", "GET", "OPTIONS"}:
            if path in OPEN:
                continue
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "right"}):
                answer = client.request(method, path, headers=headers)
                assert answer.status_code == 401, f"{method} {path} is open"
                asked += 1
    assert asked > 200
    for path in OPEN - {"/health"}:  # which asks the engine
        assert client.get(path).status_code == 200, path
    for dropped in ("/invocations", "/v1/responses", "/v1/messages"):
        answer = client.post(dropped, headers={"Authorization": "Bearer other"})
        assert answer.status_code == 404
    with pytest.raises(WebSocketDisconnect) as closed, client.websocket_connect("/v1/realtime"):
        pass
    assert closed.value.code == 1008


@pytest.mark.slow
def test_a_long_body_is_refused_announced_or_not(tmp_path):
    app, _ = application(tmp_path, "max_body_bytes=1000")
    client = client_of(app, raise_server_exceptions=False)
    long = b"x" * 1001
    assert client.post("/tokenize", content=long).status_code == 413
    assert client.post("/tokenize", content=iter([long[:600], long[600:]])).status_code == 413
    answer = client.post("/tokenize", content=b"x" * 1000)
    assert answer.status_code in (400, 415, 422), "vLLM reads it and finds no JSON"
    assert "max_body_bytes" in client.post("/tokenize", content=long).json()["error"]["message"]


@pytest.mark.slow
def test_pages_of_other_origins_only_where_they_are_named(tmp_path):
    asks = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    path = "/v1/chat/completions"
    allowed = client_of(application(tmp_path, "cors=[https://a.example]", "api_keys=[k]")[0])
    assert allowed.options(path, headers=asks).status_code == 200
    refused = allowed.post(path, headers=asks)
    assert refused.status_code == 401, "its page can read why"
    assert refused.headers["access-control-allow-origin"] == "https://a.example"
    other = {**asks, "Origin": "https://b.example"}
    assert allowed.options(path, headers=other).status_code == 400
    closed = client_of(application(tmp_path)[0])
    answer = closed.options(path, headers=asks)
    assert "access-control-allow-origin" not in answer.headers


def test_the_page_loads_nothing_and_runs_nothing_else(tmp_path):
    client = client_of(application(tmp_path)[0])
    for path in ("/", "/chat.js", "/chat.css", "/tokens.css", "/formulas.js"):
        answer = client.get(path)
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert "://" not in answer.text, "an address from elsewhere"
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", answer.text
        )
    facts = {"model": "smollm2_135m", "conditions": [], "condition": None, "needs_key": False}
    assert client.get("/chat.json").json() == facts


# -- the log --


def test_the_log_rotates_and_has_no_key_and_no_control_character(tmp_path):
    app, _ = application(tmp_path, "api_keys=[topsecret]", "log_max_bytes=2000", "log_backups=2")
    client = TestClient(app)
    for _ in range(60):
        client.get("/version", headers={"Authorization": "Bearer topsecret"})
        client.get("/v1/%1b%5b31m", headers={"Authorization": "Bearer nosecret"})
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["log", "log.1", "log.2"]
    for file in tmp_path.iterdir():
        text = file.read_text()
        assert len(text) <= 2000 and "secret" not in text and "\x1b" not in text
        for line in text.splitlines():
            entry = json.loads(line)
            assert (entry["path"], entry["status"]) in [("/version", 200), ("/v1/\x1b[31m", 401)]
            assert entry["client"] == "testclient" and entry["seconds"] >= 0
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, "others can read it"


def test_a_full_disk_is_said_once_and_requests_go_on(capsys):
    log = RequestLog("/dev/full", 2000, 1, texts=False)
    for _ in range(3):
        log.write({"path": "/"})
    said = capsys.readouterr().err
    assert said == "log_file=/dev/full: lines are lost ([Errno 28] No space left on device)\n"


def test_a_long_name_makes_no_long_line(tmp_path):
    log = RequestLog(str(tmp_path / "log"), 2000, 1, texts=False)
    log.write({"path": "/" * 10_000, "model": "m" * 10_000, "status": 404})
    assert len((tmp_path / "log").read_text()) < 600


def test_notes_go_into_the_entry_of_their_request():
    note(lost=1)
    entry = begin()
    note(model="m")
    assert entry == {"model": "m"}


def test_served_names_are_options_of_a_model():
    model: Model = load(["model=openchat_3.5_0106"]).model
    assert [model.name, *model.served_names] == ["openchat_3.5_0106", "openchat_3.5"]
