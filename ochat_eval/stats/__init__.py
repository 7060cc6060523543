"""Statistics as pure functions; this face exports every formula.

Units: a *fraction* lies in 0…1 (a 0/1 verdict, a mean of them), *points* are 100 times that.
Each docstring says which it takes and gives. Input that cannot be right (nothing, NaN, k > n, a
probability outside 0…1) raises ValueError; an error that the data cannot tell (one item, one
cluster) is None, which JSON can hold, and never 0.
"""

from ochat_eval.stats.agreement import Correlation, agreement, kendall, pearson, spearman
from ochat_eval.stats.at_k import maj_at_k, pass_at_k
from ochat_eval.stats.checks import Bounds, mean
from ochat_eval.stats.equivalence import (
    FLIP_SDS,
    delta,
    equivalence,
    flip_rate,
    flip_sd,
    matches_published,
    pass_chance,
    rerun_error,
)
from ochat_eval.stats.interval import (
    WILSON_BELOW,
    Estimate,
    average_stderr,
    clustered_stderr,
    estimate,
    interval,
    mean_stderr,
    stratified_stderr,
    stratified_wilson,
    wilson,
    z_value,
)
from ochat_eval.stats.paired import (
    Flips,
    flips,
    mcnemar_exact,
    minimum_detectable_effect,
    normal_test,
    paired,
)
from ochat_eval.stats.several import holm

__all__ = [
    "FLIP_SDS",
    "WILSON_BELOW",
    "Bounds",
    "Correlation",
    "Estimate",
    "Flips",
    "agreement",
    "average_stderr",
    "clustered_stderr",
    "delta",
    "equivalence",
    "estimate",
    "flip_rate",
    "flip_sd",
    "flips",
    "holm",
    "interval",
    "kendall",
    "maj_at_k",
    "matches_published",
    "mcnemar_exact",
    "mean",
    "mean_stderr",
    "minimum_detectable_effect",
    "normal_test",
    "paired",
    "pass_at_k",
    "pass_chance",
    "pearson",
    "rerun_error",
    "spearman",
    "stratified_stderr",
    "stratified_wilson",
    "wilson",
    "z_value",
]
