"""One conversation with the mail server, step by step (RFC 5321), and what can become of a mail in it.

Every way in which a step can end is one of the exceptions here, so that nothing else of smtplib gets out, and what is
told of it is for people: the step, the server's own words, cut and printable; never a password or a body.
"""

from __future__ import annotations

import logging
import re
import smtplib
import socket
import ssl
from collections.abc import Callable
from typing import Final

from dashboard.mail.server import SmtpServer

log = logging.getLogger(__name__)

LONGEST_ERROR: Final = 256  # characters
#: Mails on one connection: servers end long ones, and a certificate that was changed must be seen some day.
MOST_PER_CONNECTION: Final = 50


class Undelivered(Exception):
    """A mail was not sent, or nobody knows. The text says why, in at most `LONGEST_ERROR` printable characters."""

    def __init__(self, words: str) -> None:
        line = " ".join("".join(one if one.isprintable() else " " for one in words[:2000]).split())
        super().__init__(line if len(line) <= LONGEST_ERROR else line[: LONGEST_ERROR - 1] + "…")


class TryLater(Undelivered):
    """The server did not take this mail for now (4xx). It may take others."""


class Rejected(Undelivered):
    """The server will not take this mail (5xx)."""


class Unreachable(Undelivered):
    """The server does not answer, or not as SMTP servers do, or ended the conversation."""


class Misconfigured(Undelivered):
    """Someone has to change a setting, here or at the server: it concerns every mail."""


class InDoubt(Undelivered):
    """The server was told to take the mail, and did not say whether it did."""


class Lost(Undelivered):
    """Somebody else has the mail: nothing was sent."""


class Conversation:
    """A connection that is opened when it is needed, used for several mails, and closed by `close`."""

    def __init__(self, server: SmtpServer, *, client: str) -> None:
        """`client` is the domain that we greet with."""
        self._server = server
        self._client = client
        self._smtp: smtplib.SMTP | None = None
        self._mails = 0

    def send(self, body: bytes, *, sender: str, recipient: str, hand_over: Callable[[], bool]) -> None:
        """Send one message (CRLF lines). Returns when the server said that it has taken it.

        `hand_over` is called when everything but the end mark has been sent: until then no server may deliver the
        message, after it nobody can call it back. If it returns False the connection is dropped and Lost is raised.
        Raises one of the exceptions above otherwise.
        """
        try:
            if self._mails >= MOST_PER_CONNECTION or not self._is_ready():
                self.close()
                self._open()
            self._mails += 1
            self._begin(body, sender=sender, recipient=recipient)
            if not hand_over():
                raise Lost("Somebody else has this mail")
            self._finish()
        except (TryLater, Rejected):
            raise
        except BaseException:
            # Whatever it was, the conversation may be in the midst of a message: without its end mark the server has to
            # forget it. A word more, and the server might take it for a part of the message.
            self._drop()
            raise

    def greet(self) -> None:
        """Connect and sign in as for a mail, and send none. Raises Unreachable or Misconfigured."""
        self._drop()
        try:
            self._open()
        except Undelivered:
            self._drop()
            raise

    def close(self) -> None:
        """Leave, politely where the server still listens."""
        if self._smtp is not None:
            try:
                self._smtp.quit()
            except (smtplib.SMTPException, OSError) as error:
                log.debug("The mail server did not say goodbye (%s)", type(error).__name__)
            self._drop()

    def _drop(self) -> None:
        if self._smtp is not None:
            self._smtp.close()
        self._smtp = None
        self._mails = 0

    def _is_ready(self) -> bool:
        """False when there is no connection, or one of no use any more, as after a long silence."""
        if self._smtp is None:
            return False
        try:
            return self._smtp.rset()[0] == 250
        except (smtplib.SMTPException, OSError):
            self._drop()
            return False

    def _open(self) -> None:
        server = self._server
        try:
            if server.security == "tls":
                context = server.tls_context()
                self._smtp = smtplib.SMTP_SSL(
                    server.host, server.port, self._client, timeout=server.timeout, context=context
                )
            else:
                self._smtp = smtplib.SMTP(server.host, server.port, self._client, timeout=server.timeout)
            if self._smtp.sock is not None:
                # The end mark goes out on its own: with Nagle's algorithm it would wait for the receipt of the text,
                # which the other side keeps back for 40 ms.
                self._smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._greet(self._smtp)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            raise Unreachable("The mail server closed the connection while TLS began") from None
        except ssl.SSLError as error:
            raise _tls_trouble(error) from None
        except smtplib.SMTPResponseException as error:
            raise _refused(Unreachable, "to talk to us", error.smtp_code, error.smtp_error) from None
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            raise Unreachable(f"The mail server cannot be reached: {_cause(error)}") from None

    def _greet(self, smtp: smtplib.SMTP) -> None:
        smtp.ehlo_or_helo_if_needed()
        if self._server.security == "starttls":
            if not smtp.has_extn("starttls"):
                raise Misconfigured("The mail server does not offer STARTTLS; CREDBOARD_SMTP_SECURITY asks for it")
            code, words = smtp.starttls(context=self._server.tls_context())
            if code != 220:
                raise _refused(Unreachable, "STARTTLS", code, words)
            smtp.ehlo_or_helo_if_needed()
        if self._server.user:
            self._sign_in(smtp)

    def _sign_in(self, smtp: smtplib.SMTP) -> None:
        try:
            smtp.login(self._server.user, self._server.password)
        except smtplib.SMTPNotSupportedError:
            raise Misconfigured("The mail server offers no way to sign in, and CREDBOARD_SMTP_USER is set") from None
        except smtplib.SMTPResponseException as error:
            # Not its words: there are servers that repeat what they were told.
            code = error.smtp_code
            if 400 <= code < 500:
                raise Unreachable(f"The mail server cannot sign anyone in for now ({code})") from None
            raise Misconfigured(f"The mail server refused CREDBOARD_SMTP_USER or its password ({code})") from None
        except smtplib.SMTPServerDisconnected:
            raise Unreachable("The mail server ended the conversation at the sign-in") from None
        except smtplib.SMTPException as error:
            raise Misconfigured(f"The mail server cannot be signed in to ({type(error).__name__})") from None

    @property
    def _connected(self) -> smtplib.SMTP:
        if self._smtp is None:
            raise Unreachable("The mail server ended the conversation")
        return self._smtp

    def _begin(self, body: bytes, *, sender: str, recipient: str) -> None:
        """Up to the last byte before the end mark: all of it may be done again."""
        smtp = self._connected
        try:
            code, words = smtp.mail(sender)
            if code >= 500:
                # It is the same sender for every mail.
                raise _refused(Misconfigured, f"mails from {sender}", code, words)
            _expect(250, code, words, "the sender")
            code, words = smtp.rcpt(recipient)
            if code not in (250, 251):
                _expect(250, code, words, "the recipient")
            code, words = smtp.docmd("DATA")
            _expect(354, code, words, "the message")
            smtp.send(_stuffed(body))
        except (smtplib.SMTPException, OSError) as error:
            raise Unreachable(f"The mail server ended the conversation: {_cause(error)}") from None

    def _finish(self) -> None:
        smtp = self._connected
        try:
            smtp.send(b".\r\n")
            code, words = smtp.getreply()
        except (smtplib.SMTPException, OSError) as error:
            raise InDoubt(f"The mail server did not say whether it took the mail: {_cause(error)}") from None
        if 200 <= code < 300:
            return
        if not 400 <= code < 600:
            raise InDoubt(f"The mail server did not say whether it took the mail, but {_told(code, words)}")
        if code == 421:
            self._drop()
        raise _refused(TryLater if code < 500 else Rejected, "the message", code, words)


def _expect(expected: int, code: int, words: bytes, what: str) -> None:
    if code == expected:
        return
    if code == 421 or not 400 <= code < 600:  # 421: it is about to hang up
        raise _refused(Unreachable, what, code, words)
    raise _refused(TryLater if code < 500 else Rejected, what, code, words)


def _refused(kind: type[Undelivered], what: str, code: int, words: bytes | str) -> Undelivered:
    return kind(f"The mail server refused {what}: {_told(code, words)}")


def _told(code: int, words: bytes | str) -> str:
    text = words if isinstance(words, str) else words.decode("utf-8", "replace")
    return f"{code} {text}".strip()


def _tls_trouble(error: ssl.SSLError) -> Undelivered:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Misconfigured(
            f"The mail server's certificate is not trusted: {error.verify_message}. "
            "CREDBOARD_SMTP_CA_FILE can name who signed it"
        )
    return Misconfigured(
        f"TLS with the mail server failed ({error.reason or 'no reason told'}); check CREDBOARD_SMTP_SECURITY and _PORT"
    )


def _cause(error: Exception) -> str:
    """What happened, in words; smtplib wraps some errors of the system into its own."""
    inner = error.__context__ if isinstance(error, smtplib.SMTPServerDisconnected) else None
    told = inner if isinstance(inner, OSError) else error
    if isinstance(told, TimeoutError):
        return "it was silent for too long"
    if isinstance(told, smtplib.SMTPServerDisconnected):
        return "it closed the connection"
    return (told.strerror if isinstance(told, OSError) else "") or type(told).__name__


def _stuffed(body: bytes) -> bytes:
    """`body` with a dot before each line that begins with one, ending in CRLF (RFC 5321, section 4.5.2)."""
    stuffed = re.sub(rb"(?m)^\.", b"..", body)
    return stuffed if stuffed.endswith(b"\r\n") else stuffed + b"\r\n"
