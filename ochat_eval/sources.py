"""Pinned data: where a benchmark's rows come from, and the proof that they are the right ones.

A source is looked for in the local data root (`OCHAT_EVAL_DATA`), then in the user's cache, then
on the network. Root and cache have one layout:

    hub/<id>/<config>/<split>-*.parquet            rows of a data set of the hub
    raw/<owner>/<repo>/<commit>/<path>             a file of a public git repository
    evalplus/HumanEvalPlus-<version>.jsonl         HumanEval+

What identifies data is its digest, not the place it was found in: every `load` verifies it.
`OCHAT_EVAL_RAW_BASE`, `OCHAT_EVAL_RELEASE_BASE` and `HF_ENDPOINT` name mirrors; a mirror need not
be trusted.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar
from urllib.parse import quote

from ochat_eval.hub import hub_address, hub_answers
from ochat_eval.records import UserError
from ochat_eval.rows import Row, check_digest, check_rows, gunzip, parse_jsonl, rows_digest

__all__ = [
    "EvalPlusSource",
    "FileSource",
    "HubSource",
    "PackageSource",
    "Row",
    "SampleSource",
    "Source",
    "data_root",
    "files_of",
]

T = TypeVar("T")
V = TypeVar("V")

TIMEOUT = (3.0, 10.0)
"""Seconds to wait for a connection, and for the next bytes of an answer."""

_ADVICE = (
    "Set OCHAT_EVAL_DATA to a data root (python -m ochat_eval.pull DIR on a machine with a "
    "network) or use the built-in sample items: data=sample"
)
_NAME = re.compile(r"[\w][\w .+@=-]*")


def data_root() -> Path | None:
    """The folder that `OCHAT_EVAL_DATA` names, None where it is unset or empty.

    Raises:
        UserError: there is no such folder.
    """
    named = os.environ.get("OCHAT_EVAL_DATA")
    if not named:
        return None
    root = Path(named).expanduser()
    if not root.is_dir():
        raise UserError(
            f"OCHAT_EVAL_DATA: no folder {root}; unset it, or fill it with "
            f"python -m ochat_eval.pull {root}"
        )
    return root


def cache_root() -> Path:
    """The folder that keeps what was fetched (pooch's place for this program)."""
    import pooch

    return Path(pooch.os_cache("ochat_eval"))


@dataclass(frozen=True)
class Source(ABC, Generic[T]):
    """One piece of pinned data; `T` is what it loads as."""

    kind: ClassVar[str]

    @abstractmethod
    def load(self) -> T:
        """The verified data.

        Raises:
            UserError: not to be had, or not what is pinned.
        """

    def describe(self) -> dict[str, Any]:
        """What pins the data, for a run's manifest: `kind` and the fields; JSON-serialisable."""
        return {"kind": self.kind, **asdict(self)}

    def store(self, root: Path) -> bool:
        """Put the data into a data root, unless it is there and verifies; True if it was written.

        What ships inside a package is everywhere already: nothing is written.

        Raises:
            UserError: as `load`; or the file cannot be written.
        """
        return False


@dataclass(frozen=True)
class _Remote(Source[T]):
    """A source of the network that a data root can hold."""

    @property
    @abstractmethod
    def label(self) -> str:
        """The data's name in messages."""

    @abstractmethod
    def _path(self, root: Path) -> Path:
        """The file that `_write` makes in a root."""

    @abstractmethod
    def _open(self, root: Path) -> T:
        """The verified data of a root.

        Raises:
            FileNotFoundError: the root has no such data.
            ValueError, OSError: it cannot be read, or is not what is pinned.
        """

    @abstractmethod
    def _fetch(self) -> T:
        """The verified data from the network. Raises UserError."""

    @abstractmethod
    def _bytes(self, value: T) -> bytes:
        """The content of the file in a root."""

    def load(self) -> T:
        """The verified data: from the data root, else the cache, else the network."""
        root, cache = data_root(), cache_root()
        value = None if root is None else self._read(root)
        if value is None:
            value = self._intact(cache)
        if value is None:
            value = self._fetch()
            self._write(cache, value)
        return value

    def store(self, root: Path) -> bool:
        """As `Source.store`; a damaged file is replaced."""
        if self._intact(root) is not None:
            return False
        local = data_root()
        value = None
        if local is not None and local.resolve() != root.resolve():
            value = self._read(local)
        if value is None:
            value = self._intact(cache_root())
        self._write(root, self._fetch() if value is None else value)
        self._read(root)  # what was written must load again
        return True

    def _read(self, root: Path) -> T | None:
        """The data of a root, None where it has none. Raises UserError where it is damaged."""
        try:
            return self._open(root)
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            raise UserError(
                f"{self.label}: {self._path(root)} is damaged: {_one_line(error)}; delete it, or "
                f"have it replaced: python -m ochat_eval.pull {root}"
            ) from error

    def _intact(self, root: Path) -> T | None:
        """The data of a root that we may overwrite, None where it is missing or damaged."""
        try:
            return self._read(root)
        except UserError:
            return None

    def _write(self, root: Path, value: T) -> None:
        """Put the data into a root; a reader sees the whole file or none."""
        path = self._path(root)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                part.write_bytes(self._bytes(value))
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"{self.label}: cannot write {path}: {_one_line(error)}") from error


@dataclass(frozen=True)
class HubSource(_Remote[list[Row]]):
    """A split of a data set of the Hugging Face hub.

    Attributes:
        id: `owner/name`.
        config: the data set's configuration (MMLU: `all`).
        split: `test`.
        revision: the commit of the data set's repository.
        rows: how many rows the split has.
        digest: their `rows_digest`; `also` that of a copy known to differ in nothing that counts.
    """

    kind = "hub"
    id: str
    config: str
    split: str
    revision: str
    rows: int
    digest: str
    also: str | None = None

    def __post_init__(self) -> None:
        _check_names(self.id, self.config, self.split, self.revision)

    @property
    def label(self) -> str:
        """As `cais/mmlu (all, test)`."""
        return f"{self.id} ({self.config}, {self.split})"

    def _path(self, root: Path) -> Path:
        return root / "hub" / self.id / self.config / f"{self.split}-00000-of-00001.parquet"

    def _open(self, root: Path) -> list[Row]:
        files = sorted(self._path(root).parent.glob(f"{self.split}-*.parquet"))
        if not files:
            raise FileNotFoundError
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows: list[Row] = []
        for file in files:
            try:
                with pq.ParquetFile(file) as parquet:
                    rows += parquet.read().to_pylist()
            except pa.ArrowException as error:
                raise ValueError(f"{file.name}: {error}") from error
        check_rows(rows, self.rows, self.digest, *filter(None, [self.also]))
        return rows

    def _fetch(self) -> list[Row]:
        if not hub_answers():
            raise _unreachable(self.label, hub_address())
        try:
            from datasets import load_dataset

            data = load_dataset(self.id, self.config, split=self.split, revision=self.revision)
            rows: list[Row] = data.to_list()
            check_rows(rows, self.rows, self.digest, *filter(None, [self.also]))
        # The errors of the hub, its two http clients, Arrow and the system share no base class.
        except Exception as error:
            raise UserError(
                f"{self.label}: not to be had from the hub at revision {self.revision[:12]}: "
                f"{_one_line(error)}. {_ADVICE}"
            ) from error
        return rows

    def _bytes(self, value: list[Row]) -> bytes:
        import pyarrow as pa
        import pyarrow.parquet as pq

        buffer = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(value), buffer)
        return bytes(buffer.getvalue())

    def _write(self, root: Path, value: list[Row]) -> None:
        super()._write(root, value)
        # Shards of a damaged copy under other names would be read as more rows.
        path = self._path(root)
        for file in path.parent.glob(f"{self.split}-*.parquet"):
            if file != path:
                file.unlink()


@dataclass(frozen=True)
class FileSource(_Remote[bytes]):
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
        _check_names(self.repo, self.commit, self.path)

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
            raise UserError(f"{self.label}: {_one_line(error)}; check the pin") from error

    def _path(self, root: Path) -> Path:
        return root / "raw" / self.repo / self.commit / self.path

    def _open(self, root: Path) -> bytes:
        content = self._path(root).read_bytes()
        check_digest("sha256", hashlib.sha256(content).hexdigest(), self.sha256)
        return content

    def _fetch(self) -> bytes:
        base = os.environ.get("OCHAT_EVAL_RAW_BASE") or "https://raw.githubusercontent.com"
        url = f"{base.rstrip('/')}/{self.repo}/{self.commit}/{quote(self.path)}"
        return _download(self.label, url, self.sha256)

    def _bytes(self, value: bytes) -> bytes:
        return value


@dataclass(frozen=True)
class EvalPlusSource(_Remote[list[Row]]):
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
        _check_names(self.version)

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
        base = os.environ.get("OCHAT_EVAL_RELEASE_BASE") or "https://github.com"
        release = f"evalplus/humanevalplus_release/releases/download/{self.version}"
        url = f"{base.rstrip('/')}/{release}/HumanEvalPlus.jsonl.gz"
        packed = _download(self.label, url, None)
        try:
            return self._parse(gunzip(packed))
        except ValueError as error:
            problem = f"{url} is not what is pinned: {_one_line(error)}"
            raise UserError(f"{self.label}: {problem}") from error

    def _bytes(self, value: list[Row]) -> bytes:
        return "".join(f"{json.dumps(row)}\n" for row in value).encode()


@dataclass(frozen=True)
class PackageSource(Source[list[Row]]):
    """Rows (JSON lines, gzipped) that an installed package ships.

    Attributes:
        package: its import name.
        path: the file's path in the package.
        rows: how many rows it has.
        digest: their `rows_digest`.
    """

    kind = "package"
    package: str
    path: str
    rows: int
    digest: str

    def load(self) -> list[Row]:
        """The verified rows."""
        try:
            packed = resources.files(self.package).joinpath(self.path).read_bytes()
            rows = parse_jsonl(gunzip(packed))
            check_rows(rows, self.rows, self.digest)
        except (ImportError, ValueError, OSError) as error:
            mend = f"pip install --force-reinstall {self.package.replace('_', '-')}"
            raise UserError(
                f"{self.package}/{self.path}: {_one_line(error)}; install the package again: {mend}"
            ) from error
        return rows


@dataclass(frozen=True)
class SampleSource(Source[list[Row]]):
    """The repository's own sample items: `tasks/samples/<name>.jsonl`."""

    kind = "sample"
    name: str

    def __post_init__(self) -> None:
        _check_names(self.name)

    def load(self) -> list[Row]:
        """The rows."""
        file = resources.files("ochat_eval.tasks.samples").joinpath(f"{self.name}.jsonl")
        try:
            return parse_jsonl(file.read_bytes())
        except FileNotFoundError as error:
            raise UserError(f"no sample items tasks/samples/{self.name}.jsonl") from error
        except ValueError as error:
            raise UserError(f"tasks/samples/{self.name}.jsonl: {_one_line(error)}") from error

    def describe(self) -> dict[str, Any]:
        """As `Source.describe`, and the digest of the rows as they are now."""
        return {**super().describe(), "digest": rows_digest(self.load())}


def files_of(name: str) -> dict[str, FileSource]:
    """The pinned files of a repository, by path: what `tasks/pins/<name>.json` lists."""
    text = resources.files("ochat_eval.tasks.pins").joinpath(f"{name}.json").read_text("utf-8")
    pins = json.loads(text)
    return {
        path: FileSource(pins["repo"], pins["commit"], path, sha256)
        for path, sha256 in pins["files"].items()
    }


def _check_names(*names: str) -> None:
    """Refuse names that would lead out of a data root or to another address."""
    for name in names:
        if not all(_NAME.fullmatch(part) for part in name.split("/")):
            raise UserError(f"{name!r} cannot name pinned data: use letters, digits and .+-_@=")


def _download(label: str, url: str, sha256: str | None) -> bytes:
    """The bytes at an address, verified where `sha256` is given. Raises UserError."""
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")  # no line for each file
    get = pooch.HTTPDownloader(timeout=TIMEOUT, chunk_size=2**16)
    with tempfile.TemporaryDirectory() as folder:
        try:
            file = pooch.retrieve(url, sha256, fname="download", path=folder, downloader=get)
            return Path(file).read_bytes()
        except requests.HTTPError as error:
            problem = f"{_one_line(error)}; check the pin or the mirror"
            raise UserError(f"{label}: {problem}") from error
        except requests.RequestException as error:
            raise _unreachable(label, url) from error
        except (ValueError, OSError) as error:
            raise UserError(f"{label}: cannot fetch {url}: {_one_line(error)}") from error


def _unreachable(label: str, url: str) -> UserError:
    """The error for an address that does not answer."""
    return UserError(f"{label}: cannot reach {url} (offline?). {_ADVICE}")


def _one_line(error: BaseException) -> str:
    """An error's text on one line of bearable length."""
    return " ".join(str(error).split())[:300] or type(error).__name__
