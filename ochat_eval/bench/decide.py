"""What `until=decided` saves, and how often it errs: runs drawn at random, looked at, decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ochat_eval import stats
from ochat_eval.baseline.results import flip_rates
from ochat_eval.baseline.runs import read
from ochat_eval.bench.costs import Table
from ochat_eval.records import UserError

DRAWS = 2000
HEADERS = ("items", "differ", "margin", "true loss", "asked", "PASS", "FAIL", "as all items say")
SHIPPED = "smollm2_135m-cpu"
"""A recorded run with reruns that ships with us."""
_SIZES = (1319, 14042)
_DIFFER = (0.05, 0.10, 0.15)


@dataclass(frozen=True)
class Decided:
    """What became of runs that were drawn; fractions of them, and of the items.

    Attributes:
        asked: the mean share of the items that the deciding look saw; 1 where none decided.
        passed, failed: what was decided.
        agreed: the gate of all items says the same.
    """

    asked: float
    passed: float
    failed: float
    agreed: float


def decided(
    n: int, differ: float, loss: float, margin: float, *, psi: float = 0.0,
    mode: stats.Mode = "same", draws: int = DRAWS, seed: int = 0,
) -> Decided:  # fmt: skip
    """Draws runs of n 0/1 verdicts that differ from a recorded one, and looks at each.

    Args:
        differ: the share of the items that differ; as many up as down but for the loss.
        loss: the true loss, in points.
        margin: of the gate, in points.
        psi: the recorded flip rate; 0 for none.
        mode: of the gate.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    ends = np.unique(-(-n * np.arange(1, stats.LOOKS + 1) // stats.LOOKS))
    shares = (differ - loss / 100) / 2, (differ + loss / 100) / 2
    steps = np.diff(ends, prepend=0)
    drawn = rng.multinomial(
        np.broadcast_to(steps, (draws, len(steps))), [*shares, 1 - differ]
    ).cumsum(axis=1)  # fmt: skip
    gained, lost = drawn[..., 0], drawn[..., 1]
    confidences = stats.look_confidences((ends / n).tolist(), stats.CONFIDENCE)
    first, said = np.full(draws, len(ends) - 1), np.zeros(draws, int)
    left = np.arange(draws)  # the runs that no look has decided
    for look, (end, confidence) in enumerate(zip(ends, confidences, strict=True)):
        low, high = stats.counted_intervals(
            gained[left, look], lost[left, look], int(end), psi, confidence
        )
        found = _verdicts(low, high, margin, mode)
        first[left[found != 0]] = look
        said[left] = found
        left = left[found == 0]
    whole = _verdicts(*stats.counted_intervals(gained[:, -1], lost[:, -1], n, psi), margin, mode)
    return Decided(
        float((ends[first] / n).mean()),
        float((said > 0).mean()),
        float((said < 0).mean()),
        float((said == whole).mean()),
    )


def _verdicts(low: Any, high: Any, margin: float, mode: stats.Mode) -> Any:
    """`stats.decide` of arrays: 1 PASS, −1 FAIL, 0 INCONCLUSIVE."""
    import numpy as np

    passed, failed = low >= -margin, high < -margin
    if mode == "same":
        passed, failed = passed & (high <= margin), failed | (low > margin)
    return np.where(passed, 1, np.where(failed, -1, 0))


def made_up() -> Table:
    """Two checkpoints that differ in 5 to 15 % of the items, at a margin of one point."""
    rows = [
        _row(f"{n:,}", differ, 1.0, loss, decided(n, differ, loss, 1.0, mode="no-worse"))
        for n in _SIZES
        for differ in _DIFFER
        for loss in (0.0, 1.0, 3.0)
    ]
    return Table(f"until=decided gate=no-worse, made-up pairs, {DRAWS:,} draws", HEADERS, rows)


def recorded(name: str) -> Table:
    """Reruns of a recorded run: as many items as each benchmark has, verdicts flipping as recorded.

    Raises:
        UserError: there is no such recorded run, or it has no reruns.
    """
    found = read(name)
    rows = []
    for task in found.tasks.values():
        rates = flip_rates(task, "published", found.runs)
        if rates is None:
            raise UserError(f"bench decide {name}: it has no reruns, so its flips are not known")
        psi, margin = rates[0], stats.delta(rates[0], task.of)
        for loss in (0.0, margin):
            made = decided(task.of, max(psi, loss / 100), loss, margin, psi=psi)
            rows.append(_row(f"{task.name}, {task.of:,}", psi, margin, loss, made))
    return Table(f"until=decided, flips as in {found.name}, {DRAWS:,} draws", HEADERS, rows)


def _row(what: str, differ: float, margin: float, loss: float, made: Decided) -> list[str]:
    shares = (made.asked, made.passed, made.failed, made.agreed)
    return [
        what, f"{100 * differ:.1f} %", f"{margin:.2f}", f"{loss:.2f}",
        *(f"{100 * share:.1f} %" for share in shares),
    ]  # fmt: skip
