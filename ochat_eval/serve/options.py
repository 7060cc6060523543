"""The options of the server, and the keys that its clients must have."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from ochat_eval.config.compose import compose_file
from ochat_eval.records import UserError

KEYS_VARIABLE = "OCHAT_EVAL_API_KEYS"
_COUNTS = (
    "read_timeout_seconds",
    "max_body_bytes",
    "max_choices",
    "max_new_tokens",
    "max_stops",
    "max_stop_length",
    "max_logprobs",
    "max_grammar_length",
    "max_grammar_depth",
    "max_in_flight",
    "max_client_in_flight",
    "max_client_waiting",
    "log_max_bytes",
)


@dataclass
class Serve:
    """Every option of the server; conf/serve.yaml has the values and what they mean."""

    host: str = "127.0.0.1"
    port: int = 18888
    api_keys: list[str] = field(default_factory=list)
    api_keys_file: str | None = None
    cors: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    proxies: list[str] = field(default_factory=list)
    template_kwargs: list[str] = field(default_factory=list)
    read_timeout_seconds: float = 30
    max_body_bytes: int = 2**21
    max_choices: int = 16
    max_new_tokens: int | None = None
    max_stops: int = 16
    max_stop_length: int = 200
    max_logprobs: int = 20
    max_grammar_length: int = 2**14
    max_grammar_depth: int = 32
    max_in_flight: int | None = None
    max_client_in_flight: int | None = None
    max_client_waiting: int = 256
    log_file: str | None = None
    log_messages: bool = False
    log_max_bytes: int = 10 * 2**20
    log_backups: int = 5
    engine: dict[str, Any] = field(default_factory=dict)
    model: Any = None


def load(overrides: Sequence[str]) -> Serve:
    """Composes and checks the server's configuration.

    Raises:
        UserError: an unknown option or value, with the nearest right name.
    """
    try:
        options: Serve = compose_file("serve", Serve, overrides)
    except UserError as e:
        raise UserError(_without_keys(str(e), overrides)) from None
    if not 0 < options.port < 2**16:
        raise UserError(f"port={options.port}: a port is 1 to 65535")
    for name in _COUNTS:
        value, least = getattr(options, name), 0 if name == "max_logprobs" else 1
        if value is not None and not least <= value < math.inf:
            raise UserError(f"{name}={value}: it must be at least {least}")
    if options.log_backups < 1:
        raise UserError(f"log_backups={options.log_backups}: without one, a full log is never cut")
    for origin in options.cors:
        if origin != "*" and not re.fullmatch("https?://[^/]+", origin):
            raise UserError(
                f'cors: {origin!r} is no origin: write https://HOST[:PORT], or "*" for all'
            )
    if not re.fullmatch(r"[\w.:%-]+", options.host, re.ASCII):
        raise UserError(f"host={options.host!r}: it is no name and no address")
    for host in options.hosts:
        if not re.fullmatch(r"[\w.-]+", host) and not _is_address(host):
            raise UserError(f"hosts: {host!r} is no name: write it without https:// and port")
    for proxy in options.proxies:
        if not _is_network(proxy):
            raise UserError(f"proxies: {proxy!r} is no address, and no network as 10.0.0.0/8")
    return options


def _without_keys(message: str, overrides: Sequence[str]) -> str:
    """A message about overrides; of one that sets keys it says only how to write it."""
    for override in overrides:
        name, _, value = override.partition("=")
        if "api_key" in name and not name.endswith("_file") and value and value in message:
            return f"{name}: this cannot be read; write api_keys=[KEY,KEY]"
    return message


def keys(options: Serve) -> list[str]:
    """The keys from the options, the file and the environment; none: the server is open.

    Raises:
        UserError: a file that cannot be read, a source that is set but has no key, or a key that
            no HTTP header can carry. The message never has a key.
    """
    found = list(options.api_keys)
    if options.api_keys_file is not None:
        try:
            lines = Path(options.api_keys_file).expanduser().read_text().split("\n")
        except (OSError, ValueError) as e:
            raise UserError(f"api_keys_file={options.api_keys_file}: cannot be read ({e})") from e
        in_file = [line.strip() for line in lines if line.strip()]
        if not in_file:
            raise UserError(f"api_keys_file={options.api_keys_file}: there is no key in it")
        found += in_file
    if (variable := os.environ.get(KEYS_VARIABLE)) is not None:
        if not variable.split():
            raise UserError(f"{KEYS_VARIABLE} is set but empty: unset it, or put keys into it")
        found += variable.split()
    if os.environ.get("VLLM_API_KEY"):
        raise UserError(f"VLLM_API_KEY is vLLM's own and does not do here: set {KEYS_VARIABLE}")
    if not all(key.isascii() and key.isprintable() and key == key.strip() and key for key in found):
        raise UserError("an API key must be printable ASCII without blanks around it")
    return found


def is_local(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _is_address(text: str) -> bool:
    return "/" not in text and _is_network(text)


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True
