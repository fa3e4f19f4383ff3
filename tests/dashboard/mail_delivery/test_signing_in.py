"""TLS and passwords: a server gets neither a mail nor a password that is not the one it should be."""

from __future__ import annotations

import logging

import pytest
from django.utils import timezone

from dashboard.mail.delivery import CONFIGURATION_PAUSE, deliver_due
from dashboard.models import Mail
from tests.dashboard.mail_delivery.builders import PASSWORD, USERS, now_of, server, wanted
from tests.rig.certificates import CertificateAuthority
from tests.rig.smtp import SmtpSink

# Committing is what all of this is about, so each test has a database that it can commit to.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(name="authority", scope="module")
def _authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("smtp-ca"))


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_it_speaks_tls_and_signs_in(security: str, authority: CertificateAuthority) -> None:
    ca = authority.ca_file.read_text()
    with SmtpSink(security=security, certificate=authority.server(f"smtp-{security}"), users=USERS) as sink:
        wanted()
        tally = deliver_due(server(sink, security=security, ca=ca, user="credboard", password=PASSWORD))

    assert (tally.sent, sink.sign_ins, len(sink.messages)) == (1, ["credboard"], 1)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_is_not_trusted_stops_all_mails_and_says_so(
    security: str, authority: CertificateAuthority
) -> None:
    with SmtpSink(security=security, certificate=authority.server(f"untrusted-{security}"), users=USERS) as sink:
        first, second = wanted("report:1"), wanted("report:2")
        deliver_due(server(sink, security=security, user="credboard", password=PASSWORD))

    assert (sink.connections <= 1, sink.sign_ins, sink.messages) == (True, [], [])
    assert (now_of(first).state, now_of(second).state) == ("queued", "queued")
    assert "certificate is not trusted" in first.error
    assert second.error == first.error


def test_a_server_without_starttls_never_gets_the_password(sink: SmtpSink) -> None:
    mail = wanted()

    deliver_due(server(sink, security="starttls", user="credboard", password=PASSWORD))

    assert (now_of(mail).state, sink.messages) == ("queued", [])
    assert "does not offer STARTTLS" in mail.error


def test_tls_with_a_server_that_speaks_in_clear_is_a_setting_to_change(sink: SmtpSink) -> None:
    mail = wanted()

    deliver_due(server(sink, security="tls"))

    assert "CREDBOARD_SMTP_SECURITY" in now_of(mail).error


def test_a_wrong_password_is_tried_slowly_and_never_repeated(
    authority: CertificateAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ca = authority.ca_file.read_text()
    with SmtpSink(security="starttls", certificate=authority.server("wrong"), users={"credboard": "other"}) as sink:
        first, second = wanted("report:1"), wanted("report:2")
        begun = timezone.now()
        deliver_due(server(sink, security="starttls", ca=ca, user="credboard", password=PASSWORD))

    assert sink.sign_ins == ["credboard"]
    assert (now_of(first).state, now_of(second).state) == ("queued", "queued")
    assert "refused CREDBOARD_SMTP_USER or its password (535)" in first.error
    assert first.next_try_at is not None
    assert first.next_try_at >= begun + CONFIGURATION_PAUSE * 0.8
    assert first.attempts == 0
    ours = [record.getMessage() for record in caplog.records if record.name != "mail.log"]  # the server's own
    everything = f"{list(Mail.objects.values())} {ours}"
    assert PASSWORD not in everything
