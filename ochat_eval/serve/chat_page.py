"""The chat page: a few files that ship with the package, and what the page must know."""

from __future__ import annotations

from importlib import resources

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ochat_eval.model.model import Model
from ochat_eval.report.page.formula_files import formula_files
from ochat_eval.serve.page_headers import PAGE_HEADERS

_OURS, _SHARED = "ochat_eval.serve", "ochat_eval.report.page"
_FILES = {
    "/": (_OURS, "chat.html", "text/html"),
    "/chat.js": (_OURS, "chat.js", "text/javascript"),
    "/chat.css": (_OURS, "chat.css", "text/css"),
    "/tokens.css": (_SHARED, "tokens.css", "text/css"),
}
_FACTS = "/chat.json"
_FORMULAS = {f"/{name}": file for name, file in formula_files().items()}
PAGE_PATHS = (*_FILES, *_FORMULAS, _FACTS)
"""All paths of the page; none of them generates."""


def page_routes(model: Model, needs_key: bool) -> list[Route]:
    """The page's files, and `/chat.json`: the model's name and conditions, and whether keys are
    asked for."""
    facts = {
        "model": model.name,
        "conditions": model.conditions,
        "condition": model.condition if model.conditions else None,
        "needs_key": needs_key,
    }
    routes = [
        _route(
            path,
            Response(resources.files(whose).joinpath(file).read_bytes(), 200, PAGE_HEADERS, kind),
        )
        for path, (whose, file, kind) in _FILES.items()
    ]
    routes += [
        _route(path, Response(data, 200, PAGE_HEADERS, kind))
        for path, (data, kind) in _FORMULAS.items()
    ]
    return [*routes, _route(_FACTS, JSONResponse(facts, 200, PAGE_HEADERS))]


def _route(path: str, response: Response) -> Route:
    async def answer(_: Request) -> Response:
        return response

    return Route(path, answer)
