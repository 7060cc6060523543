"""The board over HTTP: its page's files, its answers as JSON, and what may be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ochat_eval.board.answers import Search
from ochat_eval.board.board import Board, Marked, Noted
from ochat_eval.board.files import page_files
from ochat_eval.board.shelf import NoSuchRun
from ochat_eval.records import UserError
from ochat_eval.report.page.frame import as_json
from ochat_eval.serve.page_headers import PAGE_HEADERS

_HEADERS = {**PAGE_HEADERS, "Cross-Origin-Resource-Policy": "same-origin"}
T = TypeVar("T")


class _Refusal(Exception):
    """A request that is not answered, with its status."""

    def __init__(self, status: int, said: str):
        super().__init__(said)
        self.status = status


def application(board: Board) -> Starlette:
    """The page, and what it asks; who may ask is the gate's to say."""

    def runs(request: Request) -> Any:
        return {"runs": board.runs()}

    def about(request: Request) -> Any:
        return board.about(_names(request))

    def index(request: Request) -> Any:
        return board.index(_names(request))

    def items(request: Request) -> Any:
        given = request.query_params
        search = Search(
            task=given.get("task", ""),
            subset=given.get("subset", ""),
            filter=given.get("filter") or "all",
            word=given.get("search", ""),
        )
        start, count = _number(given.get("start", "0")), _number(given.get("count", "1"))
        return board.items(_names(request), search, start, count, given.get("item", ""))

    def item(request: Request) -> Any:
        return board.item(_names(request), request.query_params.get("id", ""))

    def differences(request: Request) -> Any:
        return board.differences(_names(request))

    looks = (runs, about, index, items, item, differences)
    routes = [_looking(f"/{look.__name__}.json", look) for look in looks]
    routes += [
        _writing("/notes", Noted, lambda asked: msgspec.to_builtins(board.note(asked))),
        _writing("/mark", Marked, lambda asked: {"mark": board.mark(asked)}),
    ]
    for name, (data, kind) in page_files().items():
        routes.append(_file("/" if name == "index.html" else f"/{name}", data, kind))
    return Starlette(routes=routes)


def page_paths() -> list[str]:
    """The paths of the page's files, which tell nothing of any run."""
    return ["/", *(f"/{name}" for name in page_files())]


def _names(request: Request) -> list[str]:
    return request.query_params.getlist("run")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise _Refusal(400, "a place in a list is a whole number")
    return int(text)


def _file(path: str, data: bytes, kind: str) -> Route:
    async def answer(_: Request) -> Response:
        return Response(data, 200, _HEADERS, kind)

    return Route(path, answer)


def _looking(path: str, look: Callable[[Request], Any]) -> Route:
    return Route(path, lambda request: _answer(lambda: look(request)))


def _writing(path: str, kind: type[T], write: Callable[[T], Any]) -> Route:
    """A path that takes a JSON object of one kind, from this page only."""

    async def answer(request: Request) -> Response:
        body = await request.body()

        def work() -> Any:
            _check_origin(request)
            try:
                asked = msgspec.json.decode(body, type=kind)
            except (ValueError, RecursionError) as e:
                raise _Refusal(400, f"this cannot be written down: {e}") from e
            return write(asked)

        return await run_in_threadpool(_answer, work)

    return Route(path, answer, methods=["POST"])


def _check_origin(request: Request) -> None:
    """Refuses what another site's page sends: a browser says whose it is, and asks us before it
    sends JSON to another site."""
    headers = request.headers
    origin, host = headers.get("origin"), headers.get("host", "")
    same = origin is None or urlsplit(origin).netloc == host
    if not same or headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise _Refusal(403, "this is written from the board's own page only")
    if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise _Refusal(415, "this must be application/json")


def _answer(work: Callable[[], Any]) -> Response:
    """What was asked as JSON, or why not, in one line."""
    try:
        return Response(as_json(work()), 200, _HEADERS, "application/json")
    except _Refusal as e:
        return _refused(e.status, str(e))
    except NoSuchRun as e:
        return _refused(404, str(e))
    except UserError as e:
        return _refused(400, str(e))


def _refused(status: int, said: str) -> Response:
    return Response(as_json({"error": {"message": said}}), status, _HEADERS, "application/json")
