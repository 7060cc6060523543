"""Raw files: of public git repositories, and of EvalPlus' releases."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from urllib.parse import quote

from ochat_eval.data.mirrors import download, raw_address, release_address
from ochat_eval.data.rows import Row, check_digest, check_rows, parse_jsonl
from ochat_eval.data.source import Remote, V, check_names
from ochat_eval.data.unpack import gunzip
from ochat_eval.records import UserError
from ochat_eval.terminal.words import one_line


@dataclass(frozen=True)
class FileSource(Remote[bytes]):
    """A file of a public git repository.

    Attributes:
        repo: `owner/name`.
        commit: the full commit id.
        path: the file's path in the repository.
        sha256: of its bytes, in hex.
    """

    kind = "file"
    repo: str
    commit: str
    path: str
    sha256: str

    def __post_init__(self) -> None:
        check_names(self.repo, self.commit, self.path)

    @property
    def label(self) -> str:
        """`owner/name: path`."""
        return f"{self.repo}: {self.path}"

    def text(self) -> str:
        """The file as UTF-8 text, line ends as they are. Raises UserError where it is not."""
        return self._as(bytes.decode)

    def jsonl(self) -> list[Row]:
        """The file as JSON lines, one object a line. Raises UserError where it is not."""
        return self._as(parse_jsonl)

    def _as(self, parse: Callable[[bytes], V]) -> V:
        try:
            return parse(self.load())
        except ValueError as error:
            raise UserError(f"{self.label}: {one_line(error)}; check the pin") from error

    def _path(self, root: Path) -> Path:
        return root / "raw" / self.repo / self.commit / self.path

    def _open(self, root: Path) -> bytes:
        content = self._path(root).read_bytes()
        check_digest("sha256", hashlib.sha256(content).hexdigest(), self.sha256)
        return content

    def _fetch(self) -> bytes:
        url = f"{raw_address()}/{self.repo}/{self.commit}/{quote(self.path)}"
        return download(self.label, url, self.sha256)

    def _bytes(self, value: bytes) -> bytes:
        return value


@dataclass(frozen=True)
class EvalPlusSource(Remote[list[Row]]):
    """HumanEval+ as EvalPlus released it.

    Attributes:
        version: `v0.1.9` or `v0.1.10`.
        digest: `rows_digest` of the problems.
        rows: how many they are.
    """

    kind = "evalplus"
    version: str
    digest: str
    rows: int = 164

    def __post_init__(self) -> None:
        check_names(self.version)

    @property
    def label(self) -> str:
        """`HumanEval+ v0.1.9`."""
        return f"HumanEval+ {self.version}"

    def _path(self, root: Path) -> Path:
        return root / "evalplus" / f"HumanEvalPlus-{self.version}.jsonl"

    def _open(self, root: Path) -> list[Row]:
        return self._parse(self._path(root).read_bytes())

    def _parse(self, content: bytes) -> list[Row]:
        rows = parse_jsonl(content)
        check_rows(rows, self.rows, self.digest)
        return rows

    def _fetch(self) -> list[Row]:
        release = f"evalplus/humanevalplus_release/releases/download/{self.version}"
        url = f"{release_address()}/{release}/HumanEvalPlus.jsonl.gz"
        packed = download(self.label, url, None)
        try:
            return self._parse(gunzip(packed))
        except ValueError as error:
            problem = f"{url} is not what is pinned: {one_line(error)}"
            raise UserError(f"{self.label}: {problem}") from error

    def _bytes(self, value: list[Row]) -> bytes:
        return "".join(f"{json.dumps(row)}\n" for row in value).encode()


def files_of(name: str) -> dict[str, FileSource]:
    """The pinned files of a repository, by path: what `tasks/pins/<name>.json` lists."""
    text = resources.files("ochat_eval.tasks.pins").joinpath(f"{name}.json").read_text("utf-8")
    pins = json.loads(text)
    return {
        path: FileSource(pins["repo"], pins["commit"], path, sha256)
        for path, sha256 in pins["files"].items()
    }
