"""TruthfulQA (Lin et al. 2022) as multiple choice, zero-shot: a bare letter for an answer.

Published setting: openchat's evaluation of January 2024, with its own choice of four answers to
each question (after Orca).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ochat_eval.benchmark.shapes import FirstLetter, RowTask
from ochat_eval.data.files import FileSource, files_of
from ochat_eval.data.shipped import SampleSource

_FILE = "ochat/evaluation/eval_data/zs/truthfulqa_orca/truthfulqa_mc.jsonl"


@dataclass(frozen=True, kw_only=True)
class TruthfulQa(RowTask, FirstLetter):
    """No options beyond `Task`'s."""

    full: ClassVar[Mapping[str, FileSource]] = {"mc": files_of("openchat")[_FILE]}
    sample: ClassVar[SampleSource] = SampleSource("truthfulqa")
    size: ClassVar[int] = 684

    condition: str | None = "GPT4 Correct"
