"""How torch, and what imports it, is imported: quickly, quietly, with threads that sleep."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator
from typing import Any


def let_waiting_threads_sleep() -> None:
    """Has OpenMP's threads sleep as they wait for each other, unless the environment says more.

    They would spin, so that beside other work the one that is waited for does not get its core:
    what takes three seconds takes fifty. To be called before torch is loaded, which reads it once;
    on CPUs vLLM computes in this process.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def never_fork_engines() -> None:
    """Has vLLM start its engine anew, where it would fork this process, as it does on GPUs.

    Of threads a fork has the locks alone: once this process has computed with torch (it converts
    weights), an engine that is its fork waits for ever. vLLM's own command line chooses so too;
    its class cannot, since a script that starts processes anew must guard its main part.
    """
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Within it torch and what needs it are imported, and no garbage is looked for.

    What they make stays. To look through it for garbage again and again, while it is made, would
    take a tenth of the processor's time of such a start.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def quiet_transformers() -> Any:
    """The module `transformers`, imported without its warnings and progress bars."""
    let_waiting_threads_sleep()  # it loads torch
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import transformers

    transformers.utils.logging.disable_progress_bar()
    return transformers
