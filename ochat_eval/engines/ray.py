"""Replicas of the vLLM engine as Ray actors, on one machine or many, fed from one queue.

Ray places the actors, carries requests and answers, and tells when one has died; which replica is
asked what is `dispatch`'s. Two calls are under way to each replica, so that it goes from one to
the next without waiting for the driver.

`replicas.jsonl` of a run says what the replicas did, one line each about once a second (less often
in a long run): `seconds` since the engine's start (it begins again where a run goes on), `replica`
(0 …), `in_flight` and `finished` (requests; since the start). A line with `event` says what
happened to a replica: `ready` (with `host` and `pid`) or `died` (with `reason`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ochat_eval.engines.cluster import Cluster, Machine, Placing, cores_each, silent
from ochat_eval.engines.dispatch import STRIKES, Dispatch
from ochat_eval.engines.engine import Failure, Session, Work
from ochat_eval.engines.replica import Loader, Report
from ochat_eval.engines.vllm import Vllm
from ochat_eval.engines.vllm_build import cpu_build, settled
from ochat_eval.records import Request, Response, UserError
from ochat_eval.terminal.words import counted

_CALLS = 2
"""Calls under way to a replica that has something to do."""
_WAIT_SECONDS = 1.0
_LATECOMER_SECONDS = 60
"""How long the first replica waits for the others before the work begins without them."""
_IN_VAIN = 10
"""Deaths in a row, without an answer between, at which the run is given up."""


@dataclass(frozen=True, kw_only=True)
class Ray(Vllm):
    """Several copies of `vllm.LLM`, each a Ray actor on one machine.

    Attributes:
        address: None starts Ray on this machine for the run; `auto` or `host:port` joins a
            cluster, whose machines need this package and the model.
        replicas: None is as many as the GPUs allow, on CPUs one a machine.
        gpus_per_replica: None is what tensor and pipeline parallelism need.
        cpus_per_replica: None is 1 beside a GPU; on CPUs the cores there are, shared out.
    """

    address: str | None = None
    replicas: int | None = None
    gpus_per_replica: float | None = None
    cpus_per_replica: int | None = None

    def check_options(self) -> None:
        """As `Vllm.check_options`, and the numbers of a replica."""
        super().check_options()
        for name in ("replicas", "cpus_per_replica"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"engine.{name} is {value}; it must be at least 1")
        if (self.gpus_per_replica or 0) < 0:
            raise UserError(f"engine.gpus_per_replica is {self.gpus_per_replica:g}; 0 is none")

    def check_machine(self) -> None:
        """As `check_options`; what there is room for is asked of the cluster, at the start."""
        self.check_options()

    def start(self, work: Work) -> Session:
        """Starts Ray and loads the model in every replica.

        Raises:
            UserError: Ray or a cluster is missing, what is asked for has no room on it, or
                vLLM refuses the model or an argument.
        """
        self.check_options()
        cluster = Cluster(self.address)
        try:
            self.check_prompts(work)
            placing = self._placing(cluster.machines())
            session = _RaySession(cluster, self.loader(work), placing, work)
        except BaseException:
            cluster.leave()
            raise
        try:
            session.wait_until_ready()
        except BaseException:
            session.close()
            raise
        return session

    def loader(self, work: Work) -> Callable[[], Session]:
        """What an actor calls to load the model; the prompts have been looked at before."""
        vllm = Vllm(
            window=self.window,
            in_process=self.in_process,
            stop_loops=self.stop_loops,
            speculate=self.speculate,
            arguments=settled(self.arguments),
        )
        there = replace(work, items=tuple, truncate_overlong=True, say=silent, note=silent)
        return Loader(vllm, there)

    def _placing(self, machines: list[Machine]) -> Placing:
        """How many replicas of what size; refused where they have no room."""
        gpus = self.gpus_per_replica
        if gpus is None:
            on_gpus = any(m.gpus for m in machines) and not cpu_build()
            gpus = float(self.world if on_gpus else 0)
        elif gpus and gpus < self.world and self.world > 1:
            raise UserError(
                f"engine.gpus_per_replica={gpus:g}: {self._parallel()} needs {self.world} GPUs"
            )
        cpus = self.cpus_per_replica or (1 if gpus else cores_each(machines, self.replicas))
        if not gpus and self.world > cpus:
            there = f"{max((m.cpus for m in machines), default=0):g} on the largest machine"
            raise UserError(
                f"{self._parallel()} needs {self.world} CPU cores a replica, which has {cpus} "
                f"(engine.cpus_per_replica, engine.replicas); there are {there}"
            )
        room = Placing(0, cpus, gpus).room(machines)
        placing = Placing(self.replicas or room, cpus, gpus)
        if not room or placing.replicas > room:
            there = "; ".join(f"{m.address}: {m.cpus:g} CPUs, {m.gpus:g} GPUs" for m in machines)
            raise UserError(
                f"there is room for {room} of {placing.replicas or 1} replicas with {gpus:g} GPUs "
                f"and {cpus} CPUs each (engine.replicas, engine.tensor_parallel_size, "
                f"engine.gpus_per_replica, engine.cpus_per_replica); there are {there}"
            )
        return placing


@dataclass
class _Life:
    """One actor from its launch to its end."""

    actor: Any
    calls: int = 0
    tokens: int = 0


class _RaySession(Session):
    window = 1

    def __init__(self, cluster: Cluster, load: Callable[[], Session], placing: Placing, work: Work):
        self._cluster, self._load, self._placing = cluster, load, placing
        self._say, self._note = work.say, work.note
        self._begun = time.monotonic()
        self._sampled = 0.0
        self._dispatch = Dispatch()
        self._lives: dict[int, _Life] = {}
        self._pending: dict[Any, int] = {}
        self._finished = [0] * placing.replicas
        self.gpus = placing.replicas * placing.gpus
        self._ready: list[Response | Failure] = []
        self._in_vain = 0
        self._say(
            f"loading {work.model.name} in {counted(placing.replicas, 'replica')}, "
            f"{counted(placing.gpus, 'GPU')} and {counted(placing.cpus, 'CPU')} each …"
        )
        for number in range(placing.replicas):
            self._launch(number)

    def _launch(self, number: int) -> None:
        life = _Life(self._cluster.launch(self._load, self._placing))
        self._lives[number] = life
        self._pending[life.actor.load.remote()] = number

    def wait_until_ready(self) -> None:
        """Waits for all replicas; for late ones only so long once there is one."""
        first: float | None = None
        while len(self._dispatch.replicas) < self._placing.replicas:
            self._receive()
            if self._dispatch.replicas and first is None:
                first = time.monotonic()
            if first is not None and time.monotonic() - first > _LATECOMER_SECONDS:
                late = self._placing.replicas - len(self._dispatch.replicas)
                self._say(f"beginning without {counted(late, 'replica')} not ready yet")
                return

    def submit(self, request: Request) -> None:
        self._dispatch.add(request)

    def collect(self) -> list[Response | Failure]:
        for number in self._dispatch.replicas:
            self._feed(number)
        if not self._ready:
            self._receive()
        self._sample()
        done, self._ready = self._ready, []
        return done

    def unfinished_tokens(self) -> int:
        return sum(life.tokens for life in self._lives.values())

    def state(self) -> list[str]:
        return [f"{len(self._dispatch.replicas)} of {self._placing.replicas} replicas"]

    def _feed(self, number: int) -> None:
        """Keeps calls to the replica under way as long as it has anything to do."""
        life = self._lives[number]
        while life.calls < _CALLS:
            batch = self._dispatch.take(number)
            if not self._dispatch.held(number):
                return
            self._pending[life.actor.exchange.remote(batch)] = number
            life.calls += 1

    def _receive(self) -> None:
        """Waits a while for whatever comes first, and takes all that has come by then."""
        ray = self._cluster.ray
        if not self._dispatch.replicas:
            self._check_room()
        refs = list(self._pending)
        ray.wait(refs, timeout=_WAIT_SECONDS)
        come, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
        for ref in come:
            number = self._pending.pop(ref, None)
            if number is None:  # of an actor that an earlier one told the death of
                continue
            try:
                self._take_in(number, ray.get(ref))
            except ray.exceptions.RayError as e:
                self._died(number, e)

    def _take_in(self, number: int, report: tuple[int, str, int] | Report) -> None:
        life = self._lives[number]
        if len(report) == 3:
            capacity, host, pid = report
            self._dispatch.open(number, capacity)
            self.window = 2 * self._dispatch.capacity
            self._say(f"replica {number} is ready on {host}, process {pid}")
            self._event(number, event="ready", host=host, pid=pid)
            return
        done, life.tokens = report
        life.calls -= 1
        for one in done:
            self._dispatch.done(number, (one.id, one.sample, one.turn))
        self._ready += done
        self._finished[number] += len(done)
        if done:
            self._in_vain = 0

    def _died(self, number: int, error: Exception) -> None:
        """Puts what a dead replica had back into the queue and starts another in its place."""
        reason = _reason(error)
        life = self._lives.pop(number)
        self._pending = {ref: n for ref, n in self._pending.items() if n != number}
        with contextlib.suppress(Exception):  # it may be gone already
            self._cluster.ray.kill(life.actor)
        again = 0
        if number in self._dispatch.replicas:
            held, aside = self._dispatch.lost(number)
            self._ready += [
                Failure(
                    *r.key, f"{STRIKES} replicas died while they answered it; the last: {reason}"
                )
                for r in aside
            ]
            again = held - len(aside)
        elif not self._dispatch.replicas and isinstance(
            cause := getattr(error, "cause", None), UserError
        ):
            raise cause from None  # what vLLM refuses once it refuses again
        self._in_vain += 1
        if self._in_vain >= _IN_VAIN:
            raise UserError(
                f"replicas died {_IN_VAIN} times in a row and answered nothing between, the last "
                f"because {reason}; what had finished is kept: run the same command again"
            )
        self._say(
            f"replica {number} died: {reason}; {counted(again, 'request')} asked again, and "
            "another replica starts"
        )
        self._event(number, event="died", reason=reason)
        self._launch(number)

    def _check_room(self) -> None:
        """Refuses to wait for ever where the machines that were lost leave no room."""
        machines = self._cluster.machines()
        if not self._placing.room(machines):
            raise UserError(
                "no machine of the cluster is left that has room for a replica; what had finished "
                "is kept: run the same command again, on another number of replicas if need be"
            )

    def _sample(self) -> None:
        elapsed = time.monotonic() - self._begun
        if elapsed - self._sampled >= max(1.0, elapsed / 1000):
            self._sampled = elapsed
            for number in self._dispatch.replicas:
                self._event(number)

    def _event(self, number: int, **more: Any) -> None:
        held = self._dispatch.held(number) if number in self._dispatch.replicas else 0
        seconds = round(time.monotonic() - self._begun, 2)
        figures = {"in_flight": held, "finished": self._finished[number]}
        self._note({"seconds": seconds, "replica": number, **figures, **more})

    def close(self) -> None:
        ray = self._cluster.ray
        closing = [self._lives[n].actor.close.remote() for n in self._dispatch.replicas]
        with contextlib.suppress(ray.exceptions.RayError):
            ray.wait(closing, num_returns=len(closing), timeout=10) if closing else None
        for life in self._lives.values():
            with contextlib.suppress(ray.exceptions.RayError):
                ray.kill(life.actor)
        self._cluster.leave()


def _reason(error: Exception) -> str:
    """Why an actor died, in a few words."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, Exception):
        if isinstance(cause, UserError):  # after it: what to do where the run ends with it
            return str(cause).partition("; what had finished is kept")[0]
        return f"{type(cause).__name__}: {cause}"
    text = " ".join(str(error).split())
    if "running low on memory" in text:
        return "its machine had too little memory"
    if (
        "node" in text
        and ("died" in text or "dead" in text)
        and "worker process has died" not in text
    ):
        return "its machine was lost"
    return "its process was killed"
