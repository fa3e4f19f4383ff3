"""What every answer of the API has in common, whatever it is about: methods, media types, ETags, headers.

An ETag is a hash of what is answered. That costs the few queries of a page, whatever its size, and is right where a
version of the data would not be: while a scan is recording, and when Namespaces become stale without any row changing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags
from django.views.decorators.csrf import csrf_exempt

from dashboard.api.problems import NO_METHOD, NOT_FOUND, Problem

View = Callable[..., HttpResponse]

#: Headers of the whole answer that a 304 keeps (RFC 9110, section 15.4.5), and ours.
KEPT: Final = ("ETag", "Cache-Control", "Vary", "RateLimit", "RateLimit-Policy")


def gate(view: View) -> View:
    """`view` of django-ninja as a view of ours. Who is asking it finds out itself, so the sign-in page stays away, and
    it asks browsers for the CSRF token, but not programs."""

    @csrf_exempt
    @login_not_required
    @wraps(view)
    def gated(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        method = request.method
        if method == "HEAD":
            request.method = "GET"
        try:
            response = view(request, *args, **kwargs)
            if response.status_code == 405:
                methods = response["Allow"]
                allow = methods.replace("GET", "GET, HEAD")
                raise Problem(NO_METHOD, f"Here one can {methods}.", headers={"Allow": allow})
        except Problem as problem:
            response = problem.response(request)
        response = _finished(request, response)
        request.method = method  # the server leaves the body out of what HEAD asked for
        return response

    return gated


def _finished(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "private, no-cache" if response.status_code == 200 else "no-store"
    patch_vary_headers(response, ("Authorization", "Cookie"))
    if allowance := getattr(request, "allowance", None):
        for name, value in allowance.headers.items():
            response[name] = value
    if following := getattr(request, "next_page", None):
        response["Link"] = f'<{following}>; rel="next"'
    if request.method != "GET" or response.status_code != 200:
        return response
    tag = f'W/"{hashlib.blake2b(response.content, digest_size=16).hexdigest()}"'
    response["ETag"] = tag
    known = parse_etags(request.headers.get("If-None-Match", ""))
    if "*" in known or tag.removeprefix("W/") in [one.removeprefix("W/") for one in known]:
        return HttpResponseNotModified(headers={name: response[name] for name in KEPT if name in response})
    return response


@csrf_exempt
@login_not_required
def no_such_path(request: HttpRequest, path: str = "") -> HttpResponse:
    """Whatever is not there. Strangers learn from it what the reference tells them anyway."""
    remedy = "The reference lists all addresses: /api/v1/docs."
    return _finished(request, Problem(NOT_FOUND, "There is no such address in the API.", remedy).response(request))
