"""Who asks, and by which name: proxies that are believed, hosts that are ours."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import Scope

from ochat_eval.serve.refusal import Refused


class Callers:
    """Reads a request's address and host.

    The host is checked where no key is asked for: a page from elsewhere can let its own name point
    to this machine (DNS rebinding) and would be taken for the chat page then.
    """

    def __init__(
        self,
        hosts: Sequence[str] | None,
        proxies: Sequence[str],
        mend: str = "name it in hosts=[NAME]",
    ):
        """Takes the names beside localhost (None: any will do), the proxies' networks, and what a
        user can do who wants another name served."""
        self._mend = mend
        self._hosts = None if hosts is None else {host.lower() for host in hosts}
        self._proxies = [ip_network(proxy, strict=False) for proxy in proxies]

    def address(self, scope: Scope, headers: Headers) -> str:
        """The address that asks: the last of X-Forwarded-For that no named proxy has.

        What stands before it, anyone can have written.
        """
        client = scope.get("client")
        found = client[0] if client else "unknown"
        hops = ",".join(headers.getlist("x-forwarded-for")).split(",")
        while self._is_proxy(found) and hops:
            said = hops.pop().strip()
            if not _is_address(said):
                break
            found = said
        return str(found)

    def check_host(self, scope: Scope, headers: Headers) -> None:
        """Raises Refused for a request to a name that is not ours."""
        if self._hosts is None:
            return
        given = headers.getlist("host")
        if len(given) == 1 and self._is_ours(_name(given[0]), scope):
            return
        raise Refused(421, f"this host name is not served without keys; {self._mend}")

    def _is_ours(self, name: str, scope: Scope) -> bool:
        if name == "localhost" or name in (self._hosts or ()):
            return True
        if not _is_address(name):
            return False
        server = scope.get("server")  # an address that was dialled is no name that points here
        return ip_address(name).is_loopback or bool(server and name == server[0])

    def _is_proxy(self, address: str) -> bool:
        if not self._proxies or not _is_address(address):
            return False
        return any(ip_address(address) in network for network in self._proxies)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _name(host: str) -> str:
    """A Host header without its port, in small letters."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host
