"""A few runs for the board, made once."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from ochat_eval.board.board import Board
from ochat_eval.board.server import gated
from ochat_eval.run import store
from tests.board.shelves import running
from tests.conftest import door
from tests.replays import REPLAY, sample_answers, write

HOSTILE = "</script><img src=x onerror='window.pwned=1'> \u202e {{7*7}}"


FORMULAS = (
    r"It costs $3 and $8. So $\frac{84}{7}=12$ and \[x^2\] but $\href{javascript:alert(1)}{y}$ and "
    r"$\def\a{\a\a}\a$ \(\frac\) \(\rule{9999em}{9999em}\) שלום 你好. The answer is 120"
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`one` and `two`, done, at steps 1 and 2; `live`, which this process holds at 5 of 12 answers; `stopped` at as
    many; `failed`; `damaged`; a link to a run; a file."""
    folder = tmp_path_factory.mktemp("board")
    for step, name, changed in (
        (1, "one", {}),
        (2, "two", {"i2": f"The answer is 8. {HOSTILE}", "i3": "Hm. \ud800", "i6": FORMULAS}),
    ):
        write(
            folder / "a.jsonl", *({**a, "completion_tokens": 5} for a in sample_answers(**changed))
        )
        done = door(*REPLAY[:-1], f"run={name}", f"step={step}", folder=folder)
        assert done.returncode == 0, done.stderr
    root = folder / "results/runs"
    one = root / "one"
    with running(one, "stopped", 5), running(one, "failed", 5):
        pass
    manifest = store.read_json(root / "failed" / store.MANIFEST)
    manifest["times"] = [{"stage": "start", "seconds": 1, "failed": f"no GPU is free {HOSTILE}"}]
    store.write_json(root / "failed" / store.MANIFEST, manifest)
    (root / "damaged").mkdir()
    (root / "damaged" / store.MANIFEST).write_text('{"items": [')
    (root / "link").symlink_to(one, target_is_directory=True)
    (root / "file").write_text("")
    with running(one, "live", 5):
        yield root


def answers(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / store.RESPONSES).open()]


@contextlib.contextmanager
def served(root: Path, *keys: str, port: int = 0) -> Iterator[str]:
    """The board of a folder; yields its address."""
    sock = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(gated(Board(root), "127.0.0.1", list(keys)), log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def board(runs: Path) -> Iterator[str]:
    with served(runs) as address:
        yield address


@pytest.fixture
def opened(visited, board):
    """Opens a part of the board, as `visited` does."""
    return lambda part="", home=board, **options: visited(home + part, home, **options)
