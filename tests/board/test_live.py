"""The board in a real Chromium while runs go on, answers come late and the server goes away."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from ochat_eval.run import store
from ochat_eval.run.folder import RunDir
from tests.board.conftest import served
from tests.board.shelves import append, running
from tests.board.test_browser import names
from tests.conftest import lines

HOLD = """path => {
    const [fetched, held] = [window.fetch, []];
    window.fetch = (address, more) =>
        new Promise((done) => {
            const go = () => done(fetched(address, more));
            if (address.startsWith(path)) held.push(go);
            else go();
        });
    window.let_go = () => held.splice(0).forEach((go) => go());
    window.held = held;
}"""
"""Holds back what is fetched from a path; `let_go()` lets what was held go on."""


@pytest.fixture
def live(runs: Path):
    """A run that goes on, alone with the others' answers: at 5 of 12 answers."""
    with running(runs / "one", "going", 5) as folder:
        yield folder
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def held(page, path: str) -> None:
    page.evaluate(HOLD, path)


def waits(page, number: int = 1) -> None:
    page.wait_for_function(f"() => held.length >= {number}")


def test_a_filter_that_is_taken_back_stays_so(opened, runs):
    page = opened("#?state=done")
    assert set(names(page)) == {"one", "two"}
    page.select_option("#run-state", "")
    shown = names(page)
    assert len(shown) > 2
    page.evaluate("board.runs.show([...board.runs.rows])")
    assert names(page) == shown
    page.evaluate("location.hash = '#?rule=none&sort=task%20gsm8k'")
    page.wait_for_selector("[aria-sort=ascending]:has-text('gsm8k')")
    assert page.input_value("#run-rule") == "published" and not page.is_visible("#fault")


def test_runs_are_chosen_and_sorted_with_the_keyboard_alone(opened):
    page = opened()
    page.focus("[aria-label='choose one']")
    page.keyboard.press("Space")
    assert page.evaluate("document.activeElement.ariaLabel") == "choose one"
    page.focus("th button:has-text('gsm8k')")
    page.keyboard.press("Enter")
    assert "gsm8k" in page.evaluate("document.activeElement.textContent")
    page.evaluate("board.runs.show([...board.runs.rows])")
    assert "gsm8k" in page.evaluate("document.activeElement.textContent")


def test_a_list_of_choices_that_is_open_is_not_made_anew(opened):
    page = opened()
    page.evaluate("document.querySelector('#run-state').options[0].seen = true")
    page.evaluate("board.runs.show([...board.runs.rows])")
    assert page.evaluate("document.querySelector('#run-state').options[0].seen")


def test_a_comparison_that_comes_late_is_not_shown_with_other_runs(opened):
    page = opened()
    held(page, "differences.json")
    page.evaluate("location.hash = '#run/one+two'")
    waits(page)
    page.evaluate("location.hash = '#run/two+one'")
    waits(page, 2)
    page.evaluate("held.shift()()")
    page.wait_for_timeout(500)
    assert "comparing" in page.inner_text("#pair-list")
    page.evaluate("location.hash = ''")
    page.wait_for_selector("#index:not([hidden])")
    page.evaluate("let_go()")
    page.wait_for_timeout(500)
    assert not page.is_visible("#fault"), page.inner_text("#fault")


def test_a_list_that_comes_late_is_not_shown_with_another_run(opened):
    page = opened()
    held(page, "items.json?run=one")
    page.evaluate("location.hash = '#run/one'")
    waits(page)
    page.evaluate("location.hash = '#run/live?filter=answered'")
    page.wait_for_function("() => document.querySelector('#count')?.textContent.startsWith('5 of')")
    page.evaluate("let_go()")
    page.wait_for_timeout(500)
    assert page.inner_text("#count").startswith("5 of")
    page.locator("#list .row").first.click()
    page.wait_for_selector("#detail h3")
    assert "run/live" in page.url and "live" in page.inner_text("#title")


def test_an_item_chosen_while_a_long_list_is_read_again_stays_chosen(opened, live):
    [first, *_] = lines(live / store.ITEMS)
    items = [{**first, "id": f"gsm8k/main/{n}", "index": n} for n in range(600)]
    (live / store.ITEMS).write_text("".join(json.dumps(item) + "\n" for item in items))
    page = opened("#run/going")
    page.focus("#list")
    page.evaluate("document.querySelector('#list').scrollTop = 300 * 30")
    page.wait_for_selector("#row302:not(.dim)")
    held(page, "items.json")
    append(live.with_name("one"), live, 5, 6)
    page.evaluate("void freshen()")
    waits(page)
    page.click("#row302")
    page.evaluate("let_go()")
    page.wait_for_timeout(300)
    page.keyboard.press("ArrowDown")
    page.wait_for_selector("#row303[aria-selected=true]")
    page.wait_for_function(
        "() => document.querySelector('#detail h3').textContent.endsWith('/303')"
    )
    page.keyboard.press("End")  # its row is not there yet
    waits(page)
    page.evaluate("void freshen()")
    page.wait_for_timeout(300)
    page.evaluate("let_go()")
    page.wait_for_selector("#row599[aria-selected=true]")
    page.evaluate("setInterval(let_go, 50)")
    page.evaluate("freshen()")
    assert page.locator("#row599[aria-selected=true]").count() == 1
    assert page.evaluate("board.listed") == "6"


def test_the_clock_undoes_no_search_and_does_not_pile_up(opened, live):
    page = opened("#run/going")
    held(page, "items.json")
    page.select_option("#filter", "answered")
    waits(page)
    append(live.with_name("one"), live, 5, 6)
    page.evaluate("void freshen()")
    page.wait_for_timeout(500)
    page.evaluate("held.shift()()")
    page.wait_for_function("() => document.querySelector('#count').textContent.startsWith('6 of')")
    assert "filter=answered" in page.url


def test_what_is_read_stays_as_it_was_unfolded(opened, live):
    page = opened("#run/going?item=gsm8k%2Fmain%2F0")
    page.wait_for_selector("#detail pre")
    page.evaluate("document.querySelector('#detail pre').seen = true")
    append(live.with_name("one"), live, 5, 6)
    page.evaluate("freshen()")
    assert page.evaluate("document.querySelector('#detail pre').seen")
    failure = {"id": "gsm8k/main/11", "reason": "cut off"}
    store.append_line(live / store.FAILURES, failure)
    page.evaluate("freshen()")
    page.click("#states summary:has-text('without a response')")
    append(live.with_name("one"), live, 6, 7)
    page.evaluate("freshen()")
    assert "7 of 12" in page.inner_text("#states")
    assert "without a response" in page.evaluate("document.activeElement.textContent")


def test_a_note_that_is_typed_outlives_the_end_of_the_run(opened, runs):
    with running(runs / "one", "ending", 5):
        page = opened("#run/ending")
        page.click("summary:has-text('tags and note')")
        page.focus("[aria-label=Note]")
    page.evaluate("freshen()")
    page.keyboard.type("half a th")
    page.evaluate("freshen()")
    assert page.input_value("[aria-label=Note]") == "half a th"
    assert "stopped" in page.inner_text("#states")
    page.type("[aria-label=Note]", "ought")
    page.click("button:has-text('Save')")
    page.wait_for_selector("output:has-text('saved')")
    assert store.read_json(runs / "ending" / store.NOTES)["note"] == "half a thought"
    page.click("#items h2")
    page.evaluate("freshen()")
    page.wait_for_selector("#states")
    assert "stopped" in page.inner_text("#states")


def test_two_marks_typed_quickly_are_of_two_readings(opened, runs):
    page = opened("#run/two?filter=disagree&item=gsm8k%2Fmain%2F4")
    page.wait_for_selector("#detail .reading")
    (runs / "two" / store.REVIEW).unlink(missing_ok=True)
    page.reload()
    page.wait_for_selector("#detail .reading")
    assert page.locator("#detail .reading").count() == 2
    held(page, "mark")
    page.focus("#list")
    page.keyboard.press("w")
    page.keyboard.press("r")
    waits(page, 1)
    for _ in range(3):
        page.evaluate("let_go()")
        page.wait_for_timeout(300)
    marks = [(mark["rule"], mark["mark"]) for mark in lines(runs / "two" / store.REVIEW)]
    assert sorted(marks) == [("published", "wrong"), ("robust", "right")]
    pressed = page.locator("#detail .reading [aria-pressed=true]").all_inner_texts()
    assert pressed == ["wrong", "right"]
    page.locator("#detail .reading button").first.focus()
    page.keyboard.press("Enter")
    page.evaluate("let_go()")
    page.wait_for_timeout(300)
    assert page.evaluate("document.activeElement.textContent") == "right"


def test_a_mark_that_somebody_gave_meanwhile_is_shown_and_not_overwritten(opened, runs):
    first, second = pages = [opened("#run/two?item=gsm8k%2Fmain%2F8") for _ in range(2)]
    for page in pages:
        page.wait_for_selector("#detail .reading")
        page.focus("#list")
    first.keyboard.press("r")
    pressed = "#detail .reading [aria-pressed=true]:has-text('{}')"
    first.evaluate("writing")
    second.keyboard.press("w")
    second.wait_for_selector("#fault:has-text('marked right meanwhile')")
    assert second.evaluate("scrollY") > 200 and second.locator("#fault").evaluate(
        "e => document.elementFromPoint(100, e.getBoundingClientRect().top + 5) === e"
    ), "in sight, wherever one is"
    second.wait_for_selector(pressed.format("right"))
    assert {mark["mark"] for mark in lines(runs / "two" / store.REVIEW)[-2:]} == {"right"}
    second.keyboard.press("w")
    second.wait_for_selector("#fault", state="hidden")
    second.wait_for_selector(pressed.format("wrong"))
    assert {mark["mark"] for mark in lines(runs / "two" / store.REVIEW)[-2:]} == {"wrong"}


def test_a_search_says_that_it_is_at_work(opened):
    page = opened("#run/one")
    held(page, "items.json")
    page.fill("#search", "answer")
    waits(page)
    assert page.inner_text("#count") == "searching …"
    page.evaluate("let_go()")
    page.wait_for_function("() => document.querySelector('#count').textContent.includes(' of ')")


def test_a_mark_that_is_refused_is_taken_back(chromium, runs):
    with served(runs) as home, contextlib.closing(RunDir(runs / "two")):
        page = chromium.new_page()
        page.goto(home + "#run/two?item=gsm8k%2Fmain%2F7")
        page.wait_for_selector("#detail .reading")
        held(page, "mark")
        page.focus("#list")
        page.keyboard.press("u")
        waits(page)
        assert page.locator("#detail .reading [aria-pressed=true]").count() == 1
        page.evaluate("let_go()")
        page.wait_for_selector("#fault:not([hidden])")
        assert page.locator("#detail .reading [aria-pressed=true]").count() == 0
        print(page.inner_text("#fault"))
        page.close()


def test_the_address_names_what_is_chosen_while_another_item_is_opened(opened):
    page = opened()
    held(page, "item.json")
    page.evaluate("location.hash = '#run/one?item=gsm8k%2Fmain%2F4'")
    waits(page)
    page.keyboard.press("j")
    waits(page, 2)
    page.evaluate("let_go()")
    page.wait_for_function("() => location.hash.endsWith('main%2F5')")


def test_a_key_marks_nothing_that_is_not_chosen(opened, runs):
    page = opened("#run/two?item=gsm8k%2Fmain%2F4")
    page.wait_for_selector("#detail .reading")
    before = len(lines(runs / "two" / store.REVIEW))
    held(page, "item.json")
    page.focus("#list")
    page.keyboard.press("j")
    waits(page)
    page.keyboard.press("u")
    page.wait_for_timeout(300)
    assert len(lines(runs / "two" / store.REVIEW)) == before


def test_a_deleted_run_is_said_to_be_gone_and_one_begun_anew_is_opened_anew(opened, live):
    page = opened("#run/going?filter=answered")
    page.evaluate("window.seen = document.querySelector('#list')")
    manifest = live / store.MANIFEST
    said = manifest.read_text()
    manifest.unlink()
    page.evaluate("freshen()")
    assert page.inner_text("#fault") == "not here any more: going"
    assert page.locator("#list .row").count() == 5, "what is known of it can still be read"
    manifest.write_text(json.dumps({**json.loads(said), "created": "2031-01-01T00:00:00+00:00"}))
    page.evaluate("freshen()")
    assert not page.is_visible("#fault") and "filter=answered" in page.url
    assert page.evaluate("window.seen !== document.querySelector('#list')")
    assert page.inner_text("#count").startswith("5 of")


def test_anothers_tags_are_shown_and_not_undone(opened, runs):
    first, second = opened("#run/stopped"), opened("#run/stopped")
    for page, tag in ((first, "mine"), (second, "theirs")):
        page.evaluate("freshen()")
        page.click("summary:has-text('tags and note')")
        page.focus("[aria-label=Tags]")
        page.keyboard.press("End")
        page.keyboard.type(f", {tag}")
        page.click("button:has-text('Save')")
        page.wait_for_selector("output:has-text('saved')")
    assert store.read_json(runs / "stopped" / store.NOTES)["tags"] == ["mine", "theirs"]
    first.evaluate("freshen()")
    assert "theirs" in first.inner_text("#states .tag >> nth=1")


def test_a_note_that_somebody_wrote_meanwhile_is_shown_and_not_overwritten(opened, runs):
    first, second = pages = [opened("#run/failed") for _ in range(2)]
    for page, note in zip(pages, ("mine", "theirs"), strict=True):
        page.click("summary:has-text('tags and note')")
        page.fill("[aria-label=Note]", note)
    first.click("button:has-text('Save')")
    first.wait_for_selector("output:has-text('saved')")
    second.click("button:has-text('Save')")
    second.wait_for_selector("#fault:has-text('save again')")
    assert store.read_json(runs / "failed" / store.NOTES)["note"] == "mine"
    assert "mine" in second.inner_text("#states")
    assert second.input_value("[aria-label=Note]") == "theirs"
    second.click("button:has-text('Save')")
    second.wait_for_selector("output:has-text('saved')")
    assert store.read_json(runs / "failed" / store.NOTES)["note"] == "theirs"
    assert not second.is_visible("#fault")


def test_the_server_goes_and_comes_back(chromium, runs):
    with served(runs) as home:
        port = int(home.rstrip("/").rpartition(":")[2])
        page, late, other = pages = [chromium.new_page() for _ in range(3)]
        page.goto(home + "#run/one")
        late.goto(home)
        other.goto(home + "#run/one")
        for one in pages:
            one.wait_for_selector("html[data-ready]")
    away = "the board's server cannot be reached"
    page.locator("#list .row").first.click()
    late.evaluate("location.hash = '#run/two'")
    other.select_option("#filter", "empty")
    for one in pages:
        one.wait_for_selector(f'#fault:has-text("{away}")')
    with served(runs, port=port):
        for one in pages:
            one.wait_for_selector("#fault", state="hidden")
        other.wait_for_function(
            "() => document.querySelector('#count').textContent == '0 of 12 answers'"
        )
        assert other.url.endswith("filter=empty")
        late.wait_for_selector("#list .row")
        page.locator("#list .row").first.click()
        page.wait_for_selector("#detail h3")
        for one in pages:
            one.close()
