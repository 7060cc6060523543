"""Quantiles of the normal and of Student's t distribution."""

from __future__ import annotations


def quantile(probability: float) -> float:
    """The standard normal quantile; ValueError unless 0 < probability < 1."""
    from statistics import NormalDist  # noqa: PLC0415 (costs as much to import as all the rest)

    if not 0 < probability < 1:
        raise ValueError(f"{probability} is not between 0 and 1")
    return NormalDist().inv_cdf(probability)


def z_value(confidence: float) -> float:
    """How many standard errors a two-sided normal interval reaches to each side."""
    return quantile(_upper(confidence))


def t_value(confidence: float, df: int) -> float:
    """How many standard errors an interval of Student's t reaches (Student 1908).

    What `z_value` is where the error itself is estimated, from df + 1 independent units.

    Raises:
        ValueError: df < 1, or the confidence not between 0 and 1.
    """
    return t_quantile(_upper(confidence), df)


def t_quantile(probability: float, df: int) -> float:
    """The quantile of Student's t with df degrees of freedom.

    Raises:
        ValueError: df < 1, or the probability not between 0 and 1.
    """
    from scipy.special import stdtrit

    if df < 1:
        raise ValueError(f"{df} degrees of freedom: need at least one")
    if not 0 < probability < 1:
        raise ValueError(f"{probability} is not between 0 and 1")
    return float(stdtrit(df, probability))


def _upper(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
    return (1 + confidence) / 2
