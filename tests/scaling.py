"""How the time that a rule takes grows with the text."""

from __future__ import annotations

import time
from collections.abc import Callable

_SMALL = 5_000
_TIMES = 8
_ATTEMPTS = 20
_WARM = 3


def check_linear(rule: Callable[[str], object], unit: str, start: str = "") -> None:
    """Fails where time grows faster than the text: `start`, then `unit` again and again.

    Eight times the text is eight times the time if it is linear, 64 times if it is quadratic; 24
    lies between. Only CPU time of this thread counts, and the best of many attempts: a busy
    machine, a pause of the garbage collector, are no rule's fault. What is quadratic and passes
    for want of time to measure takes a few seconds for a million characters.
    """
    units = -(-_SMALL // len(unit))  # whole ones, for another end can be another way through a rule
    # Several times, for one that was slow by chance would let a quadratic rule pass.
    small = min(_seconds(rule, start + unit * units) for _ in range(_WARM))
    large = float("inf")
    for _ in range(_ATTEMPTS):
        small = min(small, _seconds(rule, start + unit * units))
        large = min(large, _seconds(rule, start + unit * units * _TIMES))
        if large < 3 * _TIMES * small + 0.005:
            return
    raise AssertionError(
        f"{start!r}, then {unit!r}: {small} s for {_SMALL:,} characters, {large} s for {_TIMES} "
        "times as many"
    )


def _seconds(rule: Callable[[str], object], text: str) -> float:
    begun = time.thread_time()
    rule(text)
    return time.thread_time() - begun
