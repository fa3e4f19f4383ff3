"""What went wrong, in the form of RFC 9457, always with what to do about it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.http import HttpRequest, HttpResponse

CONTENT_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of problem. `slug` is for ever: programs tell problems apart by it."""

    slug: str
    status: int
    title: str
    remedy: str


MALFORMED = Kind(
    slug="malformed", status=400, title="The request cannot be read", remedy="Send one JSON object in UTF-8."
)
NO_KEY = Kind(
    slug="not-authenticated",
    status=401,
    title="Who is asking is not known",
    remedy="Send a key that is neither expired nor revoked: 'Authorization: Bearer cbk_…'. Make one under Settings, "
    "API keys.",
)
FORBIDDEN = Kind(
    slug="forbidden", status=403, title="Not allowed", remedy="Ask somebody who may, or an operator of Credboard."
)
READ_ONLY = Kind(
    slug="read-only-key",
    status=403,
    title="This key may only read",
    remedy="Make a key with the scope write under Settings, API keys.",
)
NO_CSRF_TOKEN = Kind(
    slug="no-csrf-token",
    status=403,
    title="A browser must prove that the page is ours",
    remedy="Send the CSRF token in X-CSRFToken, or use a key.",
)
NOT_FOUND = Kind(
    slug="not-found",
    status=404,
    title="Not found",
    remedy="Check the names. What you may not see answers as what is not there.",
)
NO_METHOD = Kind(
    slug="method-not-allowed",
    status=405,
    title="This cannot be done here",
    remedy="Use one of the methods in the Allow header.",
)
CONFLICT = Kind(
    slug="conflict", status=409, title="This cannot be done now", remedy="Look at the present state and try again."
)
TOO_LARGE = Kind(slug="too-large", status=413, title="The request is too large", remedy="Send less at once.")
NOT_JSON = Kind(
    slug="not-json",
    status=415,
    title="Only JSON is understood",
    remedy="Send the body as JSON with 'Content-Type: application/json'.",
)
INVALID = Kind(
    slug="invalid",
    status=422,
    title="The request is not valid",
    remedy="Correct what 'errors' names. The reference lists what each parameter may be.",
)
TOO_MANY = Kind(
    slug="too-many-requests",
    status=429,
    title="Too many requests",
    remedy="Wait as many seconds as Retry-After says.",
)
UNAVAILABLE = Kind(
    slug="unavailable",
    status=503,
    title="The database does not answer",
    remedy="Try again in a moment. If it lasts, tell an operator of Credboard.",
)

KINDS: Final = (
    MALFORMED, NO_KEY, FORBIDDEN, READ_ONLY, NO_CSRF_TOKEN, NOT_FOUND, NO_METHOD, CONFLICT, TOO_LARGE, NOT_JSON,
    INVALID, TOO_MANY, UNAVAILABLE,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing that is wrong with a request: where ("query.limit", "body.until"), and what should be there."""

    where: str
    message: str


@dataclass(slots=True, eq=False)
class Problem(Exception):
    """Ends a request with this answer. `detail` tells of this occurrence and holds no value that was sent."""

    kind: Kind
    detail: str = ""
    remedy: str = ""
    errors: Sequence[Mistake] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.detail or self.kind.title

    def response(self, request: HttpRequest) -> HttpResponse:
        body: dict[str, object] = {
            "type": f"/api/v1/docs#problem-{self.kind.slug}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail or f"{self.kind.title}.",
            "instance": request.path,
            "remedy": self.remedy or self.kind.remedy,
        }
        if self.errors:
            body["errors"] = [{"where": mistake.where, "message": mistake.message} for mistake in self.errors]
        response = HttpResponse(
            json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace"),
            status=self.kind.status,
            content_type=CONTENT_TYPE,
            headers=dict(self.headers),
        )
        if self.kind.status == 401:
            response["WWW-Authenticate"] = 'Bearer realm="Credboard"'
        return response


def invalid(where: str, message: str) -> Problem:
    """The problem of one parameter."""
    return Problem(INVALID, f"{where}: {message}", errors=(Mistake(where=where, message=message),))
