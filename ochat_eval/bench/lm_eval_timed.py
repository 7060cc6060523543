"""lm-eval as a process of its own, with the seconds that it spends in vLLM.

Run by the Python that has lm-eval: `python lm_eval_timed.py FILE ARGUMENT …`; the arguments are
lm-eval's, FILE gets `{"load": seconds, "generate": seconds}`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SECONDS = {"load": 0.0, "generate": 0.0}


def _timed(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    def timed(*arguments: Any, **more: Any) -> Any:
        begun = time.monotonic()
        try:
            return method(*arguments, **more)
        finally:
            _SECONDS[name] += time.monotonic() - begun

    return timed


def main() -> None:
    """Runs lm-eval's command line."""
    import vllm
    from lm_eval.__main__ import cli_evaluate

    vllm.LLM.__init__ = _timed("load", vllm.LLM.__init__)
    vllm.LLM.generate = _timed("generate", vllm.LLM.generate)
    file, sys.argv[1:] = Path(sys.argv[1]), sys.argv[2:]
    cli_evaluate()
    file.write_text(json.dumps(_SECONDS))


if __name__ == "__main__":
    main()
