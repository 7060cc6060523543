"""Fair shares: whoever asks, nobody's requests keep the others' from the engine."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from ochat_eval.serve.refusal import Refused

RETRY_SECONDS = 5
"""When a client that has too many requests is told to come again."""
_CLIENTS = 16
"""As many clients may have all the waiting requests that they may."""


@dataclass
class _Client:
    """What a client has here: requests that wait or are still coming in, and answers in flight."""

    waiting: int = 0
    in_flight: int = 0
    turn: int = 0
    queue: deque[Place] = field(default_factory=deque)


@dataclass(eq=False)
class Place:
    """A request's place, from its headers to its last byte."""

    client: str
    choices: int = 0
    granted: asyncio.Future[None] | None = None

    @property
    def runs(self) -> bool:
        """Whether it has its turn."""
        granted = self.granted
        return granted is not None and granted.done() and not granted.cancelled()


class Shares:
    """Lets requests through to the engine.

    A turn goes to the client with the fewest answers in flight, and among equals to the one whose
    last turn is the longest ago. Nobody passes a request that only waits for others' answers to
    end, so that those that ask for many answers come, too. One that is larger than a bound goes
    alone.
    """

    def __init__(self, in_flight: int, of_a_client: int, waiting: int):
        """Takes the bounds: answers in flight, those of one client, its requests that wait."""
        self._most = in_flight
        self._most_of_a_client = of_a_client
        self._most_waiting = waiting
        self._clients: dict[str, _Client] = {}
        self._turns = 0
        self.in_flight = 0
        self.waiting = 0

    def enter(self, client: str) -> Place:
        """A place for a request of which only the headers are there.

        Raises:
            Refused: this client, or all together, have too many that wait.
        """
        client = _network(client)
        mine = self._clients.get(client, _Client())
        room = max(self._most_of_a_client - mine.in_flight, 0)  # for those that need not wait
        if mine.waiting >= self._most_waiting + room:
            text = f"{mine.waiting} of your requests wait already (max_client_waiting)"
        elif self.waiting >= self._most_waiting * _CLIENTS:
            text = f"{self.waiting} requests wait already"
        else:
            self._clients[client] = mine
            mine.waiting += 1
            self.waiting += 1
            return Place(client)
        raise Refused(429, text, Retry_After=str(RETRY_SECONDS))

    def ask(self, place: Place, choices: int) -> asyncio.Future[None]:
        """Is done when the request has its turn."""
        place.choices = choices
        place.granted = asyncio.get_running_loop().create_future()
        self._clients[place.client].queue.append(place)
        self._grant()
        return place.granted

    def leave(self, place: Place) -> None:
        """Gives a place back, wherever its request has come to."""
        mine = self._clients[place.client]
        if place.runs:
            mine.in_flight -= place.choices
            self.in_flight -= place.choices
        else:
            mine.waiting -= 1
            self.waiting -= 1
            if place.granted is not None:
                mine.queue.remove(place)
        if not mine.waiting and not mine.in_flight:
            del self._clients[place.client]
        self._grant()

    def _grant(self) -> None:
        while able := [c for c in self._clients.values() if c.queue and self._has_room(c)]:
            mine = min(able, key=lambda c: (c.in_flight, c.turn))
            choices = mine.queue[0].choices
            if self.in_flight and self.in_flight + choices > self._most:
                return
            place = mine.queue.popleft()
            self._turns += 1
            mine.turn = self._turns
            mine.waiting -= 1
            self.waiting -= 1
            mine.in_flight += choices
            self.in_flight += choices
            if place.granted is not None:
                place.granted.set_result(None)

    def _has_room(self, client: _Client) -> bool:
        after = client.in_flight + client.queue[0].choices
        return not client.in_flight or after <= self._most_of_a_client


def _network(client: str) -> str:
    """A client's name for counting: of an IPv6 address the /64, which is one customer's."""
    try:
        address = ip_address(client)
    except ValueError:
        return client
    if not isinstance(address, IPv6Address):
        return client
    mapped = address.ipv4_mapped
    return str(mapped) if mapped else str(IPv6Address(int(address) >> 64 << 64))
