"""The report in a real Chromium: every item, filters, search, keys, and hostile text."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ochat_eval.bench.harness import workload
from ochat_eval.pipeline import run_command
from tests.conftest import environment, lines

HOSTILE = (
    "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'><!-- "
    "\u2028 \u202e \0 \ud800 <a href='javascript:window.pwned=3'>x</a> {{7*7}} ${window.pwned=4}"
)
REPLAY = ("task=[gsm8k,mt_bench]", "data=sample", "engine=replay")


@pytest.fixture
def opened(chromium):
    """Opens a page; fails on an error in it and on anything that it asks for."""
    faults, contexts = [], []

    def open_(path: Path, **options: object):
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        page.on("request", lambda r: r.url.startswith("file:") or faults.append(r.url))
        page.goto(path.resolve().as_uri())
        page.wait_for_selector("html[data-ready]")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert faults == []


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


def test_a_hostile_name_of_a_model_is_text_too(tmp_path, opened):
    path = replay(tmp_path, "named", right)
    summary = json.loads((tmp_path / "named/summary.json").read_text())
    summary["model"] = HOSTILE
    summary["tasks"]["gsm8k"]["notes"] = [HOSTILE]
    (tmp_path / "named/summary.json").write_text(json.dumps(summary))
    out = tmp_path / "out.html"
    command = [sys.executable, "-m", "ochat_eval.report", str(tmp_path / "named"), "-o", str(out)]
    subprocess.run(command, check=True, env=environment(), cwd=tmp_path)
    page = opened(out)
    assert "<img src=x" in page.inner_text("#title") and page.evaluate("window.pwned") is None
    assert path.exists()


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


def test_the_keyboard_is_enough(tmp_path, opened):
    page = opened(replay(tmp_path, "r", right))
    first = rows(page)[:3]
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "list"
    for key in ("ArrowDown", "j", "ArrowDown", "k"):
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
    out = tmp_path / "both.html"
    both = [str(tmp_path / "one"), str(tmp_path / "two")]
    command = [sys.executable, "-m", "ochat_eval.report", *both, "-o", str(out)]
    subprocess.run(command, check=True, env=environment(), cwd=tmp_path)
    page = opened(out)
    page.select_option("#filter", "flipped")
    flipped = [
        i["id"] for i in lines(tmp_path / "one/items.jsonl") if i["target"] and i["index"] < 3
    ]
    assert sorted(rows(page)) == sorted(flipped)
    page.locator(".row").first.click()
    page.wait_for_selector("#detail pre")
    heads = page.locator("#detail h4").all_inner_texts()
    assert "Response of one" in heads and "Response of two" in heads


def test_a_folder_that_is_no_run_is_one_line(tmp_path):
    command = [sys.executable, "-m", "ochat_eval.report", str(tmp_path), "-o", "x.html"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=tmp_path)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "x.html").exists()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_follows_the_scheme(tmp_path, opened, scheme):
    path = replay(tmp_path, "r", right)
    page = opened(path, viewport={"width": 390, "height": 800}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", back)[:3])) / 3
    assert (brightness < 128) == (scheme == "dark")
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") != scheme


@pytest.mark.timeout(900)
def test_all_items_open_and_the_last_can_be_reached(tmp_path, opened, real_data, monkeypatch):
    """The 35,806 items of all benchmarks, with made-up answers."""
    monkeypatch.chdir(tmp_path)
    tasks = ["mmlu", "gsm8k", "bbh_mc", "bbh_cot", "agieval", "truthfulqa", "mt_bench"]
    work = workload(tasks, tmp_path)
    run_command([*work.command[3:], "run=all"])
    path = tmp_path / "results/runs/all/report.html"
    page = opened(path)
    milliseconds = page.evaluate("document.documentElement.dataset.ready")
    print(
        f"{work.items:,} items: {path.stat().st_size / 2**20:.1f} MiB, ready after {milliseconds} ms"
    )
    assert count(page) == work.items == 30_642
    assert path.stat().st_size < 40 * 2**20
    page.focus("#list")
    page.keyboard.press("End")
    last = lines(tmp_path / "results/runs/all/items.jsonl")[-1]
    page.wait_for_function(
        f"() => document.querySelector('#detail h3')?.textContent === {last['id']!r}"
    )
    assert last["turns"][1] in page.inner_text("#detail")
    page.evaluate("document.querySelector('#list').scrollTop = 15000 * 30")
    page.wait_for_function("() => document.querySelectorAll('.row')[9].ariaPosInSet > 14990")
