"""What sign-in remembers: passwords that may be used once, and sign-ins that failed."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import User
from django.db import models

#: So many sign-ins may fail for one user name from one address within this time.
MOST_FAILURES: Final = 5
FAILURE_WINDOW: Final = timedelta(minutes=15)


class OneTimePasswordQuerySet(models.QuerySet["OneTimePassword"]):
    def has(self, user: AbstractBaseUser) -> bool:
        return self.filter(user_id=user.pk).exists()

    def user(self, pk: int) -> User | None:
        """The active user `pk` if the password is still to be changed."""
        found = self.filter(user_id=pk, user__is_active=True).select_related("user").first()
        return found.user if found else None

    def spend(self, user: AbstractBaseUser) -> None:
        self.filter(user_id=user.pk).delete()


class OneTimePassword(models.Model):
    """Marks a user whose password must be changed at the next sign-in. Until then the password opens only that page."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, related_name="one_time_password")

    objects = OneTimePasswordQuerySet.as_manager()

    def __str__(self) -> str:
        return f"one-time password of {self.user_id}"


class FailedSignInQuerySet(models.QuerySet["FailedSignIn"]):
    def begin(self, username: str, address: str, *, now: datetime) -> datetime | None:
        """Count one more try as failed; None, or when the next one is allowed if there were too many.

        It counts before the password is looked at, so that tries at the same moment in several processes cannot all see
        a free slot. A try that succeeds takes everything back with `forget`.
        """
        key = _key(username, address)
        self.filter(at__lt=now - FAILURE_WINDOW).delete()
        failures = sorted(self.filter(key=key).values_list("at", flat=True), reverse=True)
        if len(failures) < MOST_FAILURES:
            self.create(key=key, at=now)
            if self.filter(key=key).count() <= MOST_FAILURES:
                return None
            failures = [now, *failures]
        return failures[MOST_FAILURES - 1] + FAILURE_WINDOW

    def forget(self, username: str, address: str) -> None:
        self.filter(key=_key(username, address)).delete()


class FailedSignIn(models.Model):
    """A sign-in that failed. `key` is a keyed hash: what is typed as a user name is sometimes a password."""

    key = models.CharField(max_length=64, db_index=True)
    at = models.DateTimeField(db_index=True)

    objects = FailedSignInQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}"


def _key(username: str, address: str) -> str:
    message = f"{address}\0{username.casefold()}".encode("utf-8", "surrogatepass")
    return hmac.digest(settings.SECRET_KEY.encode(), message, hashlib.sha256).hex()
