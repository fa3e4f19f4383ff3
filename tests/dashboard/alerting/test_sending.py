"""Apprise, against services on loopback."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from pytest_django.fixtures import Settings

from dashboard.alerting.sending import NEVER, WELL_KNOWN, BadAddress, NotSent, allowed, check_address, masked, send
from tests.dashboard.alerting.sink import TOKEN, Sink
from tests.rig.process import free_port

HOSTILE = "registry/<script>alert(1)</script> & *bold* _it_ [a](http://x) `c`"


def tell(
    url: str, *, title: str = "harbor: rejected", body: str = "In team-a\nand team-b", status: str = "critical"
) -> None:
    send(url, title=title, body=body, status=status)


@pytest.mark.parametrize("schema", ["json", "form", "xml"])
def test_a_webhook_gets_the_message(schema: str, sink: Sink) -> None:
    tell(sink.url(schema))
    (request,) = sink.requests
    assert request["path"] == f"/hook/{TOKEN}"
    assert "In team-a\nand team-b" in request["body"]["message"]


def test_a_webhook_is_told_whether_it_is_trouble_or_its_end(sink: Sink) -> None:
    for status in ("critical", "warning", "ok", "unknown"):
        tell(sink.url(), status=status)
    assert [request["body"]["type"] for request in sink.requests] == ["failure", "warning", "success", "info"]


def test_ntfy_gets_the_message_as_it_is(sink: Sink) -> None:
    tell(f"ntfy://127.0.0.1:{sink.port}/alerts", body=HOSTILE)
    (request,) = sink.requests
    assert HOSTILE in str(request["body"])


def test_mattermost_gets_the_message(sink: Sink) -> None:
    tell(f"mmost://127.0.0.1:{sink.port}/{'a' * 24}")
    assert "team-a" in str(sink.requests[0]["body"])


class Inbox:
    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        return "250 OK"


@pytest.fixture(name="inbox")
def _inbox() -> Iterator[tuple[Inbox, int]]:
    inbox = Inbox()
    controller = Controller(inbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield inbox, controller.port
    controller.stop()


def test_a_mail_has_the_message_escaped_in_its_html_and_as_it_is_in_its_text(inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    tell(
        f"mailto://127.0.0.1:{port}?from=credboard@example.com&to=ada@example.com",
        body=f"{HOSTILE}\nhttps://x.example.com/?a=b",
    )
    (mail,) = box.mails
    assert mail["Subject"] == "harbor: rejected"
    assert mail["To"] == "ada@example.com"
    parts = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
    for kind, text in parts.items():
        assert ("<script>" in text) == (kind == "text/plain")
    assert parts


def test_a_service_that_refuses_is_said_to_without_its_address(sink: Sink) -> None:
    sink.answers = [500]
    with pytest.raises(NotSent) as caught:
        tell(sink.url())
    assert "500" in str(caught.value)
    assert_tells_nothing(str(caught.value), sink)


def test_a_service_that_does_not_answer_is_given_up_after_the_time_out(sink: Sink) -> None:
    sink.answers = [None]
    with pytest.raises(NotSent) as caught:
        tell(sink.url())
    assert_tells_nothing(str(caught.value), sink)


def test_a_service_that_is_not_there_is_said_to_be_so(sink: Sink) -> None:
    port = free_port()
    with pytest.raises(NotSent, match="onnection") as caught:
        tell(f"json://ada:{TOKEN}@127.0.0.1:{port}/{TOKEN}")
    assert_tells_nothing(str(caught.value), sink)


def test_redirects_are_not_followed_even_where_the_address_asks_for_it(sink: Sink) -> None:
    sink.answers = [302]
    with pytest.raises(NotSent):
        tell(sink.url() + "?redirect=yes")
    assert len(sink.requests) == 1


def test_the_address_cannot_have_it_wait_longer_try_again_or_count_failure_as_success(sink: Sink) -> None:
    sink.answers = [500, 500, 500]
    with pytest.raises(NotSent):
        tell(sink.url() + "?retry=3&rto=100&optional=yes")
    assert len(sink.requests) == 1


def assert_tells_nothing(text: str, sink: Sink) -> None:
    for part in (TOKEN, "127.0.0.1", f"{sink.port}", "/hook", "ada"):
        assert part not in text
    assert 0 < len(text) <= 256


def test_nothing_of_an_address_reaches_a_log(sink: Sink, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    sink.answers = [500, None]
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            try:
                tell(sink.url())
            except NotSent:
                continue
    assert len(sink.requests) == 3
    assert TOKEN not in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "url",
    [
        "syslog://",
        "dbus://",
        "gnome://",
        "rsyslog://127.0.0.1",
        "windows://",
        "file:///etc/passwd",
        "nosuch://x",
        "not an address",
        "",
        "https://hooks.example.com/x",
        "json://[::1",
        "slack://nonsense",
    ],
)
def test_what_is_no_address_of_an_allowed_service_is_refused(url: str) -> None:
    with pytest.raises(BadAddress):
        check_address(url)


def test_what_acts_on_this_machine_stays_refused_whatever_the_setting_says(settings: Settings) -> None:
    settings.ALERT_SCHEMAS = frozenset({"syslog", "json", "dbus"})
    assert allowed() == {"json"}
    assert not allowed() & NEVER
    with pytest.raises(BadAddress):
        check_address("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ")


def test_every_service_on_the_list_is_one_that_apprise_has() -> None:
    import apprise

    known = set()
    for plugin in apprise.Apprise().details()["schemas"]:
        known |= {str(name) for name in (plugin["protocols"] or [])} | {
            str(n) for n in (plugin["secure_protocols"] or [])
        }
    missing = {schema for schema in WELL_KNOWN if schema not in known}
    assert missing == set()


@pytest.mark.parametrize("parameter", ["template=/etc/passwd", "pgpkey=/etc/passwd", "Template=x", "keyfile=/x"])
def test_an_address_that_names_a_file_of_the_server_is_refused(parameter: str) -> None:
    with pytest.raises(BadAddress, match="file of the server") as caught:
        check_address(f"slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ?{parameter}")
    assert "T1JJ3T3L2" not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "100.100.100.200"]
)
def test_a_webhook_does_not_go_where_clouds_keep_the_credentials_of_machines(host: str) -> None:
    with pytest.raises(BadAddress, match="link-local"):
        tell(f"json://{host}/latest/meta-data")


@pytest.mark.parametrize(
    ("url", "schema", "label"),
    [
        ("https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "slack", "Slack"),
        ("https://discord.com/api/webhooks/4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", "discord", "Discord"),
        ("jsons://hooks.example.com/x", "jsons", "JSON"),
    ],
)
def test_of_an_address_only_its_service_is_told(url: str, schema: str, label: str) -> None:
    service = check_address(f" {url} ")
    assert (service.schema, service.label) == (schema, label)


def test_masking_takes_out_every_part_of_the_address_in_clear_and_decoded() -> None:
    url = "json://ada:p%40ssw0rd@hooks.example.com:8443/T0KEN/more?key=v%2Flue"
    said = "cannot POST hooks.example.com:8443 as ada with p@ssw0rd p%40ssw0rd to /T0KEN/more key v/lue v%2Flue"
    clean = masked(said, url)
    for part in ("hooks", "p@ss", "p%40", "T0KEN", "v/lue", "v%2F", "8443"):
        assert part not in clean
    assert clean.startswith("cannot POST")
