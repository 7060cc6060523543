"""The chat page with answers that no browser can lay out as one, in a real Chromium."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette

from ochat_eval.serve.chat_page import page_routes
from ochat_eval.serve.options import load
from tests.serve.serving import free_port

MARKS = "e" + "\u0301" * 200_000
LONG = "word x = **1**. " * 655_360  # 10 MB
RESPONSIVE = 3000
"""Milliseconds that the page may hear nothing; a shared machine's, not a limit to be proud of."""

LONGEST_SILENCE = """() => {
  window.silence = 0;
  let last = performance.now();
  setInterval(() => {
    const now = performance.now();
    window.silence = Math.max(window.silence, now - last);
    last = now;
  }, 20);
}"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The page without an engine: its answers are the test's."""
    port = free_port()
    app = Starlette(routes=page_routes(load([]).model, needs_key=False))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def page(address: str, chromium: Any) -> Iterator[Any]:
    context = chromium.new_context()
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.goto(address)
    opened.wait_for_function("() => document.title !== 'Chat'")
    opened.evaluate(LONGEST_SILENCE)
    yield opened
    context.close()
    assert faults == []


def answer(page, text: str, stream: bool) -> None:
    """Asks, and gives the answer."""
    if stream:
        size = max(len(text) // 50, 1)
        parts = [text[i : i + size] for i in range(0, len(text), size)]
        events = [{"choices": [{"delta": {"content": p}, "finish_reason": None}]} for p in parts]
        events.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        body = "".join(f"data: {json.dumps(e)}\n\n" for e in events) + "data: [DONE]\n\n"
        kind = "text/event-stream"
    else:
        page.uncheck("#stream")
        body = json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})
        kind = "application/json"
    page.route("**/v1/chat/completions", lambda r: r.fulfill(body=body, content_type=kind))
    page.fill("#text", "Go on")
    page.press("#text", "Enter")
    page.wait_for_selector(".assistant .foot")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("text", [MARKS, LONG], ids=["marks", "10 MB"])
def test_a_long_answer_is_cut_and_the_page_hears(page, text, stream):
    answer(page, text, stream)
    shown = page.locator(".assistant .body")
    assert shown.evaluate("(body) => body.textContent.length") < 11_000
    assert f"Show all {len(text):,} characters" in page.inner_text(".assistant .gap button")
    page.fill("#text", "heard")
    assert page.input_value("#text") == "heard"
    page.click(".assistant .gap button")
    page.wait_for_selector(".assistant .piece")
    assert shown.evaluate("(body) => body.textContent") == text, "the whole, as it was written"
    page.evaluate("document.getElementById('talk').scrollTop = 1e9")
    page.wait_for_timeout(300)
    assert page.evaluate("window.silence") < RESPONSIVE
    assert page.evaluate("conversation.at(-1).content.length") == len(text), "asked with the whole"


def test_an_answer_of_common_length_is_whole_and_markdown(page):
    text = "**bold** word\n\n" * 3000
    answer(page, text, stream=False)
    assert page.locator(".assistant .gap").count() == 0
    assert page.locator(".assistant strong").count() == 3000


def test_a_long_question_is_cut_too(page):
    page.route(
        "**/v1/chat/completions",
        lambda r: r.fulfill(
            json={"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}
        ),
    )
    page.uncheck("#stream")
    page.fill("#text", "question \N{GRINNING FACE}" * 7_000)
    page.press("#text", "Enter")
    page.wait_for_selector(".assistant .foot")
    assert page.locator(".user .gap").count() == 1
    page.click(".user .gap button")
    whole = page.locator(".user .body").evaluate("(body) => body.textContent")
    assert whole == "question \N{GRINNING FACE}" * 7_000
