"""The outbox to the mail server: each mail exactly once, as far as SMTP can.

SMTP has one moment that no sender can make safe: between the end mark of a message (the lone dot) and the server's
"250". Whoever dies or is cut off there cannot know whether the server has taken the mail (RFC 5321, section 4.1.1.4;
RFC 1047). Sending again may deliver it twice, not sending again may lose it. Everything around that moment is safe:

1. Connecting, TLS, signing in, MAIL, RCPT, DATA and the text of the message may all be done again, by anyone: without
   the end mark a server has to forget what it got.
2. Right before the end mark the row is committed as "in doubt", by an UPDATE that only succeeds while this worker has
   the lease. So of two workers with the same mail only one goes on.
3. After "250" the row is committed as sent. A clear refusal (4xx, 5xx) takes the doubt away: tried again, or failed.

A worker that dies between 2 and 3, a connection that breaks there, or a database that does: the row stays in doubt. Our
side is **at most once**: such a mail is not sent again by itself. It stands in the archive as "perhaps sent", with a
button to send it again, with the same Message-ID. The window is one round trip, and a report that came twice would
teach its readers not to trust it; one that is missing is seen on the page and put right by one click.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.utils import timezone

from dashboard.mail import conversation
from dashboard.mail.conversation import Conversation
from dashboard.mail.message import BadMessage, message
from dashboard.mail.server import SmtpServer
from dashboard.models import Mail

log = logging.getLogger(__name__)

#: A mail that no server took for so long, though it was asked again and again, has failed.
GIVE_UP_AFTER: Final = timedelta(hours=24)
FIRST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(minutes=30)
#: For somebody to change a setting. Slow, since a server that is asked with a wrong password locks accounts.
CONFIGURATION_PAUSE: Final = timedelta(minutes=15)
#: How many mails in a row may lose the connection before the others are spared the attempt.
MOST_LOST_CONNECTIONS: Final = 2

Clock = Callable[[], datetime]


@dataclass(slots=True)
class Tally:
    """How a run ended: mails by what became of them."""

    sent: int = 0
    later: int = 0
    failed: int = 0
    in_doubt: int = 0


def deliver_due(
    server: SmtpServer, *, most: int = 500, longest: timedelta = timedelta(seconds=60), clock: Clock = timezone.now
) -> Tally:
    """Send what is due, at most `most` mails, none begun when `longest` has passed. Raises nothing that SMTP can do.

    May run in any number of processes at once.
    """
    tally = Tally()
    started_at = clock()
    Mail.objects.give_up_old(started_at)
    lost = 0
    with closing(Conversation(server, client=settings.MAIL_FROM.domain)) as open_conversation:
        for _ in range(most):
            now = clock()
            mail = Mail.objects.claim_next(now) if now - started_at < longest else None
            if mail is None:
                break
            trouble = _deliver(mail, open_conversation, tally, clock)
            lost = lost + 1 if isinstance(trouble, conversation.Unreachable) else 0
            if isinstance(trouble, conversation.Misconfigured) or lost >= MOST_LOST_CONNECTIONS:
                # It concerns the others as well: they wait with this one, and nobody asks for each of them.
                Mail.objects.postpone(clock(), until=mail.next_try_at or clock() + FIRST_PAUSE, error=str(trouble))
                break
    return tally


def _deliver(mail: Mail, open_conversation: Conversation, tally: Tally, clock: Clock) -> Exception | None:
    """One attempt at `mail`, which this worker has claimed. What went wrong, or None."""
    if mail.is_unwanted:
        mail.fail(now=clock(), error="Its reader wants no more reports, or may no longer sign in.")
        tally.failed += 1
        return None
    try:
        open_conversation.send(
            message(mail, now=clock()).as_bytes(),
            sender=settings.MAIL_FROM.address,
            recipient=mail.to,
            hand_over=lambda: mail.hand_over(now=clock()),
        )
    except (conversation.Undelivered, BadMessage) as error:
        _settle(mail, error, tally, now=clock())
        return error
    tally.sent += 1
    if not mail.accept(now=clock()):
        log.error("Mail %s was sent, and somebody changed its row meanwhile", mail.pk)
    return None


def _settle(mail: Mail, error: Exception, tally: Tally, *, now: datetime) -> None:
    words = str(error)
    if isinstance(error, conversation.Lost):
        log.info("Mail %s was taken over by another worker", mail.pk)
    elif isinstance(error, conversation.InDoubt):
        mail.leave_in_doubt(words)
        tally.in_doubt += 1
        log.error("Mail %s is perhaps sent: %s", mail.pk, words)
    elif isinstance(error, conversation.Misconfigured):
        mail.put_off(until=now + _shaken(CONFIGURATION_PAUSE), error=words, counts=False)
        tally.later += 1
        log.error("No mail can be sent: %s", words)
    elif isinstance(error, conversation.Rejected | BadMessage) or now - mail.queued_at >= GIVE_UP_AFTER:
        mail.fail(now=now, error=words)
        tally.failed += 1
        log.warning("Mail %s failed: %s", mail.pk, words)
    else:
        mail.put_off(until=now + pause_after(mail.attempts), error=words)
        tally.later += 1
        log.warning("Mail %s is tried again later: %s", mail.pk, words)


def pause_after(attempts: int) -> timedelta:
    """How long to wait after so many tries (from 1 on): longer each time, and never the same for two mails."""
    return _shaken(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempts - 1, 10)))


def _shaken(pause: timedelta) -> timedelta:
    return pause * random.uniform(0.8, 1.2)
