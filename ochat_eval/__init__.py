"""ochat_eval: a benchmark harness that rebuilds the OpenChat-3.5 model-card tables."""

from pathlib import Path

__version__ = "0.1.0"

# In a checkout the packages ochat_eval.tasks, .conf and .results lie beside this folder
# (pyproject.toml: package-dir); in an installed wheel they lie in it.
_CHECKOUT = Path(__file__).resolve().parent.parent
if (_CHECKOUT / "pyproject.toml").is_file():
    __path__.append(str(_CHECKOUT))
