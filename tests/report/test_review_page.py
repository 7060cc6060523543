"""What a person has marked, on the page in a real Chromium."""

from __future__ import annotations

from ochat_eval.review.marks import Mark, MarkFile, reading_digest
from ochat_eval.review.strata import readings
from tests.conftest import lines
from tests.report.test_page import compared, opened, replay, right  # noqa: F401 (a fixture)


def answer(item: dict, turn: int) -> str:
    """Right; two answers of GSM8K say nothing."""
    return "No idea." if item["id"] in ("gsm8k/main/0", "gsm8k/main/1") else right(item, turn)


def test_the_page_shows_the_rates_that_the_marks_tell(tmp_path, opened):  # noqa: F811
    run = replay(tmp_path, "r", answer).parent
    texts = {r["id"]: r["text"] for r in lines(run / "responses.jsonl")}
    file = MarkFile(run)
    for read in readings(run, "gsm8k"):
        for rule, score in read.scores.items():
            opinion = "wrong" if read.stratum == "disagree" and rule == "published" else "right"
            if read.stratum != "agree" or rule == "robust":
                digest = reading_digest(texts[read.place[0]], score)
                file.add(Mark(*read.place, rule, opinion, digest))
    file.close()
    page = opened(compared(tmp_path, run))
    assert page.is_visible("#review h2") and page.is_visible("nav a[href='#review']")
    rows = page.locator("#review-table tbody tr")
    cells = [rows.nth(n).locator("td").all_inner_texts() for n in range(rows.count())]
    percent = "\u00a0%"
    assert ["gsm8k", "published", "disagree", "2", "2", "2", "0", f"100.0{percent}",
            "34.2 … 100.0"] in cells  # fmt: skip
    assert ["gsm8k", "published", "agree", "8", "0", "0", "0", "–", "–"] in cells
    assert ["gsm8k", "published", "all, estimated", "12", "", "", "", "–", "–"] in cells
    whole = next(row for row in cells if row[1:3] == ["robust", "all, estimated"])
    assert whole[7] == f"0.0{percent}" and whole[8].startswith("0.0 … ")


def test_without_marks_there_is_no_such_part(tmp_path, opened):  # noqa: F811
    page = opened(replay(tmp_path, "r", right))
    assert not page.is_visible("#review") and not page.is_visible("nav a[href='#review']")
