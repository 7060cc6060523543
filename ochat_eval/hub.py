"""Whether the Hugging Face hub can be asked."""

from __future__ import annotations

import os

_SECONDS = 3.0


def hub_address() -> str:
    """The hub's address; `HF_ENDPOINT` names a mirror."""
    return os.environ.get("HF_ENDPOINT") or "https://huggingface.co"


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
