"""`manage.py person`: local people, who sign in with a password."""

from __future__ import annotations

import secrets
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.core.management import BaseCommand, CommandError
from django.core.validators import validate_email
from django.db import transaction

from dashboard.identity import LONGEST_NAME, RESERVED
from dashboard.models import OneTimePassword


class Command(BaseCommand):
    help = (
        "Make or change a local person, who signs in with a password. A new one gets a one-time password that is "
        "printed once. People see the Namespaces that name them, their email address or one of their groups as owner."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="user name, as Namespaces name their owner")
        parser.add_argument("--operator", action="store_true", help="sees and does everything, in all Namespaces")
        parser.add_argument(
            "--group", action="append", metavar="G", help="member of this group; repeatable; '' for none"
        )
        parser.add_argument(
            "--email", metavar="A", help="another name by which Namespaces may name this owner; '' for none"
        )
        parser.add_argument("--remove", action="store_true", help="delete this person")

    def handle(
        self,
        *,
        name: str,
        operator: bool,
        group: list[str] | None,
        email: str | None,
        remove: bool,
        **options: Any,
    ) -> None:
        _check_name(name, "name")
        known = User.objects.filter(username=name).first()
        if known is not None and not known.has_usable_password():
            raise CommandError(f"{name} comes by the header of a trusted proxy; what it says is taken at each request.")
        if remove:
            if operator or group is not None or email is not None:
                raise CommandError("--remove stands alone.")
            if known is None:
                raise CommandError(f"There is no local person called {name!r}.")
            known.delete()
            self.stdout.write(f"{name} can no longer sign in.")
            return
        groups = None if group is None else sorted({one.strip() for one in group} - {""})
        for one in groups or ():
            _check_name(one, "group")
        if email:
            _check_email(email)
        self._save(name, known, operator=operator, groups=groups, email=email)

    def _save(
        self, name: str, known: User | None, *, operator: bool, groups: list[str] | None, email: str | None
    ) -> None:
        password = ""
        with transaction.atomic():
            user = known or User(username=name)
            # Nobody stops being an operator because a command does not say so: --remove, then add again.
            user.is_staff = user.is_staff or operator
            user.email = user.email if email is None else email
            if known is None:
                password = secrets.token_urlsafe(15)
                user.set_password(password)
            user.save()
            if password:
                OneTimePassword.objects.create(user=user)
            if groups is not None:
                Group.objects.bulk_create([Group(name=one) for one in groups], ignore_conflicts=True)
                user.groups.set(Group.objects.filter(name__in=groups))
        role = "an operator" if user.is_staff else "an owner"
        member = ", ".join(user.groups.order_by("name").values_list("name", flat=True))
        self.stdout.write(f"{name} is {role}{f' in {member}' if member else ''}.")
        if password:
            self.stdout.write(
                f"The one-time password of {name} is {password}\n"
                "It is shown only now, and has to be changed at the first sign-in."
            )


def _check_name(name: str, what: str) -> None:
    """What a header may not name either (`identity`), and what Django's form would not sign in."""
    if not name or name != name.strip() or not name.isprintable():
        raise CommandError(f"A {what} is not empty and has no control characters, nor blanks around it: {name!r}.")
    if len(name) > LONGEST_NAME:
        raise CommandError(f"A {what} has at most {LONGEST_NAME} characters.")
    if name.startswith(RESERVED):
        raise CommandError(f"{name!r} begins with {RESERVED}, which Kubernetes keeps to itself.")


def _check_email(email: str) -> None:
    try:
        validate_email(email)
    except ValidationError as error:
        raise CommandError(f"{email!r} is not an email address.") from error
