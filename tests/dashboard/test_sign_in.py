"""Signing in and out, the first operator, one-time passwords, and the limit on failures."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from ipaddress import ip_network

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from dashboard.models import FailedSignIn, OneTimePassword

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
OWN = "a much better one 1"


@pytest.fixture(autouse=True)
def quick_hashes(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ada() -> User:
    return User.objects.create_user(username="ada", password=PASSWORD)


def sign_in(client: Client, username: str = "ada", password: str = PASSWORD, **extra: str) -> int:
    response = client.post("/sign-in/", {"username": username, "password": password}, **extra)  # type: ignore[arg-type]
    return response.status_code


def is_in(client: Client) -> bool:
    return client.get("/audit/").status_code == 200


def test_a_page_sends_who_is_not_signed_in_to_the_form_and_back(client: Client, ada: User) -> None:
    response = client.get("/audit/")
    assert response.headers["Location"] == "/sign-in/?next=/audit/"

    response = client.post(response.headers["Location"], {"username": "ada", "password": PASSWORD, "next": "/audit/"})
    assert response.headers["Location"] == "/audit/"


def test_the_form_leads_nowhere_else(client: Client, ada: User) -> None:
    data = {"username": "ada", "password": PASSWORD, "next": "https://evil.example.com/"}

    assert client.post("/sign-in/", data).headers["Location"] == "/"


def test_who_is_signed_in_already_and_wants_to_sign_in_gets_the_first_page(client: Client, ada: User) -> None:
    client.force_login(ada)

    assert client.get("/sign-in/?next=/sign-in/").headers["Location"] == "/"


def test_a_wrong_password_is_said_in_words_and_not_shown_back(client: Client, ada: User) -> None:
    response = client.post("/sign-in/", {"username": "ada", "password": "wrong-password-1"})

    assert "do not go together" in response.content.decode()
    assert "wrong-password-1" not in response.content.decode()


def test_signing_out_ends_it(client: Client, ada: User) -> None:
    sign_in(client)
    assert is_in(client)

    assert client.post("/sign-out/").headers["Location"] == "/sign-in/"
    assert not is_in(client)


def test_after_five_failures_even_the_right_password_waits(client: Client, ada: User) -> None:
    for _ in range(5):
        sign_in(client, password="wrong")

    response = client.post("/sign-in/", {"username": "ada", "password": PASSWORD})

    assert "Too many sign-ins failed. Try again in 15 minutes." in response.content.decode()
    assert not is_in(client)


def test_the_wait_ends(client: Client, ada: User) -> None:
    for _ in range(5):
        sign_in(client, password="wrong")

    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        assert sign_in(client) == 302


def test_the_limit_is_of_one_name_from_one_address(client: Client, ada: User) -> None:
    User.objects.create_user(username="grace", password=PASSWORD)
    for _ in range(6):
        sign_in(client, password="wrong")

    assert sign_in(Client(), REMOTE_ADDR="192.0.2.7") == 302
    assert sign_in(Client(), username="grace") == 302


def test_behind_a_proxy_of_ours_the_limit_is_that_of_the_client(client: Client, ada: User, settings: Settings) -> None:
    settings.FORWARDED_BY = [ip_network("10.0.0.0/24")]
    for number in range(6):
        # What the attacker made up stands left of what the proxy adds.
        made_up = f"192.0.2.{number}, 198.51.100.9"
        sign_in(client, password="wrong", REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=made_up)

    assert sign_in(Client(), REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="198.51.100.9") == 200
    assert sign_in(Client(), REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="198.51.100.7") == 302


def test_nobody_else_is_believed_about_where_they_come_from(client: Client, ada: User) -> None:
    for number in range(6):
        sign_in(client, password="wrong", REMOTE_ADDR="198.51.100.9", HTTP_X_FORWARDED_FOR=f"192.0.2.{number}")

    assert sign_in(Client(), REMOTE_ADDR="198.51.100.9", HTTP_X_FORWARDED_FOR="192.0.2.77") == 200


def test_another_spelling_is_the_same_name_for_the_limit(client: Client, ada: User) -> None:
    for name in ("ada", "Ada", "ADA", "aDa", "adA"):
        sign_in(client, username=name, password="wrong")

    assert sign_in(client) == 200


def test_success_takes_the_failures_back(client: Client, ada: User) -> None:
    for _ in range(4):
        sign_in(client, password="wrong")
    sign_in(client)

    assert not FailedSignIn.objects.exists()


def test_failures_of_unknown_names_count_too(client: Client) -> None:
    for _ in range(5):
        sign_in(client, username="nobody")

    assert b"Too many" in client.post("/sign-in/", {"username": "nobody", "password": "x"}).content


def test_what_was_typed_as_a_name_is_not_stored(client: Client) -> None:
    sign_in(client, username="my-password-by-mistake")

    assert "my-password" not in str(FailedSignIn.objects.values())


def test_a_part_of_a_page_that_wants_a_sign_in_reloads_the_whole_page(client: Client) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/?q=vision"}

    response = client.get("/sign-in/?next=/n/a/b/", headers=headers)

    assert response.headers["HX-Redirect"] == "/sign-in/?next=%2F%3Fq%3Dvision"


class TestTheFirstOperator:
    def ensure(self) -> str:
        out = io.StringIO()
        call_command("ensure_admin", stdout=out)
        return out.getvalue()

    def one_time(self) -> str:
        match = re.search(r"one-time password (\S+)", self.ensure())
        assert match
        return match[1]

    @pytest.mark.parametrize("password", ["short-9x", "password1234"])
    def test_a_password_of_the_environment_that_can_be_guessed_makes_nobody(
        self, password: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CREDBOARD_ADMIN_PASSWORD", password)

        with pytest.raises(CommandError, match="CREDBOARD_ADMIN_PASSWORD cannot be used") as refused:
            self.ensure()

        assert password not in str(refused.value)
        assert not User.objects.exists()

    def test_the_password_of_the_environment_signs_in(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CREDBOARD_ADMIN_PASSWORD", PASSWORD)

        assert PASSWORD not in self.ensure()
        assert sign_in(client, "admin") == 302
        assert User.objects.get().is_staff

    def test_a_second_time_changes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ensure()
        before = User.objects.get().password
        monkeypatch.setenv("CREDBOARD_ADMIN_PASSWORD", PASSWORD)

        assert "there already" in self.ensure()
        assert User.objects.get().password == before

    def test_a_one_time_password_opens_only_the_page_that_replaces_it(self, client: Client) -> None:
        password = self.one_time()

        response = client.post("/sign-in/", {"username": "admin", "password": password})

        assert response.headers["Location"] == "/sign-in/new-password/"
        assert not is_in(client)
        response = client.post("/sign-in/new-password/", {"new_password1": OWN, "new_password2": OWN})
        assert response.headers["Location"] == "/"
        assert is_in(client)
        assert not OneTimePassword.objects.exists()
        assert sign_in(Client(), "admin", password) == 200
        assert sign_in(Client(), "admin", OWN) == 302

    def test_a_one_time_password_cannot_be_kept(self, client: Client) -> None:
        password = self.one_time()
        sign_in(client, "admin", password)

        response = client.post("/sign-in/new-password/", {"new_password1": password, "new_password2": password})

        assert "Choose one of your own" in response.content.decode()
        assert not is_in(client)

    def test_the_page_that_replaces_it_is_closed_to_others(self, client: Client) -> None:
        self.ensure()

        response = client.post("/sign-in/new-password/", {"new_password1": OWN, "new_password2": OWN})

        assert response.headers["Location"] == "/sign-in/"
        assert OneTimePassword.objects.exists()

    def test_the_page_that_replaces_it_closes_after_a_while(self, client: Client) -> None:
        sign_in(client, "admin", self.one_time())

        with time_machine.travel(timezone.now() + timedelta(minutes=16)):
            response = client.get("/sign-in/new-password/")

        assert response.headers["Location"] == "/sign-in/"

    def test_a_weak_password_is_refused_in_words(self, client: Client) -> None:
        sign_in(client, "admin", self.one_time())

        response = client.post("/sign-in/new-password/", {"new_password1": "short", "new_password2": "short"})

        assert "at least 12 characters" in response.content.decode()


class TestOnesOwnPassword:
    def change(self, client: Client, old: str) -> int:
        data = {"old_password": old, "new_password1": OWN, "new_password2": OWN}
        return client.post("/account/password/", data).status_code

    def test_it_is_changed_and_one_stays_signed_in(self, client: Client, ada: User) -> None:
        sign_in(client)

        assert self.change(client, PASSWORD) == 302
        assert is_in(client)
        assert sign_in(Client(), password=OWN) == 302

    def test_the_present_one_is_asked_for(self, client: Client, ada: User) -> None:
        sign_in(client)

        assert self.change(client, "wrong") == 200
        assert sign_in(Client(), password=OWN) == 200

    def test_who_has_none_here_gets_no_page_for_it(self, client: Client) -> None:
        client.force_login(User.objects.create_user(username="header@example.com"))

        assert client.get("/account/password/").status_code == 404
