"""What the bench measures with vLLM, in one process, which so imports it once.

The model is tiny: what is measured here is looked at by its form, not by its size.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from ochat_eval.bench import gpu_check, prefix, tail
from ochat_eval.bench.costs import Table
from ochat_eval.bench.engines import Engines
from tests.serve.serving import make_tiny

SAME = ["engine.max_num_seqs=16", f"engine.block_size={prefix.BLOCK}"]
"""With these `gpu-check` has the engine of `prefix`."""


def tables(folder: Path) -> tuple[list[Table], Table, Table]:
    """Those of `gpu-check`, `prefix` and `tail`, as small as they can be, of sample data."""
    os.environ.pop("OCHAT_EVAL_DATA", None)
    model = [*make_tiny(folder)[:2], "model.context=8192"]  # fits into the small cache
    with closing(Engines()) as engines:
        gpu_check.loaded = engines.load
        checked = [table() for table in gpu_check.gpu_check(1, requests=4, more=[*model, *SAME])]
        ordered = prefix.prefix(engines, 1, requests=1, more=[*model, "max_tokens=2"])
        # Last: where vLLM has guessed ahead, it cannot be loaded again in the same process.
        paid = "sampling={repetition_penalty: 0.5}"  # for saying the same again
        more = [*model, paid, "max_tokens=400", "engine.dtype=float32"]
        ended = tail.tails(engines, 1, requests=1, more=more)
    return checked, ordered, ended
