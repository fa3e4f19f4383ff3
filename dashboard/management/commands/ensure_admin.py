"""`manage.py ensure_admin`: the first operator, so that someone can sign in."""

from __future__ import annotations

import secrets
from typing import Any, Final

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import BaseCommand, CommandError
from django.db import transaction

from dashboard import env
from dashboard.models import OneTimePassword

NAME: Final = "admin"


class Command(BaseCommand):
    help = (
        "Make the local operator 'admin' unless there is one. Its password is CREDBOARD_ADMIN_PASSWORD(_FILE), or a "
        "one-time password that is printed once and must be changed at the first sign-in."
    )

    def handle(self, **options: Any) -> None:
        given = env.text("CREDBOARD_ADMIN_PASSWORD")
        password = given or secrets.token_urlsafe(15)
        if given and not User.objects.filter(username=NAME).exists():
            _check(given)
        with transaction.atomic():
            user, created = User.objects.get_or_create(username=NAME, defaults={"is_staff": True})
            if not created:
                self.stdout.write(f"The user {NAME} is there already; nothing was changed.")
                return
            user.set_password(password)
            user.save()
            if not given:
                OneTimePassword.objects.create(user=user)
        if given:
            self.stdout.write(f"Sign in as {NAME} with the password in CREDBOARD_ADMIN_PASSWORD.")
        else:
            self.stdout.write(
                f"Sign in as {NAME} with the one-time password {password}\n"
                "It is shown only now, and you choose your own at the first sign-in."
            )


def _check(password: str) -> None:
    """Raises CommandError for what nobody could choose on a page either."""
    try:
        validate_password(password, User(username=NAME))
    except ValidationError as error:
        raise CommandError(
            f"CREDBOARD_ADMIN_PASSWORD cannot be used. {' '.join(error.messages)} Set another, or unset it for "
            "one that is made and printed once."
        ) from None
