from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from dashboard.models import ApiKey
from scanner import scan


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """The broker takes what it is told, without one."""
    calls: list[bool] = []

    def tell() -> bool:
        calls.append(True)
        return True

    monkeypatch.setattr(scan, "tell_dispatcher", tell)
    return calls


@pytest.fixture(name="operator")
def _operator() -> User:
    """One who signs in with a password: whom a trusted header made an operator is one only while settings say so."""
    return User.objects.create_user(username="ada", is_staff=True, password="correct horse battery")


Program = Callable[..., Client]


@pytest.fixture(name="program")
def _program() -> Program:
    """A client with a key of `user`."""

    def make(user: User, *, scope: str = "read", **fields: Any) -> Client:
        now = timezone.now()
        limits = {"name": "a program", "expires_at": now + timedelta(days=1), "now": now} | fields
        _, token = ApiKey.objects.issue(user, scope=scope, **limits)
        return Client(headers={"authorization": f"Bearer {token}"})

    return make
