"""Pinned data; this face exports every kind of source."""

from ochat_eval.data.files import EvalPlusSource, FileSource, files_of
from ochat_eval.data.hub import HubSource
from ochat_eval.data.local import LocalCsv
from ochat_eval.data.rows import Row
from ochat_eval.data.shipped import PackageSource, SampleSource
from ochat_eval.data.source import Source, data_root

__all__ = [
    "EvalPlusSource",
    "FileSource",
    "HubSource",
    "LocalCsv",
    "PackageSource",
    "Row",
    "SampleSource",
    "Source",
    "data_root",
    "files_of",
]
