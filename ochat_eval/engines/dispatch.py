"""Which replica is asked what: the requests that wait behind several replicas.

Bookkeeping only; no engine and no clock. A replica gets its share of what is known, at most as
much as it can hold. Requests with the same beginning go to the same replica as long as that
leaves none with less to do, so that its prefix cache is used. What a replica had in flight when
it died is given to others; a request that was there at two deaths is asked alone from then on, so
that a third death is its own doing and no one else's.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from ochat_eval.records import Request

STRIKES = 3
"""Deaths at which a request is set aside."""

_PREFIX = 256
"""Characters at a prompt's beginning that tell which prompts share one: more than the words that
all prompts of a benchmark begin with, less than any block of worked examples."""
_SCANNED = 64
"""Groups that are looked at to choose one, so that choosing costs the same in any crowd."""
_REMEMBERED = 4096
"""Prefixes whose last replica is known."""

Key = tuple[str, int, int]


@dataclass
class _Lane:
    """One living replica: how many requests it holds at most, and those it holds."""

    capacity: int
    asked: dict[Key, Request] = field(default_factory=dict)
    suspects: int = 0
    prefix: int | None = None


class Dispatch:
    """Requests that wait, and those that living replicas have; replicas are numbers."""

    def __init__(self) -> None:
        self._lanes: dict[int, _Lane] = {}
        self._groups: dict[int, deque[Request]] = {}
        self._fresh = 0
        self._last: OrderedDict[int, int] = OrderedDict()
        self._strikes: dict[Key, int] = {}
        self._suspects: deque[Request] = deque()
        self._alone: deque[Request] = deque()
        self._emptied: int | None = None

    def add(self, request: Request) -> None:
        """Takes a request that waits from now on."""
        self._groups.setdefault(_prefix(request), deque()).append(request)
        self._fresh += 1

    def open(self, replica: int, capacity: int) -> None:
        """A replica is there; it holds at most `capacity` requests."""
        self._lanes[replica] = _Lane(capacity)

    @property
    def capacity(self) -> int:
        """What all living replicas hold together."""
        return sum(lane.capacity for lane in self._lanes.values())

    @property
    def replicas(self) -> list[int]:
        """The living ones."""
        return list(self._lanes)

    def held(self, replica: int) -> int:
        """How many requests a living replica has now."""
        return len(self._lanes[replica].asked)

    def take(self, replica: int) -> list[Request]:
        """What the replica is asked now, from what waits."""
        lane = self._lanes[replica]
        taken = []
        for request in self._choices(replica, lane):
            lane.asked[request.key] = request
            lane.suspects += request.key in self._strikes
            taken.append(request)
        return taken

    def _choices(self, replica: int, lane: _Lane) -> Iterator[Request]:
        if self._alone and self._emptied is None:
            self._emptied = min(self._lanes, key=self.held)
        if self._emptied == replica:
            if self._alone and not lane.asked:
                yield self._alone.popleft()
            if self._alone or lane.asked:
                return
            self._emptied = None
        held = sum(len(one.asked) for one in self._lanes.values())
        known = self._fresh + len(self._suspects) + len(self._alone) + held
        share = min(lane.capacity, -(-known // len(self._lanes)))
        # Few at a time: should one of them kill again, few are left to be asked alone.
        while self._suspects and lane.suspects < max(1, lane.capacity // 8):
            if len(lane.asked) >= share:
                return
            yield self._suspects.popleft()
        while self._fresh and len(lane.asked) < share:
            yield self._next_fresh(replica, lane)

    def _next_fresh(self, replica: int, lane: _Lane) -> Request:
        if lane.prefix is None or lane.prefix not in self._groups:
            lane.prefix = self._choose(replica)
            self._last[lane.prefix] = replica
            self._last.move_to_end(lane.prefix)
            if len(self._last) > _REMEMBERED:
                self._last.popitem(last=False)
        group = self._groups[lane.prefix]
        request = group.popleft()
        if not group:
            del self._groups[lane.prefix]
        self._fresh -= 1
        return request

    def _choose(self, replica: int) -> int:
        """The prefix to go on with: one it had before, one that nobody has, or the largest."""
        busy = {one.prefix for number, one in self._lanes.items() if number != replica}
        free: int | None = None
        seen: list[int] = []
        for prefix in self._groups:
            if self._last.get(prefix) == replica:
                return prefix
            if free is None and prefix not in busy:
                free = prefix
            seen.append(prefix)
            if len(seen) == _SCANNED:
                break
        return max(seen, key=lambda p: len(self._groups[p])) if free is None else free

    def done(self, replica: int, key: Key) -> None:
        """The replica has answered it, or failed to with a reason of its own."""
        lane = self._lanes[replica]
        del lane.asked[key]
        lane.suspects -= self._strikes.pop(key, 0) > 0

    def lost(self, replica: int) -> tuple[int, list[Request]]:
        """The replica is dead: what it had waits again.

        Returns:
            How many requests it had, and those of them that are set aside for good.
        """
        lane = self._lanes.pop(replica)
        if self._emptied == replica:
            self._emptied = None
        aside = []
        for key, request in lane.asked.items():
            strikes = self._strikes.pop(key, 0) + 1
            if strikes == STRIKES:
                aside.append(request)
                continue
            self._strikes[key] = strikes
            (self._suspects if strikes < STRIKES - 1 else self._alone).append(request)
        return len(lane.asked), aside


def _prefix(request: Request) -> int:
    first = request.messages[: 2 if request.messages[0].role == "system" else 1]
    texts = (message.content[:_PREFIX] for message in first)
    return hash((request.adapter, request.condition, *texts))
