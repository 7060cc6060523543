"""Serves the board: on this machine to everybody, elsewhere to those who have a key."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from ochat_eval.board.app import application, page_paths
from ochat_eval.board.board import Board
from ochat_eval.records import UserError
from ochat_eval.serve.access import Gate
from ochat_eval.serve.callers import Callers
from ochat_eval.serve.limits import Limits
from ochat_eval.serve.log import RequestLog
from ochat_eval.serve.options import Serve, is_local, keys
from ochat_eval.serve.patience import impatient
from ochat_eval.serve.shares import Shares
from ochat_eval.terminal.say import tell

_GRACE_SECONDS = 2
_WRITES = Shares(in_flight=8, of_a_client=4, waiting=64)
_OTHER_NAMES = "start the board with --host NAME (0.0.0.0: any), which asks for a key"
_LIMITS = Limits(
    max_body_bytes=2**16,
    read_timeout_seconds=30,
    max_choices=1,
    max_new_tokens=None,
    max_stops=1,
    max_stop_length=0,
    max_logprobs=0,
    max_grammar_length=0,
    max_grammar_depth=0,
    context=0,
)
"""Of what is written; what only a model is asked has no place here."""


def serve_board(root: Path, host: str, port: int) -> None:
    """Serves until Ctrl-C or SIGTERM.

    Where others reach `host`, it takes the keys of OCHAT_EVAL_API_KEYS, or makes one and says it.

    Raises:
        UserError: the address is taken or cannot be listened on, or a key cannot be one.
    """
    known = keys(Serve())
    made = [] if known or is_local(host) else [secrets.token_urlsafe(24)]
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as e:
        raise UserError(
            f"cannot listen on {host}:{port} ({getattr(e, 'strerror', None) or e}); choose --port N"
        ) from e
    with sock:
        shown = f"[{host}]" if ":" in host else host
        where = f"http://{shown}:{sock.getsockname()[1]}/"
        tell(f"the board of {root}: {where}{f'#key={made[0]}' if made else ''}", flush=True)
        config = uvicorn.Config(
            gated(Board(root), host, [*known, *made]),
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            http=impatient(_LIMITS.read_timeout_seconds),
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        uvicorn.Server(config).run(sockets=[sock])


def gated(board: Board, host: str, api_keys: list[str]) -> ASGIApp:
    """The board behind the server's gate: keys, host names, bodies of a bounded size.

    Args:
        host: where it listens; without keys no other name of this machine is served.
    """
    return Gate(
        application(board),
        keys=api_keys,
        open_paths=page_paths(),
        limits=_LIMITS,
        shares=_WRITES,
        callers=Callers(None if api_keys else [host], [], mend=_OTHER_NAMES),
        log=RequestLog(None, 0, 0, False),
    )
