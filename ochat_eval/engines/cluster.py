"""Ray: the machines there are, and what each replica takes of them."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ochat_eval.engines.engine import Session
from ochat_eval.engines.replica import Replica
from ochat_eval.records import UserError

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # as it will be; else it warns
}
_ALONE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # the loopback address, as on those systems
    "RAY_AUTH_MODE": "token",  # its ports run whatever code they are sent
}


@dataclass(frozen=True)
class Machine:
    """A living machine of the cluster and what Ray may use of it."""

    address: str
    cpus: float
    gpus: float


@dataclass(frozen=True)
class Placing:
    """How many replicas there are to be, and what each takes of its machine."""

    replicas: int
    cpus: int
    gpus: float

    def room(self, machines: list[Machine]) -> int:
        """How many such replicas the machines hold; one lies on one machine."""
        per_machine = [
            min(m.cpus // self.cpus, m.gpus // self.gpus if self.gpus else m.cpus) for m in machines
        ]
        return int(sum(per_machine))


def cores_each(machines: list[Machine], replicas: int | None) -> int:
    """The most cores that each of so many replicas can have; None: one a machine."""
    sizes = [int(m.cpus) for m in machines if m.cpus >= 1]
    if replicas is None:
        return min(sizes, default=1)
    fits = (
        c for c in range(max(sizes, default=1), 0, -1) if sum(s // c for s in sizes) >= replicas
    )
    return next(fits, 1)


class Cluster:
    """Ray, started on this machine for this run or joined where it runs already."""

    def __init__(self, address: str | None):
        """Starts or joins.

        Raises:
            UserError: Ray is missing, or no cluster answers.
        """
        if address and ":" in address and "//" not in address:
            _must_answer(address)
        alone = {} if address else {**_ALONE, "RAY_AUTH_TOKEN": secrets.token_hex()}
        for name, value in {**_ENVIRONMENT, **alone}.items():
            os.environ.setdefault(name, value)
        try:
            import ray  # reads them as it is imported
        except ModuleNotFoundError as e:
            raise UserError(f"engine=ray needs Ray ({e}): pip install ray, or make setup") from e
        # What it prints of a death, past every setting, is said here in one line.
        ray._private.worker.listen_error_messages = silent
        self.ray = ray
        self._folder: Path | None = None
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if address is None:
            # Short, for the paths of sockets; its own, so that it can be removed.
            self._folder = Path(tempfile.mkdtemp(prefix="ochat-ray-", dir="/tmp"))
            quiet |= {
                "include_dashboard": False,
                "object_store_memory": 256 * 2**20,
                "_temp_dir": str(self._folder),
            }
        self._on_sigterm = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(address=address or "local", **quiet)
        except Exception as e:  # of a node that is not up in time it raises no narrower one
            self._remove()
            reason = str(e).strip().partition("\n")[0][:300]
            raise UserError(
                f"engine.address={address or 'null'}: Ray cannot "
                f"{'join that cluster' if address else 'start here'}: {reason}"
            ) from e
        # As Ctrl-C: the run ends in order. Ray's own prints a trace of its C++ and aborts.
        signal.signal(signal.SIGTERM, signal.default_int_handler)

    def machines(self) -> list[Machine]:
        """The living machines."""
        return [
            Machine(
                n["NodeManagerAddress"], n["Resources"].get("CPU", 0), n["Resources"].get("GPU", 0)
            )
            for n in self.ray.nodes()
            if n["Alive"]
        ]

    def launch(self, load: Callable[[], Session], placing: Placing) -> Any:
        """A new actor; it is placed when there is room."""
        actor = self.ray.remote(Replica).options(
            num_cpus=placing.cpus, num_gpus=placing.gpus, scheduling_strategy="SPREAD"
        )
        return actor.remote(load)

    def leave(self) -> None:
        """Ends what this run started and removes what it left."""
        self.ray.shutdown()
        signal.signal(signal.SIGTERM, self._on_sigterm or signal.SIG_DFL)
        self._remove()

    def _remove(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _must_answer(address: str) -> None:
    """Raises UserError if nothing listens there: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as e:
        raise UserError(
            f"engine.address={address}: Ray cannot join that cluster: {e}; start one there with "
            "ray start --head, or leave engine.address out"
        ) from e


def silent(*_: Any) -> None:
    """Says nothing: an actor has nobody to talk to."""
