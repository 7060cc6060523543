"""Where a run or a recorded run is."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from ochat_eval.records import UserError
from ochat_eval.run import store
from ochat_eval.terminal.words import nearest

RECORDED = "recorded.json"


def shipped(name: str = "") -> Path:
    """A file of results/recorded as it ships with this package; the folder itself without one."""
    return Path(str(resources.files("ochat_eval.results.recorded"))) / name


def recorded_folders() -> list[Path]:
    """Where recorded runs are looked for: ./results/recorded, then those that ship with us."""
    return [Path("results/recorded"), shipped()]


def find(name: str, runs: Path = Path("results/runs"), recorded: bool = False) -> Path:
    """The folder of a run or a recorded run, given as a path or by its name.

    Args:
        recorded: where a run and a recorded run have the name, the recorded one is meant.

    Raises:
        UserError: there is none; names those that there are.
    """
    named = [runs / name, *(f / name for f in recorded_folders())]
    for place in (Path(name).expanduser(), *(named[1:] + named[:1] if recorded else named)):
        if (place / store.MANIFEST).exists() or (place / RECORDED).exists():
            store.check_files(place)
            return place if place.name.strip(".") else place.resolve()
    known = {
        path.parent.name
        for folder in (runs, *recorded_folders())
        for pattern in (store.MANIFEST, RECORDED)
        for path in folder.glob(f"*/{pattern}")
    }
    there = nearest(name, sorted(known)) if known else f"; there are no runs in {runs}"
    raise UserError(f"{name}: there is no such run or recorded run{there}")
