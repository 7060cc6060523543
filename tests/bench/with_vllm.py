"""What the bench measures with vLLM, in one process, which so imports it once."""

from __future__ import annotations

import os
from contextlib import closing

from ochat_eval.bench import gpu_check, prefix, tail
from ochat_eval.bench.costs import Table
from ochat_eval.bench.engines import Engines

SAME = ["engine.max_num_seqs=16", f"engine.block_size={prefix.BLOCK}"]
"""With these `gpu-check` has the engine of `prefix`."""


def tables() -> tuple[list[Table], Table, Table]:
    """Those of `gpu-check`, `prefix` and `tail`, as small as they can be, of sample data."""
    os.environ.pop("OCHAT_EVAL_DATA", None)
    with closing(Engines()) as engines:
        gpu_check.loaded = engines.load
        checked = [table() for table in gpu_check.gpu_check(1, requests=4, more=SAME)]
        ordered = prefix.prefix(engines, 1, requests=1, more=["max_tokens=2"])
        # Last: where vLLM has guessed ahead, it cannot be loaded again in the same process.
        ended = tail.tails(engines, 1, requests=1, more=["max_tokens=64", "engine.dtype=float32"])
    return checked, ordered, ended
