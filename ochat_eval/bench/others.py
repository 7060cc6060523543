"""Other harnesses beside ours: an environment for each, and whole processes timed in turn."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path

from ochat_eval.bench.costs import Table, claim, in_turn, last_line, measure, ratio, spread
from ochat_eval.bench.harness import Workload
from ochat_eval.records import UserError
from ochat_eval.run.store import write_text
from ochat_eval.terminal.say import say


def python_with(package: str, version: str, as_here: bool = False) -> Path:
    """The Python of an environment that has a package; the environment is made the first time.

    It lies beside this one, as `.venv-PACKAGE`.

    Args:
        as_here: packages that this environment has, too, get the same version.

    Raises:
        UserError: this Python is in no environment, or the installation failed.
    """
    if sys.prefix == sys.base_prefix:
        raise UserError("this Python is in no virtual environment; use the one of make setup")
    folder = Path(sys.prefix).with_name(f".venv-{package}")
    python, ready = folder / "bin" / "python", folder / f".ready-{version}"
    if ready.exists():
        return python
    say(f"installing {package} {version} into {folder}: once, some minutes")
    _must([sys.executable, "-m", "venv", "--clear", str(folder)], f"cannot make {folder}")
    versions = folder / "versions.txt"
    ours = sorted({f"{d.name}=={d.version}\n" for d in distributions()} if as_here else ())
    write_text(versions, "".join(ours))
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    _must([*install, "-c", str(versions), f"{package}=={version}"], f"cannot install {package}")
    ready.touch()
    return python


def _must(command: Sequence[str], problem: str) -> None:
    """Runs a command; raises UserError with its last line of output if it fails."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, env=bare()
    )
    if done.returncode:
        raise UserError(f"{problem}: {last_line(done.stdout)}")


def bare(**more: str) -> dict[str, str]:
    """This process's environment, less what would show its packages to another Python."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    return {**kept, **more}


def beside(
    theirs: str,
    work: Workload,
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    pairs: int,
) -> Table:
    """Times whole processes in turn: a run of ours, and a command of another harness.

    Args:
        theirs: the other's name and version.
        work: what ours does; the title says it.
        folder: where both run.
    """
    costs = in_turn(
        {
            "ochat_eval": lambda pair: measure([*work.command, f"run=bench{pair}"], folder),
            theirs: lambda pair: measure(command, folder, environment),
        },
        pairs,
    )
    seconds = {who: [cost.seconds for cost in every] for who, every in costs.items()}
    rows = [
        [who, *spread(seconds[who]), f"{max(cost.mib for cost in every):.0f}"]
        for who, every in costs.items()
    ]
    rows.append(["ratio", f"{ratio(*seconds.values()):.3f}", "", ""])
    title = f"{work.title}; {pairs} runs of each in turn, median"
    claims = [claim(f"GSM8K without a model / {theirs}", *seconds.values(), goal=1.0)]
    return Table(title, ["process", "seconds", "from, to", "peak MiB"], rows, seconds, claims)
