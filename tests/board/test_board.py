"""The board before its page: what it answers, what it writes, and what it refuses."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from ochat_eval.baseline.difference_formats import HEADERS
from ochat_eval.board.answers import Search
from ochat_eval.board.board import Board
from ochat_eval.board.server import gated
from ochat_eval.board.shelf import Shelf
from ochat_eval.records import Item, Response, Score, UserError, to_json
from ochat_eval.report.page.entries import FILTERS, tails
from ochat_eval.review.rates import measured
from ochat_eval.run import store
from ochat_eval.run.folder import RunDir
from ochat_eval.run.manifest import Manifest
from tests.board.conftest import answers
from tests.board.shelves import append
from tests.conftest import door


def client(root: Path, *keys: str, host: str = "127.0.0.1") -> TestClient:
    return TestClient(gated(Board(root), host, list(keys)), base_url=f"http://{host}:18890")


@pytest.fixture(scope="module")
def web(runs: Path) -> TestClient:
    return client(runs)


def test_a_row_says_what_a_run_is_and_where_it_stands(web, runs):
    rows = {row["name"]: row for row in web.get("/runs.json").json()["runs"]}
    assert set(rows) == {"one", "two", "live", "stopped", "failed", "damaged"}, "no link, no file"
    assert [rows[name]["state"] for name in ("one", "live", "stopped", "failed", "damaged")] == [
        "done", "running", "stopped", "failed", "failed",
    ]  # fmt: skip
    assert [rows[name]["answers"] for name in ("one", "live", "stopped")] == [12, 5, 5]
    assert rows["live"]["requests"] == 12 and rows["live"]["line"] == ""
    assert rows["failed"]["line"].startswith("no GPU is free")
    assert "manifest.json cannot be read" in rows["damaged"]["line"]
    scored = rows["one"]["tasks"]["gsm8k"]
    of = store.read_json(runs / "one" / store.SUMMARY)["tasks"]["gsm8k"]["robust"]
    assert scored["robust"] == {name: of[name] for name in ("score", "n", "ci95")}
    assert "sample items, not the benchmark" in scored["marks"]
    assert rows["live"]["tasks"] == {"gsm8k": None}


def bare(runs: Path, root: Path, name: str, **manifest: object) -> Path:
    """A run that has asked and not answered."""
    folder = root / name
    folder.mkdir(parents=True)
    said = store.read_json(runs / "stopped" / store.MANIFEST)
    store.write_json(folder / store.MANIFEST, {**said, **manifest})
    (folder / store.ITEMS).write_bytes((runs / "stopped" / store.ITEMS).read_bytes())
    return folder


STEPS = [
    ("one", "org/m", {}, None),
    ("one", "org/m", {"step": 7}, [7, "step"]),
    ("m-checkpoint-100-gsm8k", "org/m-step-5", {}, [100, "step"]),
    ("m-checkpoint-100", "org/m", {"step": 3}, [3, "step"]),
    ("one", "org/m_epoch-0.5", {}, [0.5, "epoch"]),
    ("one", "step-5/m", {}, None),
    ("step-" + "9" * 99, "org/m", {}, None),
]


@pytest.mark.parametrize(("name", "model", "said", "step"), STEPS)
def test_a_runs_step_is_told_by_its_manifest_or_a_name(runs, tmp_path, name, model, said, step):
    identity = {**store.read_json(runs / "stopped" / store.MANIFEST)["identity"], "model": model}
    bare(runs, tmp_path / "runs", name, **{"identity": identity, "step": None, **said})
    [row] = client(tmp_path / "runs").get("/runs.json").json()["runs"]
    assert row["step"] == step


def test_what_gets_no_response_shows_as_it_happens(runs, tmp_path):
    folder = bare(runs, tmp_path, "r")
    board = Board(tmp_path)
    assert board.runs()[0]["failures"] is None
    with contextlib.closing(RunDir(folder)):
        for n in range(22):
            failure = {"id": f"gsm8k/main/{n}", "reason": f"HTTP 500: {n}", "final": False}
            store.append_line(folder / store.FAILURES, failure)
        with (folder / store.FAILURES).open("ab") as file:
            file.write(b'{"id": "gs')  # half-written
        [row] = board.runs()
    assert row["state"] == "running" and row["failures"]["number"] == 22
    assert row["line"] == "22 requests got no response, the first: gsm8k/main/0: HTTP 500: 0"
    assert row["failures"]["first"][19] == ["gsm8k/main/19", "HTTP 500: 19"]
    assert len(row["failures"]["first"]) == 20
    (folder / store.FAILURES).rename(folder / store.JUDGE_FAILURES)
    [row] = board.runs()
    assert row["state"] == "failed" and row["line"].startswith("22 requests got no verdict")
    (folder / store.FAILURES).write_text("{}\n")
    [row] = board.runs()
    assert row["state"] == "failed" and "failures.jsonl cannot be read" in row["line"]


@pytest.mark.parametrize(
    ("end", "state", "line"),
    [
        (None, "failed", "1 request got no response"),
        (UserError("the engine is gone"), "failed", "the engine is gone"),
        (KeyboardInterrupt(), "stopped", "1 request got no response"),
    ],
)
def test_a_run_that_was_stopped_amid_failures_is_not_a_failed_one(runs, tmp_path, end, state, line):
    folder, killed = bare(runs, tmp_path, "r", times=[]), tmp_path / "killed"
    with contextlib.closing(RunDir(folder)) as run, contextlib.suppress(BaseException):
        manifest = Manifest(run)
        with manifest.timing("generate"):
            store.append_line(folder / store.FAILURES, {"id": "gsm8k/main/0", "reason": "HTTP 500"})
            shutil.copytree(folder, killed)  # what a kill leaves is what is on disk
            if end is not None:
                raise end
    rows = {row["name"]: (row["state"], row["line"]) for row in Board(tmp_path).runs()}
    assert rows["r"][0] == state and rows["r"][1].startswith(line)
    assert rows["killed"][0] == "stopped" and "HTTP 500" in rows["killed"][1]
    with contextlib.closing(RunDir(killed)) as run, Manifest(run).timing("generate"):
        pass  # it went on, and came to its end
    [row] = [row for row in Board(tmp_path).runs() if row["name"] == "killed"]
    assert row["state"] == "failed"


def test_a_run_that_goes_on_is_followed(runs, tmp_path):
    root = tmp_path / "runs"
    bare(runs, root, "r")
    board = Board(root)
    search = {"filter": "answered", "start": 0, "count": 50}
    web = TestClient(gated(board, "127.0.0.1", []), base_url="http://127.0.0.1")
    assert web.get("/items.json", params={"run": "r", **search}).json()["total"] == 0
    append(runs / "one", root / "r", 0, 4)
    with (root / "r" / store.RESPONSES).open("ab") as file:
        file.write(b'{"id": "gsm8k/main/9", "te')  # half-written
    assert web.get("/items.json", params={"run": "r", **search}).json()["total"] == 4
    [row] = web.get("/runs.json").json()["runs"]
    assert (row["state"], row["answers"], row["requests"]) == ("stopped", 4, 12)
    found = web.get("/item.json", params={"run": "r", "id": "gsm8k/main/0"}).json()
    assert found["runs"][0]["responses"][0][2] == answers(runs / "one")[0]["text"]
    assert found["runs"][0]["scores"] == [] and found["readings"] == []


def test_the_rate_is_of_what_came_while_it_was_looked_at(runs, tmp_path, monkeypatch):
    from ochat_eval.board import progress

    clock = iter((100.0, 110.0, 1000.0))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    followed = progress.Progress(tmp_path / store.RESPONSES)
    append(runs / "one", tmp_path, 0, 2)
    followed.look()
    assert followed.rate() is None and followed.answers == 2, "one look tells no rate"
    append(runs / "one", tmp_path, 2, 7)
    followed.look()
    assert followed.rate() == progress.Rate(0.5, 2.5), "5 answers of 5 tokens in 10 seconds"
    followed.look()
    assert followed.rate() is None, "what is long ago does not count"


LISTS = [
    ({}, 12),
    ({"filter": "wrong-robust"}, 2),
    ({"filter": "right-robust"}, 10),
    ({"filter": "unmatched-robust"}, 1),
    ({"filter": "missing"}, 0),
    ({"task": "gsm8k", "subset": "main"}, 12),
    ({"task": "mmlu"}, 0),
    ({"search": "MAIN/11"}, 1),
    ({"search": "onerror='WINDOW"}, 1),
    ({"search": "hm.", "filter": "wrong"}, 1),
    ({"search": "nowhere to be found"}, 0),
    ({"filter": "why/two/gsm8k/comma"}, 1),
]


@pytest.mark.parametrize(("asked", "total"), LISTS)
def test_a_list_is_filtered_and_searched(web, asked, total):
    found = web.get("/items.json", params={"run": "two", "count": 5, **asked}).json()
    assert found["total"] == total and len(found["rows"]) == min(total, 5) and found["size"] == 12


def test_a_list_comes_in_pages_and_knows_where_an_item_is(web):
    asked = {"run": "two", "filter": "right-robust", "count": 4}
    pages = [
        web.get("/items.json", params={**asked, "start": start}).json()["rows"]
        for start in (0, 4, 8, 12)
    ]
    indices = [row[1] for page in pages for row in page]
    assert indices == [0, 1, 4, 5, 6, 7, 8, 9, 10, 11]
    at = web.get("/items.json", params={**asked, "item": "gsm8k/main/4"}).json()
    assert at["place"] == 2
    assert web.get("/items.json", params={**asked, "item": "gsm8k/main/2"}).json()["place"] == -1


OTHERWISE = b"""
{"index": 2, "id": "t/\\u0073/2", "subset": "s", "turns": ["q"], "target": ["1"], "task": "t"}

{"id": "t/s/1", "task": "t", "subset": "s", "index": 1, "turns": [",\\"turns\\":"], "target": []}
   
"""
"""Items that another tool has written, with blank lines and in another order."""


def test_each_filters_list_is_what_a_slow_reading_finds(runs, tmp_path):
    """With two samples, two turns, an unread verdict, a cut and an empty answer, out of order."""
    folder = bare(runs, tmp_path, "r")
    with (folder / store.ITEMS).open("ab") as file:
        file.write(OTHERWISE)
    responses = [
        Response("t/s/1", "b", 1, 0, "length"),
        *store.read_records(runs / "two" / store.RESPONSES, Response),
        Response("t/s/2", " \u2003\n"),
        Response("t/s/1", "\ud800", 0, 0),
        Response("t/s/1", "", 0, 1, unfinished=True),
    ]
    scores = [
        Score("t/s/1", 1, "robust", None, False, None),
        *store.read_records(runs / "two" / store.SCORES, Score),
        *(Score("t/s/1", 0, "published", "1", True, 1.0, turn=turn) for turn in (0, 1)),
        Score("t/s/1", 0, "robust", "1", True, 0.0),
    ]
    store.write_records(folder / store.RESPONSES, responses)
    store.write_records(folder / store.SCORES, scores)
    items = list(store.read_records(folder / store.ITEMS, Item))
    tall = []
    for item in items:
        mine = {
            "responses": [r for r in responses if r.id == item.id],
            "scores": [s for s in scores if s.id == item.id],
        }
        tall += [[item.index, *tail] for tail in tails([mine], rated=False)]
    board = Board(tmp_path)
    for one in FILTERS:
        found = board.items(["r"], Search(filter=one.value), 0, 50, "")
        shown = [[row[1], *row[4:]] for row in found["rows"]]
        assert shown == [row for row in tall if one.lets(row[2])], one.said
    assert found["size"] == len(tall) == 15
    found = board.items(["r"], Search(task="t", filter="truncated"), 0, 50, "t/s/1#1")
    assert found["total"] == 1 and found["place"] == 0
    for item in items[-2:]:
        shown = board.item(["r"], item.id)
        assert shown["turns"] == item.turns and len(shown["runs"][0]["responses"]) in (1, 3)


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        (store.ITEMS, b'{"id": "gsm8k/main/99"}', "no item record"),
        (store.RESPONSES, b'{"id": 3, "text": ""}', "no response record"),
        (store.SCORES, b"[" * 100_000, "no score record"),
        (store.SCORES, b"\xff\x00", "no score record"),
    ],
)
def test_a_garbled_line_is_named_by_its_place_every_time(runs, tmp_path, name, line, said):
    folder = bare(runs, tmp_path, "r")
    with (folder / name).open("ab") as file:
        file.write(b"\n")
        place = file.tell()
        file.write(line + b"\n")
    board = Board(tmp_path)
    for _ in range(2):
        with pytest.raises(UserError, match=f"at byte {place:,}: {said}"):
            board.index(["r"])


def test_an_item_whose_prompts_are_garbled_harms_no_other(runs, tmp_path):
    folder = bare(runs, tmp_path, "r")
    lines = (folder / store.ITEMS).read_bytes().splitlines(keepends=True)
    lines[3] = lines[3][:-9] + b"\n"
    (folder / store.ITEMS).write_bytes(b"".join(lines))
    board = Board(tmp_path)
    assert board.index(["r"])["size"] == 12
    with pytest.raises(UserError, match="items.jsonl is damaged"):
        board.item(["r"], "gsm8k/main/3")
    assert board.item(["r"], "gsm8k/main/4")["id"] == "gsm8k/main/4"


def test_scores_that_were_written_again_are_read_again(runs, tmp_path):
    """In the same file: a file's number is used again once it is free."""
    folder = bare(runs, tmp_path, "r")
    board = Board(tmp_path)
    for value, right in ((1.0, 1), (0.0, 0), (1.0, 1)):
        score = Score("gsm8k/main/0", 0, "published", "x" * int(value), True, value)
        (folder / store.SCORES).write_bytes(to_json(score) + b"\n")
        assert board.items(["r"], Search(filter="right"), 0, 9, "")["total"] == right


def test_side_by_side_is_what_the_report_and_compare_say(web, runs):
    both = [("run", "one"), ("run", "two")]
    found = web.get("/items.json", params=[*both, ("filter", "flipped"), ("count", "9")]).json()
    assert [row[1] for row in found["rows"]] == [2, 3]
    item = web.get("/item.json", params=[*both, ("id", "gsm8k/main/3")]).json()
    assert [run["responses"][0][2] for run in item["runs"]] == ["The answer is 30", "Hm. \ud800"]
    pairs = web.get("/differences.json", params=both).json()
    [pair] = pairs["pairs"]
    done = door("compare", "one", "two", "--format", "markdown", "--runs", str(runs))
    table = [line.strip("|").split("|") for line in done.stdout.splitlines() if line[:1] == "|"]
    printed = [[cell.strip() for cell in line] for line in table]
    assert pairs["headers"] == printed[0] == list(HEADERS)
    assert pair["rows"] == printed[2:], "the very same figures"
    about = web.get("/about.json", params=both).json()
    assert [run["row"]["state"] for run in about["runs"]] == ["done", "done"]
    index = web.get("/index.json", params=both).json()
    assert index["names"] == [["gsm8k", "main"]] and index["size"] == 12 and index["others"] == [0]
    assert index["lengths"][1] == {"gsm8k": {"unit": "tokens", "counts": {"3": 12}}}


def test_tags_and_a_note_are_kept_in_the_runs_folder(web, runs):
    said = {"run": "two", "tags": ["good", "good", "שלום"], "note": "a\nnote 😀"}
    assert web.post("/notes", json=said).status_code == 200
    kept = json.loads((runs / "two" / store.NOTES).read_text())
    assert kept == {"tags": ["good", "שלום"], "note": "a\nnote 😀"}
    rows = {row["name"]: row for row in web.get("/runs.json").json()["runs"]}
    assert rows["two"]["tags"] == kept["tags"] and rows["two"]["note"] == kept["note"]
    assert {p.name for p in (runs / "two").iterdir()} >= {store.SUMMARY, store.NOTES}


def test_a_mark_is_what_read_would_have_written(web, runs):
    item = web.get("/item.json", params={"run": "one", "id": "gsm8k/main/4"}).json()
    assert item["readings"] == [
        [0, 0, ["published"], None], [0, 0, ["robust"], None],
    ]  # fmt: skip
    mark = {"runs": ["one"], "id": "gsm8k/main/4", "sample": 0, "turn": 0}
    for rule, before, opinion in (
        ("published", None, "unclear"), ("published", "unclear", "wrong"), ("robust", None, "right"),
    ):  # fmt: skip
        said = {**mark, "rules": [rule], "mark": opinion, "before": before}
        sent = web.post("/mark", json=said)
        assert sent.json() == {"mark": opinion}, sent.text
    item = web.get("/item.json", params={"run": "one", "id": "gsm8k/main/4"}).json()
    assert [mark for *_, mark in item["readings"]] == ["wrong", "right"]
    told = measured(runs / "one")["gsm8k"]
    assert told["published"]["strata"]["disagree"]["wrong"] == 1 and not told["stale"]
    held = web.post("/mark", json={**said, "runs": ["live"]})
    assert held.status_code == 400, "a run without scores has nothing to mark"
    before = (runs / "one" / store.REVIEW).read_bytes()
    sent = web.post("/mark", json={**said, "mark": "wrong"})
    assert sent.json() == {"mark": "right"}, "whose page is older does not overwrite it"
    assert (runs / "one" / store.REVIEW).read_bytes() == before


MARK = {
    "runs": ["one"], "id": "gsm8k/main/4", "sample": 0, "turn": 0, "rules": ["robust"], "before": None,
}  # fmt: skip
REFUSED = [
    ("notes", {"run": "one", "tags": ["x" * 41], "note": ""}),
    ("notes", {"run": "one", "tags": ["a\nb"], "note": ""}),
    ("notes", {"run": "one", "tags": [""], "note": ""}),
    ("notes", {"run": "one", "tags": ["t"] * 21, "note": ""}),
    ("notes", {"run": "one", "tags": [], "note": "x" * 10_001}),
    ("notes", {"run": "one", "tags": [], "note": "", "more": 1}),
    ("notes", {"run": "one", "tags": "t", "note": ""}),
    ("notes", {"run": "../one", "tags": [], "note": "x"}),
    ("notes", {"run": "link", "tags": [], "note": "x"}),
    ("notes", {"run": "", "tags": [], "note": "x"}),
    ("notes", [1]),
    ("mark", {**MARK, "mark": "good"}),
    ("mark", {**MARK, "mark": "right", "rules": []}),
    ("mark", {**MARK, "mark": "right", "rules": ["published", "robust"]}),
    ("mark", {**MARK, "mark": "right", "turn": 1}),
    ("mark", {**MARK, "mark": "right", "id": "gsm8k/main/99"}),
    ("mark", {**MARK, "mark": "right", "runs": []}),
    ("mark", {**MARK, "mark": "right", "runs": ["one/../one"]}),
]


@pytest.mark.parametrize(("path", "body"), REFUSED)
def test_what_cannot_be_written_is_one_line_and_changes_nothing(web, runs, path, body):
    def state() -> list[bytes]:
        return [
            p.read_bytes() for p in sorted(runs.rglob("*")) if p.name in (store.NOTES, store.REVIEW)
        ]

    before = state()
    sent = web.post(f"/{path}", json=body)
    assert 400 <= sent.status_code < 500
    assert len(sent.json()["error"]["message"].splitlines()) == 1
    assert state() == before


NO_RUNS = [
    "..",
    "../one",
    "one/",
    "./one",
    "link",
    "file",
    "",
    "/etc",
    "one\0",
    "%2e%2e/one",
    "ONE",
]


@pytest.mark.parametrize("name", NO_RUNS)
@pytest.mark.parametrize("path", ["about", "index", "items", "item", "differences"])
def test_a_name_is_looked_up_and_never_a_path(web, path, name):
    found = web.get(f"/{path}.json", params={"run": name, "id": "gsm8k/main/0"})
    assert found.status_code == 404, found.text


@pytest.mark.parametrize(
    "path",
    ["/..%2f..%2fetc/passwd", "/one/manifest.json", "/board.py", "/page/board.js", "/index.html",
     "/docs", "/openapi.json"],
)  # fmt: skip
def test_no_other_file_is_served(web, path):
    assert web.get(path).status_code == 404


def test_a_folder_with_links_is_not_read(runs, tmp_path):
    folder = tmp_path / "r"
    folder.mkdir()
    (folder / store.MANIFEST).write_bytes((runs / "one" / store.MANIFEST).read_bytes())
    (folder / store.ITEMS).symlink_to("/etc/passwd")
    found = client(tmp_path).get("/about.json", params={"run": "r"})
    assert found.status_code == 400 and "is a link" in found.json()["error"]["message"]
    sent = client(tmp_path).post("/notes", json={"run": "r", "tags": [], "note": "x"})
    assert sent.status_code == 400 and not (folder / store.NOTES).exists()


WRITTEN = {"run": "one", "tags": ["csrf"], "note": ""}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://127.0.0.1:18890"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"host": "evil.example"}, 421),
    ],
)
def test_only_the_boards_own_page_writes(web, headers, status):
    data = json.dumps(WRITTEN)
    sent = web.post("/notes", content=data, headers={"content-type": "application/json", **headers})
    assert sent.status_code == status, sent.text
    if status == 421:
        assert "--host NAME" in sent.json()["error"]["message"], "what the board has to mend it"


def test_bodies_are_bounded_and_reading_does_not_write(web):
    long = web.post("/notes", json={"run": "one", "tags": [], "note": "x" * 2**17})
    assert long.status_code == 413
    assert web.get("/notes").status_code == 405 and web.post("/runs.json").status_code == 405


def test_elsewhere_a_key_is_needed_for_all_but_the_empty_page(runs):
    far = client(runs, "a-key", host="board.example")
    page = far.get("/")
    assert (
        page.status_code == 200 and "script-src 'self'" in page.headers["content-security-policy"]
    )
    assert far.get("/board.js").status_code == far.get("/basics.js").status_code == 200
    for path in ("/runs.json", "/about.json?run=one", "/items.json?run=one", "/item.json?run=one"):
        assert far.get(path).status_code == 401
        assert far.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert far.post("/notes", json=WRITTEN).status_code == 401
    key = {"Authorization": "Bearer a-key"}
    assert far.get("/runs.json", headers=key).status_code == 200
    assert far.post("/notes", json=WRITTEN, headers=key).status_code == 200


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (store.MANIFEST, {"identity": {"model": 1, "tasks": {}}}),
        (store.MANIFEST, {"items": {"gsm8k": {"asked": "many"}}}),
        (store.SUMMARY, {"tasks": {"gsm8k": 3}}),
        (store.SUMMARY, {"tables": [[["x"] * 9]]}),
        (store.NOTES, {"tags": [3]}),
    ],
)
def test_a_damaged_file_is_a_line_in_its_run_and_harms_no_other(runs, tmp_path, name, change):
    for run in ("one", "two"):
        (tmp_path / run).mkdir()
        for file in (store.MANIFEST, store.SUMMARY):
            (tmp_path / run / file).write_bytes((runs / run / file).read_bytes())
    path = tmp_path / "one" / name
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**before, **change}))
    rows = {row["name"]: row for row in Shelf(tmp_path).rows()}
    assert rows["one"]["state"] == "failed" and name in rows["one"]["line"]
    assert rows["two"]["state"] == "done"
    opened = client(tmp_path).get("/about.json", params={"run": "one"})
    assert opened.status_code == 400 and name in opened.json()["error"]["message"]


@pytest.mark.parametrize("text", ["{", '{"gsm8k": 3}', '{"gsm8k": {"causes": [{"ids": 1}]}}'])
def test_damaged_causes_are_one_line(runs, tmp_path, text):
    folder = tmp_path / "r"
    folder.mkdir()
    for file in (store.MANIFEST, store.SUMMARY, store.ITEMS, store.RESPONSES, store.SCORES):
        (folder / file).write_bytes((runs / "one" / file).read_bytes())
    (folder / "why.json").write_text(text)
    found = client(tmp_path).get("/about.json", params={"run": "r"})
    assert found.status_code == 400 and "why.json" in found.json()["error"]["message"]


def test_files_for_any_web_server(runs, tmp_path):
    out = tmp_path / "public"
    done = door("board", str(runs), "--static", str(out))
    assert done.returncode == 0 and done.stdout.strip() == str(out / "index.html")
    reports = {path.parent.name for path in out.glob("*/report.html")}
    assert reports == {"one", "two"}, "those that are scored"
    assert b'data-mode="files"' in (out / "index.html").read_bytes()
    before = (out / "one/report.html").stat().st_mtime_ns
    assert "report.html" not in door("board", str(runs), "--static", str(out)).stderr
    assert (out / "one/report.html").stat().st_mtime_ns == before, "it is not written again"
    inside = door("board", str(runs), "--static", str(runs / "x"))
    assert inside.returncode == 2 and "lies in the runs' folder" in inside.stderr
    assert not (runs / "x").exists()


def test_mistakes_are_one_line(cli):
    for arguments in (["nowhere"], [".", "--port", "99999"], [".", "--host", "nowhere.invalid"]):
        done = cli("board", *arguments)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
