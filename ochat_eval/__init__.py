"""ochat_eval: a benchmark harness that rebuilds the OpenChat-3.5 model-card tables."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ochat_eval.api.callback import EvaluationCallback
    from ochat_eval.api.comparison import Comparison, compare, gate
    from ochat_eval.api.evaluate import evaluate, use
    from ochat_eval.api.run import Run, load, runs
    from ochat_eval.engines.answer import Completion
    from ochat_eval.engines.live import Function, Server
    from ochat_eval.engines.live_vllm import LiveVllm
    from ochat_eval.engines.weights import Weights
    from ochat_eval.records import UserError

__version__ = "0.1.0"

__all__ = [
    "Comparison", "Completion", "EvaluationCallback", "Function", "LiveVllm", "Run", "Server",
    "UserError", "Weights", "compare", "evaluate", "gate", "load", "runs", "use",
]  # fmt: skip

_WHERE = {
    "Comparison": "ochat_eval.api.comparison",
    "Completion": "ochat_eval.engines.answer",
    "EvaluationCallback": "ochat_eval.api.callback",
    "Function": "ochat_eval.engines.live",
    "LiveVllm": "ochat_eval.engines.live_vllm",
    "Run": "ochat_eval.api.run",
    "Server": "ochat_eval.engines.live",
    "UserError": "ochat_eval.records",
    "Weights": "ochat_eval.engines.weights",
    "compare": "ochat_eval.api.comparison",
    "evaluate": "ochat_eval.api.evaluate",
    "gate": "ochat_eval.api.comparison",
    "load": "ochat_eval.api.run",
    "runs": "ochat_eval.api.run",
    "use": "ochat_eval.api.evaluate",
}
"""Where the names of the Python API are; imported when they are used, so that the door is quick."""

# In a checkout the packages ochat_eval.tasks, .conf, .results and .docs lie beside this folder
# (pyproject.toml: package-dir); in an installed wheel they lie in it.
_CHECKOUT = Path(__file__).resolve().parent.parent
if (_CHECKOUT / "pyproject.toml").is_file():
    __path__.append(str(_CHECKOUT))


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
