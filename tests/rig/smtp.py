"""A real mail server (aiosmtpd) that keeps what it takes, and fails at a step of the conversation when told to."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.rig.certificates import KeyPair
from tests.rig.process import free_port

#: What a step can do instead of answering.
HANG = "hang"  # be silent until the server stops
DROP = "drop"  # close the connection
KEEP_AND_DROP = "keep and drop"  # take the message, then close the connection without a word
KEEP_AND_HOLD = "keep and hold"  # take the message, and answer when `release` is set

_PATIENCE = 60  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    sender: str
    recipients: tuple[str, ...]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.content, policy=default)
        assert isinstance(parsed, EmailMessage)
        return parsed


class _Smtp(SMTP):
    """With a say in the greeting."""

    async def push(self, status: Any) -> None:
        handler: SmtpSink = self.event_handler
        if (
            not self.session.host_name
            and isinstance(status, str)
            and status.startswith("220 ")
            and not self._is_greeted
        ):
            self._is_greeted = True
            handler.connections += 1
            answer = await handler.answer("connect", self)
            if answer is not None:
                await super().push(answer)
                self.transport.close()
                return
        await super().push(status)

    _is_greeted = False


class SmtpSink(Controller):
    """Listens on 127.0.0.1 between `with` and its end; `messages` is what it took, in order.

    `answers[step]` is what to do at the next passages of a step ("connect", "ehlo", "mail", "rcpt", "data", which is
    after the message came): a reply such as "451 4.3.0 Try later", or a constant above. Without one all is well.
    """

    def __init__(
        self,
        *,
        security: str = "none",
        certificate: KeyPair | None = None,
        users: Mapping[str, str] | None = None,
    ) -> None:
        self.messages: list[Received] = []
        self.connections = 0
        self.sign_ins: list[str] = []
        self.answers: defaultdict[str, deque[str]] = defaultdict(deque)
        self.holding = threading.Event()
        self.release = threading.Event()
        self._ending = asyncio.Event()
        self._users = dict(users or {})
        self._security = security
        self._context = _context(certificate) if certificate else None
        super().__init__(
            self,
            hostname="127.0.0.1",
            port=free_port(),
            ready_timeout=_PATIENCE,
            ssl_context=self._context if security == "tls" else None,
        )

    def factory(self) -> SMTP:
        return _Smtp(
            self,
            ident="sink",
            hostname="sink.example.com",
            tls_context=self._context if self._security == "starttls" else None,
            require_starttls=self._security == "starttls",
            authenticator=self._authenticate if self._users else None,
            auth_required=bool(self._users) and self._security == "starttls",
            auth_require_tls=self._security == "starttls",
            auth_exclude_mechanism=["LOGIN"],
        )

    def __enter__(self) -> Self:
        self.start()  # which connects once to see whether it listens
        self.connections = 0
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        asyncio.run_coroutine_threadsafe(self._end_all(), self.loop).result(_PATIENCE)
        self.stop()

    async def _end_all(self) -> None:
        """Let every conversation end by itself: one that the end of the loop cuts off leaves warnings behind."""
        self._ending.set()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=5)

    async def answer(self, step: str, smtp: SMTP) -> str | None:
        """What to say at `step`; None: what a server says when all is well."""
        told = self.answers[step].popleft() if self.answers[step] else None
        if told not in (HANG, DROP):
            return told
        try:
            if told == HANG:
                await self._ending.wait()
        finally:  # as well when the client left, which cancels this
            smtp.transport.close()
        return "421 Closing"

    async def handle_EHLO(
        self, server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        told = await self.answer("ehlo", server)
        return responses if told is None else [told]

    async def handle_MAIL(
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        told = await self.answer("mail", server)
        if told is None:
            envelope.mail_from = address
        return told or "250 OK"

    async def handle_RCPT(
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        told = await self.answer("rcpt", server)
        if told is None:
            envelope.rcpt_tos.append(address)
        return told or "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        told = await self.answer("data", server)
        if told in (None, KEEP_AND_DROP, KEEP_AND_HOLD):
            assert isinstance(envelope.content, bytes)
            self.messages.append(
                Received(sender=envelope.mail_from or "", recipients=tuple(envelope.rcpt_tos), content=envelope.content)
            )
        if told == KEEP_AND_DROP:
            server.transport.close()
        if told == KEEP_AND_HOLD:
            self.holding.set()
            await asyncio.get_running_loop().run_in_executor(None, self.release.wait, _PATIENCE)
        return "250 Taken" if told in (None, KEEP_AND_DROP, KEEP_AND_HOLD) else told

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword), mechanism
        name, password = data.login.decode(), data.password.decode()
        self.sign_ins.append(name)
        if self._users.get(name) == password:
            return AuthResult(success=True)
        # As some servers do: they repeat what they were told.
        return AuthResult(success=False, handled=False, message=f"535 5.7.8 No: {name} with {password}")


def _context(certificate: KeyPair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    return context
