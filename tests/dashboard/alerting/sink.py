"""A service that takes messages: HTTP on a loopback port, answering what a test wants."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

TOKEN = "t0p-s3cret-route-token"


@dataclass
class Sink:
    """`answers` are the statuses of the next requests, then 200; None: never answer. `requests` is what came."""

    port: int = 0
    answers: list[int | None] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def url(self, schema: str = "json") -> str:
        return f"{schema}://ada:{TOKEN}@127.0.0.1:{self.port}/hook/{TOKEN}"

    @property
    def titles(self) -> list[str]:
        return [str(request["body"].get("title")) for request in self.requests]

    @property
    def messages(self) -> list[str]:
        return [str(request["body"].get("message")) for request in self.requests]


def _decoded(content: bytes, kind: str) -> dict[str, Any]:
    if "json" in kind:
        return dict(json.loads(content))
    if "form" in kind:
        return {name: values[0] for name, values in parse_qs(content.decode()).items()}
    return {"message": content.decode()}


@contextmanager
def listening() -> Iterator[Sink]:
    sink = Sink()

    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kind = self.headers.get("Content-Type", "")
            sink.requests.append({"path": self.path, "headers": dict(self.headers), "body": _decoded(content, kind)})
            status = sink.answers.pop(0) if sink.answers else 200
            if status is None:
                sink.release.wait(60)
                return
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_POST = do_PUT = do_GET = _take  # noqa: N815

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    sink.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        sink.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
