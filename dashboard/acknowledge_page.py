"""The pages that acknowledge: one cell, or every cell of the same cause. Where, how it stands, and the form."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Any

from django.http import QueryDict
from django.urls import reverse

from dashboard.acknowledging import MOST_AT_ONCE, CannotAcknowledge, acknowledge, acknowledge_all
from dashboard.cell_page import CellPage
from dashboard.findings_page import FindingsPage
from dashboard.models import Acknowledgement
from dashboard.snoozing_form import AcknowledgeForm
from scanner.models import Cell


class AcknowledgePage:
    """Of a cell that `user` may see."""

    def __init__(self, cell: Cell, user: Any, *, now: datetime, data: QueryDict | None = None) -> None:
        self.cell = CellPage(cell, user, now=now)
        self._user = user
        self._now = now
        self._data = data

    @cached_property
    def form(self) -> AcknowledgeForm:
        return AcknowledgeForm(self._data, now=self._now)

    @property
    def url(self) -> str:
        namespace = self.cell.namespace
        return reverse("acknowledge", args=[namespace.cluster.name, namespace.name, self.cell.credential.slug])

    @property
    def is_well(self) -> bool:
        return self.cell.status == "ok"

    def submit(self) -> Acknowledgement | None:
        """Write what the form says. None: it cannot be, and the form says why."""
        if not self.form.is_valid():
            return None
        told = self.form.cleaned_data
        try:
            return acknowledge(
                self._user,
                self.cell.namespace,
                self.cell.credential.slug,
                note=told["note"],
                until=told["until"],
                is_snooze=self.form.is_snooze,
                now=self._now,
            )
        except CannotAcknowledge as error:
            self.form.add_error(None, error.words)
            return None


class AcknowledgeAllPage:
    """Of all cells with a finding that `findings` shows."""

    def __init__(self, findings: FindingsPage, user: Any, *, now: datetime, data: QueryDict | None = None) -> None:
        self.findings = findings
        self._user = user
        self._now = now
        self._data = data

    @cached_property
    def form(self) -> AcknowledgeForm:
        return AcknowledgeForm(self._data, now=self._now)

    @property
    def url(self) -> str:
        return self.findings.url(path=reverse("findings-acknowledge"))

    @property
    def back_url(self) -> str:
        """To the causes, without what narrowed them to this one."""
        return self.findings.url(code="", credential="", reason="")

    @property
    def causes(self) -> list[Any]:
        return self.findings.causes

    @property
    def cells(self) -> int:
        return len(self.findings.cells)

    @property
    def namespaces(self) -> int:
        return len({namespace for namespace, _ in self.findings.cells})

    @property
    def are_too_many(self) -> bool:
        return self.cells > MOST_AT_ONCE

    @property
    def most(self) -> int:
        return MOST_AT_ONCE

    def submit(self) -> int:
        """How many cells were written. 0: it cannot be, and the form says why."""
        if not self.form.is_valid():
            return 0
        told = self.form.cleaned_data
        try:
            return acknowledge_all(
                self._user,
                self.findings.cells,
                note=told["note"],
                until=told["until"],
                is_snooze=self.form.is_snooze,
                now=self._now,
            )
        except CannotAcknowledge as error:
            self.form.add_error(None, error.words)
            return 0
