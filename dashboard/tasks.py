"""Celery's way in to what is told to people: claim what is due, call one function. Every task may run twice."""

from __future__ import annotations

from typing import Final

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from dashboard import retention
from dashboard.alerting import delivery, planning
from dashboard.mail.delivery import deliver_due
from dashboard.models import AlertRoute, Mail, Subscription
from dashboard.reports import recipients, sending

#: Tasks that send at the same time. Few, out of courtesy to the mail server, and to leave the other processes of the
#: worker to scans; not one, or a worker that died would hold up all mails until its lease is over.
MOST_SENDERS: Final = 2


# Shorter than dashboard.models.mail.LEASE, so that no mail changes hands while its worker lives.
@shared_task(ignore_result=True, soft_time_limit=240, time_limit=300)
def dispatch_mails() -> None:
    """Send the mails that are due, if not enough others are about it. That more may come here at once does no harm."""
    server = settings.SMTP_SERVER
    if server is not None and Mail.objects.under_way(timezone.now()) < MOST_SENDERS:
        deliver_due(server)


#: Reports that one task makes: enough to share what is read for all of them, few enough for several workers.
REPORTS_OF_A_TASK = 500


@shared_task(ignore_result=True)
def dispatch_reports() -> None:
    """Send tasks for the subscriptions whose report is due. What a task does not come to is still due the next time."""
    if settings.MAIL_IS_ON:
        due = list(Subscription.objects.due(timezone.now()).values_list("pk", flat=True)[:10_000])
        for first in range(0, len(due), REPORTS_OF_A_TASK):
            send_reports.apply_async((due[first : first + REPORTS_OF_A_TASK],), expires=55)


@shared_task(ignore_result=True)
def send_reports(subscription_ids: list[int]) -> None:
    sending.send_due(subscription_ids, now=timezone.now())


@shared_task(ignore_result=True)
def subscribe_people() -> None:
    """Subscribe operators and owners who are new and may be written to."""
    if settings.MAIL_IS_ON:
        recipients.subscribe_people(now=timezone.now())


@shared_task(ignore_result=True)
def prune() -> None:
    """Forget what is older than its retention, in small batches; what a time limit cuts off goes the next night."""
    retention.prune(now=timezone.now())


@shared_task(ignore_result=True, soft_time_limit=110, time_limit=120)
def dispatch_alerts() -> None:
    """Make messages of what changed, and have them sent if any is due."""
    now = timezone.now()
    while planning.plan(now=now) == planning.BATCH:
        pass
    if AlertRoute.objects.due(now).exists():
        deliver_alerts.apply_async(expires=60)


# Shorter than dashboard.models.alert.LEASE, so that no message changes hands while its worker lives.
@shared_task(ignore_result=True, soft_time_limit=110, time_limit=120)
def deliver_alerts() -> None:
    """Send what is due. In a task of its own, so that services that hang hold up nothing else."""
    delivery.deliver()
