"""Mail: does the server talk to us, and let us in. Nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Final

from django.conf import settings

from dashboard.doctor.advice import Advice
from dashboard.mail.conversation import Conversation, Undelivered
from dashboard.models import Mail

ABOUT: Final = "mail"
TIMEOUT: Final = 5  # seconds of silence


def look(now: datetime) -> Iterator[Advice]:
    server = settings.SMTP_SERVER
    if server is None:
        yield Advice.ok(ABOUT, "It is off (CREDBOARD_SMTP_HOST is not set).")
        return
    conversation = Conversation(replace(server, timeout=min(server.timeout, TIMEOUT)), client="localhost")
    try:
        conversation.greet()
    except Undelivered as error:
        yield Advice.problem(ABOUT, f"{error}.", "Look at CREDBOARD_SMTP_HOST and what belongs to it.")
    else:
        signed_in = " and lets us in" if server.user else ""
        yield Advice.ok(ABOUT, f"{server.host}:{server.port} talks to us{signed_in}.")
    finally:
        conversation.close()
    if failed := Mail.objects.filter(state=Mail.State.FAILED).count():
        yield Advice.warning(
            ABOUT, f"Mails that could not be sent: {failed:,}.", "See why, and send them again: Reports."
        )
