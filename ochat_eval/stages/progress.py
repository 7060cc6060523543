"""How far a run is while its requests are answered: by benchmark, and what time it has left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from ochat_eval.engines.engine import Failure, Session
from ochat_eval.records import Response
from ochat_eval.terminal.say import bar
from ochat_eval.terminal.words import duration, plain

_SHOWN = 3
"""Benchmarks under way that are named."""
_WEIGHT = 20
"""An earlier run's mean length counts as so many answers of this one."""


class Meter:
    """Counts what is answered, and shows it; a context manager.

    At a terminal it is one bar, elsewhere a line every ten seconds.
    """

    def __init__(
        self,
        what: str,
        totals: Mapping[str, int],
        expected: Callable[[], Mapping[str, float]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ):
        """Begins to count.

        Args:
            what: is done with the requests: `generate`.
            totals: requests to be answered, by benchmark.
            expected: by benchmark, the mean length of an answer in an earlier run, in tokens; asked
                when it is first needed.
            clock: seconds.
        """
        self._totals = dict(totals)
        self._expected = expected
        self._lengths: Mapping[str, float] | None = None
        self._done, self._failed = Counter[str](), Counter[str]()
        self._counted, self._tokens = Counter[str](), Counter[str]()
        self._clock, self._begun = clock, clock()
        self._shown = self._begun
        self._session: Session | None = None
        self._bar = bar(what, "answers", sum(self._totals.values()), delay=0, timed=False)

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *error: object) -> None:
        if self._session is not None:
            self._bar.set_postfix_str(self.state(self._session), refresh=False)
        self._bar.close()

    def add(self, finished: Sequence[Response | Failure], session: Session) -> None:
        """Takes note of what has finished, and shows it where it is time to."""
        for one in finished:
            task = one.id.partition("/")[0]
            self._done[task] += 1
            if isinstance(one, Failure):
                self._failed[task] += 1
            elif one.completion_tokens is not None:
                self._counted[task] += 1
                self._tokens[task] += one.completion_tokens
        self._session, self._bar.n = session, self._done.total()
        if self._clock() - self._shown >= self._bar.mininterval:
            self._shown = self._clock()
            self._bar.set_postfix_str(self.state(session), refresh=True)

    def state(self, session: Session) -> str:
        """What stands behind the bar."""
        written = self._tokens.total() + session.unfinished_tokens()
        seconds = self._clock() - self._begun
        said = []
        if failed := self._failed.total():
            said.append(f"{failed:,} failed")
        if written and seconds:
            said.append(f"{written / seconds:,.0f} tokens/s")
        if left := self._seconds_left(written, seconds):
            said.append(f"{duration(left)} left")
        return "; ".join([", ".join(said), *self._tasks(), *session.state()]).removeprefix("; ")

    def _tasks(self) -> list[str]:
        """The benchmarks under way, and how many are done."""
        if len(self._totals) == 1:
            return []
        under_way = [t for t, n in self._totals.items() if 0 < self._done[t] < n]
        said = [
            f"{plain(task)} {self._done[task]:,}/{self._totals[task]:,}"
            + (f" ({self._failed[task]:,} failed)" if self._failed[task] else "")
            for task in under_way[:_SHOWN]
        ]
        if (more := len(under_way) - _SHOWN) > 0:
            said.append(f"{more} more")
        if whole := sum(self._done[task] >= n for task, n in self._totals.items()):
            said.append(f"{whole} of {len(self._totals)} benchmarks done")
        return said

    def _seconds_left(self, written: int, seconds: float) -> float | None:
        """By the tokens that are still to be written, as long as answers so far and in an earlier
        run; where nobody counts tokens, by answers. None where nothing tells."""
        left = {task: n - self._done[task] for task, n in self._totals.items()}
        done = self._done.total()
        if not written:
            return sum(left.values()) * seconds / done if done else None
        lengths = {task: self._length(task) for task, n in left.items() if n > 0}
        known = [length for length in lengths.values() if length is not None]
        if not known:
            return None
        usual = sum(known) / len(known)
        tokens = sum(left[t] * (usual if n is None else n) for t, n in lengths.items())
        begun = written - self._tokens.total()
        return max(0.0, tokens - begun) * seconds / written

    def _length(self, task: str) -> float | None:
        """The mean length of an answer to a benchmark, in tokens."""
        if self._lengths is None:
            self._lengths = self._expected()
        earlier = self._lengths.get(task)
        weight = 0 if earlier is None else _WEIGHT
        counted = self._counted[task] + weight
        return (self._tokens[task] + weight * (earlier or 0)) / counted if counted else None
