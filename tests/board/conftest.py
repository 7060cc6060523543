"""A few runs for the board, made once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

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
