"""The report in a real Chromium: every item, filters, search, keys, and hostile text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ochat_eval.bench.harness import workload
from ochat_eval.pipeline import run as run_command
from ochat_eval.report import scores_table
from tests.conftest import door, lines

HOSTILE = (
    "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'><!-- "
    "\u2028 \u202e \0 \ud800 <a href='javascript:window.pwned=3'>x</a> {{7*7}} ${window.pwned=4}"
)
REPLAY = ("task=[gsm8k,mt_bench]", "data=sample", "engine=replay")


@pytest.fixture
def opened(visited):
    """Opens a page's file, as `visited` does."""
    return lambda path, **options: visited(path.resolve().as_uri(), "file:", **options)


def replay(folder: Path, run: str, text, **more: object) -> Path:
    """A run of the sample items; `text` makes an answer of an item and a turn."""
    plan = folder / f"plan-{run}"
    base = [*REPLAY[:2], f"results={folder}"]
    run_command([*base, f"run={plan.name}", "stage=plan"])
    answers = folder / f"{run}.jsonl"
    with answers.open("w") as file:
        for item in lines(folder / plan.name / "items.jsonl"):
            for turn in range(len(item["turns"])):
                answer = {"id": item["id"], "turn": turn, "text": text(item, turn), **more}
                file.write(json.dumps(answer) + "\n")
    run_command([*base, "engine=replay", f"engine.path={answers}", f"run={run}"])
    return folder / run / "report.html"


def compared(folder: Path, *runs: Path) -> Path:
    """The page of runs side by side, as the command line makes it."""
    out = folder / "compared.html"
    assert door("report", *map(str, runs), "-o", str(out), folder=folder).returncode == 0
    return out


def right(item: dict, turn: int) -> str:
    return f"So the answer is {item['target'][0]}" if item["target"] else f"turn {turn}"


def rows(page) -> list[str]:
    return page.locator(".row .id").all_inner_texts()


def count(page) -> int:
    page.wait_for_function(
        "() => !document.querySelector('#count').textContent.includes('searching')"
    )
    return int(page.inner_text("#count").split()[0].replace(",", ""))


def test_nothing_of_a_models_text_runs_or_hides(tmp_path, opened):
    path = replay(tmp_path, "evil", lambda item, turn: HOSTILE + " The answer is 3")
    source = path.read_text()
    assert "window.pwned" not in source, "texts are packed"
    assert source.count("<script") == source.count("</script>")
    page = opened(path)
    page.locator(".row").first.click()
    page.wait_for_selector("#detail pre")
    shown = page.locator("#detail pre").nth(1).inner_text()
    assert "</script><script>window.pwned = 1</script>" in shown
    assert all(f"⟨U+{code}⟩" in shown for code in ("2028", "202E", "0000", "D800"))
    assert page.evaluate("window.pwned") is None
    assert page.locator("#detail img, #detail a, #detail script").count() == 0


def test_hostile_prompts_targets_and_names_are_text_too(tmp_path, opened):
    run = replay(tmp_path, "named", right).parent
    summary = json.loads((run / "summary.json").read_text())
    summary["model"] = HOSTILE
    summary["tasks"]["gsm8k"]["notes"] = [HOSTILE]
    subsets = summary["tasks"]["mt_bench"]["published"]["subsets"]
    rated = {"score": 5.0, "ci95": [4.0, 6.0], "n": 3, "unmatched": 0, "truncated": 0, "empty": 0}
    summary["tasks"]["mt_bench"]["published"]["subsets"] = {
        HOSTILE: rated,
        **dict.fromkeys(subsets, rated),
    }
    (run / "summary.json").write_text(json.dumps(summary))
    items = [
        {**item, "turns": [HOSTILE] * len(item["turns"]), "target": [HOSTILE]}
        for item in lines(run / "items.jsonl")
    ]
    (run / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    page = opened(compared(tmp_path, run))
    assert "<img src=x" in page.inner_text("#title") and page.evaluate("window.pwned") is None
    page.locator(".row").first.click()
    page.wait_for_selector("#detail pre")
    for part in (".prompt", ".target"):
        assert "</script><script>window.pwned = 1" in page.inner_text(f"#detail {part}")
    assert page.locator("main img, main a, main script").count() == 0
    assert page.evaluate("window.pwned") is None


def test_filters_search_and_the_mark_of_what_was_read(tmp_path, opened):
    def text(item: dict, turn: int) -> str:
        if item["task"] == "mt_bench":
            return f"turn {turn}"
        return "" if item["index"] == 0 else right(item, 0) if item["index"] % 2 else "none at all"

    page = opened(replay(tmp_path, "r", text, finish_reason="length"))
    items = lines(tmp_path / "r/items.jsonl")
    gsm8k = [item for item in items if item["task"] == "gsm8k"]
    assert count(page) == len(items)
    page.select_option("#task", "gsm8k")
    assert count(page) == len(gsm8k)
    odd = sum(item["index"] % 2 for item in gsm8k)
    targets = [item["target"][0] for item in gsm8k if item["index"] % 2]
    unlike = sum(not re.fullmatch(r"\d+", target) for target in targets)
    assert unlike == 1, "the published rule reads no commas, signs and fractions"
    for value, wanted in (
        ("right", odd - unlike),
        ("wrong", len(gsm8k) - odd + unlike),
        ("wrong-robust", len(gsm8k) - odd),
        ("unmatched", len(gsm8k) - odd),
        ("truncated", len(gsm8k)),
        ("empty", 1),
        ("disagree", unlike),
        ("unscored", 0),
    ):
        page.select_option("#filter", value)
        assert count(page) == wanted, value
    page.select_option("#filter", "right")
    page.locator(".row").first.click()
    page.wait_for_selector("#detail mark")
    target = next(item["target"][0] for item in gsm8k if item["index"] == 1)
    assert page.locator("#detail mark").first.inner_text() == target
    assert "published" in page.locator("#detail mark").first.get_attribute("title")
    page.select_option("#filter", "all")
    word = re.findall(r"\w{6,}", gsm8k[3]["turns"][0])[-1].upper()
    page.fill("#search", word)
    page.wait_for_function(
        f"() => !document.querySelector('#count').textContent.startsWith('{len(gsm8k)} ')"
    )
    found = sum(word.lower() in json.dumps(item).lower() for item in gsm8k)
    assert count(page) == found >= 1
    page.fill("#search", "nowhere to be found")
    page.wait_for_function("() => document.querySelector('#count').textContent.startsWith('0 ')")


def test_a_thought_is_folded_and_one_without_an_end_is_a_filter(tmp_path, opened):
    def text(item: dict, turn: int) -> str:
        if item["index"] == 0 and item["task"] == "gsm8k":
            return f"<think>{HOSTILE} and on"
        return f"<think>unheard-of {HOSTILE}</think>{right(item, turn)}"

    page = opened(replay(tmp_path, "r", text))
    page.select_option("#task", "gsm8k")
    page.locator(".row").nth(1).click()
    thought = page.locator("#detail details.thought")
    assert thought.locator("summary").inner_text() == "Thought"
    assert not thought.locator("pre").is_visible()
    thought.locator("summary").click()
    assert "unheard-of" in thought.locator("pre").inner_text()
    assert "</script><script>window.pwned = 1" in thought.locator("pre").inner_text()
    assert page.evaluate("window.pwned") is None
    page.select_option("#filter", "unfinished")
    assert count(page) == 1
    page.locator(".row").first.click()
    assert thought.locator("summary").inner_text() == "Thought, without an end"
    page.select_option("#filter", "empty")
    assert count(page) == 0
    table = page.locator("#score-table").inner_text()
    assert "unfinished" in table.lower() and "1 of 12 thoughts have no end" in table
    page.select_option("#filter", "all")
    page.fill("#search", "unheard-of")
    page.wait_for_function("() => document.querySelector('#count').textContent.startsWith('11 ')")


def test_the_keyboard_is_enough(tmp_path, opened):
    page = opened(replay(tmp_path, "r", right))
    first = rows(page)[:3]
    in_sight = "() => document.querySelector('#detail').getBoundingClientRect().top < innerHeight"
    assert not page.evaluate(in_sight)
    page.keyboard.press("j")
    page.wait_for_selector("#detail h3")
    assert page.evaluate(in_sight), "what is chosen is seen"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "list"
    for key in ("ArrowDown", "k", "ArrowDown"):
        page.keyboard.press(key)
    page.wait_for_selector("#detail h3")
    assert page.locator("[aria-selected=true] .id").inner_text() == first[1]
    page.wait_for_function(
        f"() => document.querySelector('#detail h3').textContent === {first[1]!r}"
    )
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "detail"
    page.keyboard.press("Escape")
    page.keyboard.press("End")
    page.wait_for_function(
        "() => document.querySelector('[aria-selected=true]').ariaPosInSet == document.querySelector('[aria-selected=true]').ariaSetSize"
    )


def test_two_runs_side_by_side_and_their_flips(tmp_path, opened):
    replay(tmp_path, "one", right)
    replay(tmp_path, "two", lambda item, turn: right(item, turn) if item["index"] > 2 else "no 0")
    page = opened(compared(tmp_path, tmp_path / "one", tmp_path / "two"))
    figures = page.inner_text("#score-table")
    assert all(part in figures for part in ("one", "two", "published", "robust", "points"))
    page.select_option("#filter", "flipped")
    flipped = [
        i["id"] for i in lines(tmp_path / "one/items.jsonl") if i["target"] and i["index"] < 3
    ]
    assert sorted(rows(page)) == sorted(flipped)
    page.locator(".row").first.click()
    page.wait_for_selector("#detail pre")
    heads = page.locator("#detail h4").all_inner_texts()
    assert "Response of one" in heads and "Response of two" in heads


def test_the_answers_of_a_cause_are_a_filter(tmp_path, opened):
    page = opened(replay(tmp_path, "r", right))
    why = json.loads((tmp_path / "r/why.json").read_text())
    causes = {one["cause"]: one["ids"] for one in why["gsm8k"]["causes"]}
    assert set(causes) == {"comma", "sign"} and len(causes["comma"]) == 1
    page.select_option("#task", "mt_bench")
    page.fill("#search", "turn")
    page.locator("#why-table tr", has_text="comma").locator("button").click()
    page.wait_for_function("() => document.querySelector('#count').textContent.startsWith('1 ')")
    assert rows(page) == causes["comma"]
    assert page.locator("#filter option:checked").inner_text() == "gsm8k: comma"
    page.keyboard.press("ArrowDown")
    page.wait_for_selector("#detail pre")
    assert "1,500" in page.inner_text("#detail .target")


def test_what_was_typed_before_a_filter_does_not_undo_what_is_chosen_after_it(tmp_path, opened):
    page = opened(replay(tmp_path, "r", right))
    page.evaluate("""() => {
        document.querySelector("#search").value = "turn";
        document.querySelector("#search").dispatchEvent(new Event("input"));
        document.querySelector("#why-table button").click();
    }""")
    page.wait_for_function("() => document.querySelector('#count').textContent.startsWith('1 ')")
    page.keyboard.press("ArrowDown")
    page.wait_for_timeout(400)  # longer than the page waits for the end of a word
    assert page.locator("[aria-selected=true]").count() == 1
    assert page.locator("#detail pre").count()


def test_another_address_in_an_open_page_is_heeded(tmp_path, opened):
    page = opened(replay(tmp_path, "r", right))
    chosen = "[aria-selected=true] bdi:text-is('{}')"
    for part, item in (
        ("filter=right&item=gsm8k%2Fmain%2F3", "gsm8k/main/3"),
        ("task=gsm8k&item=gsm8k%2Fmain%2F5", "gsm8k/main/5"),
    ):
        page.evaluate("part => { location.hash = `#items?${part}`; }", part)
        page.wait_for_selector(chosen.format(item))
    assert page.input_value("#filter") == "all" and page.input_value("#task") == "gsm8k"
    page.click("nav a[href='#scores']")
    page.go_back()
    assert page.locator(chosen.format("gsm8k/main/5")).count() == 1
    page.go_back()
    page.wait_for_selector(chosen.format("gsm8k/main/3"))


def test_no_figure_of_a_picture_is_cut_off_and_a_long_name_makes_no_page_wider(tmp_path, opened):
    first = replay(tmp_path, "a-run-with-a-name-" + "long" * 45, right).parent
    second = replay(tmp_path, "other", right).parent
    page = opened(compared(tmp_path, first, second), viewport={"width": 1280, "height": 800})
    cut = page.evaluate("""() => [...document.querySelectorAll("#length-list svg")].flatMap((svg) => {
        const within = svg.getBoundingClientRect();
        const texts = [...svg.querySelectorAll("text")];
        return texts.filter((text) => text.getBoundingClientRect().left < within.left).map((text) => text.textContent);
    })""")
    assert cut == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_tables_are_shown_as_published_and_say_whose_figure_is_marked(tmp_path, opened):
    for name in ("one", "two"):
        replay(tmp_path, name, right)
    page = opened(compared(tmp_path, tmp_path / "one", tmp_path / "two"))
    card = page.locator("#table-list table").first
    zephyr = card.locator("tr", has_text="Zephyr").locator("td").all_inner_texts()
    assert " ".join(zephyr) == "Zephyr-β 34.6 7.34 22.0 40.6 39.0 40.8 39.8 5.1 16.0"
    first = card.locator("tr", has_text="OpenChat-3.5-0106").locator("td").all_inner_texts()
    assert first[1:3] == ["64.5", "7.8"]
    said = page.inner_text("#table-list")
    assert all(f"† {name}, GSM8K: sample items" in said for name in ("one", "two"))
    score = json.loads((tmp_path / "one/summary.json").read_text())["tasks"]["gsm8k"]["robust"]
    own = card.locator("tr.own", has_text="one (robust)").locator("td").all_inner_texts()
    assert own[-2] == f"{score['score']:.1f} †"


def test_figures_beside_the_score_are_in_picture_and_table(tmp_path, opened):
    run = replay(tmp_path, "r", right).parent
    summary = json.loads((run / "summary.json").read_text())
    plus = {"score": 65.9, "n": 164, "stderr": 3.7, "ci95": [58.3, 72.6]}
    summary["tasks"]["gsm8k"]["published"]["plus"] = plus
    [average] = (c for c in summary["tables"]["grok"]["runs"][0]["cells"][:1])
    average.update(score=55.5, ci95=[54.0, 57.0], published=61.0)
    (run / "summary.json").write_text(json.dumps(summary))
    page = opened(compared(tmp_path, run))
    assert "plus 65.90" in page.inner_text("#score-table")
    drawn = page.locator("#score-table").text_content()
    assert "average, grok" in drawn and "55.50" in drawn and "published figure: 61" in drawn
    assert "average, model_card" not in drawn, "it has no figure"


def test_the_page_rounds_as_the_tables_do(tmp_path, opened):
    """21 of 32 is 65.625, which was 65.63 on the page and 65.62 in table.md."""
    run = replay(tmp_path, "r", right).parent
    summary = json.loads((run / "summary.json").read_text())
    one = summary["tasks"]["gsm8k"]["published"]
    one.update(score=65.625, ci95=[48.25, 79.75], unmatched=1 / 400, empty=0.0075)
    [average] = (c for c in summary["tables"]["grok"]["runs"][0]["cells"][:1])
    average.update(score=61.25, ci95=[60.25, 62.75], published=61.25, difference=0.0)
    (run / "summary.json").write_text(json.dumps(summary))
    page = opened(compared(tmp_path, run))
    said = page.locator("#score-table tr", has_text="published").first.locator("td")
    cells = [cell.replace("\u00a0", " ") for cell in said.all_inner_texts()]
    [row] = (line for line in scores_table.rows(summary) if line[:2] == ["gsm8k", "published"])
    assert [cells[i] for i in (2, 4, 6, 8)] == [row[i] for i in (2, 3, 5, 7)]
    assert [row[i] for i in (2, 3, 5, 7)] == ["65.62", "48.2 … 79.8", "0.2 %", "0.8 %"]
    table = page.locator("#table-list").inner_text()
    assert "61.2" in table and "61.3" not in table and "60.2…62.8" in table and "+0.00" in table


def test_a_folder_that_is_no_run_is_one_line(cli, tmp_path):
    done = cli("report", str(tmp_path), "-o", "x.html")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "x.html").exists()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_follows_the_scheme(tmp_path, opened, scheme):
    path = replay(tmp_path, "r", right)
    page = opened(path, viewport={"width": 375, "height": 740}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    nav = page.evaluate("(n => [n.scrollWidth, n.clientWidth])(document.querySelector('nav'))")
    assert nav[0] <= nav[1], "every part of the page can be reached without scrolling sideways"
    first = page.locator("#table-list td").first
    page.evaluate("document.querySelector('#table-list .wide').scrollLeft = 200")
    assert 0 <= first.bounding_box()["x"] < 20, "a row's name stays in sight"
    assert first.bounding_box()["width"] < 375 / 2
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", back)[:3])) / 3
    assert (brightness < 128) == (scheme == "dark")
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") != scheme


def rewrite(path: Path, change) -> None:
    """Changes the records of a JSON lines file; one of which nothing is left is dropped."""
    kept = [changed for record in lines(path) if (changed := change(record))]
    path.write_text("".join(json.dumps(record) + "\n" for record in kept))


def test_ratings_unreadable_verdicts_and_missing_answers_are_no_wrong_answers(tmp_path, opened):
    run = replay(tmp_path, "r", right).parent
    asked = [i["id"] for i in lines(run / "items.jsonl") if i["task"] == "gsm8k"]
    first, second, third, fourth = asked[:4]
    values = {first: None, fourth: 0.5}  # the other is a tie, as where two answers are compared

    def judged(score: dict) -> dict:
        return {**score, "value": values.get(score["id"], score["value"])}

    rewrite(run / "scores.jsonl", lambda s: None if s["id"] in (second, third) else judged(s))
    rewrite(run / "responses.jsonl", lambda r: None if r["id"] == third else r)
    rated = [i["id"] for i in lines(run / "items.jsonl") if i["task"] == "mt_bench"]
    verdict = {"sample": 0, "answer": "7", "matched": True, "value": 7.0}
    with (run / "scores.jsonl").open("a") as file:
        for item in rated:
            for turn, rule, value in (
                (0, "published", 7),
                (1, "published", 4),
                (0, "robust", 7),
                (1, "robust", 4),
            ):
                detail = {"verdict_span": [8, 9]}
                score = {
                    **verdict,
                    "id": item,
                    "turn": turn,
                    "rule": rule,
                    "value": value,
                    "detail": detail,
                }
                file.write(json.dumps(score) + "\n")
    with (run / "judgments.jsonl").open("w") as file:
        for item in rated:
            for turn in (0, 1):
                said = {
                    "id": item,
                    "turn": turn,
                    "text": "Rating: 7 😀",
                    "judge": "grader",
                    "style": "s",
                    "prompt": "p",
                }
                file.write(json.dumps(said) + "\n")
    page = opened(compared(tmp_path, run))
    everything = count(page)
    assert everything == len(lines(run / "items.jsonl"))
    wanted = {"missing": [third], "unread": [first], "unscored": [second, third]}
    for value, ids in wanted.items():
        page.select_option("#filter", value)
        assert rows(page) == ids, value
    page.select_option("#filter", "wrong")
    assert not {first, second, third, *rated} & set(rows(page))
    page.select_option("#filter", "right")
    assert not {first, second, third, *rated} & set(rows(page))
    page.select_option("#filter", "all")
    page.locator(".row", has_text=fourth).click()
    page.wait_for_selector("#detail .badge")
    badges = page.locator("#detail .badge").all_inner_texts()
    assert [said.rpartition(": ")[2] for said in badges] == ["0.50", "0.50"], "right before"
    page.select_option("#task", "mt_bench")
    assert page.locator(".row .rating").all_inner_texts() == ["5.5"] * len(rated)
    page.locator(".row").first.click()
    page.wait_for_selector("#detail mark")
    assert page.locator("#detail details mark").all_inner_texts() == ["7", "7"]
    assert page.locator("#detail mark").count() == 2


def test_overlapping_spans_are_both_marked(tmp_path, opened):
    run = replay(tmp_path, "r", lambda item, turn: "😀 so (B) it is").parent
    spans = {"published": [5, 8], "robust": [6, 7]}
    rewrite(run / "scores.jsonl", lambda s: {**s, "detail": {"span": spans[s["rule"]]}})
    page = opened(compared(tmp_path, run))
    page.locator(".row").first.click()
    page.wait_for_selector("#detail mark")
    marks = page.locator("#detail mark")
    assert marks.all_inner_texts() == ["(", "B", ")"]
    assert [m.get_attribute("class") for m in marks.all()] == [
        "published",
        "published robust",
        "published",
    ]


def test_other_prompts_and_other_items_of_a_second_run_are_said(tmp_path, opened):
    one, two = (replay(tmp_path, name, right).parent for name in ("one", "two"))
    first, second = [i["id"] for i in lines(one / "items.jsonl")][:2]
    rewrite(
        two / "items.jsonl",
        lambda i: {**i, "turns": ["asked otherwise"]} if i["id"] == first else i,
    )
    rewrite(one / "items.jsonl", lambda i: None if i["id"] == second else i)
    page = opened(compared(tmp_path, one, two))
    assert "1 items of two are not on this page" in page.inner_text("#note")
    page.locator(".row").first.click()
    page.wait_for_selector("#detail details")
    page.click("#detail summary")
    assert "asked otherwise" in page.inner_text("#detail details")
    page.locator(".row").nth(1).click()
    page.wait_for_function(f"() => document.querySelector('#detail h3').textContent !== {first!r}")
    assert page.locator("#detail details").count() == 0


def test_lengths_are_in_tokens_only_where_every_answer_says(tmp_path, opened):
    path = replay(tmp_path, "r", right, completion_tokens=7)
    texts = opened(path).locator("#length-list svg").all_text_contents()
    assert len(texts) == 2 and all("tokens" in text for text in texts)
    rewrite(
        path.parent / "responses.jsonl",
        lambda r: (
            {**r, "completion_tokens": None}
            if r["id"].startswith("gsm8k") and r["id"].endswith("/1")
            else r
        ),
    )
    texts = opened(compared(tmp_path, path.parent)).locator("#length-list svg").all_text_contents()
    assert "characters" in texts[0] and "tokens" not in texts[0] and "tokens" in texts[1]


def test_more_answers_than_a_page_holds_are_said(tmp_path, opened, monkeypatch):
    monkeypatch.setattr("ochat_eval.report.page.page.SHOWN", 5)
    path = replay(tmp_path, "r", right)
    page = opened(path)
    left_out = len(lines(path.parent / "items.jsonl")) - 5
    assert count(page) == 5
    assert page.inner_text("#note").startswith(f"{left_out} more answers")


@pytest.mark.parametrize("width", [390, 1280])
def test_hundreds_of_subsets_with_long_names_fit(tmp_path, opened, width):
    run = replay(tmp_path, "a-run-with-a-name-" + "long-" * 20, right).parent
    summary = json.loads((run / "summary.json").read_text())
    part = summary["tasks"]["gsm8k"]["published"]
    one = {k: part[k] for k in ("score", "n", "stderr", "ci95", "unmatched", "truncated", "empty")}
    part["subsets"] = {f"a_subset_with_a_long_name_{'x' * 60}_{n}": one for n in range(400)}
    summary["tasks"]["gsm8k" + "y" * 80] = summary["tasks"]["gsm8k"]
    (run / "summary.json").write_text(json.dumps(summary))
    page = opened(compared(tmp_path, run), viewport={"width": width, "height": 800})
    for folded in page.locator("summary").all():
        folded.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    picture = page.locator("#subset-list svg").first
    labels = picture.locator("g > text").all_text_contents()
    assert len(labels) == 400 and all(len(label) <= 26 for label in labels)
    assert (
        picture.locator("g > title").first.text_content().startswith("a_subset_with_a_long_name_")
    )


def stating(response: dict, targets: dict[str, str]) -> str:
    """A response's text, which states its item's target where that is among these."""
    text: str = response["text"]
    if (target := targets.get(response["id"])) is None:
        return text
    return f"{text.rpartition(' is ')[0]} is {target}"


@pytest.mark.timeout(900)
def test_all_items_open_and_the_last_can_be_reached(tmp_path, opened, real_data, monkeypatch):
    """The 35,806 items of all benchmarks, with made-up answers; those to code are missing.

    All to MATH are right: to find out of thousands that they are wrong takes longer than all else.
    """
    monkeypatch.chdir(tmp_path)
    work = workload(["all"], tmp_path)
    [math] = (task for task in work.tasks if task.name == "math")
    targets = {item.id: item.target[0] for item in math.items()}
    rewrite(tmp_path / "answers.jsonl", lambda r: {**r, "text": stating(r, targets)})
    run_command([*work.command[3:], "run=all"])
    path = tmp_path / "results/runs/all/report.html"
    page = opened(path)
    milliseconds = page.evaluate("document.documentElement.dataset.ready")
    size = path.stat().st_size / 2**20
    print(f"{work.items:,} items: {size:.1f} MiB, ready after {milliseconds} ms")
    assert count(page) == work.items == 35_806
    assert size < 40
    page.focus("#list")
    page.keyboard.press("End")
    last = lines(tmp_path / "results/runs/all/items.jsonl")[-1]
    page.wait_for_function(
        f"() => document.querySelector('#detail h3')?.textContent === {last['id']!r}"
    )
    assert last["turns"][-1] in page.inner_text("#detail")
    page.evaluate("document.querySelector('#list').scrollTop = 15000 * 30")
    page.wait_for_function("() => document.querySelectorAll('.row')[9].ariaPosInSet > 14990")
    assert page.locator(".row").count() < 100, "only what is in sight is in the document"
    page.select_option("#filter", "missing")
    assert count(page) == work.unanswered
    page.select_option("#filter", "all")
    page.fill("#search", "which comes next in the reckoning")
    page.wait_for_function("() => document.querySelector('#count').textContent.startsWith('0 ')")
    page.fill("#search", "what comes next in the reckoning")
    page.wait_for_function("() => !document.querySelector('#count').textContent.startsWith('0 ')")
    assert count(page) == work.items - work.unanswered
