"""Words for people: what stands in place of a name that there is not."""

from __future__ import annotations

from ochat_eval.terminal.words import nearest


def test_many_names_are_not_all_listed():
    assert nearest("zz", ["a", "b"]) == "; there are a, b"
    assert nearest("zz", []) == "; there are none"
    many = [f"run{n:03}" for n in range(500)]
    assert nearest("run07", many).startswith("; did you mean run")
    assert nearest("zz", many).endswith("run038, run039, … (500 in all)")
