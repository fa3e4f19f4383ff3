"""Who changed what, as far as a person may know."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

from django.core.paginator import Page, Paginator
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import QueryDict
from django.urls import reverse

from dashboard.identity import is_operator
from dashboard.list_page import address
from scanner.models import AuditEntry, Namespace

PAGE_SIZE: Final = 50


def _clean(text: str) -> str:
    """What a name may contain; PostgreSQL raises at a NUL."""
    return "".join(character for character in text if character.isprintable()).strip()


class AuditPage:
    """Newest first; an operator sees all, an owner what happened in their Namespaces."""

    def __init__(self, user: Any, query: QueryDict) -> None:
        self._user = user
        self.namespace = _clean(query.get("namespace", ""))[:253]
        self.actor = _clean(query.get("actor", ""))[:254]
        self._number = query.get("page", "1")

    @property
    def rows(self) -> QuerySet[AuditEntry]:
        """All of them, over all pages."""
        entries = AuditEntry.objects.all()
        if not is_operator(self._user):
            # By name: entries outlive the rows of what they speak of.
            # What is older than the Namespace is about another one that had its name.
            mine = Namespace.objects.visible_to(self._user).filter(
                Q(began_at=None) | Q(began_at__lte=OuterRef("at")),
                cluster__name=OuterRef("cluster"),
                name=OuterRef("namespace"),
            )
            entries = entries.filter(Exists(mine))
        if self.namespace:
            entries = entries.filter(namespace__icontains=self.namespace)
        if self.actor:
            entries = entries.filter(actor__icontains=self.actor)
        return entries.order_by("-at", "-pk")

    @cached_property
    def entries(self) -> Page[AuditEntry]:
        return Paginator(self.rows, PAGE_SIZE).get_page(self._number)

    @property
    def is_filtered(self) -> bool:
        return bool(self.namespace or self.actor)

    @property
    def csv_url(self) -> str:
        return address(reverse("export", args=["audit"]), {"namespace": self.namespace, "actor": self.actor})

    @property
    def newer_url(self) -> str:
        return self._url(self.entries.previous_page_number()) if self.entries.has_previous() else ""

    @property
    def older_url(self) -> str:
        return self._url(self.entries.next_page_number()) if self.entries.has_next() else ""

    def _url(self, number: int) -> str:
        return address("", {"namespace": self.namespace, "actor": self.actor, "page": number})
