"""How math-verify reads LaTeX, made quicker; what it reads is the same."""

from __future__ import annotations

from typing import Any


def parse_quickly() -> None:
    """From now on the libraries that math-verify parses with work so in this process."""
    _parse_in_two_stages()
    _keep_names()


def _parse_in_two_stages() -> None:
    """latex2sympy's parser, as ANTLR advises: quick prediction, the full one if it fails.

    The quick one, SLL, gives the tree of the full one, LL, or a syntax error (ANTLR's documentation
    of its prediction modes). It takes about half the time, for what LL finds out is not kept for
    the next formula.
    """
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


def _keep_names() -> None:
    """sympy's `parse_expr`, which imports sympy's 900 names anew for each text that it is given:
    a third of the time."""
    from sympy.parsing import sympy_parser

    plain, names = sympy_parser.parse_expr, dict[str, Any]()

    def taken(tokens: Any, local: Any, known: dict[str, Any]) -> Any:
        names.update(known)
        return tokens

    plain("0", transformations=(taken, *sympy_parser.standard_transformations))

    def parse_expr(
        text: str,
        local_dict: Any = None,
        transformations: Any = sympy_parser.standard_transformations,
        global_dict: Any = None,
        evaluate: bool = True,
    ) -> Any:
        known = dict(names) if global_dict is None else global_dict
        return plain(text, local_dict, transformations, known, evaluate)

    sympy_parser.parse_expr = parse_expr
