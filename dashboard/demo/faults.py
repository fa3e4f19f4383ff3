"""Faults on purpose: make the next requests that match go wrong, as an API server or the network would."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field

from dashboard.demo.status import ApiError
from dashboard.demo.wire import Answer, answer_error

__all__ = ["Fault", "Faults"]

_WORDS = {
    401: ("Unauthorized", "Unauthorized"),
    403: ("Forbidden", "forbidden by a fault of the demo"),
    410: ("Expired", "The provided continue parameter is too old to display a consistent list result."),
    429: ("TooManyRequests", "Too many requests, please try again later."),
    500: ("InternalError", "Internal error occurred: a fault of the demo"),
    503: ("ServiceUnavailable", "apiserver not ready"),
    504: ("Timeout", "Timeout: request did not complete within the allotted timeout"),
}


@dataclass(slots=True)
class Fault:
    """One rule. `times` is how often it still acts (None: for ever); `hits` how often it did."""

    path: re.Pattern[str]
    method: str
    times: int | None
    answer: Answer | None = None
    seconds: float = 0.0
    keep: float | None = None
    hits: int = field(default=0)

    def matches(self, method: str, target: str) -> bool:
        """Whether it acts on this request; `target` is the path with its query."""
        return self.times != 0 and self.method in {"", method} and self.path.search(target) is not None


class Faults:
    """All methods may be called from any thread. `path` is a regular expression, searched in the path with its query;
    "" matches all.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def respond(
        self,
        code: int,
        *,
        path: str = "",
        method: str = "",
        times: int | None = 1,
        retry_after: int | None = None,
        message: str = "",
    ) -> Fault:
        """Answer with a Status of this HTTP code, with a Retry-After header if given."""
        reason, words = _WORDS.get(code, ("", f"the server answered {code}"))
        error = ApiError(code, reason, message or words)
        if retry_after is not None:
            error.headers["Retry-After"] = str(retry_after)
            error.details = {"retryAfterSeconds": retry_after}
        return self._add(Fault(re.compile(path), method, times, answer=answer_error(error)))

    def raw(
        self,
        body: bytes,
        *,
        code: int = 200,
        content_type: str = "text/html",
        path: str = "",
        method: str = "",
        times: int | None = 1,
    ) -> Fault:
        """Answer with any bytes: a proxy's login page, JSON that is none."""
        return self._add(Fault(re.compile(path), method, times, answer=Answer(code, body, content_type=content_type)))

    def expire_continue(self, *, path: str = "", times: int | None = 1) -> Fault:
        """410 Expired to the next request that carries a continue token."""
        return self.respond(410, path=f"{path}.*[?&]continue=", method="GET", times=times)

    def hang(self, seconds: float, *, path: str = "", method: str = "", times: int | None = 1) -> Fault:
        """Wait before answering as usual, or until the server stops."""
        return self._add(Fault(re.compile(path), method, times, seconds=seconds))

    def cut(self, *, keep: float = 0.5, path: str = "", method: str = "", times: int | None = 1) -> Fault:
        """Send this share of the body, then close the connection."""
        return self._add(Fault(re.compile(path), method, times, keep=keep))

    def clear(self) -> None:
        """Forget every rule."""
        with self._lock:
            self._faults.clear()

    def take(self, method: str, target: str) -> Fault | None:
        """The first rule that acts on a request, counted as used."""
        with self._lock:
            for fault in self._faults:
                if fault.matches(method, target):
                    fault.hits += 1
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None

    def _add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault
