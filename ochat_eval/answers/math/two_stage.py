"""latex2sympy's parser in two stages, as ANTLR advises: quick prediction, the full one if it fails.

The quick one, SLL, gives the tree of the full one, LL, or a syntax error (ANTLR's documentation of
its prediction modes). It takes about half the time, for what LL finds out is not kept for the next
formula.
"""

from __future__ import annotations

from typing import Any


def parse_in_two_stages() -> None:
    """From now on latex2sympy, math-verify's parser of LaTeX, works so in this process."""
    from antlr4.atn.PredictionMode import PredictionMode
    from latex2sympy2_extended import latex2sympy2

    plain: Any = latex2sympy2._Latex2Sympy

    class TwoStages(plain):  # type: ignore[misc]  # the library has no types
        mode = PredictionMode.SLL

        def create_parser(self, latex: str) -> Any:
            parser = super().create_parser(latex)
            parser._interp.predictionMode = self.mode
            return parser

        def parse(self, latex: str) -> Any:
            self.mode = PredictionMode.SLL
            try:
                return super().parse(latex)
            except MemoryError:
                raise
            except Exception:  # what it raises for a syntax error is no more than that
                self.mode = PredictionMode.LL
                return super().parse(latex)

    latex2sympy2._Latex2Sympy = TwoStages
