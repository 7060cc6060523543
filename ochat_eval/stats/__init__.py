"""Statistics as pure functions; this face exports every formula.

Units: a *fraction* lies in 0…1 (a 0/1 verdict, a mean of them), *points* are 100 times that.
Each docstring says which it takes and gives. Input that cannot be right (nothing, NaN, k > n, a
probability outside 0…1) raises ValueError; an error that the data cannot tell (one item, one
cluster) is None, which JSON can hold, and never 0.
"""

from ochat_eval.stats.agreement import (
    Correlation,
    Level,
    agreement,
    kendall,
    krippendorff_alpha,
    pearson,
    spearman,
)
from ochat_eval.stats.allocation import Benchmark, allocation
from ochat_eval.stats.at_k import all_at_k, maj_at_k, pass_at_k
from ochat_eval.stats.chances import Chances, chances, detects, normal_chance
from ochat_eval.stats.checks import Bounds, mean
from ochat_eval.stats.control import controlled, design_effect, residual_variance
from ochat_eval.stats.counted import counted_intervals
from ochat_eval.stats.equivalence import (
    CONFIDENCE,
    FLIP_SDS,
    Mode,
    decide,
    delta,
    flip_rate,
    flip_sd,
    matches_published,
    published_margin,
    rerun_error,
    rerun_interval,
)
from ochat_eval.stats.errors import (
    average_stderr,
    clustered_stderr,
    mean_stderr,
    spread,
    stratified_stderr,
)
from ochat_eval.stats.interval import (
    Estimate,
    average_interval,
    estimate,
    interval,
    scaled,
    stratified_wilson,
    unseen,
    wilson,
)
from ochat_eval.stats.paired import Flips, contrast, flips, paired
from ochat_eval.stats.power import (
    mcnemar_detectable,
    mcnemar_power,
    minimum_detectable_effect,
)
from ochat_eval.stats.quantiles import t_value, z_value
from ochat_eval.stats.rare import changes_interval
from ochat_eval.stats.sampling import Sampling, sampling_parts
from ochat_eval.stats.sequential import LOOKS, look_confidences
from ochat_eval.stats.series import Best, Pair, all_pairs, best, slope
from ochat_eval.stats.several import holm
from ochat_eval.stats.significance import (
    FEW,
    Test,
    cluster_sums,
    mcnemar_exact,
    paired_test,
    sign_flips,
    t_test,
)

__all__ = [
    "CONFIDENCE",
    "FEW",
    "FLIP_SDS",
    "LOOKS",
    "Benchmark",
    "Best",
    "Bounds",
    "Chances",
    "Correlation",
    "Estimate",
    "Flips",
    "Level",
    "Mode",
    "Pair",
    "Sampling",
    "Test",
    "agreement",
    "all_at_k",
    "all_pairs",
    "allocation",
    "average_interval",
    "average_stderr",
    "best",
    "chances",
    "changes_interval",
    "cluster_sums",
    "clustered_stderr",
    "contrast",
    "controlled",
    "counted_intervals",
    "decide",
    "delta",
    "design_effect",
    "detects",
    "estimate",
    "flip_rate",
    "flip_sd",
    "flips",
    "holm",
    "interval",
    "kendall",
    "krippendorff_alpha",
    "look_confidences",
    "maj_at_k",
    "matches_published",
    "mcnemar_detectable",
    "mcnemar_exact",
    "mcnemar_power",
    "mean",
    "mean_stderr",
    "minimum_detectable_effect",
    "normal_chance",
    "paired",
    "paired_test",
    "pass_at_k",
    "pearson",
    "published_margin",
    "rerun_error",
    "rerun_interval",
    "residual_variance",
    "sampling_parts",
    "scaled",
    "sign_flips",
    "slope",
    "spearman",
    "spread",
    "stratified_stderr",
    "stratified_wilson",
    "t_test",
    "t_value",
    "unseen",
    "wilson",
    "z_value",
]
