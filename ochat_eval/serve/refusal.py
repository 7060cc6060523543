"""What a request is refused with: OpenAI's form of an error, in one line."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

_KINDS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    408: "RequestTimeout",
    413: "RequestTooLarge",
    421: "MisdirectedRequest",
    429: "RateLimitError",
}


class Refused(Exception):
    """A request that is not served."""

    def __init__(self, status: int, text: str, field: str | None = None, **headers: str):
        """Takes the status, what is said, the request's field that is wrong, and headers.

        Args:
            headers: a header's name has an underscore for each hyphen.
        """
        super().__init__(text)
        self.status = status
        self.field = field
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def response(self) -> JSONResponse:
        """An error in the form of OpenAI's and vLLM's."""
        error: dict[str, Any] = {
            "message": str(self),
            "type": _KINDS[self.status],
            "param": self.field,
            "code": self.status,
        }
        return JSONResponse({"error": error}, self.status, self.headers)
