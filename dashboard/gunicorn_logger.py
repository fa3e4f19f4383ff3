"""gunicorn's lines in the form of all others (`CREDBOARD_LOG_FORMAT`), and without secrets that stand in addresses.

For its access log too, where that is switched on (`--access-logfile -`). `CREDBOARD_LOG_REQUESTS` tells the same, with
the id of each request.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from gunicorn import glogging

from dashboard import env
from dashboard.logs import JsonFormatter, LineFormatter, masked


class Logger(glogging.Logger):  # type: ignore[misc]  # gunicorn has no types
    """Raises ImproperlyConfigured for a form of lines that there is not."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        form = env.choice("CREDBOARD_LOG_FORMAT", "line", ("line", "json"))
        formatter = JsonFormatter() if form == "json" else LineFormatter()
        for handler in (*self.error_log.handlers, *self.access_log.handlers):
            handler.setFormatter(formatter)

    def atoms(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> dict[str, Any]:
        """What a line may tell of a request: of its address, and of the page it came from, only the path."""
        path = masked(environ.get("PATH_INFO", ""))
        told = {
            **environ,
            "RAW_URI": path,
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "HTTP_REFERER": masked(urlsplit(environ.get("HTTP_REFERER", "")).path) or "-",
        }
        for name in ("HTTP_AUTHORIZATION", "HTTP_COOKIE"):
            told.pop(name, None)
        atoms: dict[str, Any] = super().atoms(resp, [], told, request_time)
        return atoms
