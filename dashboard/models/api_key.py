"""Keys with which programs use the API in a person's name."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.db.models import Q

from scanner.models import Cluster

#: What every key begins with, so that people and secret scanners know one when they see it.
KEY_MARK: Final = "cbk_"
LONGEST_LIFE: Final = timedelta(days=365)
DEFAULT_LIFE: Final = timedelta(days=90)
#: How often the time of the last use is written at the most: a page of the API must not cost a write.
USE_NOTED_EVERY: Final = timedelta(minutes=1)


def hash_of(token: str) -> str:
    """SHA-256 of a key or feed token, in hex. Both are 256 random bits: salt or stretching would add nothing."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def manageable_by(self, user: Any) -> ApiKeyQuerySet:
        """A person's own, newest first; everyone's for an operator, who can so end a key that leaked."""
        rows = self if user.is_staff else self.filter(user=user)
        return rows.select_related("user", "cluster").order_by("revoked_at", "-created_at", "-pk")

    def issue(
        self,
        user: User,
        *,
        name: str,
        scope: str,
        expires_at: datetime,
        now: datetime,
        cluster: Cluster | None = None,
        namespace: str = "",
    ) -> tuple[ApiKey, str]:
        """A new key, and its text, which nothing can tell again afterwards.

        Raises ValueError when it would live longer than `LONGEST_LIFE`, or is limited to a Namespace of no cluster.
        """
        if not now < expires_at <= now + LONGEST_LIFE:
            raise ValueError("A key ends within a year")
        if namespace and cluster is None:
            raise ValueError("A Namespace is in a cluster")
        prefix = f"{KEY_MARK}{secrets.token_hex(4)}"
        token = f"{prefix}_{secrets.token_urlsafe(32)}"
        key = self.create(
            user=user, name=name, scope=scope, prefix=prefix, hash=hash_of(token), cluster=cluster, namespace=namespace,
            created_at=now, expires_at=expires_at,
        )  # fmt: skip
        return key, token

    def holding(self, token: str, *, now: datetime) -> ApiKey | None:
        """The key whose text is `token`, with its person; None for an unknown, revoked or expired one, and for one of
        somebody who may not sign in any more."""
        found = self.filter(hash=hash_of(token), revoked_at=None, expires_at__gt=now, user__is_active=True)
        return found.select_related("user", "cluster").first()

    def note_use(self, key: ApiKey, *, now: datetime) -> None:
        if key.last_used_at is None or key.last_used_at <= now - USE_NOTED_EVERY:
            before = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_NOTED_EVERY)
            self.filter(before, pk=key.pk).update(last_used_at=now)

    def revoke(self, key: ApiKey, *, now: datetime) -> bool:
        """False: it was revoked before."""
        return self.filter(pk=key.pk, revoked_at=None).update(revoked_at=now) == 1


class ApiKey(models.Model):
    """Lets a program see what `user` may see at the moment of the call, and with scope "write" do what `user` may do.

    Only a hash of its text is kept, and `prefix`, its beginning, for people to tell keys apart. A key with a `cluster`,
    or a `namespace` of it, is good for that one only.
    """

    READ: Final = "read"
    WRITE: Final = "write"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    scope = models.CharField(max_length=5, default=READ)
    prefix = models.CharField(max_length=16)
    hash = models.CharField(max_length=64, unique=True)
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, null=True, related_name="+")
    namespace = models.CharField(max_length=253, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects = ApiKeyQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.prefix} of {self.user_id}"

    @property
    def may_write(self) -> bool:
        return self.scope == self.WRITE

    def state_at(self, now: datetime) -> str:
        """ "active", "expired" or "revoked"."""
        if self.revoked_at is not None:
            return "revoked"
        return "active" if now < self.expires_at else "expired"
