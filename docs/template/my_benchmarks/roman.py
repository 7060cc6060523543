"""Roman numerals: how `task=file` can read answers that it knows no kind of."""

import re
from typing import ClassVar

from ochat_eval.benchmark.reader import Reader
from ochat_eval.records import Item

NUMERAL = re.compile(r"\b[IVXLCDM]+\b")


class Roman(Reader):
    """The last numeral of a response; by the published rule the first, be it the word I."""

    prompt: ClassVar[str] = "{question}\n\nAnswer with a Roman numeral."

    def robust(self, text: str, item: Item) -> str | None:
        """The last numeral."""
        found = NUMERAL.findall(text)
        return found[-1] if found else None

    def published(self, text: str, item: Item) -> str | None:
        """The first numeral."""
        found = NUMERAL.search(text)
        return found[0] if found else None
