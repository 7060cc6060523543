"""Packed data of others: unpacked to a limit, on every path that data takes."""

from __future__ import annotations

import gzip
import resource
import threading
import tracemalloc
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ochat_eval.data import EvalPlusSource, FileSource, HubSource, mirrors
from ochat_eval.data.unpack import UNPACKED_BYTES, body, gunzip
from ochat_eval.records import UserError


def bomb(size: int) -> bytes:
    """A small gzip file that becomes so many bytes and more; its end is missing."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = stream.compress(bytes(1 << 20)) + stream.flush(
        zlib.Z_FULL_FLUSH
    )  # refers to itself alone
    return gzip.compress(b"")[:10] + block * (size >> 20)


def test_whole_files_come_out_as_they_went_in():
    text = "".join(f'{{"row": {i}}}\n' for i in range(50_000)).encode()
    assert gunzip(gzip.compress(text)) == text
    assert gunzip(gzip.compress(text[:9]) + gzip.compress(text[9:])) == text, "several members"
    assert gunzip(gzip.compress(text) + b"\0" * 512) == text, "padding"
    assert gunzip(gzip.compress(b"")) == b""
    assert body(text, "", 10**9) == body(text, "Identity", 10**9) == text
    assert body(gzip.compress(text), " GZIP", 10**9) == text
    assert body(zlib.compress(text), "deflate", 10**9) == text


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b"x" * 999)[:-9], gzip.compress(b"a") + b"b"],
    ids=["none", "cut", "more"],  # without the time, which gzip writes down
)
def test_what_is_no_whole_file_is_a_value_error(content):
    with pytest.raises(ValueError, match="not a whole gzip file"):
        gunzip(content)


@pytest.mark.slow
def test_a_bomb_is_stopped_before_it_fills_the_memory():
    packed = bomb(4 << 30)
    assert len(packed) < 5 << 20
    tracemalloc.start()
    with pytest.raises(ValueError, match="unpacks to more than"):
        gunzip(packed)
    assert tracemalloc.get_traced_memory()[1] < 4 * UNPACKED_BYTES
    tracemalloc.stop()


def test_a_small_bomb_is_stopped_by_its_ratio():
    packed = bomb(64 << 20)
    assert UNPACKED_BYTES > 64 << 20 and len(packed) < 100_000
    with pytest.raises(ValueError, match="unpacks to more than"):
        gunzip(packed)


def test_an_unknown_way_to_pack_is_refused():
    for name in ("br", "zstd", "gzip, gzip", "x" * 999):
        with pytest.raises(ValueError, match="which was not asked for"):
            body(b"x", name, 9)
    with pytest.raises(ValueError, match="more than 9 bytes"):
        body(gzip.compress(b"x" * 10), "gzip", 9)


class Mirror:
    """A mirror that answers every GET with what a test says."""

    def __init__(self) -> None:
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.close_connection = True
                self.send_response(200)
                for name, value in mirror.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for part in mirror.parts():
                        self.wfile.write(part)
                        mirror.sent += len(part)
                except OSError:
                    pass  # the client has had enough

            def log_message(self, *_: object) -> None:
                pass

        self.headers: dict[str, str] = {}
        self.parts = lambda: iter([b"x"])
        self.sent = 0
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}"


@pytest.fixture
def mirror(tmp_path, monkeypatch) -> Iterator[Mirror]:
    made = Mirror()
    monkeypatch.delenv("OCHAT_EVAL_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("OCHAT_EVAL_RAW_BASE", made.url)
    monkeypatch.setenv("OCHAT_EVAL_RELEASE_BASE", made.url)
    yield made
    made.http.shutdown()
    made.http.server_close()


FILE = FileSource("own/code", "c0ffee", "a.txt", "0" * 64)


def refused(source) -> str:
    with pytest.raises(UserError) as caught:
        source.load()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_mirror_that_announces_too_much_is_left_at_once(mirror):
    mirror.headers = {"Content-Length": str(10**12)}
    assert "it has 1000000000000 bytes, allowed are 268,435,456" in refused(FILE)
    assert mirror.sent < 1 << 20


def test_a_mirror_that_never_ends_is_left(mirror, monkeypatch):
    monkeypatch.setattr(mirrors, "DOWNLOAD_BYTES", 4 << 20)
    mirror.parts = lambda: (bytes(1 << 16) for _ in range(1 << 20))
    assert "it has more than 4,194,304 bytes" in refused(FILE)
    assert mirror.sent < 64 << 20


def test_a_mirror_that_drips_is_left(mirror, monkeypatch):
    monkeypatch.setattr(mirrors, "_DOWNLOAD_SECONDS", 0.0)
    mirror.parts = lambda: (b"x" * 70_000 for _ in range(9))
    assert "it is not there after 0 s" in refused(FILE)


def test_a_mirror_cannot_pack_what_was_not_asked_for_packed(mirror):
    mirror.headers = {"Content-Encoding": "gzip"}
    packed = bomb(64 << 20)
    mirror.parts = lambda: iter([packed])
    assert "packs it as 'gzip', which was not asked for" in refused(FILE)


@pytest.mark.slow
def test_a_packed_release_is_unpacked_to_a_limit(mirror):
    packed = bomb(1 << 30)
    mirror.parts = lambda: iter([packed])
    assert "unpacks to more than" in refused(EvalPlusSource("v9.9", "0" * 64, rows=3))


@pytest.mark.slow
def test_a_parquet_file_of_a_few_bytes_that_holds_a_gigabyte_is_left(tmp_path, monkeypatch):
    """One long text, named by every row: a dictionary makes a small file of it."""
    folder = tmp_path / "hub/own/tiny/main"
    folder.mkdir(parents=True)
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 4_000, pa.int32()), ["x" * 1_000_000])
    file = folder / "test-00000-of-00001.parquet"
    pq.write_table(pa.table({"text": long}), file, compression="zstd", store_schema=False)
    assert file.stat().st_size < 1_000_000
    monkeypatch.setenv("OCHAT_EVAL_DATA", str(tmp_path))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    source = HubSource("own/tiny", "main", "test", "0" * 40, 4_000, "0" * 64)
    assert "more than 4,000 rows, or huge ones" in refused(source)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 3 << 20, "KiB"


def test_a_parquet_file_of_rows_without_end_is_left(tmp_path, monkeypatch):
    folder = tmp_path / "hub/own/tiny/main"
    folder.mkdir(parents=True)
    pq.write_table(
        pa.table({"n": pa.array([0] * 3_000_000)}), folder / "test-00000-of-00001.parquet"
    )
    monkeypatch.setenv("OCHAT_EVAL_DATA", str(tmp_path))
    source = HubSource("own/tiny", "main", "test", "0" * 40, 5, "0" * 64)
    assert "more than 5 rows, or huge ones" in refused(source)
