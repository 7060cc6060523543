"""The reader, on a file of questions: a function answers."""

import json

import ochat_eval


def test_answers_are_read_by_both_rules(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text(json.dumps({"question": "Ten and four?", "answer": "XIV"}))
    run = ochat_eval.evaluate(
        "file",
        generate=lambda chats: ["I say XIV." for _ in chats],
        name="right",
        tasks={"file": {"path": "rows.jsonl", "answer": "roman"}},
    )
    scores = run.scores().set_index("rule")
    assert scores.answer.to_dict() == {"published": "I", "robust": "XIV"}
    assert scores.value.to_dict() == {"published": 0.0, "robust": 1.0}
