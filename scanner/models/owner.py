"""Whose a Namespace is, and so who may see it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Q, QuerySet


def groups_of(user: Any) -> QuerySet[Group]:
    """The groups that count for `user`: all of a local person's; of one who comes by the header of a proxy those that
    it named the last time, as long as `settings.GROUPS_HEADER` has it asked for any."""
    counts = settings.GROUPS_HEADER or user.has_usable_password()
    found: QuerySet[Group] = user.groups.all() if counts else Group.objects.none()
    return found


class NamespaceOwnerQuerySet(models.QuerySet["NamespaceOwner"]):
    def naming(self, user: Any) -> NamespaceOwnerQuerySet:
        """Those that name `user` or one of the groups; none for who may not sign in."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        named = Q(kind="user", name__in=[name for name in (user.get_username(), user.email) if name])
        grouped = Q(kind="group", name__in=groups_of(user).values("name"))
        return self.filter(named | grouped)


class NamespaceOwner(models.Model):
    """A user or group whose Namespace it is, and what says so: "profile", "annotation" or "rolebinding"."""

    namespace = models.ForeignKey("Namespace", on_delete=models.CASCADE, related_name="owners", db_index=False)
    kind = models.CharField(max_length=5)
    name = models.CharField(max_length=253)
    source = models.CharField(max_length=12)

    objects = NamespaceOwnerQuerySet.as_manager()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["namespace", "kind", "name"], name="owner_once_per_namespace"),)
        indexes = (models.Index(fields=["kind", "name", "namespace"], name="owner_by_name"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
