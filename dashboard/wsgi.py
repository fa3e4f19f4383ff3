"""WSGI entry point: `gunicorn dashboard.wsgi`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def below(prefix: str, app: Application) -> Application:
    """`app` served under `prefix` ("/credboard"), and without it for health checks, which come straight to the port."""

    def served(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        if path == prefix or path.startswith(f"{prefix}/"):
            environ["SCRIPT_NAME"] = prefix
            environ["PATH_INFO"] = path[len(prefix) :] or "/"
        return app(environ, start_response)

    return served


def _application() -> Application:
    app: Application = get_wsgi_application()
    from django.conf import settings  # noqa: PLC0415 (needs DJANGO_SETTINGS_MODULE)

    return below(settings.FORCE_SCRIPT_NAME, app) if settings.FORCE_SCRIPT_NAME else app


application = _application()
