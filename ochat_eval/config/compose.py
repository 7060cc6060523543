"""The configuration: Hydra composes it, dataclasses check it, and mistakes get one clear line.

`engine.X=…` and `tasks.NAME.X=…` may name any option of the engine or the task, whether or not
its YAML file lists it; the classes named in the YAML files say which there are.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import re
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ochat_eval.benchmark.task import Task
from ochat_eval.config import hidden
from ochat_eval.config.arguments import quoted
from ochat_eval.config.build import class_of, typed, types_of
from ochat_eval.config.groups import GROUPS, SEVERAL, bare, names, node, own_folder
from ochat_eval.config.schema import AUTO, Config
from ochat_eval.engines.vllm_build import vllm_arguments
from ochat_eval.model.model import Model
from ochat_eval.model.recommended import SAMPLING
from ochat_eval.records import UserError
from ochat_eval.terminal.words import nearest

_OPEN = ("engine.", "model.", "tasks.", "judge.", "trackers.")
"""What may name options that the YAML files do not list."""
_TEXTS = re.compile(r"model\.(system|template)|tasks\.\w+\.(prompt|rubric)")
_ADAPTERS = "model.adapters"
_HYDRAS = re.compile(r"[\w\s/.:$%*@?|+-]*", re.ASCII)
"""A value that Hydra reads without quotes."""
_FORMED = re.compile(r"[\[\]{}()'\"\\]")
"""What a value that is written in Hydra's own form has in it."""
_MARKS = ("model.thinking", "model.stop", _ADAPTERS)
"""Options whose values are taken letter by letter: a text, or a list: `<|im_end|>`, `a=DIR`."""
_LIMIT = "write a number of items, or auto"


def load(overrides: Sequence[str]) -> Config:
    """Composes and checks the configuration of a run.

    Args:
        overrides: Hydra overrides as on the command line: `task=gsm8k`, `limit=40`.

    Raises:
        UserError: an unknown option, value or file, with the nearest right name.
    """
    config: Config = compose_file("config", Config, overrides)
    if not config.tasks:
        raise UserError("no task is chosen; write task=gsm8k, or task=gsm8k,humaneval")
    if config.models is not None:
        raise UserError(
            f"models={config.models}: one run has one model; the command line takes several"
        )
    if config.tokens_per_second is not None and not config.tokens_per_second > 0:
        raise UserError(f"tokens_per_second={config.tokens_per_second:g}; it must be above 0")
    if isinstance(config.limit, str) and config.limit != AUTO:
        raise UserError(f"limit={config.limit}: {_LIMIT}")
    if not 0 < config.precision <= 100:
        raise UserError(f"precision={config.precision:g}; it must be above 0 and at most 100")
    if config.run is not None and not re.fullmatch(r"[\w.+-]*[\w+-]", config.run):
        raise UserError(
            f"run={config.run}: a run's name has letters, digits, '.', '_', '+', '-' only"
        )
    return config


def compose_file(file: str, schema: type, overrides: Sequence[str]) -> Any:
    """An object of `schema` made of a file of conf/ and overrides; its `model` is a `Model`.

    Raises:
        UserError: an unknown option, value or file, with the nearest right name.
    """
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    fields = (f.name for f in dataclasses.fields(schema))
    known = [*(name for name in fields if name not in SEVERAL.values()), *SEVERAL]
    written = [part for override in overrides for part in _written(override, schema, known)]
    try:
        config: Any = OmegaConf.to_object(_composed(file, schema, written))
    except (HydraException, OmegaConfBaseException) as e:
        raise UserError(_explain(e, written, known)) from e
    config.model = typed(Model, config.model or {}, "model")
    return config


def _composed(file: str, schema: type, written: Sequence[str]) -> Any:
    """What Hydra composes of the chosen files, with the values that are given for options."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import ConfigCompositionException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    chosen = tuple(one for one in written if one.partition("=")[0] in GROUPS)
    bare_choices = tuple((group, *one) for group in GROUPS for one in bare(group).items())
    own = own_folder()
    if own is None:
        config = copy.deepcopy(_kept(file, schema, chosen, bare_choices))
    else:  # its files are the user's, and may change
        searched = f"hydra.searchpath=[{own.resolve().as_uri()}]"
        config = _of_files(file, schema, (*chosen, searched), bare_choices)
    values = [one for one in written if one not in chosen]
    for override in OverridesParser.create().parse_overrides(values):
        name, value = override.key_or_group, override.value()
        if override.is_sweep_override():
            raise UserError(f"{name}: it is one value, not several")
        force = override.is_force_add()
        if isinstance(value, bool | int | float | list) and _is_text_of(config, name):
            if isinstance(value, list):
                raise UserError(f"{name} is one value, not several{_quotes(name)}")
            value = str(override.input_line).partition("=")[2]  # as it is written: 1.10
        try:
            OmegaConf.update(config, name, value, merge=True, force_add=force)
        except OmegaConfBaseException as e:
            raise ConfigCompositionException(f"cannot set {override.input_line}") from e
    return config


def _of_files(
    file: str, schema: type, chosen: tuple[str, ...], bare_choices: tuple[tuple[str, str, str], ...]
) -> Any:
    """What Hydra composes of the chosen files. It keeps its state for the whole process: who calls
    us from Python may have one of its own, and finds it as it was.

    Args:
        bare_choices: the choices without a file: the group, the name, the class.
    """
    from hydra import compose, initialize_config_module
    from hydra.core.config_store import ConfigStore
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.plugins import Plugins
    from hydra.version import VersionBase

    Plugins.instance()  # once found, they write into the store: into that of who calls
    store, hydra, base = ConfigStore.instance(), GlobalHydra.instance(), VersionBase.instance()
    theirs = store.repo, hydra.hydra, base.version_base
    store.repo = {**store.repo, **_stored(file, schema), **{group: {} for group in GROUPS}}
    for group, name, target in bare_choices:
        package = f"{SEVERAL[group]}.{name}" if group in SEVERAL else group
        store.store(name, {"_target_": target}, group, package)
    hydra.clear()
    try:
        with initialize_config_module("ochat_eval.conf", version_base="1.3"):
            return compose(file, list(chosen))
    finally:
        GlobalHydra.set_instance(hydra)
        store.repo, hydra.hydra, base.version_base = theirs


_kept = functools.lru_cache(maxsize=128)(_of_files)
"""The same, once for each choice of our own files, which stay as they are."""


@functools.cache
def _stored(file: str, schema: type) -> dict[str, Any]:
    """What Hydra's store is to hold whatever is chosen, made once: Hydra takes copies of it.

    Of Hydra's own configuration it is the bare options; the files of its loggers, launchers and
    help, which nothing here uses, took half the time of composing.
    """
    from hydra.conf import HydraConf
    from hydra.core.config_store import ConfigNode
    from omegaconf import OmegaConf

    def stored(name: str, value: Any, group: str | None = None) -> dict[str, Any]:
        node = OmegaConf.structured(value)
        return {name: ConfigNode(name, node, group, package=None, provider=group)}

    bare_hydra = stored("config.yaml", HydraConf(defaults=[]), "hydra")
    return {**stored(f"{file}_schema.yaml", schema), "hydra": bare_hydra}


def _written(override: str, schema: type, known: Sequence[str]) -> list[str]:
    """An override as Hydra takes it; refused where nothing knows its name.

    A list needs no brackets; a model can be named by its folder or hub id.
    """
    key, equals, value = override.partition("=")
    name = key.lstrip("+~")
    if not equals:
        raise UserError(f"{override!r} is no option: write NAME=VALUE, as in model=hf")
    if name in ("_target_", "hydra") or "._target_" in key or "hydra" in key or "@" in key:
        raise UserError(f"{key}: this cannot be set from the command line")
    first = name.partition(".")[0]
    if first not in known and first not in SEVERAL.values():
        raise UserError(f"{name}: there is no such option{_below(name, known, schema)}")
    for group, place in SEVERAL.items():
        if first == group != name or (name == place and value[:1] != "{"):
            meant = group if name == place else name.replace(group, place, 1)
            raise UserError(f"{name}: there is no such option; did you mean {meant}?")
    if name != key:
        raise UserError(f"{override}: write {name}={value}, without {key[: len(key) - len(name)]}")
    if _TEXTS.fullmatch(name) and value[:1] not in ("'", '"'):
        return [f"++{name}={_text(value)}"]
    listed = "," in value or value[:1] == "[" or (name == _ADAPTERS and value != "null")
    if name in _MARKS and listed and not re.search("['\"]", value):
        parts = (one.strip() for one in value.strip("[]").split(","))
        return [f"++{name}=[{','.join(quoted(one) for one in parts if one)}]"]
    if name.startswith(_OPEN):
        return [f"++{name}={_list(value)}"]
    if name == "model" and _is_place(value):
        return ["model=hf", f"++model.path={quoted(value)}"]
    several = name in (*SEVERAL, "against")
    if not several and "," in value and _is_scalar(schema, name) and value[:1] not in "'\"[":
        comma = _quotes(name) if _is_text(schema, name) else ""
        raise UserError(f"{override}: {name} is one value, not several{comma}")
    if name in GROUPS:
        _check_choice(name, value)
    as_text = name == "against" or _is_text(schema, name)
    return [f"{name}={_list(value, _text if as_text else _readable)}"]


def _readable(value: str) -> str:
    """A value that is no text for Hydra without quotes, as `~/Jörg/a=b`, in them."""
    return value if _HYDRAS.fullmatch(value) else quoted(value)


def _text(value: str) -> str:
    """A name or path as it is written: `1.10` and `2026_11`, too, which Hydra takes for numbers."""
    return value if value == "null" else quoted(value)


def _list(value: str, one: Callable[[str], str] = _readable) -> str:
    """Values with commas between them as a list, whose brackets a shell may want in quotes."""
    if _FORMED.search(value):
        return value
    parts = [one(part) for part in value.split(",")]
    return parts[0] if len(parts) == 1 else f"[{','.join(parts)}]"


def _is_place(value: str) -> bool:
    """Whether a model is named by its folder, GGUF file or hub id, not by a file of conf/model/."""
    here = Path(value).expanduser()
    file = value.endswith(".gguf") and here.is_file()
    return "/" in value or (value not in names("model") and (file or here.is_dir()))


def _is_scalar(schema: type, name: str) -> bool:
    """Whether an option of the schema takes one value only."""
    hint = types_of(schema).get(name)
    return name in GROUPS or (
        hint is not None and hint is not Any and typing.get_origin(hint) not in (list, dict)
    )


def _is_text(schema: type, name: str) -> bool:
    """Whether an option of the schema is a text: a name, a path."""
    return types_of(schema).get(name) in (str, str | None)


def _is_text_of(config: Any, name: str) -> bool:
    """Whether an option of the model or of what else is chosen is a text."""
    from omegaconf import OmegaConf

    place, _, option = name.rpartition(".")
    if place == "model":
        return _is_text(Model, option)
    target = OmegaConf.select(config, f"{place}._target_") if place else None
    return target is not None and _is_text(class_of(target, object, f"{place}._target_"), option)


def _quotes(name: str) -> str:
    return f"; a comma within it needs quotes: \"{name}='A,B'\""


def _check_choice(key: str, value: str) -> None:
    """Refuses a file of a group that is not there, and one of the user's that cannot be read."""
    known = names(key)
    for name in (one.strip() for one in value.strip("[]").split(",")):
        if name not in known and value != "[]":
            raise UserError(f"{key}={name}: there is no such {key}{nearest(name, known)}")
        if own_folder() is not None:
            node(key, name)  # refused by its name where it is no YAML; Hydra would not say which


def _below(name: str, known: Sequence[str], schema: type) -> str:
    """`; did you mean engine.NAME?` of an option of a model, an engine, a benchmark; else what is
    nearest of those known."""

    def listed(group: str) -> bool:
        return any(name in node(group, one) for one in names(group))

    def has(cls: type) -> bool:
        return name in (field.name for field in dataclasses.fields(cls))

    places = {
        f"model.{name}": has(Model),
        f"engine.{name}": listed("engine") or name in vllm_arguments(),
    }
    if schema is Config:
        places |= {
            f"judge.{name}": listed("judge"),
            f"sampling={{{name}: …}}": name in SAMPLING,
            f"tasks.TASK.{name}": listed("task") or has(Task),
            f"tasks.{name}": "." in name and name.partition(".")[0] in names("task"),
            f"trackers.{name}": "." in name and name.partition(".")[0] in names("track"),
        }
    shown = [place for place, has in places.items() if has]
    return f"; did you mean {' or '.join(shown)}?" if shown else nearest(name, known)


def _explain(error: Exception, overrides: Sequence[str], known: Sequence[str]) -> str:
    """One line for what Hydra refused, naming the option and the nearest right one."""
    from hydra.errors import OverrideParseException
    from omegaconf.errors import MissingMandatoryValue

    lower: BaseException = error
    while lower.__cause__ is not None:
        lower = lower.__cause__
    if isinstance(lower, MissingMandatoryValue):
        return f"{lower.full_key} is not set: write {lower.full_key}=VALUE"
    if isinstance(error, OverrideParseException):
        given = str(error.override)
        if given.startswith("++"):  # ours; an address may hold a key
            given = given.removeprefix("++").partition("=")[0]
        return f"{given}: this cannot be read as NAME=VALUE (quotes or brackets?)"
    place = str(getattr(lower, "full_key", "") or "")
    if hidden.is_hidden(place):
        return f"{place}: its value cannot be read ($NAME names an environment variable)"
    if unplaced := re.match(r"In '(task|track)/(.+)': .*\nKey '\1' not in", str(error)):
        group, file = unplaced.groups()
        return f"{group}/{file}.yaml: its first line must be # @package {SEVERAL[group]}.{file}"
    return _blamed(error, lower, overrides, known)


def _blamed(
    error: Exception, lower: BaseException, overrides: Sequence[str], known: Sequence[str]
) -> str:
    """What lay below an error, with the override that it is of where one can be told."""
    reason = (str(lower).splitlines() or [type(lower).__name__])[0]
    for override in overrides:
        key, _, value = override.partition("=")
        if f"'{key}'" in str(error) or f"full_key: {key}" in str(lower) or override in str(error):
            if "not in" in reason or "Could not override" in reason:
                return f"{key}: there is no such option{nearest(key, known)}"
            return f"{key}={value}: {_LIMIT if key == 'limit' else reason}"
    return reason


def to_yaml(config: Config) -> str:
    """The resolved configuration as YAML, without what may be a key."""
    from omegaconf import OmegaConf

    shown = dataclasses.replace(
        config, engine=hidden.values(config.engine), judge=hidden.values(config.judge)
    )
    return OmegaConf.to_yaml(dataclasses.asdict(shown))
