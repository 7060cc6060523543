"""The guide's notebooks run, cell by cell, in a running event loop as in Jupyter."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import CHECKOUT, environment

NOTEBOOKS = sorted(CHECKOUT.glob("docs/notebooks/*.ipynb"))
KERNEL = """
import ast, asyncio, json, sys

shown = []

async def cells():
    space = {"__name__": "__main__"}
    for source in json.load(sys.stdin):
        tree = ast.parse(source)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "cell", "exec"), space)
        value = None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), space)
        kinds = ("_repr_html_", "_repr_markdown_", "__repr__")
        shown.append(next(getattr(value, kind)() for kind in kinds if hasattr(value, kind)))

asyncio.run(cells())
sys.stderr.write(json.dumps(shown))
"""
"""Runs code cells in one namespace, and says what a notebook would show of each last value."""


def cells(kind: str, notebook: dict[str, Any]) -> list[str]:
    return ["".join(one["source"]) for one in notebook["cells"] if one["cell_type"] == kind]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_its_cells_run(path, tmp_path):
    notebook = json.loads(path.read_text("utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({one["id"] for one in notebook["cells"]}) == len(notebook["cells"])
    assert all(not one.get("outputs") for one in notebook["cells"]), "kept without outputs"
    source = cells("code", notebook)
    done = subprocess.run(
        [sys.executable, "-c", KERNEL], input=json.dumps(source), cwd=tmp_path,
        env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "", "nothing is printed unless it is asked for"
    shown = json.loads(done.stderr)
    assert len(shown) == len(source)
    assert "| gsm8k" in shown[1] and "| robust" in shown[1]
    assert shown[-1].startswith("<iframe")


def test_there_are_notebooks():
    assert NOTEBOOKS
