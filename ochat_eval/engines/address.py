"""How a server is reached."""

from __future__ import annotations

import dataclasses
import os
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ochat_eval.records import UserError

KEY_VARIABLE = "OPENAI_API_KEY"
ADDRESS_VARIABLE = "OPENAI_BASE_URL"
ASKED = ("model", "messages")
"""Fields of a request without which there is none."""
_NAMED = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
"""An environment variable in a value."""
_SECRET_LENGTH = 4
"""Shorter values are no secrets, and their letters are in every message."""
_OURS = {"content-length", "content-type", "host", "transfer-encoding", "accept-encoding"}
"""Headers that the request itself determines."""


@dataclass(frozen=True, kw_only=True)
class Reached:
    """A server as the options and the environment have it now.

    Attributes:
        base: the address, up to and with `/v1`.
        key: the API key; None: none is sent.
        headers, query, body: more of each request, variables filled in.
        secrets: what no message may show.
    """

    base: str
    key: str | None
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    secrets: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class ClientOptions:
    """How a server is reached, and what is to be said otherwise than usual.

    Values of `extra_…` may name environment variables (`$NAME`), whose contents are written
    nowhere; of `extra_headers` and `extra_query` the other values are not written either.

    Attributes:
        base_url: up to and with `/v1`; empty: the environment's OPENAI_BASE_URL.
        default_url: the address if neither names one.
        concurrency: requests in flight, those that wait to be repeated counted.
        timeout_seconds: longest wait for one whole answer.
        attempts: how often a request is sent before it counts as failed.
        backoff_seconds: the wait before the first repetition; it doubles from one to the next,
            up to a minute, and a random part of up to half of it is left out.
        wait_seconds: longest wait of a request for a server that is busy: HTTP 429, or any failure
            with a `Retry-After`. These are no attempts.
        api_key_env: the environment variable that has the API key. It may be unset only if it is
            OPENAI_API_KEY, and the address not the default one: then none is sent.
        extra_body: more fields of each request's body; one of ours by that name gives way.
        extra_headers, extra_query: more headers, and more behind the address.
        rename: fields of the body by other names: `{max_tokens: max_completion_tokens}`.
        leave_out: fields of the body that are not sent: `[seed, top_p]`.
        fold_system: put a system message's text in front of the first user message.
    """

    base_url: str = ""
    default_url: str = ""
    concurrency: int = 256
    timeout_seconds: float = 600.0
    attempts: int = 6
    backoff_seconds: float = 1.0
    wait_seconds: float = 3600.0
    api_key_env: str = KEY_VARIABLE
    extra_body: dict[str, Any] = field(default_factory=dict)
    extra_headers: dict[str, str] = field(default_factory=dict)
    extra_query: dict[str, str] = field(default_factory=dict)
    rename: dict[str, str] = field(default_factory=dict)
    leave_out: list[str] = field(default_factory=list)
    fold_system: bool = False

    def check(self, where: str) -> None:
        """Refuses values that cannot work.

        Args:
            where: the options' place in the configuration: `engine`.

        Raises:
            UserError: the first of them. What may be a key is never shown.
        """
        for name, least in (
            ("concurrency", 1), ("attempts", 1), ("backoff_seconds", 0), ("wait_seconds", 0),
        ):  # fmt: skip
            if getattr(self, name) < least:
                raise UserError(
                    f"{where}.{name} is {getattr(self, name)}; it must be at least {least}"
                )
        if self.timeout_seconds <= 0:
            raise UserError(f"{where}.timeout_seconds is {self.timeout_seconds}; it must be over 0")
        if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", self.api_key_env):
            raise UserError(
                f"{where}.api_key_env is no name of an environment variable (capitals, digits, _); "
                "put the key into a variable and give the variable's name"
            )
        for name in ("base_url", "default_url"):
            self._check_address(f"{where}.{name}", getattr(self, name))
        for field_name in (*self.rename, *self.rename.values(), *self.leave_out, *self.extra_body):
            if field_name in ASKED:
                raise UserError(
                    f"{where}: the field {field_name} can neither be renamed nor left out nor "
                    f"given; the model's name is {where}.served_name"
                )
        for name in ("extra_headers", "extra_query"):
            if not all(isinstance(value, str) for value in getattr(self, name).values()):
                raise UserError(f"{where}.{name} must be names with texts: {{NAME: TEXT}}")
        for header in self.extra_headers:
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", header) or header.lower() in _OURS:
                raise UserError(
                    f"{where}.extra_headers: {header[:40]!r} cannot be given as a header"
                )

    def asked_otherwise(self) -> dict[str, Any]:
        """The options that change what is asked, so far as they are not the default."""
        names = ("extra_body", "rename", "leave_out", "fold_system")
        return {name: value for name in names if (value := getattr(self, name))}

    def _check_address(self, name: str, address: str) -> None:
        try:
            parts = urllib.parse.urlsplit(address)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # brackets or port
            parts, usable = urllib.parse.urlsplit(""), False
        if "@" in address or parts.query or parts.fragment:
            raise UserError(
                f"{name} has a password or a query in it; give the bare address, the key in "
                f"the environment variable {self.api_key_env}, and a query in extra_query"
            )
        if address and not usable:
            raise UserError(
                f"{name}={address} is no address; write one like http://127.0.0.1:8000/v1"
            )

    def reach(self, where: str) -> Reached:
        """The server as the environment has it now.

        Args:
            where: as in `check`.

        Raises:
            UserError: as `check`; no address; a variable that is named is unset, or its value
                cannot be what it is for.
        """
        base = self.base_url or os.environ.get(ADDRESS_VARIABLE) or self.default_url
        if not base:
            raise UserError(
                f"{where}.base_url is not set: write {where}.base_url=http://HOST:PORT/v1, or set "
                f"{ADDRESS_VARIABLE}"
            )
        dataclasses.replace(self, base_url=base).check(where)
        key = os.environ.get(self.api_key_env, "").strip()
        if not key and (self.api_key_env != KEY_VARIABLE or base == self.default_url):
            raise UserError(f"the environment variable {self.api_key_env} is not set (an API key)")
        if not (key.isascii() and key.isprintable()):
            raise UserError(f"the environment variable {self.api_key_env} has no API key in it")
        secrets = [key] if key else []
        extra = {
            name: _filled(getattr(self, name), f"{where}.{name}", secrets)
            for name in ("extra_headers", "extra_query", "extra_body")
        }
        for header, value in extra["extra_headers"].items():
            if not (value.isascii() and value.isprintable()):
                raise UserError(
                    f"{where}.extra_headers.{header}: its value cannot stand in a header"
                )
        more = os.environ.get("OPENAI_CUSTOM_HEADERS", "").splitlines()  # the package sends them
        secrets += [*extra["extra_headers"].values(), *extra["extra_query"].values()]
        secrets += [line.partition(":")[2].strip() for line in more]
        return Reached(
            base=base.rstrip("/"),
            key=key or None,
            headers=extra["extra_headers"],
            query=extra["extra_query"],
            body=extra["extra_body"],
            secrets=sorted(
                {s for s in secrets if len(s) >= _SECRET_LENGTH or s == key}, key=len, reverse=True
            ),
        )


def _filled(value: Any, where: str, secrets: list[str]) -> Any:
    """A value with the contents of the variables that it names; these are added to `secrets`.

    Raises:
        UserError: one is not set.
    """
    if isinstance(value, dict):
        return {key: _filled(inner, f"{where}.{key}", secrets) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, where, secrets) for inner in value]
    if not isinstance(value, str):
        return value

    def content(named: re.Match[str]) -> str:
        found = os.environ.get(named[1], "").strip()
        if not found:
            raise UserError(f"{where}: the environment variable {named[1]} is not set")
        secrets.append(found)
        return found

    return _NAMED.sub(content, value)
