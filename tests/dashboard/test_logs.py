"""What the log says of whom, and what it must not say."""

from __future__ import annotations

import http.client
import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import shared_task
from django.test import Client, RequestFactory

from dashboard import roles
from dashboard.logs import JsonFormatter, LineFormatter, masked
from dashboard.urls import urlpatterns
from scanner import log_context
from tests import factories
from tests.rig.process import ServerProcess, accepts_connections, free_port

ROOT = Path(__file__).parents[2]


@shared_task
def say_something() -> None:
    logging.getLogger("test").warning("at work")


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What the root logger writes, as JSON."""
    written: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(self.format(record))

    handler = Keep()
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    level = root.level
    root.setLevel(logging.INFO)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)


def record(message: str, *args: object, **extra: Any) -> logging.LogRecord:
    return logging.getLogger("scanner.scan").makeRecord(
        "scanner.scan", logging.WARNING, "scan.py", 1, message, args, None, extra=extra
    )


def test_a_line_of_json_says_when_who_and_what() -> None:
    told = json.loads(JsonFormatter().format(record("Scan of %s failed", "prod-eu")))

    assert told.pop("time").endswith("+00:00")
    assert told == {"level": "WARNING", "logger": "scanner.scan", "message": "Scan of prod-eu failed"}


@pytest.mark.django_db
def test_that_somebody_is_refused_takes_one_line_without_a_trace(lines: list[str]) -> None:
    client = Client()
    client.force_login(factories.owner())
    assert client.get("/settings/clusters/").status_code == 403

    told = [json.loads(line) for line in lines if "/settings/clusters/" in line]
    assert [one["message"] for one in told] == ["Forbidden (Permission denied): /settings/clusters/"]
    assert "exception" not in told[0]


@pytest.mark.parametrize("formatter", [JsonFormatter(), LineFormatter()])
def test_a_message_of_several_lines_and_odd_letters_comes_through(formatter: logging.Formatter) -> None:
    assert "é" in json.loads(JsonFormatter().format(record("é\n✗ two")))["message"]
    assert "two" in formatter.format(record("é\n✗ two"))


def test_ids_that_are_known_are_told_and_forgotten_afterwards() -> None:
    with log_context.about("scan_id", 7), log_context.about("task_id", "t-1"):
        assert json.loads(JsonFormatter().format(record("x")))["scan_id"] == "7"
        assert LineFormatter().format(record("x")).endswith("x [task=t-1 scan=7]")

    assert "scan_id" not in json.loads(JsonFormatter().format(record("x")))
    assert LineFormatter().format(record("x")).endswith("scanner.scan: x")


def test_an_exception_is_told_with_its_traceback() -> None:
    try:
        raise ValueError("token=abcdefgh")
    except ValueError:
        line = logging.LogRecord("x", logging.ERROR, "x.py", 1, "failed", (), sys.exc_info())

    told = json.loads(JsonFormatter().format(line))

    assert told["message"] == "failed"
    assert "ValueError: token=…" in told["exception"]


def test_objects_that_others_attach_are_left_out() -> None:
    request = RequestFactory().get("/?password=hunter22")

    told = JsonFormatter().format(record("Not Found", request=request, status_code=404, secret="hunter22"))

    assert "hunter22" not in told
    assert json.loads(told)["status_code"] == 404


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("Not Found: /calendar/2f7a-secret.ics", "Not Found: /calendar/…"),
        ("POST /unsubscribe/abc:def/ 200", "POST /unsubscribe/…/ 200"),
        ("GET /x?token=abc&page=2", "GET /x?token=…&page=2"),
        ("smtp_password=hunter22, tries=2", "smtp_password=…, tries=2"),
        ("Authorization: Bearer abcdefghijklmnop", "Authorization: Bearer …"),
        ("a basic setting of bearer tokens", "a basic setting of bearer tokens"),
        ("/n/prod/team/cells/token/pipelines/", "/n/prod/team/cells/token/pipelines/"),
    ],
)
@pytest.mark.parametrize("formatter", [JsonFormatter(), LineFormatter()])
def test_secrets_in_addresses_are_masked(said: str, written: str, formatter: logging.Formatter) -> None:
    assert masked(said) == written
    assert written in formatter.format(record(said))


def test_every_address_with_a_token_is_masked() -> None:
    routes = [f"/{entry.pattern}" for entry in urlpatterns if "token>" in str(entry.pattern)]

    assert len(routes) >= 3
    for route in routes:
        assert "hunter2" not in masked(route.replace("<str:token>", "hunter2")), route


def test_a_request_gets_an_id_that_the_answer_and_its_lines_have(client: Client, lines: list[str]) -> None:
    answer = client.get("/calendar/top-secret-part")

    told = next(json.loads(line) for line in lines if "/calendar/" in line)
    assert told["request_id"] == answer.headers["X-Request-ID"]
    assert len(told["request_id"]) == 16
    assert "top-secret-part" not in "".join(lines)
    assert log_context.ids() == {}


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [
        ("0af7651916cd43dd8448eb211c80319c", True),
        ("mesh.edge-1_42", True),
        ("short", False),
        ("x" * 65, False),
        ('forged" "level": "INFO', False),
        ("é" * 12, False),
    ],
)
def test_an_id_of_a_proxy_is_kept_if_it_is_only_an_id(client: Client, given: str, is_kept: bool) -> None:
    answer = client.get("/healthz", headers={"X-Request-ID": given})

    assert (answer.headers["X-Request-ID"] == given) is is_kept


def test_requests_are_logged_on_request_without_what_follows_the_question_mark(
    client: Client, lines: list[str], settings: Any
) -> None:
    client.get("/healthz?q=private")
    assert lines == []
    settings.LOG_REQUESTS = True

    client.get("/healthz?q=private")

    (told,) = map(json.loads, lines)
    assert told.pop("milliseconds") >= 0
    assert (told["method"], told["path"], told["status_code"]) == ("GET", "/healthz", 200)
    assert told["message"].startswith("GET /healthz 200 ")
    assert "private" not in lines[0]


def test_lines_of_a_task_have_its_id(lines: list[str]) -> None:
    done = say_something.apply()
    logging.getLogger("test").warning("after it")

    told = [json.loads(line) for line in lines if '"test"' in line]
    assert [one.get("task_id") for one in told] == [done.id, None]


class TestGunicorn:
    @pytest.fixture
    def web(self, tmp_path: Path) -> Iterator[tuple[int, ServerProcess]]:
        port = free_port()
        process = ServerProcess(
            roles.web(bind=f"127.0.0.1:{port}", log_level="info"),
            log=tmp_path / "web.log",
            cwd=ROOT,
            environment={
                **os.environ,
                "DATABASE_URL": "sqlite://:memory:",
                "DJANGO_SETTINGS_MODULE": "tests.settings",
                "CREDBOARD_LOG_FORMAT": "json",
                "CREDBOARD_LOG_REQUESTS": "true",
                "CREDBOARD_SECRET_KEY": "for one test and for every process of it, fifty letters",
                "GUNICORN_CMD_ARGS": "--access-logfile -",
            },
        )
        try:
            process.wait_until_ready(lambda: accepts_connections(port))
            yield port, process
        finally:
            process.stop()

    def test_each_of_its_lines_is_json_and_tells_no_secret_of_an_address(self, web: tuple[int, ServerProcess]) -> None:
        port, process = web
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {
            "Authorization": "Bearer hunter2hunter2hunter2",
            "Referer": "http://127.0.0.1/unsubscribe/hunter2/?q=hunter2",
            "X-Request-ID": "0af7651916cd43dd",
        }
        connection.request("GET", "/healthz?token=hunter2&q=hunter2", headers=headers)
        assert connection.getresponse().read() == b'{"status": "ok"}'
        connection.request("GET", "/nothing/calendar/hunter2.ics?x=hunter2")
        connection.getresponse().read()
        connection.close()
        process.stop()

        log = process.log.read_text(encoding="utf-8")
        told = [json.loads(line) for line in log.splitlines()]

        assert "hunter2" not in log
        assert {"gunicorn.error", "gunicorn.access", "dashboard.access", "django.request"} <= {
            one["logger"] for one in told
        }
        assert [one["request_id"] for one in told if one["message"].startswith("GET /healthz 200")] == [
            "0af7651916cd43dd"
        ]


def test_a_path_cannot_forge_a_line_for_people() -> None:
    line = LineFormatter().format(record("GET %s", "/a\n2026-11-23 ERROR root: forged"))

    assert line.endswith(r"GET /a\n2026-11-23 ERROR root: forged")
