"""vLLM's server, started with our chat format, gate and page."""

from __future__ import annotations

import asyncio
import math
import signal
import threading
import time
from argparse import Namespace
from contextlib import AsyncExitStack
from dataclasses import fields
from typing import Any

from starlette.middleware.cors import CORSMiddleware

from ochat_eval.engines.guard import Guard
from ochat_eval.engines.vllm import Vllm
from ochat_eval.engines.vllm_build import (
    cpu_arguments,
    cpu_environment,
    import_vllm,
    one_line,
    settled,
)
from ochat_eval.model.chat import load_format
from ochat_eval.model.context import context_of
from ochat_eval.model.imports import importing
from ochat_eval.model.model import Model
from ochat_eval.model.weights import prepare
from ochat_eval.records import UserError
from ochat_eval.serve.access import Gate
from ochat_eval.serve.callers import Callers
from ochat_eval.serve.chat_page import PAGE_PATHS, page_routes
from ochat_eval.serve.limits import Limits
from ochat_eval.serve.log import RequestLog
from ochat_eval.serve.options import Serve, is_local, keys
from ochat_eval.serve.shares import Shares
from ochat_eval.serve.variables import Variants
from ochat_eval.terminal.say import say
from ochat_eval.terminal.words import nearest

KEPT = {
    "/health",
    "/metrics",
    "/version",
    "/v1/models",
    "/v1/chat/completions",
    "/v1/completions",
    "/tokenize",
    "/detokenize",
}
"""The routes of vLLM's that are served. Its other ways to chat (`/v1/responses`, `/v1/messages`,
`/invocations`, …) would pass over `condition` in silence."""

OPEN = {"/health", "/metrics", *PAGE_PATHS}
"""The paths that need no key."""

_OURS = {
    "model": "model=",
    "tokenizer": "model.path",
    "revision": "model.revision",
    "served_model_name": "model.name and model.served_names",
    "host": "host",
    "port": "port",
    "uds": "host and port",
    "api_key": "api_keys",
    "allowed_origins": "cors",
    "allowed_methods": "cors",
    "allowed_headers": "cors",
    "allow_credentials": "nothing: a key is no cookie",
    "disable_access_log_for_endpoints": "log_file",
    "disable_uvicorn_access_log": "log_file",
    "uvicorn_log_level": "nothing: log_file has the requests",
    "grpc_port": "nothing: only HTTP is served",
    "middleware": "nothing",
    "chat_template": "model.chat",
    "chat_template_content_format": "model.chat",
    "default_chat_template_kwargs": "model.chat",
    "max_logprobs": "max_logprobs",
    "enable_log_requests": "log_file",
    "enable_log_outputs": "log_messages",
    "enable_auto_tool_choice": "nothing: tools are not supported",
    "tool_call_parser": "nothing: tools are not supported",
    "reasoning_parser": "model.thinking",
}
"""Arguments of vLLM's server that an option of ours stands for."""


_GRACE_SECONDS = 5
"""How long answers in flight have to end once the server stops."""


class EngineDied(Exception):
    """The engine is gone, and the server with it."""


class _Stopped(BaseException):
    """A KeyboardInterrupt while the model loads: vLLM would take that for the end of a wait."""


def _stop(*_: object) -> None:
    raise _Stopped


def run_server(options: Serve) -> None:
    """Serves until SIGTERM or SIGINT.

    Raises:
        UserError: an option or a model that cannot work, or an address that is taken.
        EngineDied: the engine ended while the server ran.
        KeyboardInterrupt: SIGTERM came before it served.
    """
    api_keys = keys(options)
    log = RequestLog(
        options.log_file, options.log_max_bytes, options.log_backups, options.log_messages
    )
    model: Model = options.model
    import_vllm("the server")
    args = _arguments(options, model)
    path = str(prepare(model))
    args.model = args.model_tag = path
    chats = Variants(load_format(model, path), model, path, options.template_kwargs)
    if not api_keys and not is_local(options.host):
        say(f"warning: host={options.host} without keys: whoever reaches this port can use it")
    import uvloop

    try:
        uvloop.run(_run(args, options, chats, api_keys, log))
    except _Stopped:
        raise KeyboardInterrupt from None


def _arguments(options: Serve, model: Model) -> Namespace:
    """The arguments of vLLM's server: its defaults, ours, and what `engine.` names."""
    with importing():
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.entrypoints.launchers.cli_args import FrontendArgs, make_arg_parser
        from vllm.entrypoints.serve.utils.api_utils import cli_env_setup
        from vllm.utils.argparse_utils import FlexibleArgumentParser

    if model.adapters:
        raise UserError("model.adapters: the server has one model; runs alone take adapters")
    cli_env_setup()
    degrees = ("tensor_parallel_size", "pipeline_parallel_size")
    parallel = Vllm(arguments={n: options.engine[n] for n in degrees if n in options.engine})
    parallel.check_machine()
    cpu_environment(parallel.world, options.engine)
    known = {f.name for c in (AsyncEngineArgs, FrontendArgs) for f in fields(c)}
    for name in options.engine:
        if name in _OURS:
            raise UserError(f"engine.{name}: not here; it is set by {_OURS[name]}")
        if name not in known:
            raise UserError(
                f"engine.{name}: vLLM has no such argument{nearest(name, sorted(known))}"
            )
    context = context_of(model)
    values = {
        **cpu_arguments(options.engine, int(options.engine.get("max_model_len", context))),
        "max_model_len": context,
        **({"trust_remote_code": True} if model.trust_remote_code else {}),
        "enable_prefix_caching": True,
        "use_tqdm_on_load": False,
        "generation_config": "vllm",  # what a request does not set is neutral, as offline
        "revision": model.revision,
        **settled(options.engine),
        "host": options.host,
        "port": options.port,
        "served_model_name": [model.name, *model.served_names],
        "uvicorn_log_level": "warning",
        "disable_uvicorn_access_log": True,
        "disable_fastapi_docs": True,
        "max_logprobs": options.max_logprobs,
    }
    args: Namespace = make_arg_parser(FlexibleArgumentParser()).parse_args([])
    for name, value in values.items():
        setattr(args, name, value)
    return args


async def _run(
    args: Namespace, options: Serve, chats: Variants, api_keys: list[str], log: RequestLog
) -> None:
    """Loads the model and serves: vLLM's `run_server` with our application in it."""
    from vllm.entrypoints.launchers.api_server.entry import build_async_engine_client
    from vllm.entrypoints.launchers.launcher import serve_http, setup_server

    from ochat_eval.serve.patience import impatient  # noqa: PLC0415 (derives from uvicorn's)

    name = options.model.name
    # Until the server has its own. SIGINT keeps asyncio's: without it uvloop holds streams back.
    signal.signal(signal.SIGTERM, _stop)
    try:
        address, sock = setup_server(args, reuse_port=False)
    except OSError as e:
        where = f"{options.host}:{options.port}"
        raise UserError(f"cannot listen on {where} ({e.strerror or e}); choose port=N") from e
    async with AsyncExitStack() as stack:
        stack.callback(sock.close)
        stack.callback(Guard().stand_down)
        say(f"loading {name} in vLLM …")
        try:
            engine = await stack.enter_async_context(build_async_engine_client(args))
        except (ValueError, RuntimeError, OSError, TypeError) as e:
            raise UserError(f"vLLM cannot load {name}: {one_line(e)}") from e
        stopped = _noticed_stop(engine)
        app = await _application(engine, args, options, chats, api_keys, log)
        say(f"serving {', '.join(args.served_model_name)} at {address}/v1; chat page: {address}/")
        closing = await serve_http(
            app,
            sock=sock,
            enable_ssl_refresh=args.enable_ssl_refresh,
            host=args.host,
            port=args.port,
            log_level=args.uvicorn_log_level,
            access_log=False,
            http=impatient(options.read_timeout_seconds),
            proxy_headers=False,  # uvicorn would believe whoever comes from this machine
            timeout_keep_alive=math.ceil(options.read_timeout_seconds),
            timeout_graceful_shutdown=_GRACE_SECONDS,
            ssl_keyfile=args.ssl_keyfile,
            ssl_certfile=args.ssl_certfile,
            ssl_ca_certs=args.ssl_ca_certs,
            ssl_cert_reqs=args.ssl_cert_reqs,
            ssl_ciphers=args.ssl_ciphers,
            h11_max_incomplete_event_size=args.h11_max_incomplete_event_size,
            h11_max_header_count=args.h11_max_header_count,
        )
        del engine.shutdown
        await closing
        if not stopped.is_set():
            raise EngineDied


def _noticed_stop(engine: Any) -> threading.Event:
    """Set once the engine is told to stop; vLLM's server ends for that, or for an engine's death,
    and returns the same. Answers in flight are ended in order first, as aborted."""
    stopped, shutdown = threading.Event(), engine.shutdown
    loop = asyncio.get_running_loop()

    def noticed(**given: Any) -> None:  # called from a thread
        stopped.set()
        in_flight = dict(engine.output_processor.request_states)
        aborted = engine.abort(list(in_flight), internal=True)
        asyncio.run_coroutine_threadsafe(aborted, loop).result(_GRACE_SECONDS)
        # The engine's end would overwrite what a slow client's stream has not yet taken.
        until = time.monotonic() + _GRACE_SECONDS
        untaken = [state.queue for state in in_flight.values()]
        while any(q.output is not None for q in untaken) and time.monotonic() < until:
            time.sleep(0.02)
        shutdown(**given)

    engine.shutdown = noticed
    return stopped


async def _application(
    engine: Any,
    args: Namespace,
    options: Serve,
    chats: Variants,
    api_keys: list[str],
    log: RequestLog,
) -> Any:
    """vLLM's application with our chat handler, guarded."""
    from vllm.entrypoints.launchers.api_server.app_state import init_app_state
    from vllm.entrypoints.launchers.app import build_app

    from ochat_eval.serve.completions import install  # noqa: PLC0415 (derives from vLLM's)

    tasks = await engine.get_supported_tasks()
    if "generate" not in tasks:
        raise UserError(f"{options.model.name} generates no text: vLLM can do {', '.join(tasks)}")
    app = build_app(args, tasks, engine.model_config)
    await init_app_state(engine, app.state, args, tasks)
    install(app.state, options.model, chats, log.texts)
    slots = engine.vllm_config.scheduler_config.max_num_seqs
    guard(app, options, api_keys, log, slots, engine.model_config.max_model_len)
    return app


def guard(
    app: Any,
    options: Serve,
    api_keys: list[str],
    log: RequestLog,
    slots: int,
    context: int,
) -> None:
    """Leaves vLLM's application the routes that are ours to vouch for, with the page, gated.

    Args:
        slots: how many answers the engine computes at once.
        context: its tokens for each.
    """
    app.router.routes[:] = [r for r in app.routes if getattr(r, "path", None) in KEPT]
    app.router.routes += page_routes(options.model, bool(api_keys))
    # build_app has put its middleware together already, so that none can be added by name.
    inner = app.middleware_stack or app.build_middleware_stack()
    named = {f.name: getattr(options, f.name) for f in fields(Limits) if f.name != "context"}
    gate = Gate(
        inner,
        keys=api_keys,
        open_paths=OPEN,
        limits=Limits(**named, context=context),
        shares=_shares(options, slots),
        callers=Callers(None if api_keys else [options.host, *options.hosts], options.proxies),
        log=log,
    )
    app.middleware_stack = gate
    if options.cors:  # outside the gate, so that its refusals can be read, too
        app.middleware_stack = CORSMiddleware(
            gate, allow_origins=options.cors, allow_methods=["*"], allow_headers=["*"]
        )


def _shares(options: Serve, slots: int) -> Shares:
    """The bounds as they are set, or from what the engine computes at once."""
    in_flight = options.max_in_flight or slots
    of_a_client = options.max_client_in_flight or max(1, in_flight * 3 // 4)
    return Shares(in_flight, of_a_client, options.max_client_waiting)
