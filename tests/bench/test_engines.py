"""Which engine is loaded while measurements ask for one after another."""

from __future__ import annotations

import os
from contextlib import closing

import pytest

from ochat_eval.bench.engines import Engines, EnginesApart
from ochat_eval.config.load import job
from ochat_eval.records import UserError

pytestmark = pytest.mark.slow  # a process for each engine


@pytest.fixture
def asked(tmp_path):
    """Command lines that want engines which load nothing: one, and another."""
    found = []
    for name in ("one", "another"):
        (tmp_path / name).write_text("")
        found.append(
            ["task=gsm8k", "data=sample", "engine=replay", f"engine.path={tmp_path / name}"]
        )
    return found


def of_process(engine, arguments, *more):
    return os.getpid(), arguments, more


def fails(engine, arguments):
    raise UserError("no room")


def dies(engine, arguments):
    os._exit(3)


def test_a_process_stays_while_the_same_engine_is_asked_for(asked):
    one, other = asked
    with closing(EnginesApart()) as engines:
        first, arguments, more = engines.run(one, of_process, 1, "a")
        assert first != os.getpid() and (arguments, more) == (one, (1, "a"))
        same = engines.run([*one, "limit=2", "max_tokens=7"], of_process)[0]
        another = engines.run(other, of_process)[0]
        assert first == same != another
        with pytest.raises(UserError, match="^no room$"):
            engines.run(other, fails)
        after_a_failure = engines.run(other, of_process)[0]
        assert after_a_failure != another
        with pytest.raises(UserError, match="a process of the bench died"):
            engines.run(other, dies)
    for pid in (first, another, after_a_failure):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_one_engine_is_open_at_a_time(asked):
    one, _ = asked
    with closing(Engines()) as engines:
        with engines.load(job(one)) as first, engines.load(job([*one, "seed=0"])) as same:
            assert first is same
        with engines.load(job([*one, "seed=1"])) as reseeded:
            assert reseeded is not first
