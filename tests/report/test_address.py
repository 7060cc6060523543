"""An address of the page, opened again in a real Chromium."""

from __future__ import annotations

from tests.conftest import lines
from tests.report.test_page import count, opened, replay, right  # noqa: F401 (a fixture)


def test_an_address_names_the_filter_and_the_item(tmp_path, opened):  # noqa: F811
    page = opened(replay(tmp_path, "r", right))
    page.select_option("#task", "gsm8k")
    page.select_option("#filter", "right")
    page.locator(".row").nth(2).click()
    page.wait_for_selector("#detail h3")
    chosen, address = page.inner_text("#detail h3"), page.url
    assert "task=gsm8k&filter=right&item=gsm8k" in address
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    assert page.inner_text("#detail h3") == chosen == page.inner_text("[aria-selected=true] .id")
    assert count(page) < len(lines(tmp_path / "r/items.jsonl"))
