"""Answers that no browser can lay out as one, in the report and a real Chromium."""

from __future__ import annotations

import pytest

from tests.conftest import lines
from tests.report.test_page import opened, replay, rewrite  # noqa: F401 (a fixture)
from tests.serve.test_long_texts import LONGEST_SILENCE, RESPONSIVE
from tests.talks import VERDICT, judged, talks

MARKS = "e" + "\u0301" * 200_000
LONG = "word x = 1 \N{GRINNING FACE}. " * 714_286  # 10 million characters


@pytest.mark.parametrize("long", [MARKS, LONG], ids=["marks", "10 MB"])
def test_a_long_answer_is_cut_and_the_page_hears(tmp_path, opened, long):  # noqa: F811
    path = replay(tmp_path, "r", lambda item, turn: "The answer is 3")
    run = path.parent
    first = next(i["id"] for i in lines(run / "items.jsonl") if i["task"] == "gsm8k")
    text = f"{long} So the answer is 3."
    place = [len(text) - 2, len(text) - 1]
    rewrite(run / "responses.jsonl", lambda r: {**r, "text": text} if r["id"] == first else r)
    rewrite(
        run / "scores.jsonl",
        lambda s: {**s, "detail": {"span": place}} if s["id"] == first else s,
    )
    page = opened(compared(tmp_path, run))
    page.evaluate(LONGEST_SILENCE)
    page.select_option("#task", "gsm8k")
    page.locator(".row").first.click()
    page.wait_for_selector("#detail .gap")
    answer = page.locator("#detail pre:has(.gap)")
    assert answer.evaluate("(pre) => pre.textContent.length") < 13_000
    assert answer.locator("mark").all_inner_texts() == ["3"], "what was read is in sight"
    units = len(text.encode("utf-16-le")) // 2
    assert answer.locator("button").inner_text() == f"show all {units:,} characters"
    page.keyboard.press("ArrowDown")
    page.wait_for_selector("#detail pre:not(:has(.gap))")
    page.keyboard.press("ArrowUp")
    page.click("#detail .gap button")
    page.wait_for_selector("#detail .piece")
    whole = page.locator("#detail pre:has(.piece)")
    assert whole.evaluate("(pre) => pre.textContent") == text
    assert whole.locator("mark").all_text_contents() == ["3"]
    whole.evaluate("(pre) => { pre.scrollTop = 1e9; }")
    page.wait_for_timeout(300)
    assert page.evaluate("window.silence") < RESPONSIVE


def test_spans_are_code_points_also_behind_a_cut(tmp_path, opened):  # noqa: F811
    path = replay(tmp_path, "r", lambda item, turn: "\N{GRINNING FACE}" * 9000 + "\n a 3 b 4 c")
    run = path.parent
    rewrite(
        run / "scores.jsonl",
        lambda s: {
            **s,
            "detail": {"span": [9004, 9005] if s["rule"] == "robust" else [9008, 9009]},
        },
    )
    page = opened(compared(tmp_path, run))
    page.select_option("#task", "gsm8k")
    page.locator(".row").first.click()
    page.wait_for_selector("#detail mark")
    marks = page.locator("#detail mark")
    assert [marks.nth(n).inner_text() for n in range(2)] == ["3", "4"]
    page.click("#detail .gap button")
    page.wait_for_selector("#detail .piece mark")
    assert [marks.nth(n).text_content() for n in range(2)] == ["3", "4"]
    assert "�" not in page.inner_text("#detail") and "⟨U+D8" not in page.inner_text("#detail")


def test_talks_are_shown_as_written_and_fit_at_every_width(tmp_path, opened):  # noqa: F811
    run = judged(tmp_path, "talks")
    page = opened(run / "report.html")
    for width, scheme in ((375, "dark"), (820, "light"), (1280, "dark")):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        for place, item in enumerate(lines(run / "items.jsonl")):
            page.locator("#list .row").nth(place).click()
            page.wait_for_function(
                "id => $('detail').querySelector('h3')?.textContent === id", arg=item["id"]
            )
            shown = page.locator("#detail pre").all_text_contents()
            for turn in range(2):
                assert talks()[item["id"], turn] in shown, "not a character is lost"
            assert shown.count(VERDICT) == 2
            assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#detail a, #detail img, #detail script").count() == 0
    bidi = page.locator("#detail pre").evaluate_all(
        "all => all.map((pre) => getComputedStyle(pre).unicodeBidi)"
    )
    assert set(bidi) == {"plaintext"}, "each line runs its own way"


def compared(folder, run):
    """The page, made again."""
    from ochat_eval.__main__ import main

    out = folder / "again.html"
    assert main(["report", str(run), "-o", str(out)]) == 0
    return out
