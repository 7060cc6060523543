"""Makes the table of docs/statistics.md: what intervals, tests and the gate claim, and do.

    .venv/bin/python docs/claims.py            # two to three minutes on one core; prints the table
    .venv/bin/python docs/claims.py --write    # and puts it into docs/statistics.md

`tests/stats/test_edges.py` runs the same cases with fewer draws and checks each against its claim.
What was measured before is of the issue that asked for all this, by a simulation of its own; a dash
where it did not say.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simulated_runs as series
import simulations as sim

from ochat_eval import stats

PAGE = Path(__file__).parent / "statistics.md"
BEGIN, END = "<!-- made by docs/claims.py: begin -->", "<!-- end -->"


@dataclass(frozen=True)
class Case:
    """A claim and how it is measured.

    Attributes:
        group, what: where it stands in the table, and what it is.
        claim: in words.
        low, high: between what it must lie, apart from the error of the simulation.
        before: what the issue measured.
        share: measures it.
    """

    group: str
    what: str
    claim: str
    low: float
    high: float
    before: str
    share: sim.Share


def _passes(n: int) -> str:
    """What the gate says a faultless rerun does over n items."""
    return f"{100 * stats.chances(stats.delta(0.02, n), 0.02, n, 4).passes:.1f} %"


EDGE = (0.002, 0.003, 0.004, 0.006, 0.01, 0.99, 0.994, 0.996, 0.997, 0.998)
SAME, LESS = "same", "no-worse"
_I, _A, _T = "95 % interval", "avg@n", "test at 5 %"
_G, _S = "gate", "series"
CASES = (
    Case(_I, "1,319 verdicts, 0.2 to 1 and 99 to 99.8 % right", "95 %", 0.93, 0.98, "85–89 %",
         sim.verdicts(1319, EDGE)),
    Case(_I, "1,319 verdicts, 30, 64 and 90 % right", "95 %", 0.94, 0.96, "94.5–96.7 %",
         sim.verdicts(1319, (0.3, 0.643, 0.9))),
    Case(_I, "25 verdicts, 4 to 96 % right", "95 %", 0.93, 0.97, "exact",
         sim.verdicts(25, np.linspace(0.04, 0.96, 24).tolist())),
    Case(_I, "164 items, 8 answers each, half right", "95 %", 0.93, 0.97, "–",
         sim.several_answers(164, 8, 1, 1)),
    Case(_I, "164 items, 8 answers each, 2 % right", "95 %", 0.92, 0.98, "–",
         sim.several_answers(164, 8, 0.1, 4.9)),
    Case(_I, "pass@5 of 10 answers, 164 items", "95 %", 0.93, 0.97, "none", sim.pass_at(5)),
    Case(_I, "pass^5 of 10 answers, 164 items", "95 %", 0.92, 0.97, "–", sim.all_at(5)),
    Case(_A, "4 answers once more, 164 items: within the answers' error", "95 %", 0.93, 0.97, "–",
         sim.sampling(164, 4)[0]),
    Case(_A, "the variance told for 8 answers from 4, 164 items: within a tenth", "≥ 90 %",
         0.9, 1.0, "–", sim.sampling(164, 4)[1]),
    Case(_I, "5 ratings", "95 %", 0.90, 0.97, "86.5 %", sim.ratings(5, sim.EVEN)),
    Case(_I, "5 ratings, most of them 8 and 9", "95 %", 0.87, 0.97, "–",
         sim.ratings(5, sim.SKEWED)),
    Case(_I, "80 ratings, most of them 8 and 9", "95 %", 0.93, 0.97, "–",
         sim.ratings(80, sim.SKEWED)),
    Case(_I, "MT-Bench, a category: 10 questions, 2 turns", "95 %", 0.93, 0.97, "91 %",
         sim.mt_bench(1, 2)),
    Case(_I, "MT-Bench, a turn: 80 questions in 8 categories", "95 %", 0.93, 0.97, "98 %",
         sim.mt_bench(8, 1)),
    Case(_I, "HumanEval, 100 of 164 asked", "95 %", 0.93, 0.97, "99.9 %",
         sim.limited(100, 164, 110)),
    Case(_I, "10 passages of 3 items", "95 %", 0.93, 0.985, "–", sim.passages(10, 3)),
    Case(_I, "average of 7 benchmarks, 5 items each, 2 to 20 % right", "95 %", 0.90, 0.97, "0…0",
         sim.average([0.02, 0.03, 0.05, 0.08, 0.1, 0.15, 0.2], 5)),
    Case(_I, "average of 8 benchmarks, 400 items each", "95 %", 0.93, 0.97, "94.5–96.7 %",
         sim.average([0.7, 0.6, 0.5, 0.65, 0.8, 0.4, 0.3, 0.75], 400)),
    Case(_I, "the same, two of them asking the same", "95 %", 0.93, 0.98, "–",
         sim.average([0.6, 0.6, 0.5, 0.65, 0.8, 0.4, 0.3, 0.75], 400, together=True)),
    Case(_I, "difference, 164 items, 1 % differ, net −0.5", "≥ 95 %", 0.95, 1.0, "78 %",
         sim.differences(164, 0.01, -0.005)),
    Case(_I, "difference, 400 items, 5 % differ, net −1", "95 %", 0.94, 0.97, "94.5–96.7 %",
         sim.differences(400, 0.05, -0.01)),
    Case(_T, "McNemar, 164 items, 10 % differ", "≤ 5 %", 0.0, 0.05, "kept",
         sim.mcnemar_size(164, 0.1)),
    Case(_T, "5 ratings", "≤ 5 %", 0.0, 0.05, "13 %", sim.ratings_size(5)),
    Case(_T, "12 ratings", "≤ 5 %", 0.0, 0.05, "–", sim.ratings_size(12)),
    Case(_T, "80 ratings", "5 %", 0.03, 0.06, "–", sim.ratings_size(80)),
    Case(_T, "7 items of 4 passages", "≤ 5 %", 0.0, 0.05, "18 %", sim.passages_size(4, 2, 7)),
    Case(_T, "40 items of 20 passages", "≤ 5 %", 0.0, 0.05, "–", sim.passages_size(20, 2, 40)),
    Case(_T, "120 items of 40 passages", "5 %", 0.03, 0.06, "–", sim.passages_size(40, 3, 120)),
    Case(_T, "compare A B C D E F: any false call", "≤ 5 %", 0.0, 0.05, "12–21 %",
         sim.any_false_call(5, 2)),
    Case(_T, "eight published figures: any faultless one FAIL", "5 %", 0.03, 0.06, "27.5 %",
         sim.published_figures(8)),
    Case(_T, "`detectable` is found, 25 items, 10 % differ", "80 %", 0.75, 0.85, "9–33 %",
         sim.detectable(25, 0.1)),
    Case(_T, "`detectable` is found, 164 items, 10 % differ", "80 %", 0.75, 0.85, "–",
         sim.detectable(164, 0.1)),
    *(Case(_G, f"a loss of the margin passes, {n:,} items, ψ = 0", "≤ 5 %", 0.0, 0.05, was,
           sim.gated_without_flips(n))
      for n, was in ((25, "93 %"), (164, "61 %"), (684, "13 %"), (1319, "10 %"))),
    *(Case(_G, "a loss of the margin passes, 1,319 items, "
               f"ψ = {100 * psi:.0f} %, recorded {r} times",
           "≤ 5 %", 0.0, 0.05, "–", sim.gated(psi, 1319, r, "margin", "PASS", SAME))
      for psi, r in ((0.02, 2), (0.02, 4), (0.1, 4))),
    Case(_G, "the same, --no-worse", "≤ 5 %", 0.0, 0.05, "–",
         sim.gated(0.02, 1319, 4, "margin", "PASS", LESS)),
    *(Case(_G, f"the loss `fails at` FAILs, {n:,} items, ψ = 2 %", "80 %", 0.75, 0.88, "22–67 %",
           sim.gated(0.02, n, 4, "detects", "FAIL", SAME)) for n in (164, 1319)),
    Case(_G, "an improvement of 5 points passes, --no-worse", "–", 0.99, 1.0, "FAIL",
         sim.gated(0.02, 1319, 4, -5.0, "PASS", LESS)),
    Case(_G, "a faultless rerun passes, 1,319 items, ψ = 2 %, recorded 4 times",
         _passes(1319), 0.94, 1.0, "–",
         sim.gated(0.02, 1319, 4, 0.0, "PASS", SAME)),
    Case(_G, "a faultless rerun passes, 164 items, ψ = 2 %, recorded 4 times",
         _passes(164), 0.75, 0.86, "–",
         sim.gated(0.02, 164, 4, 0.0, "PASS", SAME)),
    Case(_G, "a faultless rerun FAILs", "0 %", 0.0, 0.0, "3–7 %, recorded once",
         sim.gated(0.02, 1319, 4, 0.0, "FAIL", SAME)),
    *(Case(_G, f"a loss of the margin passes at any of 20 looks, {n:,} items, ψ = {psi} %, {mode}",
           "≤ 5 %", 0.0, 0.05, "–", series.looked_at(n, psi / 100, 1.0, 1.0, "passed", mode))
      for n, psi, mode in ((1319, 5, LESS), (14042, 5, SAME), (14042, 15, LESS))),
    Case(_G, "no loss at all FAILs at any of 20 looks, 1,319 items, ψ = 5 %", "≤ 5 %", 0.0, 0.05,
         "–", series.looked_at(1319, 0.05, 0.0, 1.0, "failed", LESS)),
    Case(_G, "the same verdict as of all items, no loss, 14,042 items, ψ = 5 %", "–", 0.97, 1.0,
         "–", series.looked_at(14042, 0.05, 0.0, 1.0, "agreed", LESS)),
    Case(_G, "a loss of the margin passes at any of 5 looks, 300 passages of 3 items", "≤ 5 %",
         0.0, 0.05, "–", series.passages_looked_at(300, 3, 5, 0.03)),
    Case(_S, "any false pair, 6 checkpoints, 400 items, 5 % differ", "≤ 5 %", 0.0, 0.05, "–",
         series.false_pair(6, 400, 0.05)),
    *(Case(_S, f"the best is among those that may be, 6 checkpoints, others {what}",
           "≥ 95 %", 0.95, 1.0, "–", series.best_is_among(6, 400, 0.05, behind))
      for what, behind in (("as good", 0.0), ("1 point behind", 0.01))),
    *(Case(_S, f"slope, 5 checkpoints, {n} items, {100 * psi:.0f} % differ, 1 point a step",
           claim, low, 1.0 if claim[0] == "≥" else 0.97, "–", series.slope_covers(5, n, psi, 0.01))
      for n, psi, claim, low in ((400, 0.1, "95 %", 0.94), (25, 0.02, "≥ 95 %", 0.95))),
    *(Case("limit=auto", f"164, 1,319 and 3,000 items, ±1, 10 % differ: {said}",
           claim, low, high, "–", series.allocated((164, 1319, 3000), 0.01, 0.1, what))
      for said, what, claim, low, high in (
          ("the average's interval holds", "held", "95 %", 0.93, 0.97),
          ("it is no wider", "narrow", "≥ 95 %", 0.95, 1.0))),
)  # fmt: skip


def rows(draws: int) -> Iterator[tuple[Case, float]]:
    """Every case with what was measured."""
    for number, case in enumerate(CASES):
        yield case, case.share(np.random.default_rng(number), draws)


def table(draws: int = 2000) -> str:
    """The table, in Markdown."""
    lines = ["| | case | claimed | measured | before |", "|---|---|--:|--:|--:|"]
    for case, share in rows(draws):
        lines.append(
            f"| {case.group} | {case.what} | {case.claim} | {100 * share:.1f} % | {case.before} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Prints the table, and writes it."""
    made = table()
    print(made)
    if "--write" in sys.argv[1:]:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        after = rest.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
