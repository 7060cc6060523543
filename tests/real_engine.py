"""How the tests run real engines: small, and beside whatever else the machine does."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

SETTINGS = {
    # vLLM's own choice is a thread bound to each core: where anything else runs there, its threads
    # wait for each other, and what takes two seconds takes a minute.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB, which are written once at the start
}


@pytest.fixture(scope="module", autouse=True)
def frugal_engines() -> Iterator[None]:
    """The settings, for every engine that a test starts; a folder's conftest.py imports it.

    Threads are counted when torch is loaded; where this process has done so, torch is told.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        if "torch" in sys.modules:
            import torch

            torch.set_num_threads(1)
        yield


@pytest.fixture(autouse=True)
def kept_environment() -> Iterator[None]:
    """Undoes what an engine in this process sets for vLLM's sake; Ray keeps to its first token."""
    before = dict(os.environ)
    yield
    rays = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
    os.environ.clear()
    os.environ.update(before | rays)
