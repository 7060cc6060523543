"""What there is to look at in a run: each answer with both rules' scores, by how they read it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ochat_eval.records import RULES, Rule, Score
from ochat_eval.run import store

Stratum = Literal["agree", "disagree", "unmatched", "unmatched, disagree"]
"""`agree`: both rules found an answer, and the same; `disagree`: another; `unmatched`: a rule found
none or fell back, and both read the same (nothing, as a rule); and where they read otherwise."""
STRATA: tuple[Stratum, ...] = ("agree", "disagree", "unmatched", "unmatched, disagree")
SHOWN: Mapping[str, tuple[Stratum, ...]] = {
    "unmatched": ("unmatched", "unmatched, disagree"),
    "disagree": ("disagree", "unmatched, disagree"),
    "all": STRATA,
}
"""What `--show` chooses: the answers that a rule could not read, those that the rules read
differently, or all."""
Place = tuple[str, int, int]
"""Id, sample and turn of an answer."""


@dataclass(frozen=True, slots=True)
class Read:
    """An answer's place, the stratum that it is in, and both rules' scores."""

    place: Place
    stratum: Stratum
    scores: Mapping[Rule, Score]


def readings(folder: Path, task: str) -> Iterator[Read]:
    """A benchmark's answers that both rules have scored, in the order of the scores.

    Raises:
        UserError: the run's scores cannot be read.
    """
    begun: dict[Place, Score] = {}
    for score in store.read_records(folder / store.SCORES, Score):
        if score.id.partition("/")[0] != task:
            continue
        place = score.id, score.sample, score.turn
        if place not in begun:
            begun[place] = score
            continue
        scores = {one.rule: one for one in (begun.pop(place), score)}
        if len(scores) == len(RULES):
            yield Read(place, stratum(scores["published"], scores["robust"]), scores)


def stratum(published: Score, robust: Score) -> Stratum:
    """How the two rules' readings of an answer stand to each other."""
    same = published.answer == robust.answer
    if published.matched and robust.matched:
        return "agree" if same else "disagree"
    return "unmatched" if same else "unmatched, disagree"


def order(place: Place) -> bytes:
    """What to sort a stratum's answers by: an order that has nothing to do with them, the same
    each time. So those that have been looked at, wherever one stops, are a random sample."""
    return hashlib.sha256(repr(place).encode(errors="surrogatepass")).digest()
