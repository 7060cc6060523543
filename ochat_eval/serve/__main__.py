"""The server's command line: `python -m ochat_eval.serve NAME=VALUE …`."""

from __future__ import annotations

import os
import sys

from ochat_eval.records import UserError

HELP = """\
usage: python -m ochat_eval.serve [NAME=VALUE ...]

Serves a model with an OpenAI-compatible API and a chat page, on vLLM's own server. Its prompts are
token for token those of an evaluation; the request field `condition` chooses among the model's
conditions.

examples:
  python -m ochat_eval.serve
      the embedded small model at http://127.0.0.1:18888
  python -m ochat_eval.serve model=openchat_3.5_0106 engine.tensor_parallel_size=2
      OpenChat on two GPUs
  OCHAT_EVAL_API_KEYS="KEY1 KEY2" python -m ochat_eval.serve host=0.0.0.0 log_file=requests.jsonl
      for other machines: with keys, and a log of requests

models (model=NAME):
{models}

options (conf/serve.yaml):
{options}
any argument of vLLM's: engine.gpu_memory_utilization=0.8, engine.dtype=bfloat16
"""


def help_text() -> str:
    """What `--help` prints: examples, every model, every option."""
    from ochat_eval.config_groups import option_lines, options

    known = options("model")
    width = max(map(len, known))
    models = "\n".join(f"  {name:{width}}  {text}" for name, text in known.items())
    return HELP.format(models=models, options=option_lines("serve.yaml"))


def main(arguments: list[str] | None = None) -> int:
    """Serves; returns the exit code: 0 after SIGTERM, 2 for a user's mistake, 1 if the engine died,
    130 if it was stopped before it served."""
    given = sys.argv[1:] if arguments is None else arguments
    if any(a in ("-h", "--help", "help") for a in given):
        print(help_text(), end="")
        return 0
    try:
        from ochat_eval.serve.options import load
        from ochat_eval.serve.server import EngineDied, serve

        serve(load(given))
    except KeyboardInterrupt:
        print("ochat_eval.serve: stopped while it was starting", file=sys.stderr)
        return 130
    except UserError as e:
        print(f"ochat_eval.serve: {e}", file=sys.stderr)
        return 2
    except EngineDied:
        print("ochat_eval.serve: vLLM's engine died; start the server again", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    if code > 1:
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # all is closed; libraries of vLLM's write a page about leaks at other ends
