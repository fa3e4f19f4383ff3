"""Creating the pull Secret that a cell lacks: what is known, the form, the deed, and how far the rescan is."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.views.decorators.debug import sensitive_variables

from dashboard import creation
from dashboard.creation import Known
from dashboard.forms import CreateForm
from dashboard.identity import is_operator, may_create, person_of
from scanner import provision
from scanner.check import Status
from scanner.cluster import ClusterError, words_for_owners
from scanner.credential import CredentialKind, credential_kinds
from scanner.models import Cell, Finding, Namespace
from scanner.provision import Created, Plan, Refusal
from scanner.scan import request_scan

KIND: Final = "docker-registry"

#: How often a page asks whether the rescan is back, a second apart, before it says that this takes too long.
MOST_POLLS: Final = 60
#: While a rescanned cell is not well yet, the matrix is redrawn with every fifth poll only.
NEWS_EVERY: Final = 5
#: Pods need a moment to start again, so a cell that is not well yet is looked at once more after so long.
LOOK_AGAIN: Final = timedelta(seconds=4)


class CreatePage:
    """The form for `credential` in `namespace`, which the person may see.

    Raises Http404 for what cannot be created, and PermissionDenied where Credboard only reads.
    """

    def __init__(self, namespace: Namespace, credential: str) -> None:
        if settings.READ_ONLY:
            raise PermissionDenied(creation.READ_ONLY)
        self.namespace = namespace
        self.cluster = namespace.cluster
        self.credential = credential
        if not creation.is_creatable(credential, [finding.code for finding in self._findings]):
            raise Http404("Nothing to create")
        self.refusal: Refusal | None = None
        self.form = self._form(None)

    @cached_property
    def kind(self) -> CredentialKind:
        return credential_kinds()[KIND]

    @cached_property
    def _findings(self) -> list[Finding]:
        return list(Finding.objects.of_credential(self.namespace, self.credential).open().worst_first())

    @cached_property
    def known(self) -> Known:
        return creation.know(
            self.credential,
            [(finding.code, finding.details) for finding in self._findings],
            all_accounts=self.namespace.service_accounts,
            taken=self.namespace.pull_secrets,
        )

    def _form(self, data: Any) -> CreateForm:
        return CreateForm(data, kind=self.kind, known=self.known, all_accounts=self.namespace.service_accounts)

    @property
    def url(self) -> str:
        return self._reverse("create")

    @property
    def created_url(self) -> str:
        return self._reverse("created")

    @cached_property
    def has_cell(self) -> bool:
        return Cell.objects.of_namespace(self.namespace).filter(credential__slug=self.credential).exists()

    @property
    def cell_url(self) -> str:
        """Where the person came from: the cell, or the Namespace when there is no such cell."""
        return self._reverse("cell") if self.has_cell else self.namespace_url

    @property
    def namespace_url(self) -> str:
        return reverse("namespace", args=[self.cluster.name, self.namespace.name])

    def _reverse(self, name: str) -> str:
        return reverse(name, args=[self.cluster.name, self.namespace.name, self.credential])

    @property
    def code(self) -> str:
        return creation.as_code(self.known, namespace=self.namespace.name)

    @property
    def secret_type(self) -> str:
        return self.kind.creates

    @sensitive_variables()
    def submit(self, data: Any, user: Any) -> Created | None:
        """Do what the form says; None when it shows why not."""
        form = self.form = self._form(data)
        built = form.build() if form.is_valid() else None
        if built is None:
            form.forget_secrets()
            return None
        chosen = form.cleaned_data
        plan = Plan(
            name=chosen["name"],
            type=self.kind.creates,
            credential=self.credential,
            registry=self.known.registry,
            service_accounts=tuple(chosen["service_accounts"]),
            restart=chosen["restart"] and bool(self.known.pods),
        )
        try:
            return self._create(plan, built, user)
        except Refusal as refusal:
            self.refusal = refusal
        except ClusterError as error:
            if is_operator(user):
                self.refusal = Refusal(str(error), remedy=error.remedy)
            else:
                self.refusal = Refusal(words_for_owners(error))
        form.refuse(self.refusal)
        form.forget_secrets()
        return None

    @sensitive_variables("built")
    def _create(self, plan: Plan, built: dict[str, bytes], user: Any) -> Created:
        with provision.connect(self.cluster) as connection:
            # Whether someone may is asked as ourselves: the right to ask is not the person's.
            return provision.create_pull_secret(
                connection.acting_as(person_of(user)) if settings.WRITE_AS == "person" else connection,
                self.namespace,
                plan,
                built,
                actor=user.get_username(),
                permitted=lambda: may_create(
                    user, self.namespace, connection, link=bool(plan.service_accounts), restart=plan.restart
                ),
            )


class CreatedPage:
    """How the cell stands since `after`, the time of the creation."""

    def __init__(self, namespace: Namespace, credential: str, *, after: str, polls: str, now: datetime) -> None:
        self.create = CreatePage(namespace, credential)
        self.namespace = namespace
        self.credential = credential
        self.after = _time(after) or now
        self.polls = int(polls) if polls.isascii() and polls.isdigit() and len(polls) < 4 else 0
        self.now = now

    @cached_property
    def cell(self) -> Cell | None:
        return Cell.objects.of_namespace(self.namespace).filter(credential__slug=self.credential).first()

    @property
    def is_rescanned(self) -> bool:
        return self.namespace.scanned_at is not None and self.namespace.scanned_at >= self.after

    @property
    def is_well(self) -> bool:
        return self.is_rescanned and (self.cell is None or self.cell.status == Status.OK)

    @property
    def is_waiting(self) -> bool:
        return not self.is_well and self.polls < MOST_POLLS

    @property
    def has_news(self) -> bool:
        """True when the matrix behind the drawer should look again."""
        return self.is_well or (self.is_rescanned and self.polls % NEWS_EVERY == 1)

    @property
    def poll_url(self) -> str:
        return f"{self.create.created_url}?after={self.after.strftime(_FORMAT)}&polls={self.polls + 1}"

    def look_again(self) -> None:
        """Have the Namespace scanned once more if the last scan came too early to see its Pods well."""
        seen_at = self.namespace.scanned_at
        is_early = self.is_waiting and self.is_rescanned and seen_at is not None and seen_at < self.now - LOOK_AGAIN
        if is_early and self.namespace.next_scan_at is None:
            request_scan(self.namespace, now=self.now)


_FORMAT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


def created_url(page: CreatePage, *, after: datetime) -> str:
    return f"{page.created_url}?after={after.strftime(_FORMAT)}"


def _time(text: str) -> datetime | None:
    try:
        at = parse_datetime(text)
    except ValueError:
        return None
    return at if at and at.tzinfo else None
