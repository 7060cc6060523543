"""Connections that say nothing, or never finish a request's headers, are closed."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_LONGEST_HEADERS = 2**17
"""Bytes; uvicorn's parser has no bound of its own."""


def impatient(seconds: float) -> type[HttpToolsProtocol]:
    """uvicorn's protocol with an end to waiting: a request's headers come within `seconds`.

    Bodies are the gate's to wait for, and a connection between requests is uvicorn's.
    """

    class Impatient(HttpToolsProtocol):
        _clock: asyncio.TimerHandle | None = None
        _headers_seen = 0
        _in_headers = True
        _unfinished = False

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._start()

        def on_message_begin(self) -> None:
            self._in_headers = self._unfinished = True
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._in_headers = False
            self._headers_seen = 0
            self._stop()
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self._unfinished = False
            super().on_message_complete()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._in_headers:
                self._headers_seen += len(data)
                if self._headers_seen > _LONGEST_HEADERS:
                    self._end()
            answered = self.cycle is None or self.cycle.response_complete
            if answered and not self._unfinished:
                self._stop()
            elif answered and self._clock is None:
                self._start()  # for headers, or for the body of what is refused already

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _start(self) -> None:
            self._clock = self.loop.call_later(seconds, self._end)

        def _stop(self) -> None:
            if self._clock is not None:
                self._clock.cancel()
                self._clock = None

        def _end(self) -> None:
            if not self.transport.is_closing():
                self.transport.close()

    return Impatient
