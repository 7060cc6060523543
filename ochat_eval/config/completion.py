"""Tab completion: what can stand next on a command line, and the scripts that ask for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ochat_eval.benchmark.task import Task
from ochat_eval.config.build import class_of
from ochat_eval.config.groups import GROUPS, SEVERAL, node, options
from ochat_eval.config.schema import Config, Data, Overlong, Sandbox, Stage
from ochat_eval.engines.engine import Engine
from ochat_eval.engines.judge import Judge
from ochat_eval.engines.vllm_build import vllm_arguments
from ochat_eval.model.model import Model
from ochat_eval.records import UserError
from ochat_eval.terminal.command import Parser, ending
from ochat_eval.terminal.say import tell

_VALUES = {"stage": Stage, "data": Data, "sandbox": Sandbox, "overlong": Overlong}
_OF_RUNS = ("compare", "gate", "record", "read", "tables", "report", "export", "track")
"""Subcommands whose plain words are names of runs."""

SCRIPTS = {
    "bash": """\
_ochat_eval() {
    local line=${COMP_LINE:0:COMP_POINT} IFS=$'\\n'
    COMPREPLY=($(ochat-eval completion --line "$line" 2>/dev/null))
    local current=${line##* }
    # bash takes what stands behind `=` for the word.
    [[ $current == *=* ]] && COMPREPLY=("${COMPREPLY[@]#"${current%%=*}="}")
    [[ ${COMPREPLY[0]-} == *[=.] ]] && compopt -o nospace
}
complete -o default -F _ochat_eval ochat-eval
""",
    "zsh": """\
_ochat_eval() {
    local -a found
    found=("${(@f)$(ochat-eval completion --line "${(j: :)words[1,CURRENT]}" 2>/dev/null)}")
    compadd -S '' -- ${(M)found:#*[=.]}
    compadd -- ${found:#*[=.]}
}
compdef _ochat_eval ochat-eval
""",
}
_COMPLETION = """\
Prints what makes Tab complete subcommands, tasks, models, engines, judges, options and runs.

example, a line for ~/.bashrc or ~/.zshrc:
  eval "$(ochat-eval completion bash)"
"""


def completion(argv: Sequence[str], commands: Mapping[str, Callable[[], Sequence[str]]]) -> int:
    """`ochat-eval completion`; returns the exit code.

    Args:
        commands: each subcommand, and what tells its flags.
    """
    parser = Parser("completion", _COMPLETION)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("shell", metavar="SHELL", nargs="?", choices=SCRIPTS, help="bash or zsh")
    what.add_argument("--line", metavar="TEXT", help="print what can stand at this line's end")
    args = parser.parse_args(argv)

    def work() -> int:
        if args.line is None:
            tell(SCRIPTS[args.shell], end="")
        else:
            tell("\n".join(candidates(args.line, commands)))
        return 0

    return ending(parser.prog, work)


def candidates(line: str, commands: Mapping[str, Callable[[], Sequence[str]]]) -> list[str]:
    """The words that the last, begun word of a command line can become.

    Args:
        line: from the program's name up to the cursor.
        commands: each subcommand, and what tells its flags.
    """
    words = line.split(" ")
    current, before = words[-1], [word for word in words[1:-1] if word]
    command = next((word for word in before if word in commands), None)
    found: list[str] = []
    if command is None and not before:
        found += commands
    if command in (None, "run", "serve"):
        found += _options(current, before)
    elif command == "series" and not current.startswith("-"):
        found += _options(current, before[1:])
    elif command == "completion":
        found += SCRIPTS
    elif current.startswith("-"):
        found += commands[command]()
    elif command in _OF_RUNS:
        found += _runs()
    elif command in ("pull", "import"):
        found += options("task")
    return sorted({word for word in found if word.startswith(current)})


def _runs() -> Iterator[str]:
    """Names of runs in their usual folders, and of recorded runs."""
    for folder, file in (("results/runs", "manifest.json"), ("results/recorded", "recorded.json")):
        yield from (path.parent.name for path in Path(folder).glob(f"*/{file}"))


def _options(current: str, before: Sequence[str]) -> Iterator[str]:
    """Options of a run, up to `NAME=`, or the values that one can have."""
    key, equals, value = current.partition("=")
    chosen = dict(word.partition("=")[::2] for word in before)
    if not equals:
        yield from (f"{group}=" for group in GROUPS)
        yield from (f"{f.name}=" for f in dataclasses.fields(Config) if f.name not in _NESTED)
        yield from (f"{one}=" for one in _nested(key.partition(".")[0], chosen))
        return
    if key in (*GROUPS, "models"):
        head = value[: value.rfind(",") + 1] if key in (*SEVERAL, "models") else ""
        yield from (f"{key}={head}{name}" for name in options(key.removesuffix("s")))
    elif key in _VALUES:
        yield from (f"{key}={one.value}" for one in _VALUES[key])
    elif key == "run":
        yield from (f"run={name}" for name in _runs())


_NESTED = ("tasks", "model", "engine", "judge", "trackers")


def _nested(group: str, chosen: Mapping[str, str]) -> Iterator[str]:
    """The options of what is chosen: `engine.dtype`, `tasks.gsm8k.num_fewshot`."""
    if group == "model":
        yield from (f"model.{f.name}" for f in dataclasses.fields(Model))
    elif group in ("engine", "judge"):
        base: type = Engine if group == "engine" else Judge
        name = chosen.get(group, "vllm" if group == "engine" else "local")
        for option in _fields(group, name, base):
            yield f"{group}.{option}"
    elif group == "trackers":
        for name in chosen.get("track", "none").strip("[]").split(","):
            options_of = (key for key in node("track", name) if key != "_target_")
            yield from (f"trackers.{name}.{option}" for option in options_of)
    elif group == "tasks":
        for name in chosen.get("task", "gsm8k").strip("[]").split(","):
            yield from (f"tasks.{name}.{option}" for option in _fields("task", name, Task))


def _fields(group: str, name: str, base: type) -> list[str]:
    target = node(group, name).get("_target_")
    try:
        cls: type = class_of(str(target), base, f"{group}._target_")
    except UserError:
        return []
    names = [f.name for f in dataclasses.fields(cls)]
    more = sorted(vllm_arguments()) if "arguments" in names else []
    return [name for name in (*names, *more) if name not in ("name", "arguments")]
