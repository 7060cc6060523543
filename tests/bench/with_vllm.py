"""What the bench measures with vLLM, in one process, which so imports it once."""

from __future__ import annotations

import os

from ochat_eval.bench import gpu_check, prefix, tail
from ochat_eval.bench.costs import Table


def tables() -> tuple[list[Table], Table, Table]:
    """Those of `gpu-check`, `prefix` and `tail`, as small as they can be, of sample data."""
    os.environ.pop("OCHAT_EVAL_DATA", None)
    prefix.in_new_process = lambda function, *given: function(*given)  # a new one for each engine
    checked = [table() for table in gpu_check.gpu_check(1, requests=4)]
    tail.in_new_process = prefix.in_new_process
    ordered = prefix.prefix(1, requests=1, more=["max_tokens=2"])
    # Last: where vLLM has guessed ahead, it cannot be loaded again in the same process.
    ended = tail.tails(1, requests=1, more=["max_tokens=64", "engine.dtype=float32"])
    return checked, ordered, ended
