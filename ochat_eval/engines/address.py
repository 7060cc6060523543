"""How a server is reached."""

from __future__ import annotations

import dataclasses
import os
import re
import urllib.parse
from dataclasses import dataclass

from ochat_eval.records import UserError

KEY_VARIABLE = "OPENAI_API_KEY"
ADDRESS_VARIABLE = "OPENAI_BASE_URL"


@dataclass(frozen=True, kw_only=True)
class ClientOptions:
    """How a server is reached.

    Attributes:
        base_url: up to and with `/v1`; empty: the environment's OPENAI_BASE_URL.
        default_url: the address if neither names one.
        concurrency: requests in flight, those that wait to be repeated counted.
        timeout_seconds: longest wait for one whole answer.
        attempts: how often a request is sent before it counts as failed.
        backoff_seconds: the wait before the first repetition; it doubles from one to the next,
            up to a minute, and a random part of up to half of it is left out.
        api_key_env: the environment variable that has the API key. It may be unset only if it is
            OPENAI_API_KEY: then none is sent.
    """

    base_url: str = ""
    default_url: str = ""
    concurrency: int = 256
    timeout_seconds: float = 600.0
    attempts: int = 6
    backoff_seconds: float = 1.0
    api_key_env: str = KEY_VARIABLE

    def check(self, where: str) -> None:
        """Refuses values that cannot work.

        Args:
            where: the options' place in the configuration: `engine`.

        Raises:
            UserError: the first of them. What may be a key is never shown.
        """
        for name, least in (("concurrency", 1), ("attempts", 1), ("backoff_seconds", 0)):
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

    def _check_address(self, name: str, address: str) -> None:
        try:
            parts = urllib.parse.urlsplit(address)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # brackets or port
            parts, usable = urllib.parse.urlsplit(""), False
        if "@" in address or parts.query or parts.fragment:
            raise UserError(
                f"{name} has a password or a query in it; give the bare address, and the key in "
                f"the environment variable {self.api_key_env}"
            )
        if address and not usable:
            raise UserError(
                f"{name}={address} is no address; write one like http://127.0.0.1:8000/v1"
            )

    def reach(self, where: str) -> tuple[str, str | None]:
        """The address and the API key (None: none is sent), as the environment has them now.

        Args:
            where: as in `check`.

        Raises:
            UserError: as `check`; no address; the key's variable is unset though it was named, or
                its value cannot be a key.
        """
        base = self.base_url or os.environ.get(ADDRESS_VARIABLE) or self.default_url
        if not base:
            raise UserError(
                f"{where}.base_url is not set: write {where}.base_url=http://HOST:PORT/v1, or set "
                f"{ADDRESS_VARIABLE}"
            )
        dataclasses.replace(self, base_url=base).check(where)
        key = os.environ.get(self.api_key_env, "").strip()
        if not key and self.api_key_env != KEY_VARIABLE:
            raise UserError(f"the environment variable {self.api_key_env} is not set (an API key)")
        if not (key.isascii() and key.isprintable()):
            raise UserError(f"the environment variable {self.api_key_env} has no API key in it")
        return base.rstrip("/"), key or None
