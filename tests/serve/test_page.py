"""The chat page in a real Chromium, in front of the server with a tiny real model."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import lines
from tests.serve.serving import KEYS, THE, Server, Servers, tiny, tiny_server  # noqa: F401 (a fixture)

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(1800),
]

WAIT = 120_000
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script> **bold** `a<b`"


@pytest.fixture
def server(servers: Servers, tiny: list[str]) -> Server:  # noqa: F811
    return tiny_server(servers, tiny, KEYS[0])


@pytest.fixture
def page(server: Server, chromium: Any) -> Iterator[Any]:
    """The page, opened; fails on any error in it, or anything it asks of another address."""
    context = chromium.new_context()
    opened = context.new_page()
    opened.set_default_timeout(WAIT)
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
    opened.on("request", lambda r: r.url.startswith(server.url) or faults.append(r.url))
    opened.goto(server.url)
    opened.wait_for_function("() => document.title !== 'Chat'")
    yield opened
    context.close()
    assert faults == []


def ask(page, text: str, tokens: int | None = 6) -> None:
    page.fill("#max-tokens", "" if tokens is None else str(tokens))
    page.focus("#text")
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def chats(server: Server) -> list[dict]:
    """The log's entries of chats."""
    log = server.folder / "log.jsonl"
    entries = lines(log) if log.exists() and log.stat().st_size else []
    return [entry for entry in entries if entry["path"] == "/v1/chat/completions"]


def entry_of(page, server: Server, number: int) -> dict:
    """The entry of a chat; it is written a moment after the page has the answer."""
    until = time.monotonic() + 120
    while len(chats(server)) < number and time.monotonic() < until:
        page.wait_for_timeout(100)
    return chats(server)[number - 1]


def say_the(route) -> None:
    """Lets the model say nothing but `The`: what random weights say may be invisible."""
    body = {**route.request.post_data_json, "allowed_token_ids": [THE]}
    route.continue_(post_data=json.dumps(body))


def test_a_conversation_by_keyboard_only(page, server):
    assert page.evaluate("document.activeElement.id") == "key", "the key is asked for first"
    page.keyboard.type(KEYS[0])
    page.route("**/v1/chat/completions", say_the)
    before = len(chats(server))
    page.select_option("#condition", "Math Correct")
    page.fill("#max-tokens", "6")
    page.focus("#text")
    page.keyboard.type("One")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("and two")
    page.keyboard.press("Enter")
    page.wait_for_selector(".assistant .foot")
    assert page.inner_text(".user .body") == "One\nand two"
    assert page.evaluate("document.activeElement.id") == "text"
    with page.expect_request("**/v1/chat/completions") as sent:
        ask(page, "Again")
    page.wait_for_selector(".assistant:nth-of-type(4) .foot")
    entry = entry_of(page, server, before + 2)
    assert entry["condition"] == "Math Correct" and entry["stream"] is True
    asked = sent.value.post_data_json["messages"]
    assert [m["role"] for m in asked] == ["user", "assistant", "user"]
    assert asked[0]["content"] == "One\nand two"
    shown = page.evaluate("conversation.map((m) => m.content)")
    assert shown[1] == asked[1]["content"]
    assert shown[3] == "The The The The The The"
    page.click("text=New chat")
    assert page.query_selector(".message") is None
    assert page.evaluate("localStorage.length") == 0


def test_stop_and_a_wrong_key(page, server):
    before = len(chats(server))
    page.fill("#key", "wrong")
    ask(page, "Hello")
    page.wait_for_selector(".assistant .error")
    assert "401: a valid API key is needed" in page.inner_text(".assistant .error")
    assert page.input_value("#text") == "Hello", "what failed can be sent again"
    page.fill("#key", KEYS[0])
    page.fill("#text", "")
    ask(page, "Hello", tokens=15_000)
    until = time.monotonic() + 120  # what a model of random weights writes may be invisible
    while server.running() != 1 and time.monotonic() < until:
        page.wait_for_timeout(100)
    page.keyboard.press("Escape")
    page.wait_for_selector("text=stopped")
    page.wait_for_selector("#send", state="visible")
    entry = entry_of(page, server, before + 2)
    assert entry["completion_tokens"][0] < 15_000
    assert entry["disconnected"] is True


def test_without_streaming_and_with_a_hostile_answer(page):
    page.fill("#key", KEYS[0])
    page.uncheck("#stream")
    body = {"choices": [{"message": {"content": HOSTILE}, "finish_reason": "stop"}]}
    page.route("**/v1/chat/completions", lambda route: route.fulfill(json=body))
    ask(page, HOSTILE)
    page.wait_for_selector(".assistant .foot")
    assert page.inner_text(".user .body") == HOSTILE
    shown = page.inner_text(".assistant .body")
    assert shown == "<img src=x onerror=alert(1)><script>alert(2)</script> bold a<b"
    assert page.query_selector("#talk img, #talk script") is None
    assert page.inner_text(".assistant strong") == "bold"


def test_an_answer_is_copied_as_it_was_written(page):
    page.uncheck("#stream")
    body = {"choices": [{"message": {"content": HOSTILE}, "finish_reason": "stop"}]}
    page.route("**/v1/chat/completions", lambda route: route.fulfill(json=body))
    ask(page, "Hello")
    page.focus("text=Copy")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Copied")
    page.focus("#text")
    page.keyboard.press("Control+v")
    assert page.input_value("#text") == HOSTILE


CASES = [
    ("# A\ntext\nmore", "<h2>A</h2><p>text<br>more</p>"),
    ("- a\n- **b**", "<ul><li>a</li><li><strong>b</strong></li></ul>"),
    (
        "1. a\n   - b\n\t- c\n2. d",
        '<ol start="1"><li>a<ul><li>b</li><li>c</li></ul></li><li>d</li></ol>',
    ),
    ("  - a\n- b\n1. c", '<ul><li>a</li></ul><ul><li>b</li></ul><ol start="1"><li>c</li></ol>'),
    ("**a `b` c**", "<p><strong>a <code>b</code> c</strong></p>"),
    ("- <img src=x onerror=alert(1)>", "<ul><li>&lt;img src=x onerror=alert(1)&gt;</li></ul>"),
    ("```<script>\n</pre><b>\n```", "<pre><code>&lt;/pre&gt;&lt;b&gt;\n</code></pre>"),
    ("3. c\n4. d", '<ol start="3"><li>c</li><li>d</li></ol>'),
    ("```py\na < b\n*x*\n```\nz", "<pre><code>a &lt; b\n*x*\n</code></pre><p>z</p>"),
    ("```\nopen", "<pre><code>open\n</code></pre>"),
    ("2 * 3 * 4, a*b", "<p>2 * 3 * 4, a*b</p>"),
    ("<b>x</b> [l](javascript:1)", "<p>&lt;b&gt;x&lt;/b&gt; [l](javascript:1)</p>"),
]


def test_markdown_becomes_elements_and_never_markup(page):
    for text, html in CASES:
        script = "(t) => { const d = element('div', ...blocks(t)); return d.innerHTML; }"
        assert page.evaluate(script, text) == html


def test_lists_in_lists_have_an_end(page):
    depth = """() => {
      const text = [...Array(2000).keys()].map((i) => " ".repeat(2 * i) + "- a").join("\\n");
      let [at] = blocks(text), n = 0;
      for (; at; at = at.querySelector("ul, ol")) n++;
      return n;
    }"""
    assert page.evaluate(depth) < 20


def test_a_long_answer_is_not_drawn_anew_for_each_of_its_pieces(page):
    page.fill("#key", KEYS[0])
    piece = {"choices": [{"index": 0, "delta": {"content": "x = 1\n"}, "finish_reason": None}]}
    last_piece = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    events = [*[piece] * 4000, last_piece]
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    page.route(
        "**/v1/chat/completions",
        lambda route: route.fulfill(body=body, content_type="text/event-stream"),
    )
    page.evaluate("() => { const b = blocks; n = 0; blocks = (text) => { n++; return b(text); } }")
    ask(page, "Go on")
    page.wait_for_selector(".assistant .foot")
    assert page.inner_text(".assistant .body").count("x = 1") == 4000
    assert page.evaluate("n") < 1000


@pytest.mark.parametrize("stream", [True, False])
def test_a_thought_is_folded_away_and_not_sent_back(page, stream):
    page.fill("#key", "page-key")
    page.set_checked("#stream", stream)
    parts = [{"reasoning_content": "<b>2</b>"}, {"reasoning_content": " and 2"}, {"content": "4"}]
    choices = [{"index": 0, "delta": part, "finish_reason": None} for part in parts]
    events = [*choices, {"index": 0, "delta": {}, "finish_reason": "stop"}]
    body = "".join(f"data: {json.dumps({'choices': [one]})}\n\n" for one in events)
    message = {"content": "4", "reasoning_content": "<b>2</b> and 2"}
    whole = {"choices": [{"message": message, "finish_reason": "stop"}]}
    page.route(
        "**/v1/chat/completions",
        lambda route: (
            route.fulfill(body=body + "data: [DONE]\n\n", content_type="text/event-stream")
            if stream
            else route.fulfill(json=whole)
        ),
    )
    ask(page, "2 + 2?")
    page.wait_for_selector(".assistant .foot")
    assert page.inner_text(".assistant .body") == "4"
    assert not page.is_visible(".assistant .thought div"), "folded"
    page.click(".assistant .thought summary")
    assert page.inner_text(".assistant .thought div") == "<b>2</b> and 2"
    assert page.query_selector(".thought b") is None
    assert page.evaluate("conversation.map((m) => m.content)") == ["2 + 2?", "4"]


def test_a_server_that_is_gone_is_said_so(page):
    page.route("**/v1/chat/completions", lambda route: route.abort())
    ask(page, "Hello")
    page.wait_for_selector(".assistant .error")
    assert "the server does not answer" in page.inner_text(".assistant .error")
    assert page.input_value("#text") == "Hello"


@pytest.mark.parametrize(("width", "scheme"), [(1100, "light"), (390, "dark")])
def test_it_fits_wide_and_narrow(page, width: int, scheme: str, tmp_path: Path):
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.is_visible("#send") and page.is_visible("#text")
