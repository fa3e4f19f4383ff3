"""What goes over the wire: headers that mail programs act on, and parts that any of them can read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings

from dashboard.mail.message import BadMessage, message, report_headers
from dashboard.mail.server import Sender, read_sender, read_server
from dashboard.models import Mail

NOW = datetime(2026, 11, 23, 9, 0, 0, 123456, tzinfo=UTC)
LEAVE = "https://credboard.example.com/unsubscribe/" + "a1B2-c3:" * 30


@pytest.fixture(autouse=True)
def _sender(settings: Settings) -> None:
    settings.MAIL_FROM = Sender(name="Credboard", address="credboard@example.com")


def mail(key: str = "report:1:2026-11-16", **fields: Any) -> Mail:
    values: dict[str, Any] = {
        "kind": "report",
        "to": "grace@example.com",
        "subject": "Your Namespaces: 1 critical",
        "html": "<p>quay.io ist nicht da: “regcred” ✓</p>",
        "text": "quay.io: “regcred” ✓\n.\nFrom here\n" + "x" * 2000 + "\n",
        "headers": report_headers(subscription=12, unsubscribe_url=LEAVE),
    }
    return Mail(key=key, **(values | fields))


def wire(**fields: Any) -> bytes:
    return message(mail(**fields), now=NOW).as_bytes()


def parsed(**fields: Any) -> EmailMessage:
    found = message_from_bytes(wire(**fields), policy=default)
    assert isinstance(found, EmailMessage)
    assert not found.defects
    return found


def test_it_has_a_text_and_an_html_part_that_say_what_the_row_says() -> None:
    found = parsed()

    assert found.get_content_type() == "multipart/alternative"
    text, html = found.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content().replace("\r\n", "\n") == mail().text
    assert html.get_content().replace("\r\n", "\n").rstrip("\n") == mail().html
    assert found.get_body(("html",)) is not None


def test_a_mail_without_html_is_plain_text() -> None:
    assert parsed(html="").get_content_type() == "text/plain"


def test_the_headers_are_those_of_a_mail_that_a_program_made() -> None:
    found = parsed()

    assert found["From"] == "Credboard <credboard@example.com>"
    assert found["To"] == "grace@example.com"
    assert found["Date"].datetime == NOW.replace(microsecond=0)
    assert found["Auto-Submitted"] == "auto-generated"
    assert found["MIME-Version"] == "1.0"
    assert found["Precedence"] is None
    assert found["Return-Path"] is None


def test_it_can_be_left_with_one_click() -> None:
    assert b"\r\nList-Unsubscribe: <" + LEAVE.encode() + b">\r\n" in wire()
    assert parsed()["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_a_mail_that_cannot_be_left_says_nothing_of_it() -> None:
    assert parsed(headers=report_headers(subscription=12, unsubscribe_url=""))["List-Unsubscribe-Post"] is None


def test_the_message_id_is_that_of_the_key_and_the_sender() -> None:
    found = parsed()["Message-ID"]

    assert found == parsed()["Message-ID"]
    assert found != parsed(key="report:1:2026-11-23")["Message-ID"]
    assert found.endswith("@example.com>")
    assert "report" not in found


def test_a_second_time_it_is_the_same_mail_but_for_its_date() -> None:
    again = message(mail(), now=NOW + timedelta(hours=1)).as_bytes()

    differing = [line for line in again.splitlines() if line not in wire().splitlines()]
    assert [line.split(b":")[0] for line in differing] == [b"Date"]


def test_reports_of_one_subscription_are_one_thread() -> None:
    first, second = parsed(), parsed(key="report:1:2026-11-23")
    other = parsed(headers=report_headers(subscription=13, unsubscribe_url=LEAVE))

    assert first["References"] == second["References"] == first["In-Reply-To"]
    assert first["References"] not in (first["Message-ID"], other["References"])


def test_every_line_is_seven_bits_and_short_enough_for_any_server() -> None:
    lines = wire(subject="Namespaces mit Übergröße ✓ " * 6).split(b"\r\n")

    assert all(line.isascii() and len(line) <= 998 for line in lines)
    assert all(
        len(line) <= 78 for line in lines if not line.lower().startswith((b"list-", b"message", b"ref", b"in-r"))
    )
    assert b"\n" not in b"".join(lines)


def test_a_subject_in_any_script_arrives_whole() -> None:
    subject = "prod-eu: 9 kritisch ✓ Übergröße 東京"

    assert parsed(subject=subject)["Subject"] == subject


@pytest.mark.parametrize(
    "fields",
    [
        {"to": "grace@example.com\r\nBcc: ada@example.com"},
        {"to": "grace@example.com, ada@example.com"},
        {"to": "gräce@example.com"},
        {"to": "grace"},
        {"to": ""},
        {"subject": "Hello\r\nBcc: ada@example.com"},
        {"headers": {"List-Unsubscribe": "<https://example.com>\r\nBcc: ada@example.com"}},
        {"headers": {"List-Unsubscribe": "<https://exämple.com>"}},
    ],
)
def test_nothing_can_be_smuggled_into_the_headers(fields: dict[str, Any]) -> None:
    with pytest.raises(BadMessage):
        message(mail(**fields), now=NOW)


# The settings of the mail server.


@pytest.fixture(name="environment")
def _environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("HOST", "PORT", "USER", "PASSWORD", "SECURITY", "TIMEOUT", "CA"):
        monkeypatch.delenv(f"CREDBOARD_SMTP_{name}", raising=False)
        monkeypatch.delenv(f"CREDBOARD_SMTP_{name}_FILE", raising=False)
    monkeypatch.delenv("CREDBOARD_MAIL_FROM", raising=False)
    return monkeypatch


def test_without_a_host_mail_is_off(environment: pytest.MonkeyPatch) -> None:
    assert read_server() is None
    assert read_sender(is_on=False).domain == "localhost"


@pytest.mark.parametrize(("security", "port"), [("", 587), ("starttls", 587), ("tls", 465), ("none", 25)])
def test_the_port_is_the_customary_one(security: str, port: int, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CREDBOARD_SMTP_HOST", "smtp.example.com")
    environment.setenv("CREDBOARD_SMTP_SECURITY", security)

    found = read_server()

    assert found is not None
    assert found.port == port


def test_the_password_is_not_in_what_is_printed_of_the_server(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CREDBOARD_SMTP_HOST", "smtp.example.com")
    environment.setenv("CREDBOARD_SMTP_USER", "credboard")
    environment.setenv("CREDBOARD_SMTP_PASSWORD", "canary-smtp")

    assert "canary" not in repr(read_server())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"SECURITY": "ssl"}, "must be one of"),
        ({"USER": "credboard"}, "go together"),
        ({"USER": "credboard", "PASSWORD": "canary", "SECURITY": "none"}, "in clear"),
        ({"USER": "credboard", "PASSWORD": "canäry"}, "beyond ASCII"),
        ({"CA": "no certificate"}, "holds no certificate"),
        ({"PORT": "0"}, "not between"),
    ],
)
def test_a_setting_that_cannot_work_says_so_at_the_start(
    values: dict[str, str], words: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("CREDBOARD_SMTP_HOST", "smtp.example.com")
    for name, value in values.items():
        environment.setenv(f"CREDBOARD_SMTP_{name}", value)

    with pytest.raises(ImproperlyConfigured, match=words) as caught:
        read_server()

    assert "can" + "ary" not in str(caught.value)


@pytest.mark.parametrize("value", ["", "credboard", "Credboard <credboard>", "crédboard@example.com"])
def test_mail_that_is_on_needs_a_sender(value: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CREDBOARD_MAIL_FROM", value)

    with pytest.raises(ImproperlyConfigured, match="CREDBOARD_MAIL_FROM"):
        read_sender(is_on=True)
