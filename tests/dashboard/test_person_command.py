"""`manage.py person`: local people without a shell of Django."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from dashboard.models import OneTimePassword
from tests import factories

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("person", *arguments, stdout=out)
    return out.getvalue()


def test_a_new_person_signs_in_once_with_what_was_printed_and_sees_what_is_theirs(client: Client) -> None:
    factories.namespace(factories.cluster(), "team-vision", owners=("grace",))
    said = run("grace")
    assert said.startswith("grace is an owner.\n")
    (password,) = re.findall(r"one-time password of grace is (\S+)", said)
    user = User.objects.get()
    assert (user.is_staff, user.is_superuser, user.has_usable_password()) == (False, False, True)

    answer = client.post("/sign-in/", {"username": "grace", "password": password})
    assert answer.headers["Location"] == "/sign-in/new-password/"
    chosen = {"new_password1": "a much better one 1", "new_password2": "a much better one 1"}
    assert client.post("/sign-in/new-password/", chosen).status_code == 302
    assert client.get("/n/prod-eu/team-vision/").status_code == 200


def test_running_it_again_changes_only_what_is_named(client: Client) -> None:
    run("ada", "--operator", "--group", "platform", "--group", "ml", "--email", "ada@example.com")
    before = User.objects.get()
    said = run("ada")
    assert said == "ada is an operator in ml, platform.\n"
    after = User.objects.get()
    assert (after.password, after.email, after.is_staff) == (before.password, "ada@example.com", True)
    assert OneTimePassword.objects.has(after)

    assert run("ada", "--group", "", "--email", "") == "ada is an operator.\n"
    assert User.objects.get().email == ""


def test_a_removed_person_is_out_at_once(client: Client) -> None:
    run("ada", "--operator")
    client.force_login(User.objects.get())
    assert client.get("/audit/").status_code == 200
    assert run("ada", "--remove") == "ada can no longer sign in.\n"
    assert client.get("/audit/").status_code == 302
    assert User.objects.count() == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody", "--remove"], "no local person called 'nobody'"),
        (["ada", "--remove", "--operator"], "--remove stands alone"),
        (["x" * 151], "at most 150 characters"),
        (["system:admin"], "Kubernetes keeps to itself"),
        ([""], "not empty"),
        (["a\0b"], "control characters"),
        (["ada", "--group", "system:masters"], "Kubernetes keeps to itself"),
        (["ada", "--group", "x" * 151], "at most 150 characters"),
        (["ada", "--email", "nonsense"], "not an email address"),
    ],
)
def test_what_cannot_be_is_refused_in_words_and_changes_nothing(arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run(*arguments)
    assert User.objects.count() == 0


def test_who_comes_by_header_is_left_alone() -> None:
    person = factories.owner("grace@example.com")
    for arguments in ([], ["--operator"], ["--remove"]):
        with pytest.raises(CommandError, match="trusted proxy"):
            run("grace@example.com", *arguments)
    person.refresh_from_db()
    assert not person.is_staff
