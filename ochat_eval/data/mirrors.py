"""The addresses that data is fetched from, their mirrors, and the fetching."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from ochat_eval.records import UserError
from ochat_eval.terminal.words import one_line

_SECONDS = 3.0


def hub_address() -> str:
    """The hub's address; `HF_ENDPOINT` names a mirror."""
    return os.environ.get("HF_ENDPOINT") or "https://huggingface.co"


def raw_address() -> str:
    """The address of raw files of public git repositories; `OCHAT_EVAL_RAW_BASE` names a mirror."""
    base = os.environ.get("OCHAT_EVAL_RAW_BASE") or "https://raw.githubusercontent.com"
    return base.rstrip("/")


def release_address() -> str:
    """The address of public releases; `OCHAT_EVAL_RELEASE_BASE` names a mirror."""
    return (os.environ.get("OCHAT_EVAL_RELEASE_BASE") or "https://github.com").rstrip("/")


def hub_answers() -> bool:
    """Whether the hub answers at all, asked once: its client alone retries for half a minute.

    True under `HF_HUB_OFFLINE`, where only what was downloaded before is asked for.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return True
    import requests

    try:
        requests.head(hub_address(), timeout=_SECONDS)
    except requests.RequestException:
        return False
    return True


def go_offline() -> None:
    """Has the hub's client ask for nothing but what was downloaded before.

    It reads the variable when it is loaded; one that is loaded already would retry for half a
    minute.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    if client := sys.modules.get("huggingface_hub.constants"):
        client.HF_HUB_OFFLINE = True  # type: ignore[attr-defined]


TIMEOUT = (3.0, 10.0)
"""Seconds to wait for a connection, and for the next bytes of an answer."""
ADVICE = (
    "Set OCHAT_EVAL_DATA to a data root (ochat-eval pull DIR on a machine with a "
    "network) or use the built-in sample items: data=sample"
)


DOWNLOAD_BYTES = 256 << 20
"""The most that one file may have; the largest of ours has 30 MB."""
_DOWNLOAD_SECONDS = 900.0


def download(label: str, url: str, sha256: str | None) -> bytes:
    """The bytes at an address, verified where `sha256` is given. Raises UserError."""
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")  # no line for each file
    with tempfile.TemporaryDirectory() as folder:
        try:
            file = pooch.retrieve(url, sha256, fname="download", path=folder, downloader=_fetch)
            return Path(file).read_bytes()
        except requests.HTTPError as error:
            problem = f"{one_line(error)}; check the pin or the mirror"
            raise UserError(f"{label}: {problem}") from error
        except requests.RequestException as error:
            raise unreachable(label, url) from error
        except (ValueError, OSError) as error:
            raise UserError(f"{label}: cannot fetch {url}: {one_line(error)}") from error


def _fetch(url: str, output_file: str, _: object) -> None:
    """Writes what is at an address into a file, piece by piece: a mirror is not trusted.

    Raises:
        ValueError: it is longer than allowed for, packed though that was not asked for, or does
            not end.
        requests.RequestException: it cannot be had.
    """
    import requests

    ends, size = time.monotonic() + _DOWNLOAD_SECONDS, 0
    headers = {"Accept-Encoding": "identity"}
    with requests.get(url, stream=True, timeout=TIMEOUT, headers=headers) as response:
        response.raise_for_status()
        if (packed := response.headers.get("Content-Encoding", "identity")) != "identity":
            raise ValueError(f"the server packs it as {packed[:20]!r}, which was not asked for")
        declared = response.headers.get("Content-Length", "0")
        if declared.isdecimal() and int(declared) > DOWNLOAD_BYTES:
            raise ValueError(f"it has {declared[:20]} bytes, allowed are {DOWNLOAD_BYTES:,}")
        with open(output_file, "wb") as file:
            for part in response.iter_content(2**16):
                size += len(part)
                if size > DOWNLOAD_BYTES:
                    raise ValueError(f"it has more than {DOWNLOAD_BYTES:,} bytes")
                if time.monotonic() > ends:
                    raise ValueError(f"it is not there after {_DOWNLOAD_SECONDS:g} s")
                file.write(part)


def unreachable(label: str, url: str) -> UserError:
    """The error for an address that does not answer."""
    return UserError(f"{label}: cannot reach {url} (offline?). {ADVICE}")
