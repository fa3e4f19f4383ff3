"""The API put together: resources, who may ask, and what becomes of errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, wraps
from typing import Any, Final

from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, re_path
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.parser import Parser

from dashboard.api.gate import gate, no_such_path
from dashboard.api.keys import BrowserAuth, KeyAuth
from dashboard.api.problems import (
    INVALID,
    MALFORMED,
    NO_CSRF_TOKEN,
    NO_KEY,
    NOT_FOUND,
    NOT_JSON,
    TOO_LARGE,
    UNAVAILABLE,
    Mistake,
    Problem,
)
from dashboard.api.resources import (
    acknowledgements,
    cells,
    clusters,
    credentials,
    findings,
    namespaces,
    scans,
)

ABOUT: Final = """\
What the pages show, for programs: the health of credentials in the Namespaces that you may see.

Send a key as `Authorization: Bearer cbk_…`. It sees what its person may see at that moment. Lists come in pages: follow
`next`. Every error is `application/problem+json` and says what to do.
"""


class JsonParser(Parser):
    """Only what says that it is JSON is read as such: a form of another site cannot say so."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        if request.content_type != "application/json":
            raise Problem(NOT_JSON)
        return super().parse_body(request)


api: Final = NinjaAPI(
    title="Credboard",
    version="1",
    description=ABOUT,
    openapi_url=None,
    docs_url=None,
    auth=[KeyAuth(), BrowserAuth()],
    urls_namespace="api",
    parser=JsonParser(),
)
for module in (clusters, namespaces, cells, findings, credentials, scans, acknowledgements):
    api.add_router("", module.router)


def _strict(view: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse parameters that `view` does not know: a filter that is misspelt must not let everything through."""

    @wraps(view)
    def strict(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        match = request.resolver_match
        known = _known()[str(match.url_name) if match else "", str(request.method)]
        unknown = [name for name in request.GET if name not in known]
        if unknown:
            words = f"is not known here. Known are: {', '.join(sorted(known)) or 'none'}."
            mistakes = [Mistake(where=f"query.{_short(name)}", message=words) for name in unknown[:10]]
            raise Problem(INVALID, "There are parameters that are not known here.", errors=mistakes)
        return view(request, *args, **kwargs)

    return strict


def _short(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:60]


@cache
def _known() -> Mapping[tuple[str, str], frozenset[str]]:
    """Name of a URL and method -> the parameters that it takes."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for router in api._get_bound_routers():
        for view in router.path_operations.values():
            for operation in view.operations:
                names = [
                    name
                    for model in operation.models
                    if model.__ninja_param_source__ == "query"
                    for name in model.__ninja_flatten_map__
                ]
                for method in operation.methods:
                    found[str(view.url_name), method] = frozenset(names)
    return found


api.add_decorator(_strict)


def urls() -> list[URLPattern]:
    """The patterns below `/api/v1/`; unknown addresses are a problem as well, not a page."""
    patterns, _, _ = api.urls
    # An address comes once for each of its methods, every time with the same view.
    views = {
        (str(pattern.pattern), pattern.name): pattern.callback
        for pattern in patterns
        if isinstance(pattern, URLPattern) and pattern.name != "api-root"
    }
    ours = [path(route, gate(view), name=name) for (route, name), view in views.items()]
    return [*ours, re_path(r"^(?P<path>[\s\S]*)$", no_such_path, name="api-nothing")]


@api.exception_handler(Problem)
def _problem(request: HttpRequest, error: Problem) -> HttpResponse:
    return error.response(request)


@api.exception_handler(AuthenticationError)
def _unknown(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    return Problem(NO_KEY, "There is no key with this request.").response(request)


@api.exception_handler(HttpError)
def _library(request: HttpRequest, error: HttpError) -> HttpResponse:
    """Of those that django-ninja raises itself: 403 for a missing CSRF token, 400 for a body that was refused."""
    if isinstance(error.__cause__, Problem):
        return error.__cause__.response(request)
    return Problem(NO_CSRF_TOKEN if error.status_code == 403 else MALFORMED).response(request)


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    mistakes = [
        Mistake(where=".".join(str(part) for part in told["loc"]), message=_words(str(told["msg"])))
        for told in error.errors[:20]
    ]
    return Problem(INVALID, f"{mistakes[0].where}: {mistakes[0].message}", errors=mistakes).response(request)


def _words(message: str) -> str:
    return message.removeprefix("Value error, ")


@api.exception_handler(Http404)
def _missing(request: HttpRequest, error: Http404) -> HttpResponse:
    return Problem(NOT_FOUND).response(request)


@api.exception_handler(RequestDataTooBig)
def _too_large(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
    return Problem(TOO_LARGE).response(request)


@api.exception_handler(OperationalError)
@api.exception_handler(InterfaceError)
def _database(request: HttpRequest, error: Exception) -> HttpResponse:
    return Problem(UNAVAILABLE, headers={"Retry-After": "5"}).response(request)
