"""The server's command line: `ochat-eval serve NAME=VALUE …`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ochat_eval.config.groups import option_texts, options
from ochat_eval.records import UserError
from ochat_eval.serve.options import load
from ochat_eval.serve.server import EngineDied, run_server
from ochat_eval.terminal.command import MISTAKE, STOPPED
from ochat_eval.terminal.grid import listing
from ochat_eval.terminal.say import say, tell

HELP = """\
usage: ochat-eval serve [NAME=VALUE ...]

Serves a model with an OpenAI-compatible API and a chat page, on vLLM's own
server. Its prompts are token for token those of an evaluation; the request
field `condition` chooses among the model's conditions.

examples:
  ochat-eval serve
      the embedded small model at http://127.0.0.1:18888
  ochat-eval serve model=openchat_3.5_0106 engine.tensor_parallel_size=2
      OpenChat on two GPUs
  OCHAT_EVAL_API_KEYS="KEY1 KEY2" ochat-eval serve host=0.0.0.0 log_file=log.jsonl
      for other machines: with keys, and a log of requests

models (model=NAME):
{models}

options (conf/serve.yaml):
{options}
any argument of vLLM's: engine.gpu_memory_utilization=0.8, engine.dtype=bfloat16
"""

_NAME = "ochat-eval serve"


def help_text() -> str:
    """What `--help` prints: examples, every model, every option."""
    models, own = options("model"), option_texts("serve.yaml")
    return HELP.format(models=listing(models), options=listing(own))


def serve(argv: Sequence[str]) -> int:
    """`ochat-eval serve`: serves, and ends the process where it has served.

    Returns:
        The exit code: 2 for a user's mistake, 130 if it was stopped before it served. A server
        that has served ends the process itself: with 0 after SIGTERM, 1 if the engine died.
    """
    if any(a in ("-h", "--help", "help") for a in argv):
        tell(help_text(), end="")
        return 0
    code = 0
    try:
        run_server(load(argv))
    except KeyboardInterrupt:
        say(f"{_NAME}: stopped while it was starting")
        return STOPPED
    except UserError as e:
        say(f"{_NAME}: {e}")
        return MISTAKE
    except EngineDied:
        say(f"{_NAME}: vLLM's engine died; start the server again")
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # all is closed; libraries of vLLM's write a page about leaks at other ends
