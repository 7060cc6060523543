"""The order in which items are asked so that what is there so far is always a fair sample."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterable, Sequence
from typing import TypeVar

_Orderable = TypeVar("_Orderable", int, str)


def even_order(strata: Iterable[list[_Orderable]], rng: random.Random) -> list[_Orderable]:
    """The members of all strata in an order of which any stretch has its share of each stratum.

    Each stratum is shuffled, in place, and spread evenly from a random start; then all are merged.
    What a stretch of n members has of one stratum is, in the mean square, hardly further from its
    share of n than in a systematic sample drawn for n alone (Cochran 1977, chapter 8); it is
    seldom more than one away, where that sample never is.
    """
    order: list[tuple[float, _Orderable]] = []
    for members in strata:
        rng.shuffle(members)
        start = rng.random()
        order += [((start + k) / len(members), member) for k, member in enumerate(members)]
    return [member for _, member in sorted(order)]


def blocks(units: Iterable[tuple[str, str]], seed: str, count: int) -> list[Sequence[int]]:
    """Nested stratified random blocks of items.

    `even_order` of the strata's clusters is cut into blocks of one size. So the first k blocks are,
    for every k, a sample with as good as the same share of each stratum, each cluster whole and as
    likely as any other (Cochran 1977, chapters 5 and 8). A function of its arguments only.

    Args:
        units: of each item, in the source's order, its stratum and its cluster.
        seed: of the shuffling.
        count: how many blocks there shall be; fewer where there are fewer clusters.

    Returns:
        The items' places, block by block; within a block in the source's order, so that
        items with the same beginning follow each other. No block is empty.
    """
    members: dict[str, array[int]] = {}
    strata: dict[str, list[str]] = {}
    total = 0
    for place, (stratum, cluster) in enumerate(units):
        if cluster not in members:
            members[cluster] = array("q")
            strata.setdefault(stratum, []).append(cluster)
        members[cluster].append(place)
        total += 1
    found: list[Sequence[int]] = []
    block: array[int] = array("q")
    asked = cut = 0
    for cluster in even_order(strata.values(), random.Random(seed)):
        block += members[cluster]
        asked += len(members[cluster])
        if (reached := asked * count // total) > cut:
            found.append(array("q", sorted(block)))
            block, cut = array("q"), reached
    return found
