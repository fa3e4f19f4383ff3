"""Celery's way in to what is told to people: claim what is due, call one function. Every task may run twice."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from dashboard.mail.delivery import deliver_due
from dashboard.models import Mail


# Shorter than dashboard.models.mail.LEASE, so that no mail changes hands while its worker lives.
@shared_task(ignore_result=True, soft_time_limit=240, time_limit=300)
def dispatch_mails() -> None:
    """Send the mails that are due, if nobody is about it."""
    server = settings.SMTP_SERVER
    # One at a time is courteous to the server, and leaves the other processes of the worker to scans. That two may come
    # here in the same moment does no harm.
    if server is not None and not Mail.objects.is_under_way(timezone.now()):
        deliver_due(server)
