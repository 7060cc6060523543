"""What the bench measures with vLLM, in one process, which so imports it once."""

from __future__ import annotations

import os

from ochat_eval.bench import prefix, vllm
from ochat_eval.bench.costs import Table


def tables() -> tuple[Table, Table]:
    """Of `vllm` and of `prefix`, as small as they can be, of sample data."""
    os.environ.pop("OCHAT_EVAL_DATA", None)
    for module in (vllm, prefix):  # which would each take a new process for each engine
        module.in_new_process = lambda function, *given: function(*given)
    return (
        vllm.vllm(1, requests=4, max_tokens=6),
        prefix.prefix(1, requests=1, more=["max_tokens=2"]),
    )
