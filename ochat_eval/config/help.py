"""What `ochat-eval run --help` prints: every benchmark, model, engine and option."""

from __future__ import annotations

from ochat_eval.config.groups import GROUPS, SEVERAL, option_texts, options, own_folder
from ochat_eval.terminal.grid import listing

_RUN = """\
usage: ochat-eval [run] [NAME=VALUE ...]

Evaluates a chat model: plans every prompt, generates, judges where there is a
judge, scores, reports. The same command again goes on where it stopped; a
finished one does nothing.

examples:
  ochat-eval task=demo
      a first look on the embedded small model: HumanEval's problems, no network
  ochat-eval task=gsm8k,humaneval model=openchat_3.5_0106
      two benchmarks exactly as published
  ochat-eval task=gsm8k model=ORG/NAME limit=100 stage=plan
      a dry run: every prompt, its tokens, what would be cut; no GPU is used

{groups}
options (conf/config.yaml):
{options}
any option of a task or an engine, as in
  tasks.gsm8k.num_fewshot=4 engine.tensor_parallel_size=2
--cfg job         print the composed configuration instead
--config-dir DIR  files of your own, as in DIR/task/mine.yaml{own}
--allow PACKAGE   lets such files name classes of a package that you trust
OCHAT_EVAL_DATA   a data root, for machines without a network (ochat-eval pull)
"""


def run_help() -> str:
    """Three examples, every task, model, engine and judge, every option."""
    groups = [
        f"{SEVERAL.get(group, f'{group}s')} ({group}=NAME):\n{listing(options(group))}\n"
        for group in GROUPS
    ]
    own = own_folder()
    return _RUN.format(
        groups="\n".join(groups),
        options=listing(option_texts("config.yaml")),
        own="" if own is None else f" (now {own})",
    )
