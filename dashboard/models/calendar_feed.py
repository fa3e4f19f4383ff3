"""Addresses from which a calendar program reads when credentials end."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.db.models import Q

from dashboard.models.api_key import USE_NOTED_EVERY, hash_of


class CalendarFeedQuerySet(models.QuerySet["CalendarFeed"]):
    def manageable_by(self, user: Any) -> CalendarFeedQuerySet:
        """As `ApiKeyQuerySet.manageable_by`."""
        rows = self if user.is_staff else self.filter(user=user)
        return rows.select_related("user").order_by("revoked_at", "-created_at", "-pk")

    def issue(self, user: User, *, now: datetime) -> tuple[CalendarFeed, str]:
        """A new feed, and the part of its address that cannot be guessed, which nothing can tell again afterwards."""
        token = secrets.token_urlsafe(32)
        return self.create(user=user, token_hash=hash_of(token), created_at=now), token

    def holding(self, token: str) -> CalendarFeed | None:
        """The feed of `token`; None for an unknown or revoked one, and for one of somebody who may not sign in."""
        found = self.filter(token_hash=hash_of(token), revoked_at=None, user__is_active=True)
        return found.select_related("user").first()

    def note_use(self, feed: CalendarFeed, *, now: datetime) -> None:
        before = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_NOTED_EVERY)
        self.filter(before, pk=feed.pk).update(last_used_at=now)

    def revoke(self, feed: CalendarFeed, *, now: datetime) -> bool:
        """False: it was revoked before."""
        return self.filter(pk=feed.pk, revoked_at=None).update(revoked_at=now) == 1


class CalendarFeed(models.Model):
    """What `user` may see of when credentials end, for whoever knows the address. Only a hash of its token is kept."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="calendar_feeds")
    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects = CalendarFeedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"calendar of {self.user_id}"
