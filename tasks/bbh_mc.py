"""BIG-Bench Hard as multiple choice, zero-shot: 23 subsets, a bare letter for an answer.

Published setting: openchat's evaluation of January 2024, with its own rewriting of the questions
(after Orca). 156 items have two right letters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ochat_eval.benchmark.shapes import FirstLetter, RowTask
from ochat_eval.data.files import FileSource, files_of
from ochat_eval.data.shipped import SampleSource

_FOLDER = "ochat/evaluation/eval_data/zs/bbh_mc_orca/"


@dataclass(frozen=True, kw_only=True)
class BbhMc(RowTask, FirstLetter):
    """No options beyond `Task`'s."""

    full: ClassVar[Mapping[str, FileSource]] = {
        path.removeprefix(_FOLDER).removesuffix(".jsonl"): file
        for path, file in files_of("openchat").items()
        if path.startswith(_FOLDER)
    }
    sample: ClassVar[SampleSource] = SampleSource("bbh_mc")
    size: ClassVar[int] = 5517

    condition: str | None = "GPT4 Correct"
