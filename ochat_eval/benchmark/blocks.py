"""The order in which items are asked so that what is there so far is always a fair sample."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterable, Sequence


def blocks(units: Iterable[tuple[str, str]], seed: str, count: int) -> list[Sequence[int]]:
    """Nested stratified random blocks of items.

    Within each stratum the clusters are shuffled and spread evenly from a random start, and the
    strata are merged; that order is cut into blocks of one size. So the first k blocks are, for
    every k, a sample with as good as the same share of each stratum, each cluster whole and as
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
    rng = random.Random(seed)
    order: list[tuple[float, str]] = []
    for clusters in strata.values():
        rng.shuffle(clusters)
        start = rng.random()
        order += [((start + k) / len(clusters), name) for k, name in enumerate(clusters)]
    found: list[Sequence[int]] = []
    block: array[int] = array("q")
    asked = cut = 0
    for _, cluster in sorted(order):
        block += members[cluster]
        asked += len(members[cluster])
        if (reached := asked * count // total) > cut:
            found.append(array("q", sorted(block)))
            block, cut = array("q"), reached
    return found
