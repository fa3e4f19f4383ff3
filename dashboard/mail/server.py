"""Which mail server to use, and as whom, from environment variables. Without a host mail is off, and pages say so."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.utils import parseaddr
from typing import Final

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email

from dashboard import env

#: Values of CREDBOARD_SMTP_SECURITY, with the port that each has by custom.
PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """A mail server. `timeout`: the seconds it may be silent; `ca`: PEM text, "" for what the system trusts."""

    host: str
    port: int
    security: str
    user: str = ""
    password: str = field(default="", repr=False)
    timeout: float = 20
    ca: str = field(default="", repr=False)

    def tls_context(self) -> ssl.SSLContext:
        """Verifies the server's certificate and name. Raises ssl.SSLError when `ca` has no certificate."""
        return ssl.create_default_context(cadata=self.ca or None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who mails are from."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    @property
    def header(self) -> Address:
        return Address(display_name=self.name, addr_spec=self.address)


def read_server() -> SmtpServer | None:
    """The server that CREDBOARD_SMTP_* name; None when CREDBOARD_SMTP_HOST is unset.

    Raises ImproperlyConfigured for what cannot work, and for a password that would cross the network in clear.
    """
    host = env.host("CREDBOARD_SMTP_HOST", about="The mail server. Without one mail is off, and pages say so.")
    security = env.choice(
        "CREDBOARD_SMTP_SECURITY",
        "starttls",
        tuple(PORTS),
        about="How the conversation is encrypted: after a STARTTLS, from the first byte (tls), or not at all, which "
        "only suits a server on the same machine. A server that does not offer it is not used.",
    )
    server = SmtpServer(
        host=host,
        port=env.integer(
            "CREDBOARD_SMTP_PORT",
            PORTS[security],
            minimum=1,
            maximum=65_535,
            about="Port of the mail server. By custom 587 for starttls, 465 for tls and 25 for none.",
        ),
        security=security,
        user=env.text("CREDBOARD_SMTP_USER", about="User name at the mail server; empty to send without signing in."),
        password=env.secret("CREDBOARD_SMTP_PASSWORD", about="Password of that user."),
        timeout=env.integer(
            "CREDBOARD_SMTP_TIMEOUT",
            20,
            minimum=1,
            maximum=120,
            unit="seconds",
            about="How long the mail server may be silent before the conversation is ended and tried again later.",
        ),
        ca=env.text(
            "CREDBOARD_SMTP_CA",
            about="Certificates (PEM) of the authorities that sign the mail server's, instead of those that the system "
            "trusts. CREDBOARD_SMTP_CA_FILE names a file with them.",
        ),
    )
    _check(server)
    return server if host else None


def read_sender(*, is_on: bool) -> Sender:
    """Who CREDBOARD_MAIL_FROM says that mails are from. Raises ImproperlyConfigured without one while mail `is_on`."""
    value = env.text(
        "CREDBOARD_MAIL_FROM",
        about="Whom mails are from, such as: Credboard <credboard@example.com>. Required with CREDBOARD_SMTP_HOST. "
        "Message-IDs have its domain, so a change begins new threads.",
    )
    remedy = "write an address such as: Credboard <credboard@example.com>"
    if not value:
        if is_on:
            raise ImproperlyConfigured(f"CREDBOARD_SMTP_HOST is set, and CREDBOARD_MAIL_FROM is not; {remedy}")
        return Sender(name="Credboard", address="credboard@localhost")
    name, address = parseaddr(value)
    try:
        validate_email(address)
        sender = Sender(name=name or "Credboard", address=address)
        _ = str(sender.header)
    except (ValidationError, ValueError) as error:
        raise ImproperlyConfigured(f"CREDBOARD_MAIL_FROM={value!r} is not a mail address; {remedy}") from error
    if not address.isascii():
        raise ImproperlyConfigured(f"CREDBOARD_MAIL_FROM={value!r} is not in ASCII; {remedy}")
    return sender


def _check(server: SmtpServer) -> None:
    if bool(server.user) != bool(server.password):
        raise ImproperlyConfigured("CREDBOARD_SMTP_USER and CREDBOARD_SMTP_PASSWORD go together; set both or neither")
    if server.password and server.security == "none":
        raise ImproperlyConfigured(
            "CREDBOARD_SMTP_SECURITY=none would send CREDBOARD_SMTP_PASSWORD in clear; use starttls or tls"
        )
    if not (server.user + server.password).isascii():
        raise ImproperlyConfigured(
            "CREDBOARD_SMTP_USER or CREDBOARD_SMTP_PASSWORD has characters beyond ASCII, which SMTP cannot sign in with"
        )
    try:
        server.tls_context()
    except (ssl.SSLError, ValueError):
        raise ImproperlyConfigured(
            "CREDBOARD_SMTP_CA holds no certificate; give it PEM text, or name a file of it in CREDBOARD_SMTP_CA_FILE"
        ) from None
