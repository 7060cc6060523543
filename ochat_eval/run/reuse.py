"""Answers of earlier runs, by what was asked: nothing is asked a second time.

A request's digest is over everything that its answer hangs on but the limit of tokens, which is
compared by itself: engine and weights (a run's identity), what becomes of a long prompt, the
messages with the answers in them, the condition, the sampling with its seed, and the number of the
sample. So equal digests are equal token ids, drawn in the same way by the same model.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ochat_eval.records import Request, Response, Sampling, UserError, from_json
from ochat_eval.run import store
from ochat_eval.run.identity import engine_part
from ochat_eval.run.index import no_index
from ochat_eval.run.manifest import Facts

_SAMPLING = sorted({field.name for field in dataclasses.fields(Sampling)} - {"max_tokens"})
"""What of a request's sampling is in its digest."""


class Signature:
    """Makes the digests of a run's requests."""

    def __init__(self, identity: Mapping[str, Any]):
        """`identity` is the run's."""
        whose = [engine_part(identity), identity["overlong"]]
        self._start = hashlib.sha256(json.dumps(whose, sort_keys=True).encode())

    def of(self, request: Request) -> str:
        """16 hexadecimal digits of SHA-256."""
        messages = json.dumps([[m.role, m.content] for m in request.messages])
        sampling = {name: getattr(request.sampling, name) for name in _SAMPLING}
        drawn = json.dumps([request.condition, sampling, request.sample])
        digest = self._start.copy()
        digest.update(f"[{messages}, {drawn[1:]}".encode())
        return digest.hexdigest()[:16]


class Earlier:
    """The responses of earlier runs by the digest of their request; texts stay on disk."""

    def __init__(self) -> None:
        self._runs: list[tuple[Path, Mapping[str, int | None]]] = []
        self._db = sqlite3.connect("")
        self._db.execute(
            "CREATE TABLE lines (request TEXT, run INT, start INT, stop INT, "
            "PRIMARY KEY (request, run, start)) WITHOUT ROWID"
        )

    def add(self, folder: Path, facts: Facts) -> tuple[int, int]:
        """Takes a run's responses in; earlier added runs are preferred.

        A half-written last line, of a run that was killed or goes on, is passed over.

        Returns:
            How many can be found now; and lines that cannot, for they are damaged or have no
            digest (written by an older version).

        Raises:
            UserError: the file cannot be read, or there is no space for the index.
        """
        number, usable, others, start = len(self._runs), 0, 0, 0
        path = folder / store.RESPONSES
        limits = {name: options.get("max_tokens") for name, options in facts.tasks.items()}
        self._runs.append((path, limits))
        try:
            with path.open("rb") as file, self._db:
                for line in file:
                    stop = start + len(line)
                    digest = _digest(line)
                    if digest is not None:
                        row = (digest, number, start, stop)
                        self._db.execute("INSERT INTO lines VALUES (?, ?, ?, ?)", row)
                        usable += 1
                    elif line.endswith(b"\n"):
                        others += 1
                    start = stop
        except sqlite3.Error as e:
            raise no_index(e) from e
        except OSError as e:
            raise UserError(f"cannot read {path}: {e.strerror}") from e
        return usable, others

    def find(self, digest: str, max_tokens: int | None) -> tuple[Response, str] | None:
        """An answer to a request, and the name of the run that it is from.

        Args:
            max_tokens: the request's limit. An answer that was given under another one is taken
                only where neither limit could have cut it off.
        """
        rows = self._db.execute("SELECT run, start, stop FROM lines WHERE request = ?", (digest,))
        for run, start, stop in rows.fetchall():
            path, limits = self._runs[run]
            with path.open("rb") as file:
                file.seek(start)
                response = from_json(Response, file.read(stop - start))
            if _holds(response, limits.get(response.id.partition("/")[0]), max_tokens):
                return response, path.parent.name
        return None

    def close(self) -> None:
        """Removes the index."""
        self._db.close()


def _digest(line: bytes) -> str | None:
    try:
        return from_json(Response, line).request
    except (ValueError, RecursionError):
        return None


def _holds(response: Response, then: int | None, now: int | None) -> bool:
    """Whether an answer would be the same under another limit."""
    if then == now:
        return True
    if response.finish_reason in (None, "length") or response.completion_tokens is None:
        return False
    return now is None or response.completion_tokens < now
