"""Several models on one command line: a command line for each."""

from __future__ import annotations

from collections.abc import Sequence

from ochat_eval.records import UserError

MULTIRUN = ("-m", "--multirun")
_SWEPT = ("model", "model.path")
_NO_MODELS = "--multirun: it takes several models, one after another"


def each_model(argv: Sequence[str]) -> dict[str, list[str]] | None:
    """The command lines of the runs that `models=A,B` or `-m model.path=A,B` asks for.

    Args:
        argv: the command line of `ochat-eval run`.

    Returns:
        By the model as it is written, the options of its run; None for an ordinary command line.

    Raises:
        UserError: no model, one that is named twice, or an option that cannot hold for several.
    """
    sweeps = any(argument in MULTIRUN for argument in argv)
    rest = [argument for argument in argv if argument not in MULTIRUN]
    given = dict(argument.partition("=")[::2] for argument in rest)
    if "models" in given:
        named = [name for name in ("models", *_SWEPT) if name in given]
    elif sweeps:
        named = [name for name in _SWEPT if "," in given.get(name, "")]
    else:
        return None
    if len(named) != 1:
        said = f"{', '.join(named)}: name the models in one place" if named else _NO_MODELS
        raise UserError(f"{said}: write models=A,B, or -m model=A,B, or -m model.path=A,B")
    if "run" in given:
        raise UserError(
            f"run={given['run']}: it names one run; those of several models are named after them"
        )
    if "model.adapters" in given:
        raise UserError("model.adapters: they are of one base; name one model")
    [name] = named
    values = [value.strip(" '\"") for value in given[name].strip("[]").split(",")]
    if "" in values or len(set(values)) < len(values):
        raise UserError(f"{name}={given[name]}: name each model once, with commas between them")
    others = [argument for argument in rest if argument.partition("=")[0] != name]
    option = "model" if name == "models" else name
    return {value: [*others, f"{option}={value}"] for value in values}
