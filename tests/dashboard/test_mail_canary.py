"""Secret values of a cluster are in no mail: what a scan of them says is rendered, sent for real, and searched."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django.fixtures import Settings

from dashboard.demo.server import DemoCluster
from dashboard.mail.server import Sender, SmtpServer
from dashboard.models import Mail, Subscription
from dashboard.tasks import dispatch_mails, send_reports
from scanner.models import Cluster
from scanner.scan import scan_cluster
from tests import factories
from tests.dashboard.test_canary import NS, assert_clean, objects
from tests.rig.smtp import SmtpSink

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(name="sink")
def _sink(settings: Settings) -> Iterator[SmtpSink]:
    settings.MAIL_FROM = Sender(name="Credboard", address="credboard@example.com")
    settings.PUBLIC_URL = "https://credboard.example.com"
    with SmtpSink() as sink:
        settings.SMTP_SERVER = SmtpServer(host="127.0.0.1", port=sink.port, security="none")
        settings.MAIL_IS_ON = True
        yield sink


def words(message: EmailMessage) -> str:
    """Headers and parts, decoded as a reader gets them."""
    parts = [part.get_content() for part in message.walk() if not part.is_multipart()]
    return "\n".join([*(f"{name}: {value}" for name, value in message.items()), *parts])


def test_no_secret_value_is_in_a_mail(sink: SmtpSink, tmp_path: Path) -> None:
    with DemoCluster(objects=objects(), closed=(), kubelet=False) as demo:
        scan_cluster(Cluster.objects.create(name="prod-eu", kubeconfig=str(demo.kubeconfig(tmp_path / "kubeconfig"))))
    ada = factories.operator()
    User.objects.filter(pk=ada.pk).update(email="ada@example.com")
    due = timezone.now() - timedelta(minutes=1)
    subscription = Subscription.objects.create(address="ada@example.com", user=ada, next_send_at=due)

    send_reports([subscription.pk])
    dispatch_mails()

    (received,) = sink.messages
    told = words(received.message)
    assert NS in told
    assert "quay.io" in told
    assert_clean(told, "a mail")
    assert_clean(received.content.decode(), "a mail as it goes over the wire")
    mail = Mail.objects.get()
    assert (mail.state, mail.subscription) == ("sent", subscription)
    assert_clean(f"{mail.subject} {mail.html} {mail.text} {mail.headers} {mail.error}", "the archive")
