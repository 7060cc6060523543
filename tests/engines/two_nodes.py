"""A Ray cluster of two machines on this one, of which one is lost in mid-run; prints what came.

A program of its own, for what Ray keeps in a process about the cluster that it joined first.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ochat_eval.run.journal import Journal
from ochat_eval.stages.generate import drive
from ochat_eval.stages.progress import Meter
from tests.engines.test_ray import Requests
from tests.fake_model import FakeRay, work


def main(folder: Path, count: int) -> None:
    from ray.cluster_utils import Cluster

    # Without what follows logs and asks for more machines: nobody here does.
    head = {"num_cpus": 1, "include_log_monitor": False, "no_monitor": True}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    other = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    said: list[str] = []
    noted: list[dict[str, object]] = []
    engine = FakeRay(
        address=cluster.address,
        replicas=2,
        cpus_per_replica=1,
        requests=64,
        at_once=4,
        seconds=0.01,
    )
    session = engine.start(work(said, noted))
    submit, asked = session.submit, 0

    def submit_and_lose_a_machine(request: object) -> None:
        nonlocal asked
        asked += 1
        if asked == 500:
            cluster.remove_node(other, allow_graceful=False)
        submit(request)

    session.submit = submit_and_lose_a_machine  # type: ignore[method-assign]
    journal = Journal(folder / "responses.jsonl")
    failures = drive(session, Requests(count), journal, Meter("generate", {"t": count}))
    session.close()
    journal.close()
    cluster.shutdown()
    print(json.dumps({"said": said, "noted": noted, "failures": len(failures)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
