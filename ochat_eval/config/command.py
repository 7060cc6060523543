"""The command lines of a run, and of pull: which data, by the benchmarks that need it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ochat_eval.config.job import Job
from ochat_eval.config.load import job, sources_of
from ochat_eval.data.pull import pull as pull_sources
from ochat_eval.records import UserError
from ochat_eval.terminal.command import Parser, ending
from ochat_eval.terminal.say import tell
from ochat_eval.terminal.words import counted

_FLAGS = {
    "--cfg": "--cfg: write --cfg job, which prints the composed configuration",
    "--info": "--info: write stage=plan, which prints what a run will take before it takes it",
    **dict.fromkeys(
        ("-cn", "--config-name", "-cp", "--config-path"),
        "the options of a run stand in conf/config.yaml; files of your own go beside its groups: "
        "--config-dir DIR",
    ),
}
"""What Hydra's users write, and what to write here."""


def asked(argv: Sequence[str]) -> Job | None:
    """What a run's command line asks for; None where it was only to be printed.

    Raises:
        UserError: an unknown flag, option, value or file.
    """
    flags = [a for a in argv if a.startswith("-")]
    options = [a for a in argv if not a.startswith("-")]
    if flags == ["--cfg"] and list(argv[argv.index("--cfg") + 1 :][:1]) == ["job"]:
        options.remove("job")
        tell(job(options).resolved(), end="")
        return None
    for flag in flags:
        known = _FLAGS.get(flag.partition("=")[0])
        raise UserError(known or f"{flag}: there is no such flag; options are NAME=VALUE")
    return job(options)


_PULL = """\
Fills a data root for machines without a network, with everything pinned and verified. Options that
choose other data can be given too: tasks.humaneval.problems=v0.1.10.

example:
  ochat-eval pull /data/ochat gsm8k mmlu
  OCHAT_EVAL_DATA=/data/ochat ochat-eval task=gsm8k
"""


def pull(argv: Sequence[str]) -> int:
    """`ochat-eval pull`; returns the exit code."""
    parser = Parser("pull", _PULL)
    parser.add_argument(
        "dir", metavar="DIR", type=Path, help="the data root; name it in OCHAT_EVAL_DATA later"
    )
    parser.add_argument(
        "task",
        metavar="TASK",
        nargs="*",
        default=[],  # else argparse says that one is required
        help="what to pull, all if none is named; and options",
    )
    args = parser.parse_args(argv)

    def work() -> int:
        written = pull_sources(sources_of(args.task), args.dir)
        tell(
            f"{args.dir}: complete, {counted(written, 'file')} written. "
            f"Use it: OCHAT_EVAL_DATA={args.dir}"
        )
        return 0

    return ending(parser.prog, work)
