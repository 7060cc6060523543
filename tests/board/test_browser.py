"""The board in a real Chromium: the list of runs, one run, two side by side, notes and marks."""

from __future__ import annotations

import json
import shutil
import threading

import pytest

from ochat_eval.board.board import MOST_RUNS
from ochat_eval.run import store
from tests.board.conftest import HOSTILE, served
from tests.board.shelves import append, copies
from tests.conftest import door, lines


def names(page) -> list[str]:
    return page.locator("table.runs tbody td.name > bdi").all_inner_texts()


def test_the_list_is_searched_sorted_and_filtered_and_hostile_text_is_text(opened):
    page = opened()
    assert set(names(page)) == {"one", "two", "live", "stopped", "failed", "damaged"}
    said = page.inner_text("#run-table")
    assert "5 of 12" in said and "<img src=x" in said and "⟨U+202E⟩" in said
    assert page.evaluate("window.pwned") is None and page.locator("main img").count() == 0
    page.select_option("#run-state", "done")
    assert set(names(page)) == {"one", "two"}
    for downwards in (True, False):
        page.click("th button:has-text('gsm8k')")
        scores = [float(score) for score in page.locator("td.n b").all_inner_texts()]
        assert scores == sorted(scores, reverse=downwards) and scores[0] != scores[1]
    page.keyboard.press("/")
    page.keyboard.type("tw")
    assert names(page) == ["two"]
    page.goto("about:blank")
    page.go_back()
    page.wait_for_selector("html[data-ready]")
    assert names(page) == ["two"], "the address keeps what was chosen"


def test_two_runs_are_chosen_and_put_side_by_side(opened):
    page = opened()
    for name in ("one", "two"):
        page.check(f"[aria-label='choose {name}']")
    page.click("#beside")
    page.wait_for_selector("#pair-list table")
    assert "McNemar" in page.inner_text("#pair-list")
    page.click("text=show what flipped")
    page.wait_for_function("() => document.querySelector('#count').textContent.startsWith('2 ')")
    page.locator("#list .row").first.click()
    page.wait_for_selector("#detail pre")
    heads = page.locator("#detail h4").all_inner_texts()
    assert "Response of one" in heads and "Response of two" in heads
    assert "filter=flipped&item=gsm8k" in page.url and "run/" in page.url


def test_runs_at_steps_are_drawn_as_a_curve(opened, runs):
    page = opened()
    for name in ("one", "two", "live"):
        page.check(f"[aria-label='choose {name}']")
    page.click("#against")
    page.wait_for_selector("#curves svg")
    assert page.locator("#curves .card").count() == 1
    said = page.locator("#curves svg g > title").evaluate_all(
        "all => all.map((t) => t.textContent)"
    )
    for point, name, step in zip(said, ("one", "two"), (1, 2), strict=True):
        score = store.read_json(runs / name / store.SUMMARY)["tasks"]["gsm8k"]["published"]["score"]
        assert point.startswith(f"{name}, step {step}: {score:.2f} (")
    assert "1 without a step or without scores left out" in page.inner_text("#curves")
    page.goto(page.url.split("#")[0] + "#run/two+one")
    page.wait_for_selector("#pair-list table")
    assert page.locator("#curves circle.dot").count() == 2 and "Series" in page.inner_text("#nav")
    page.goto(page.url.split("#")[0] + "#curve/one+gone")
    page.wait_for_selector("#curves p")
    assert "Fewer than two" in page.inner_text("#curves") and "gone" in page.inner_text(
        "#view .note"
    )


def test_an_item_is_marked_by_a_key_and_a_note_is_kept(opened, runs):
    page = opened("#run/two?filter=disagree&item=gsm8k%2Fmain%2F4")
    page.wait_for_selector("#detail .reading")
    assert page.inner_text("#detail h3") == "gsm8k/main/4"
    page.focus("#list")
    for key, opinion in (("w", "wrong"), ("r", "right")):
        page.keyboard.press(key)
        page.wait_for_selector(f"#detail [aria-pressed=true]:has-text('{opinion}')")
    page.evaluate("writing")  # shown at once, written then
    marks = [(mark["rule"], mark["mark"]) for mark in lines(runs / "two" / store.REVIEW)]
    assert marks == [("published", "wrong"), ("robust", "right")]
    page.click("summary:has-text('tags and note')")
    page.fill("[aria-label=Tags]", "best, <b>bold</b>")
    page.fill("[aria-label=Note]", "עברית: a note")
    page.click("button:has-text('Save')")
    page.wait_for_selector("output:has-text('saved')")
    kept = json.loads((runs / "two" / store.NOTES).read_text())
    assert kept == {"tags": ["best", "<b>bold</b>"], "note": "עברית: a note"}
    page.click("#home")
    page.wait_for_selector("table.runs")
    assert "<b>bold</b>" in page.inner_text("table.runs")
    page.select_option("#run-tag", "best")
    assert names(page) == ["two"]


def test_formulas_are_drawn_and_what_is_hostile_in_them_stays_text(opened):
    page = opened("#run/two?item=gsm8k%2Fmain%2F6")
    page.locator("#detail button:text-is('draw formulas')").last.click()
    drawn = page.locator("#detail .drawn")
    assert drawn.locator(".katex").count() == 4, "a fraction, a square, a link without one, a rule"
    assert drawn.locator(".katex-display").count() == 1
    said = drawn.inner_text()
    assert "It costs $3 and $8." in said and r"\def\a" in said and r"\(\frac\)" in said
    assert drawn.locator("a").count() == 0 and "שלום 你好" in said
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= page.evaluate("innerWidth"), "a huge rule stays in its place"
    assert page.evaluate("document.fonts.check('1em KaTeX_Main')")
    page.locator("#detail button:text-is('draw formulas')").last.click()
    assert not drawn.is_visible() and r"$\frac{84}{7}=12$" in page.inner_text("#detail")


def test_a_running_run_shows_its_answers_as_they_come(opened, runs):
    page = opened("#run/live?filter=answered")
    assert page.inner_text("#count").startswith("5 of 12")
    page.evaluate("document.querySelector('#list').style.height = '60px'")
    page.evaluate("document.querySelector('#list').scrollTop = 70")
    append(runs / "one", runs / "live", 5, 7)
    page.wait_for_function("() => document.querySelector('#count').textContent.startsWith('7 ')")
    assert page.evaluate("document.querySelector('#list').scrollTop") == 70, "nobody is moved away"
    assert "7 of 12" in page.inner_text("#states")
    failure = {"id": "gsm8k/main/11", "reason": HOSTILE}
    store.append_line(runs / "live" / store.FAILURES, failure)
    page.click("summary:has-text('1 without a response')")
    assert "gsm8k/main/11: </script><img" in page.inner_text("#states .listed")


def test_a_key_is_asked_for_and_comes_with_the_address(chromium, runs):
    with served(runs, "a key") as home:
        page = chromium.new_page()
        page.goto(home)
        page.wait_for_selector("#key-form:not([hidden])")
        assert page.locator("table.runs").count() == 0
        page.fill("#key", "a key")
        page.keyboard.press("Enter")
        page.wait_for_selector("table.runs")
        page.close()
        page = chromium.new_context().new_page()
        page.goto(f"{home}#key=a%20key")
        page.wait_for_selector("table.runs")
        assert "key" not in page.url
        page.context.close()


def test_a_key_that_is_none_is_said_to_be_unknown(chromium, runs):
    with served(runs, "a%zkey") as home:
        page = chromium.new_context().new_page()
        page.goto(f"{home}#key=%zz")
        for typed in ("other", "clé – ключ"):
            page.wait_for_selector("#fault:has-text('does not know this key')")
            page.fill("#key", typed)
            page.keyboard.press("Enter")
            page.wait_for_selector("#key-form:not([hidden])")
        page.goto("about:blank")
        page.goto(f"{home}#key=a%zkey")
        page.wait_for_selector("table.runs")
        assert not page.is_visible("#fault")
        page.evaluate("location.hash = '#run/%zz'")
        page.wait_for_selector("#fault:has-text('no such run')")
        page.context.close()


def test_more_runs_than_go_side_by_side_are_said_where_they_are_chosen(chromium, runs, tmp_path):
    root = tmp_path / "results/runs"
    shutil.copytree(runs / "one", root / "run-0")
    copies(root / "run-0", [f"run-{n}" for n in range(1, MOST_RUNS + 1)])
    with served(root) as home:
        page = chromium.new_page()
        page.goto(home)
        for n in range(MOST_RUNS + 1):
            page.check(f"[aria-label='choose run-{n}']")
        assert page.inner_text("#beside") == "9 side by side (at most 8)"
        assert page.is_disabled("#beside")
        for n in range(3, MOST_RUNS + 1):
            page.uncheck(f"[aria-label='choose run-{n}']")
        page.uncheck("[aria-label='choose run-0']")
        page.check("[aria-label='choose run-0']")
        page.click("#beside")
        page.wait_for_selector("#pair-list table")
        assert page.url.endswith("#run/run-1+run-2+run-0"), "with the first that was chosen"
        page.close()


def test_an_empty_folder_says_what_to_do_and_a_missing_run_that_it_is(opened, tmp_path):
    with served(tmp_path) as home:
        page = opened(home=home)
        assert "ochat-eval task=demo" in page.inner_text("#run-table")


def test_files_need_no_server(chromium, runs, tmp_path):
    assert door("board", str(runs), "--static", str(tmp_path / "public")).returncode == 0
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "public")
    ) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        opened_as_file = (tmp_path / "public/index.html").as_uri()
        for address in (f"http://127.0.0.1:{web.server_port}/", opened_as_file):
            page = chromium.new_page()
            page.goto(address)
            page.wait_for_selector("table.runs")
            assert set(names(page)) == {"one", "two", "live", "stopped", "failed", "damaged"}
            assert page.locator("table.runs input").count() == 0, "nothing to choose"
            page.click("table.runs a:text-is('one')")
            page.wait_for_selector("#list .row")
            assert "one" in page.inner_text("#title")
            page.close()
        web.shutdown()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_follows_the_scheme(opened, scheme):
    page = opened(viewport={"width": 375, "height": 740}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    page.goto(page.url.split("#")[0] + "#run/one+two")
    page.wait_for_selector("#pair-list table")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
