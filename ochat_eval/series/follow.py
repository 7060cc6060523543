"""The checkpoints of a series one after another, and those that appear meanwhile."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ochat_eval.series.child import Ended
from ochat_eval.series.find import Checkpoint, check_places, checkpoints, lacking, looks
from ochat_eval.terminal.say import say
from ochat_eval.terminal.words import counted


@dataclass(frozen=True)
class Watch:
    """How long to look for new checkpoints.

    Attributes:
        until: stop once so many have been run; None: no such limit.
        seconds: stop after so long, but not in the midst of a run; None: no such limit.
        every: seconds between two looks.
    """

    until: int | None = None
    seconds: float | None = None
    every: float = 10.0


@dataclass
class Progress:
    """What has become of the checkpoints.

    Attributes:
        ended: how the run of each ended, in the order in which they were run.
        left: by checkpoint why it was not run.
        over: whether nothing more will be run.
    """

    ended: dict[Checkpoint, Ended] = field(default_factory=dict)
    left: dict[Checkpoint, str] = field(default_factory=dict)
    over: bool = False


def follow(
    places: Sequence[str],
    run: Callable[[Sequence[Checkpoint]], Mapping[Checkpoint, Ended]],
    watch: Watch | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Progress]:
    """Runs each checkpoint that is whole, the lowest step first; looks anew after each. Adapters
    that are there are run together.

    Args:
        places: as in `checkpoints`.
        run: runs one, or several adapters, and waits for the end.
        watch: go on looking; None: run what is there and is whole now.
        pause: waits between two looks, of which both must find a checkpoint's files alike. Ctrl-C
            here ends the watch, and is no error.

    Yields:
        The same `Progress` after each run and at the end.

    Raises:
        UserError: a place that is neither there nor a pattern.
    """
    check_places(places)
    progress, began = Progress(), time.monotonic()
    before: dict[Path, object] = {}
    said = ""
    while not progress.over:
        ready, now = _ready(places, progress, None if watch is None else before)
        progress.over = not ready if watch is None else _enough(progress, watch, began)
        if ready and not progress.over:
            some = _together(ready, progress, watch)
            for one in some:
                say(f"{one.label}: {one.path}")
            progress.ended.update(run(some))
        elif not progress.over and watch is not None:
            waits, before = _waiting(progress, watch), now
            if waits != said:
                say(waits)
            said = waits
            try:
                pause(watch.every)
                continue
            except KeyboardInterrupt:
                progress.over = True
        yield progress


def _ready(
    places: Sequence[str], progress: Progress, before: dict[Path, object] | None
) -> tuple[list[Checkpoint], dict[Path, object]]:
    """The checkpoints to run now, and how the files of the others look; notes why those are left.

    Args:
        before: how the files looked before; None: they need not have rested.
    """
    ready: list[Checkpoint] = []
    now: dict[Path, object] = {}
    progress.left.clear()
    found = [one for one in checkpoints(places) if one not in progress.ended]
    known = [*progress.ended, *(one for one in found if one.step is not None)]
    units = Counter(one.unit for one in known)
    steps = {one.step: one.path for one in progress.ended}
    for one in found:
        problem = _misplaced(one, units.most_common(1)[0][0] if units else "", steps)
        problem = problem or lacking(one.path)
        if problem is None and before is not None:
            now[one.path] = looks(one.path)
            if before.get(one.path) != now[one.path]:
                problem = "it is new, or still being written"
        if problem is None:
            ready.append(one)
            steps[one.step] = one.path
        else:
            progress.left[one] = problem
    return ready, now


def _together(
    ready: Sequence[Checkpoint], progress: Progress, watch: Watch | None
) -> list[Checkpoint]:
    """The first; if it is an adapter, all of another name that are ready, up to the watch's end."""
    if not ready[0].is_adapter:
        return [ready[0]]
    named = {one.name: one for one in reversed(ready) if one.is_adapter}
    some = [one for one in ready if named.get(one.name) is one]
    until = watch.until if watch is not None else None
    return some if until is None else some[: until - len(progress.ended)]


def _misplaced(one: Checkpoint, unit: str, steps: Mapping[float | None, Path]) -> str | None:
    """Why a checkpoint has no place of its own in the series; None where it has."""
    if one.step is None:
        return "neither its name nor a trainer_state.json tells its step"
    if one.unit != unit:
        return f"it is named by its {one.unit}, the others by their {unit}"
    if one.step in steps:
        return f"{steps[one.step]} has the same {unit}"
    return None


def _enough(progress: Progress, watch: Watch, began: float) -> bool:
    """Whether a watch is over."""
    late = watch.seconds is not None and time.monotonic() - began >= watch.seconds
    return late or (watch.until is not None and len(progress.ended) >= watch.until)


def _waiting(progress: Progress, watch: Watch) -> str:
    """What a watch waits for, a line each."""
    lines = [f"{one.label} waits: {why} ({one.path})" for one, why in progress.left.items()]
    of = "" if watch.until is None else f" of {watch.until}"
    done = f"{counted(len(progress.ended), 'checkpoint')}{of} done"
    return "\n".join([*lines, f"{done}; waiting for more (Ctrl-C ends it with table and page)"])
