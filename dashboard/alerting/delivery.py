"""The outbox to the services: claimed, sent, noted; tried again where that failed.

A message is sent at least once. It is noted as sent after the service took it, so a worker that is killed in between
leaves it to be sent again once its lease has run out: an alert twice is better than none.

One worker at a time sends, for all routes at once in threads, so however many services hang, scans lose one worker for
seconds. Of each route it is one message after the other, the oldest first.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from dashboard.alerting.sending import BadAddress, NotSent, load, send
from dashboard.encryption import CannotDecrypt, decrypt
from dashboard.models import AlertMessage, AlertPlan, AlertRoute
from dashboard.reports.sending import public
from scanner.check import Status

log = logging.getLogger(__name__)

AT_ONCE: Final = 8  # services
#: Seconds after which no further message is begun. A task ends by then and one time-out, within its time limit.
ROUND: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One message that goes to one service now."""

    route: AlertRoute
    message: AlertMessage


def deliver() -> int:
    """Send what is due, unless another worker does. Returns how many messages services took."""
    now = timezone.now()
    AlertPlan.ensure(now=now)
    if not AlertPlan.claim_sending(now=now):
        return 0
    try:
        return _rounds(until=time.monotonic() + ROUND)
    finally:
        AlertPlan.end_sending()


def _rounds(*, until: float) -> int:
    sent = 0
    with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="alert") as threads:
        while time.monotonic() < until:
            errands = _claimed()
            if not errands:
                break
            load()
            try:
                # The threads only talk to services; rows are this thread's business.
                for errand, error in zip(errands, threads.map(_try, errands), strict=True):
                    _note(errand, error)
                    sent += not error
            finally:
                for errand in errands:
                    errand.route.release()
    return sent


def _claimed() -> Sequence[Errand]:
    now = timezone.now()
    errands = []
    for route in AlertRoute.objects.due(now)[:AT_ONCE]:
        if route.claim(now=now):
            message = route.messages.pending().first()
            if message is None:
                route.release()
            else:
                errands.append(Errand(route=route, message=message))
    return errands


@sensitive_variables()
def _try(errand: Errand) -> str:
    """Why the message was not sent; "" when it was. Touches no row."""
    message = errand.message
    try:
        send(decrypt(errand.route.url), title=message.title, body=message.body, status=message.severity)
    except CannotDecrypt as error:
        return f"The address of this route cannot be read. {error}"
    except (BadAddress, NotSent, ImproperlyConfigured) as error:
        return str(error)
    return ""


def _note(errand: Errand, error: str) -> None:
    now = timezone.now()
    if error:
        log.warning("Alert route %s failed: %s", errand.route.pk, error)
        errand.message.failed(error, now=now)
        errand.route.went_wrong(error, now=now)
    else:
        errand.message.was_sent(now=now)
        errand.route.went_well(now=now)


@sensitive_variables()
def send_test(route: AlertRoute) -> str:
    """Send a test message to `route` now. Returns why that failed, "" when the service took it. A failure says nothing
    of the route's health; a success ends its pause."""
    base = public("matrix") if settings.PUBLIC_URL else ""
    body = "This is a test. When a credential goes wrong, a message like this says which, where and what to do."
    try:
        send(
            decrypt(route.url),
            title=f"Test of the alert route {route.name}",
            body=f"{body}\n{base}".rstrip(),
            status=str(Status.OK),
        )
    except CannotDecrypt as error:
        return f"The address of this route cannot be read. {error}"
    except (BadAddress, NotSent, ImproperlyConfigured) as error:
        return str(error)
    route.went_well(now=timezone.now())
    return ""
