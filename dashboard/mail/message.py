"""What is around a mail: the headers and the MIME parts, from a row of the outbox to bytes.

- `Message-ID` is made of the row's key, so that a mail that goes out a second time is the same mail: a store that has
  it already may drop the copy.
- `References` and `In-Reply-To` of all reports of one subscription name one message that was never sent, which is how
  mail programs come to show them as one thread. (Gmail also asks for equal subjects. Ours tell the news instead.)
- `List-Unsubscribe` with `List-Unsubscribe-Post` is RFC 8058: one click in the mail program, no page. DKIM must sign
  both for that to count, which is the mail server's work.
- `Auto-Submitted` is RFC 3834: holiday notices are not sent back. `Precedence`, which says the same to a few old
  programs and "spam" to others, is left out.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime
from typing import Any, Final

from django.conf import settings

from dashboard.models import Mail

#: Which a mail program reads as they are: cut in two by encoded words they would be of no use.
_NEVER_FOLDED: Final = frozenset(
    {"message-id", "in-reply-to", "references", "list-unsubscribe", "list-unsubscribe-post"}
)


class BadMessage(ValueError):
    """A row that cannot be sent as it is. The text says why, for people."""


class _Policy(EmailPolicy):
    """RFC 5322, 7 bits, at most 78 columns but for identifiers and addresses of pages."""

    def fold(self, name: str, value: Any) -> str:
        if name.lower() in _NEVER_FOLDED:
            return f"{name}: {value}\r\n"
        return str(super().fold(name, value))

    def fold_binary(self, name: str, value: Any) -> bytes:
        if name.lower() in _NEVER_FOLDED:
            return self.fold(name, value).encode("ascii")
        return bytes(super().fold_binary(name, value))


_POLICY: Final = _Policy(linesep=SMTP.linesep, cte_type="7bit", utf8=False)


def report_headers(*, subscription: int, unsubscribe_url: str) -> dict[str, str]:
    """The headers of a report besides what every mail has, for `Mail.objects.enqueue`."""
    root = message_id(f"reports of subscription {subscription}")
    return {"In-Reply-To": root, "References": root, **unsubscribe_headers(unsubscribe_url)}


def unsubscribe_headers(url: str) -> dict[str, str]:
    """For mails that come again and again; `url` takes the POST of RFC 8058. None without an address over HTTP(S)."""
    if not url:
        return {}
    return {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def message_id(key: str) -> str:
    """The same for the same `key` and sender's domain, and telling nobody what the key is."""
    digest = hashlib.sha256(f"credboard mail {key}".encode()).hexdigest()[:40]
    return f"<{digest}@{settings.MAIL_FROM.domain}>"


def message(mail: Mail, *, now: datetime) -> EmailMessage:
    """`mail` as a message with a text and, if it has one, an HTML part; `now` is its Date.

    Raises BadMessage for an address or header that no mail can have.
    """
    made = EmailMessage(policy=_POLICY)
    try:
        made["From"] = settings.MAIL_FROM.header
        made["To"] = mail.to
        made["Subject"] = mail.subject
        made["Date"] = format_datetime(now.replace(microsecond=0))
        made["Message-ID"] = message_id(mail.key)
        made["Auto-Submitted"] = "auto-generated"
        for name, value in mail.headers.items():
            _check(name, value)
            made[name] = value
        if "@" not in mail.to or not mail.to.isascii() or len(made["To"].addresses) != 1:
            raise BadMessage("The address is not one that every mail server takes")
    except (ValueError, IndexError, AttributeError) as error:
        raise BadMessage(str(error) if isinstance(error, BadMessage) else "A header cannot be sent as it is") from error
    # Quoted-printable everywhere: 7 bits and short lines pass any server, and a lone dot needs no luck.
    made.set_content(mail.text, cte="quoted-printable")
    if mail.html:
        made.add_alternative(mail.html, subtype="html", cte="quoted-printable")
        # Stable as well, so that the same mail is the same bytes but for its Date.
        made.set_boundary(f"=_{hashlib.sha256(mail.key.encode()).hexdigest()[:32]}")
    return made


def _check(name: str, value: object) -> None:
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or len(value) > 900:
        raise BadMessage(f"The header {name} cannot be sent as it is")
