"""What the drawer of a cell and the page of a Namespace need from the database."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from dashboard import creation, drawer, history
from dashboard.linking import Linking, linking
from dashboard.matrix import ESSENTIAL, REPAIRABLE, REPLACEABLE, CellRow, kind_of, note
from dashboard.models import Acknowledgement
from scanner.check import Status, all_checks
from scanner.models import Cell, Finding, Namespace, Scan, Transition

#: The account that reads the cluster where the README's commands were followed.
READER_ACCOUNT: Final = "credboard:reader"


#: Of the list of a Namespace's page.
MOST_CHANGES: Final = 20


class CellPage:
    """A cell of a Namespace that `user` may see."""

    def __init__(self, cell: Cell, user: Any, *, now: datetime) -> None:
        self.cell = cell
        self.namespace = cell.namespace
        self.credential = cell.credential
        self.now = now
        self._user = user

    @property
    def is_stale(self) -> bool:
        return self.namespace.is_stale(self.now)

    @property
    def status(self) -> str:
        return str(Status.UNKNOWN) if self.is_stale else self.cell.status

    @property
    def kind(self) -> str:
        return kind_of(self.credential.slug)

    @property
    def headline(self) -> str:
        """The verdict in words: "Missing here, exists in kubeflow"."""
        if self.is_stale:
            return "Not known any more"
        elsewhere = self.places[0][0] if self.places else ""
        return drawer.headline(
            self.cell.status,
            self.cell.reason,
            elsewhere,
            cause=str(self.cell.details.get("cause", "")),
            code=str(self.cell.details.get("code", "")),
        )

    @property
    def is_about_its_end(self) -> bool:
        """True when the headline goes on with when the credential ended, or will."""
        return not self.is_stale and self.cell.expires_at is not None and self.cell.reason in drawer.ENDINGS

    @property
    def verified(self) -> str:
        return drawer.VERIFIED.get(self.cell.verified, self.cell.verified.replace("-", " "))

    @property
    def history_spoken(self) -> str:
        return history.spoken(self.days)

    @property
    def url(self) -> str:
        return reverse("cell", args=[self.namespace.cluster.name, self.namespace.name, self.credential.slug])

    @cached_property
    def owners(self) -> list[str]:
        return [owner.name for owner in self.namespace.owners.all()]

    @cached_property
    def _open(self) -> list[drawer.FindingRow]:
        found = Finding.objects.of_credential(self.namespace, self.credential.slug).open().worst_first()
        return [finding_row(finding) for finding in found]

    @cached_property
    def acknowledgement(self) -> Acknowledgement | None:
        """The one in force, also while the cell is stale."""
        found = Acknowledgement.objects.of_cell(self.namespace, self.credential.slug).in_force(self.now)
        return found.first()

    @property
    def is_hurt(self) -> bool:
        """True when there is something to acknowledge."""
        return self.status != Status.OK

    @cached_property
    def findings(self) -> tuple[drawer.Explained, ...]:
        return drawer.explain(self._open, all_checks())

    @cached_property
    def chain(self) -> tuple[drawer.ChainStep, ...]:
        return drawer.chain(self.cell.details)

    @cached_property
    def pods(self) -> tuple[drawer.WaitingPod, ...]:
        return drawer.waiting_pods(self.cell.details.get("pods") or (), self._open)

    @property
    def more_pods(self) -> int:
        return max(0, self.cell.pod_count - len(self.pods))

    @cached_property
    def places(self) -> list[tuple[str, str]]:
        """Where else such a Secret is, as far as the person may know."""
        known = drawer.places(self._open)
        if not known:
            return []
        visible = Namespace.objects.visible_to(self._user).of_cluster(self.namespace.cluster)
        names = set(visible.named([name for name, _ in known]).values_list("name", flat=True))
        return [place for place in known if place[0] in names]

    @property
    def is_elsewhere_hidden(self) -> bool:
        return not self.places and drawer.elsewhere_count(self._open) > 0

    @cached_property
    def changes(self) -> list[history.Change]:
        """Those of the last 30 days, the newest first."""
        since = self.now - timedelta(days=history.DAYS)
        found = Transition.objects.of_cell(self.namespace, self.credential.slug).between(since, self.now)
        return changes_of(found.seen_by(self._user))

    @property
    def _stale_since(self) -> datetime | None:
        seen_at = self.namespace.scanned_at if self.is_stale else None
        return min(seen_at, self.now) if seen_at else None

    @cached_property
    def days(self) -> tuple[history.Day, ...]:
        told = history.segments(
            self.changes,
            state=history.State(self.cell.status, self.cell.reason),
            state_since=self.cell.since,
            looking_since=Scan.objects.first_started_of(self.namespace.cluster),
            stale_since=self._stale_since,
            now=self.now,
        )
        return history.days(told, now=self.now, zone=timezone.get_current_timezone())

    @property
    def has_history(self) -> bool:
        """True once there was anything to tell of: thirty green days are not."""
        return any(day.status not in ("", Status.OK) for day in self.days)

    @property
    def expiry_source(self) -> str:
        source = self.cell.expiry_source
        return drawer.EXPIRY_SOURCES.get(source, source.replace("-", " "))

    @property
    def is_repairable(self) -> bool:
        """True when a new pull Secret, made from this page, may put it right."""
        return self._is_curable and not settings.READ_ONLY

    @property
    def what_to_do(self) -> str:
        """For a cell that is not well, and that no new pull Secret puts right; "" where nothing can be said."""
        if self.cell.reason == "too-many" and not self.is_stale:
            return drawer.too_many(self.cell.details)
        if not self.is_hurt or self.is_stale or self._is_curable or not self.findings:
            return ""
        worst = self.findings[0]
        # A pull fails for many causes, and each Pod knows its own.
        causes = (pod.advice for pod in self.pods if pod.advice) if worst.code == "PO01" else ()
        return next(iter(causes), worst.how)

    @property
    def read_only(self) -> str:
        """Why no new pull Secret can be made from this page, though it might put it right; "" where it can."""
        return creation.READ_ONLY if self._is_curable and settings.READ_ONLY else ""

    @property
    def create_code(self) -> str:
        """The new pull Secret as kubectl commands, for where it cannot be made from this page."""
        known = creation.know(
            self.credential.slug,
            [(finding.code, finding.details) for finding in self._open],
            all_accounts=self.namespace.service_accounts,
            taken=self.namespace.pull_secrets,
        )
        return creation.as_code(known, namespace=self.namespace.name)

    @cached_property
    def _is_curable(self) -> bool:
        fits = creation.is_creatable(self.credential.slug, [finding.code for finding in self._open])
        return fits and self.cell.reason in REPAIRABLE and not self.is_stale

    @cached_property
    def linking(self) -> Linking | None:
        """How a Secret that is here gets into the Pods; None where that is not the repair."""
        return None if self.is_stale else linking(self._open, namespace=self.namespace.name)

    @property
    def replace_command(self) -> str:
        """How to put another login into the Secret that is there; "" where that is not the repair."""
        registry = creation.registry_of(self.credential.slug)
        names = [self.cell.secret, *(finding.details.get("secret") for finding in self._open)]
        secret = next((name for name in names if isinstance(name, str) and name), "")
        if not (registry and secret) or self.cell.reason not in REPLACEABLE or self.is_stale:
            return ""
        return drawer.replace_command(
            namespace=self.namespace.name,
            secret=secret,
            server=creation.server_of(registry),
            is_other_type=self.cell.reason == "wrong-type",
        )

    @property
    def commands(self) -> str:
        accounts = [name for finding in self._open for name in finding.details.get("service_accounts") or ()]
        return "\n".join(
            drawer.look_commands(
                namespace=self.namespace.name,
                secret=self.cell.secret,
                pods=[pod.name for pod in self.pods],
                accounts=accounts,
            )
        )

    @property
    def note(self) -> str:
        """The few words that the matrix puts beside the reason."""
        cell = self.cell
        row = CellRow(
            namespace=cell.namespace_id,
            credential=self.credential.slug,
            status=cell.status,
            reason=cell.reason,
            expires_at=cell.expires_at,
            pod_count=cell.pod_count,
        )
        return note(row, now=self.now)

    @property
    def state_in_list(self) -> tuple[object, ...]:
        told = self.acknowledgement
        return (self.credential.slug, self.status, self.cell.reason, self.cell.since, self.note, told and told.pk)

    @property
    def state(self) -> tuple[object, ...]:
        """All that the page shows, for a poll to tell whether anything changed."""
        cell, told = self.cell, self.acknowledgement
        return (
            self.status, cell.reason, cell.since, cell.expires_at, cell.secret, cell.pod_count, self.chain, self.pods,
            self.findings, self.places, self.namespace.scanned_at, told and (told.pk, told.until), len(self.changes),
        )  # fmt: skip


class NamespacePage:
    """Everything about one Namespace that `user` may see."""

    def __init__(self, namespace: Namespace, user: Any, *, now: datetime) -> None:
        self.namespace = namespace
        self.cluster = namespace.cluster
        self.now = now
        self._user = user

    @property
    def url(self) -> str:
        return reverse("namespace", args=[self.cluster.name, self.namespace.name])

    @property
    def is_stale(self) -> bool:
        return self.namespace.is_stale(self.now)

    @property
    def status(self) -> str:
        return str(self.namespace.status_at(self.now))

    @cached_property
    def owners(self) -> list[Any]:
        return list(self.namespace.owners.all())

    @cached_property
    def cells(self) -> list[CellPage]:
        told = {one.credential: one for one in Acknowledgement.objects.of_namespace(self.namespace).in_force(self.now)}
        pages = []
        for cell in Cell.objects.of_namespace(self.namespace):
            cell.namespace = self.namespace
            page = CellPage(cell, self._user, now=self.now)
            page.acknowledgement = told.get(cell.credential.slug)
            pages.append(page)
        return pages

    @cached_property
    def changes(self) -> list[history.Change]:
        """The newest of the last 30 days."""
        since = self.now - timedelta(days=history.DAYS)
        found = Transition.objects.filter(namespace=self.namespace, at__gte=since).seen_by(self._user)
        return changes_of(found, at_most=MOST_CHANGES)

    @cached_property
    def _rows(self) -> list[drawer.FindingRow]:
        return [finding_row(finding) for finding in Finding.objects.of_namespace(self.namespace).open().worst_first()]

    @cached_property
    def findings(self) -> tuple[drawer.Explained, ...]:
        return drawer.explain(self._rows, all_checks())

    @cached_property
    def pods(self) -> tuple[drawer.WaitingPod, ...]:
        """Pods with a message of the runtime."""
        return tuple(pod for pod in drawer.waiting_pods((), self._rows) if pod.raw)

    @property
    def unseen(self) -> list[tuple[str, str]]:
        return sorted(self.namespace.unreadable.items())

    @property
    def is_blind(self) -> bool:
        """True when so much is unreadable that a credential may be missing without a word here."""
        return self.namespace.scanned_at is None or not ESSENTIAL.isdisjoint(self.namespace.unreadable)

    @property
    def grant(self) -> str:
        refused = [resource for resource, why in self.unseen if why == "forbidden"]
        if not refused:
            return ""
        commands = drawer.grant_commands(namespace=self.namespace.name, resources=refused, account=READER_ACCOUNT)
        return "\n".join(commands)

    @property
    def account(self) -> str:
        return READER_ACCOUNT

    @property
    def unasked(self) -> list[tuple[str, str, str]]:
        """Checks that could not be asked: code, name, why."""
        checks = all_checks()
        asked = sorted(self.namespace.unasked.items())
        return [(code, checks[code].summary if code in checks else "", why) for code, why in asked]

    @property
    def labels(self) -> list[str]:
        return [f"{key}={value}" if value else key for key, value in sorted(self.namespace.labels.items())]

    @property
    def state(self) -> tuple[object, ...]:
        cells = tuple(cell.state_in_list for cell in self.cells)
        return (self.status, self.namespace.scanned_at, cells, self.findings, self.changes)


def changes_of(transitions: QuerySet[Transition], *, at_most: int | None = None) -> list[history.Change]:
    """The newest first."""
    found = transitions.select_related("credential").order_by("-at", "-pk")[:at_most]
    return [
        history.Change(
            at=one.at,
            before=history.State(one.status_before, one.reason_before),
            after=history.State(one.status_after, one.reason_after),
            credential=one.credential.slug,
        )
        for one in found
    ]


def finding_row(finding: Finding) -> drawer.FindingRow:
    return drawer.FindingRow(
        code=finding.code,
        object=finding.object,
        credential=finding.credential,
        status=finding.status,
        reason=finding.reason,
        message=finding.message,
        first_seen_at=finding.first_seen_at,
        resolved_at=finding.resolved_at,
        details=finding.details,
    )
