"""Remakes every picture of the guide (`make pictures`): no model, no network; needs Chromium.

    report.png         the report of a run: made-up answers to the sample items, replayed
    board.png          the board over that run and made-up copies of it, one of them running
    series.png         the page of a series of checkpoints: made-up answers, replayed
    chat.png           the chat page, before a stub that says what the small model once said
    architecture.svg   the rooms of the code, and what imports what, read from the code

`python docs/pictures.py architecture` makes only those that are named.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grimp
import series_example
import uvicorn
from PIL import Image
from playwright.sync_api import sync_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from ochat_eval.board.board import Board
from ochat_eval.board.server import gated
from ochat_eval.model.model import Model
from ochat_eval.serve.chat_page import page_routes

DOCS = Path(__file__).resolve().parent
CHECKOUT = DOCS.parent

# --- the report ---------------------------------------------------------------------------------

TASKS = "mmlu,gsm8k,bbh_mc,bbh_cot,agieval,truthfulqa,humaneval,math"
WAYS: tuple[Callable[[str], str], ...] = (
    "The answer is {}.".format,
    "So the answer is {}".format,
    "Answer: {}".format,
    lambda _: "I cannot tell.",
    "Let us see. It must be {0}, so the answer is {0}.".format,
    lambda _: "",
    "**{}**".format,
)
"""How the made-up answers are worded, in turn; `{}` is the right one."""


def _answers(item: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    """Made-up answers to an item: right, worded otherwise, wrong, cut off, empty."""
    text = WAYS[number % len(WAYS)](*item["target"][:1] or ["7"])
    if item["task"] == "humaneval":
        lines = (CHECKOUT / "tasks/samples/humaneval.jsonl").read_text("utf-8").splitlines()
        problem = json.loads(lines[item["index"]])
        name = ("python", "Python", "py", "")[item["index"] % 4]
        text = f"```{name}\n{problem['prompt']}{problem['canonical_solution']}```"
    for turn in range(len(item["turns"])):
        cut = number % 11 == 4
        yield {
            "id": item["id"],
            "turn": turn,
            "text": f"Step by step. {text[: len(text) // 2] if cut else text}" if text else "",
            "finish_reason": "length" if cut else "stop",
            "prompt_tokens": sum(map(len, item["turns"])) // 4,
            "completion_tokens": 5 + (number * 37) % 90,
        }


@contextlib.contextmanager
def _example() -> Iterator[Path]:
    """A replayed run over the sample items; yields its folder."""
    with tempfile.TemporaryDirectory() as folder:

        def evaluate(*options: str) -> None:
            command = [sys.executable, "-m", "ochat_eval", f"task={TASKS}", "data=sample"]
            more = ["model=hf", "model.path=example", "engine=replay", "engine.path=answers.jsonl"]
            more.append("model.published=OpenChat-3.5-0106")
            env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
            done = subprocess.run(
                [*command, *more, *options], cwd=folder, env=env, text=True, check=False,
                capture_output=True,
            )  # fmt: skip
            if done.returncode:
                sys.exit(done.stderr)

        answers, run = Path(folder, "answers.jsonl"), Path(folder, "results/runs/example")
        answers.touch()
        evaluate("stage=plan", "run=plan")
        items = [json.loads(x) for x in (run.parent / "plan/items.jsonl").open(encoding="utf-8")]
        made = (one for number, item in enumerate(items) for one in _answers(item, number))
        answers.write_text("".join(json.dumps(one) + "\n" for one in made), "utf-8")
        evaluate("run=example")
        shutil.rmtree(run.parent / "plan")
        yield run


def report(browser: Any) -> None:
    """The report of the example."""
    with _example() as run:
        page = browser.new_page(viewport={"width": 1100, "height": 820})
        page.goto((run / "report.html").as_uri())
        page.wait_for_selector("table")
        page.wait_for_timeout(500)
        _keep(page.screenshot(), "report.png")
        page.close()


# --- the board ----------------------------------------------------------------------------------


def board(browser: Any) -> None:
    """The board over the example, copies of it, and one that runs."""
    sys.path.insert(0, str(CHECKOUT))
    from tests.board.shelves import copies, running  # noqa: PLC0415 (a script of the tests)

    with _example() as run:
        copies(run, [f"sweep-{n}" for n in range(1, 9)])
        app = gated(Board(run.parent), "127.0.0.1", [])
        with running(run, "now", 20), _served(app) as address:
            page = browser.new_page(viewport={"width": 1280, "height": 760})
            page.goto(address)
            page.wait_for_selector("table.runs")
            for name in ("sweep-3", "sweep-5"):
                page.check(f"[aria-label='choose {name}']")
            page.wait_for_timeout(300)
            _keep(page.screenshot(), "board.png")
            page.close()


# --- a series -----------------------------------------------------------------------------------


def series(browser: Any) -> None:
    """The page of a made-up series."""
    with tempfile.TemporaryDirectory() as folder:
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto(series_example.make(Path(folder)).as_uri())
        page.wait_for_selector("html[data-ready]")
        _keep(page.screenshot(), "series.png")
        page.close()


# --- the chat page ------------------------------------------------------------------------------

TALK = (
    (
        "Give me two tips for writing good tests.",
        "1. **Test-Driven Development (TDD)**: Writing tests before writing the code is a great "
        "practice. It helps ensure that your code is not only functional but also maintainable and "
        "reusable.\n\n"
        "2. **Test-First**: Writing tests before writing the code is a great practice. It helps "
        "ensure that your code is not only functional but also maintainable and reusable. This "
        'approach is often referred to as "todays" or "tomorrows" in the Agile community.',
    ),
    (
        "Write a Python function that returns the larger of two numbers.",
        "```python\ndef larger_of_two(num1, num2):\n    return max(num1, num2)\n```\n\n"
        "This function uses the built-in `max` function to find the larger of two numbers. If you "
        "want to implement it manually without using the built-in function, you can use a for "
        "loop:\n\n"
        "```python\ndef larger_of_two(num1, num2):\n    return max(num1, max(num2))\n```",
    ),
)
"""What SmolLM2-135M-Instruct answered at temperature 0, mistakes and all."""


@contextlib.contextmanager
def _stub() -> Iterator[str]:
    """The chat page's files in front of recorded answers; yields the address."""
    said = dict(TALK)

    async def chat(request: Request) -> StreamingResponse:
        asked = (await request.json())["messages"][-1]["content"]

        async def events() -> AsyncIterator[str]:
            for word in said[asked].split(" "):
                delta = {"choices": [{"index": 0, "delta": {"content": word + " "}}]}
                yield f"data: {json.dumps(delta)}\n\n"
                await asyncio.sleep(0)
            end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
            yield f"data: {json.dumps(end)}\n\ndata: [DONE]\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    model = Model(path="", name="smollm2_135m")
    routes = [*page_routes(model, False), Route("/v1/chat/completions", chat, methods=["POST"])]
    with _served(Starlette(routes=routes)) as address:
        yield address


@contextlib.contextmanager
def _served(app: Any) -> Iterator[str]:
    """An application on some port of this machine; yields its address."""
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", 0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def chat(browser: Any) -> None:
    """The chat page after two questions."""
    with _stub() as address:
        page = browser.new_page(viewport={"width": 900, "height": 760})
        page.goto(address)
        page.wait_for_function("() => document.title !== 'Chat'")
        page.fill("#temperature", "0")
        page.fill("#max-tokens", "300")
        for number, (asked, _) in enumerate(TALK, 1):
            page.fill("#text", asked)
            page.keyboard.press("Enter")
            page.wait_for_function(
                "n => document.querySelectorAll('.assistant .foot').length === n", arg=number
            )
        page.wait_for_timeout(300)
        _keep(page.screenshot(), "chat.png")
        page.close()


def _keep(shot: bytes, name: str) -> None:
    """Writes a screenshot with as many colours as it needs, and no more bytes."""
    image = Image.open(io.BytesIO(shot)).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(DOCS / name, optimize=True)


# --- the rooms ----------------------------------------------------------------------------------

ROW, TOP, NAME, BAR, ARCS, WIDTH = 34, 58, 14, 132, 420, 860
INK, SOFT, GROUND, BACK = "#1d2129", "#6b7280", "#d3d7dd", "#ffffff"


def _layers() -> list[list[str]]:
    """The layers that import-linter checks, from the top down; rooms beside each other in one."""
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))
    [contract] = [c for c in settings["tool"]["importlinter"]["contracts"] if c["type"] == "layers"]
    return [[one.strip() for one in layer.split("|")] for layer in contract["layers"]]


def _size(module: str) -> tuple[int, int]:
    """A room's files and lines."""
    path = CHECKOUT / module.replace(".", "/")
    known = (".py", ".js", ".css", ".html")
    files = [f for f in path.rglob("*") if f.suffix in known] or [path.with_suffix(".py")]
    return len(files), sum(len(f.read_text("utf-8").splitlines()) for f in files)


def _arrows(rooms: list[str]) -> Counter[tuple[str, str]]:
    """Who imports whom, and how many times."""
    graph = grimp.build_graph("ochat_eval", cache_dir=None)

    def room(module: str) -> str | None:
        return next((r for r in rooms if module == r or module.startswith(f"{r}.")), None)

    found: Counter[tuple[str, str]] = Counter()
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            one, two = room(module), room(other)
            if one and two and one != two:
                found[one, two] += 1
    return found


def architecture() -> None:
    """The rooms with their sizes and the arrows between them."""
    layers = _layers()
    rooms = [room for layer in layers for room in layer]
    at = {room: TOP + ROW * n + ROW // 2 for n, room in enumerate(rooms)}
    arrows = _arrows(rooms)
    sizes = {room: _size(room) for room in rooms}
    most = max(lines for _, lines in sizes.values())
    height = TOP + ROW * len(rooms) + 46
    drawn: list[str] = []

    def text(x: float, y: float, words: str, colour: str = INK, more: str = "") -> None:
        drawn.append(f'<text x="{x:g}" y="{y:g}" fill="{colour}" {more}>{words}</text>')

    text(NAME, 24, "The rooms of ochat_eval", more='font-weight="600" font-size="17"')
    text(NAME, 44, "an arrow: the room imports from the one it points at; thicker: more imports; "
         "grey: from the two rooms on the ground", SOFT, 'font-size="12.5"')  # fmt: skip
    for layer in layers:
        if len(layer) > 1:
            y = at[layer[0]] - ROW / 2 + 2
            drawn.append(
                f'<rect x="{NAME - 8}" y="{y:g}" width="{ARCS - NAME + 6}" '
                f'height="{ROW * len(layer) - 4}" rx="6" fill="none" stroke="{SOFT}" '
                'stroke-dasharray="3 3"/>'
            )
    for room in rooms:
        files, lines = sizes[room]
        y = at[room]
        wide = 150 * lines / most
        text(NAME, y + 5, room.removeprefix("ochat_eval."), more='font-weight="600"')
        drawn.append(
            f'<rect x="{BAR}" y="{y - 9}" width="{wide:.0f}" height="18" rx="2" fill="#9db8dd"/>'
        )
        word = "file" if files == 1 else "files"
        text(BAR + wide + 7, y + 4.5, f"{lines:,} lines, {files} {word}", SOFT, 'font-size="11.5"')
    hues = {room: round(360 * n / (len(rooms) - 2)) for n, room in enumerate(rooms)}
    reach = WIDTH - ARCS - 26
    for (one, two), many in sorted(
        arrows.items(), key=lambda a: (a[0][1] not in rooms[-2:], at[a[0][0]] - at[a[0][1]])
    ):
        y1, y2 = at[one] + 4, at[two] - 4
        x = ARCS + 8 + reach * 4 / 3 * (y2 - y1) / (ROW * (len(rooms) - 1))
        colour = GROUND if two in rooms[-2:] else f"hsl({hues[one]} 60% 42%)"
        drawn.append(
            f'<path d="M{ARCS} {y1:g}C{x:.0f} {y1:g} {x:.0f} {y2:g} {ARCS + 7} {y2:g}" fill="none" '
            f'stroke="{colour}" stroke-width="{min(0.7 + 0.22 * many, 3.2):.1f}" '
            f'stroke-opacity="0.75"><title>{one} → {two}: {many}</title></path>'
            f'<path d="M{ARCS} {y2:g}l8 -3.4v6.8z" fill="{colour}"/>'
        )
    upward = sum(at[two] < at[one] for one, two in arrows)
    files, lines = map(sum, zip(*sizes.values(), strict=True))
    below = (
        f"{lines:,} lines in {files} files; {len(arrows)} arrows, {upward} of them upwards. "
        "Drawn from the code by docs/pictures.py."
    )
    text(NAME, height - 18, below, SOFT, 'font-size="12"')
    (DOCS / "architecture.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="system-ui, sans-serif" font-size="14">'
        f'<rect width="{WIDTH}" height="{height}" fill="{BACK}"/>\n'
        + "\n".join([*drawn, "</svg>\n"]),
        "utf-8",
    )


def main(names: list[str]) -> None:
    """Makes the pictures named, by default all."""
    names = names or ["architecture", "report", "board", "series", "chat"]
    if "architecture" in names:
        architecture()
    made = {"report": report, "board": board, "series": series, "chat": chat}
    shots = [made[name] for name in names if name != "architecture"]
    if not shots:
        return
    path = shutil.which("chromium")
    if path is None:
        sys.exit("needs Chromium (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for shot in shots:
            shot(browser)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
