"""Lines of the log, for people or as JSON, with the ids of the request, task and scan that they are about.

Some addresses open without sign-in and hold a secret in their path (a calendar, the end of a subscription), and what
follows a question mark is a person's business: neither is written, whoever logs it.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable
from contextvars import Token
from datetime import UTC, datetime
from typing import Any, Final

from celery.signals import task_postrun, task_prerun
from django.core.exceptions import PermissionDenied
from django.core.signals import request_finished
from django.dispatch import receiver
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from pythonjsonlogger.json import JsonFormatter as BaseJsonFormatter

from scanner import log_context

access: Final = logging.getLogger("dashboard.access")

REQUEST_ID_HEADER: Final = "X-Request-ID"

#: What may name a request: words of proxies and meshes, with nothing in them that a line of a log could be forged with.
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")
#: The first part of paths whose next part is a secret.
SECRET_PATHS: Final = ("calendar", "confirm", "unsubscribe")
_SECRET_PATH: Final = re.compile(rf"(/(?:{'|'.join(SECRET_PATHS)})/)[^/\s?#\"'<>]+")
_SECRET_WORD: Final = re.compile(
    r"\b([\w-]*(?:token|password|secret|api[_-]?key)=)[^\s&\"'<>,;)]+|\b((?:bearer|basic)\s+)[\w.~+/=-]{12,}",
    re.IGNORECASE,
)


def masked(text: str) -> str:
    """`text` with "…" for secrets in addresses and headers that stand in it."""
    return _SECRET_WORD.sub(r"\1\2…", _SECRET_PATH.sub(r"\1…", text))


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


class LineFormatter(logging.Formatter):
    """A line for people: time, level, logger, what happened, and the ids in brackets."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname:<7} {name}: {message}", style="{")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's own name)
        # What came from outside may hold line breaks, and a forged line would look like one of ours. A traceback, which
        # comes after this, keeps its lines.
        record.message = "".join(one if one.isprintable() else _escaped(one) for one in record.message)
        told = " ".join(f"{name.removesuffix('_id')}={value}" for name, value in log_context.ids().items())
        return super().formatMessage(record) + (f" [{told}]" if told else "")

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


class JsonFormatter(BaseJsonFormatter):
    """One JSON object a line: `time` (RFC 3339, UTC), `level`, `logger`, `message`, the ids that are known, numbers of
    a request, and `exception`. Nothing else: objects that others attach to a record may say more than they should."""

    #: What a record may bring along.
    extras: Final = ("method", "path", "status_code", "milliseconds")

    def __init__(self) -> None:
        super().__init__(json_ensure_ascii=False)

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        log_data["time"] = datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds")
        log_data["level"] = record.levelname
        log_data["logger"] = record.name
        log_data["message"] = masked(record.message)
        log_data.update(log_context.ids())
        for name in self.extras:
            value = getattr(record, name, None)
            if isinstance(value, str | int | float):
                log_data[name] = masked(value) if isinstance(value, str) else value
        if exception := message_dict.get("exc_info"):
            log_data["exception"] = masked(str(exception))


def _without_trace(record: logging.LogRecord) -> bool:
    """That somebody is refused a page takes one line: its trace says nothing more, and looks like a mistake of ours."""
    if record.exc_info and isinstance(record.exc_info[1], PermissionDenied):
        record.exc_info = None
    return True


logging.getLogger("django.request").addFilter(_without_trace)


class RequestMiddleware:
    """Gives each request an id, which every line about it has and the answer brings back in X-Request-ID. One that a
    proxy gave already is kept. With `settings.LOG_REQUESTS` each request is logged. Stands first."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get(REQUEST_ID_HEADER, "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        began = time.monotonic()
        # For longer than this call: Django tells of refused requests when all middleware is through.
        log_context.hold("request_id", request_id)
        response = self.get_response(request)
        _log(request, response, milliseconds=round((time.monotonic() - began) * 1000))
        response.headers[REQUEST_ID_HEADER] = request_id
        return response


def _log(request: HttpRequest, response: HttpResponseBase, *, milliseconds: int) -> None:
    from django.conf import settings  # noqa: PLC0415 (this module is read while settings are)

    if settings.LOG_REQUESTS:
        told = {
            "method": request.method,
            "path": masked(request.path),
            "status_code": response.status_code,
            "milliseconds": milliseconds,
        }
        access.info("%(method)s %(path)s %(status_code)s %(milliseconds)s ms", told, extra=told)


@receiver(request_finished)
def _request_ends(**_: object) -> None:
    log_context.hold("request_id", "")


_tasks: Final[dict[str, Token[str]]] = {}


@task_prerun.connect(weak=False)
def _task_begins(task_id: str = "", **_: object) -> None:
    _tasks[task_id] = log_context.hold("task_id", task_id)


@task_postrun.connect(weak=False)
def _task_ends(task_id: str = "", **_: object) -> None:
    if token := _tasks.pop(task_id, None):
        log_context.release("task_id", token)
