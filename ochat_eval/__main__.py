"""The command line: `python -m ochat_eval NAME=VALUE …`."""

from __future__ import annotations

import sys

from ochat_eval.records import UserError

HELP = """\
usage: python -m ochat_eval [NAME=VALUE ...]

Evaluates a chat model on the benchmarks of the OpenChat-3.5 model card.

examples:
  python -m ochat_eval task=demo
      a first look on the embedded small model: real HumanEval problems, no network
  python -m ochat_eval task=[gsm8k,humaneval] model=openchat_3.5_0106
      two benchmarks exactly as published; run it again and it goes on where it stopped
  python -m ochat_eval task=gsm8k model=hf model.path=ORG/NAME limit=100 stage=plan
      a dry run: every prompt, its tokens, and what would be cut, before a GPU is touched

{groups}
options (conf/config.yaml):
{options}
any option of a task or an engine: tasks.gsm8k.num_fewshot=4, engine.tensor_parallel_size=2
data root for machines without a network: OCHAT_EVAL_DATA=DIR (filled by python -m ochat_eval.pull)
"""


def help_text() -> str:
    """What `--help` prints: three examples, every task, model and engine, every option."""
    from ochat_eval.config_groups import GROUPS, option_lines, options

    groups = []
    for group in GROUPS:
        known = options(group)
        width = max(map(len, known))
        groups.append(f"{group}s ({group}=NAME):")
        groups += [f"  {name:{width}}  {text}" for name, text in known.items()]
        groups.append("")
    return HELP.format(groups="\n".join(groups), options=option_lines("config.yaml"))


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns the exit code: 0, or 2 for a user's mistake."""
    given = sys.argv[1:] if arguments is None else arguments
    if any(a in ("-h", "--help", "help") for a in given):
        print(help_text(), end="")
        return 0
    try:
        from ochat_eval.pipeline import run_command

        run_command(given)
    except UserError as e:
        print(f"ochat_eval: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ochat_eval: stopped; run the same command again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
