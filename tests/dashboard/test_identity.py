"""Who somebody is: what a header is believed for, and from whom."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.http import Http404, HttpResponse
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from dashboard.identity import (
    TrustedHeaderMiddleware,
    client_address,
    may_create,
    operator_required,
    person_of,
    visible_namespace,
)
from scanner.models import Namespace, NamespaceOwner
from tests import factories

pytestmark = pytest.mark.django_db

PROXY = "10.1.2.3"
NAME = "ada@example.com"


@pytest.fixture(autouse=True)
def mesh(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = (ipaddress.ip_network("10.1.0.0/16"),)
    settings.USER_HEADER = "kubeflow-userid"
    settings.USER_PREFIX = ""
    settings.GROUPS_HEADER = "kubeflow-groups"
    settings.OPERATORS = frozenset({"boss@example.com"})


def ask(name: str | None = NAME, *, peer: str = PROXY, **meta: str) -> tuple[Any, HttpResponse]:
    """The user that the view saw (None: it was not reached), and the response."""
    seen: list[Any] = []

    def view(request: Any) -> HttpResponse:
        seen.append(request.user)
        return HttpResponse("reached")

    headers = {"HTTP_KUBEFLOW_USERID": name} if name is not None else {}
    request = RequestFactory().get("/", REMOTE_ADDR=peer, **headers, **meta)
    request.user = AnonymousUser()
    response = TrustedHeaderMiddleware(view)(request)
    return (seen[0] if seen else None), response


def test_a_trusted_proxy_names_the_person() -> None:
    user, _ = ask()

    assert (user.get_username(), user.email, user.is_staff) == (NAME, NAME, False)
    assert not user.has_usable_password()


@pytest.mark.parametrize("peer", ["10.2.0.1", "127.0.0.1", "::1", "", "not-an-address"])
def test_a_header_from_anywhere_else_is_ignored(peer: str) -> None:
    user, _ = ask(peer=peer)

    assert user.is_anonymous
    assert not User.objects.exists()


def test_x_forwarded_for_makes_nobody_a_trusted_proxy() -> None:
    user, _ = ask(peer="192.0.2.1", HTTP_X_FORWARDED_FOR=PROXY, HTTP_FORWARDED=f"for={PROXY}", HTTP_X_REAL_IP=PROXY)

    assert user.is_anonymous


def test_an_ipv4_peer_in_ipv6_clothes_is_the_same_peer() -> None:
    assert ask(peer=f"::ffff:{PROXY}")[0].get_username() == NAME


def test_without_trusted_proxies_no_header_counts(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = ()

    assert ask()[0].is_anonymous


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("ada,mallory", "sent twice"),
        ("a" * 151, "more than 150 characters"),
        ("ada\x00", "control characters"),
        ("ada\u200b@example.com".encode().decode("latin-1"), "control characters"),
        ("\u00a0ada".encode().decode("latin-1"), "blanks"),
        ("ad\xe4", "not UTF-8"),
        ("system:admin", "Kubernetes keeps to itself"),
    ],
)
def test_a_header_that_names_nobody_clearly_is_refused_in_words(name: str, words: str) -> None:
    user, response = ask(name)

    assert user is None
    assert response.status_code == 400
    assert words in response.content.decode()
    assert not User.objects.exists()


def test_names_are_read_as_utf_8() -> None:
    assert ask("zoë@example.com".encode().decode("latin-1"))[0].get_username() == "zoë@example.com"


def test_a_prefix_is_stripped_and_required(settings: Settings) -> None:
    settings.USER_PREFIX = "accounts.example.com:"

    assert ask(f"accounts.example.com:{NAME}")[0].get_username() == NAME
    assert ask(NAME)[1].status_code == 400
    assert ask("accounts.example.com:")[1].status_code == 400


def test_operators_are_those_of_the_settings_at_each_request(settings: Settings) -> None:
    assert ask("boss@example.com")[0].is_staff

    settings.OPERATORS = frozenset()

    assert not ask("boss@example.com")[0].is_staff
    assert not User.objects.get().is_staff


def test_groups_are_those_of_the_header_at_each_request() -> None:
    user, _ = ask(HTTP_KUBEFLOW_GROUPS="vision, nlp")
    assert set(user.groups.values_list("name", flat=True)) == {"vision", "nlp"}

    user, _ = ask(HTTP_KUBEFLOW_GROUPS="nlp")
    assert set(user.groups.values_list("name", flat=True)) == {"nlp"}

    user, _ = ask()
    assert not user.groups.exists()


def test_groups_of_an_earlier_request_count_no_more_once_no_header_brings_any(settings: Settings) -> None:
    made = factories.namespace(factories.cluster())
    NamespaceOwner.objects.create(namespace=made, kind="group", name="vision", source="rolebinding")
    user, _ = ask(HTTP_KUBEFLOW_GROUPS="vision")
    assert Namespace.objects.visible_to(user).exists()

    settings.GROUPS_HEADER = ""
    user, _ = ask(HTTP_KUBEFLOW_GROUPS="vision")

    assert not Namespace.objects.visible_to(user).exists()
    assert person_of(user).groups == ()


def test_groups_of_a_local_person_count_whatever_headers_there_are(settings: Settings) -> None:
    settings.GROUPS_HEADER = ""
    user = User.objects.create_user(username="grace", password="correct horse battery")
    user.groups.add(Group.objects.create(name="vision"))

    assert person_of(user).groups == ("vision",)


@pytest.mark.parametrize("groups", ["system:masters", "a" * 151, "a\x07b", ",".join(f"g{n}" for n in range(201))])
def test_groups_that_cannot_be_are_refused(groups: str) -> None:
    assert ask(HTTP_KUBEFLOW_GROUPS=groups)[1].status_code == 400


def test_a_local_user_is_not_to_be_had_by_header() -> None:
    User.objects.create_user(username="admin", password="correct horse battery", is_staff=True)

    user, response = ask("admin")

    assert user is None
    assert (response.status_code, "local user" in response.content.decode()) == (400, True)


def test_a_superuser_without_a_password_is_not_to_be_had_by_header() -> None:
    User.objects.create_superuser(username="root")

    assert ask("root")[1].status_code == 400


def test_somebody_whose_access_was_switched_off_stays_out() -> None:
    User.objects.create_user(username=NAME, is_active=False)

    assert ask()[1].status_code == 400


def test_a_header_user_cannot_sign_in_with_a_password(client: Client) -> None:
    ask()

    assert not client.login(username=NAME, password="")
    assert not client.login(username=NAME, password="!")


def test_an_identity_ends_with_its_header(client: Client) -> None:
    headers = {"HTTP_KUBEFLOW_USERID": NAME, "REMOTE_ADDR": PROXY}
    assert client.get("/audit/", **headers).status_code == 200

    assert client.get("/audit/", REMOTE_ADDR=PROXY).status_code == 302
    assert client.get("/audit/", HTTP_KUBEFLOW_USERID=NAME, REMOTE_ADDR="192.0.2.1").status_code == 302


def test_the_next_header_is_the_next_person(client: Client) -> None:
    namespace = factories.namespace(factories.cluster(), "team-vision", owners=(NAME,))
    url = f"/n/prod-eu/{namespace}/"

    assert client.get(url, HTTP_KUBEFLOW_USERID=NAME, REMOTE_ADDR=PROXY).status_code == 200
    assert client.get(url, HTTP_KUBEFLOW_USERID="eve@example.com", REMOTE_ADDR=PROXY).status_code == 404


def test_the_header_wins_over_a_local_session(client: Client) -> None:
    factories.namespace(factories.cluster(), "team-vision")
    client.force_login(factories.operator())

    assert client.get("/n/prod-eu/team-vision/", HTTP_KUBEFLOW_USERID=NAME, REMOTE_ADDR=PROXY).status_code == 404


class TestWhatMayBeSeenAndDone:
    def visible(self, user: Any, name: str = "team-vision") -> str:
        request = RequestFactory().get("/")
        request.user = user
        return str(visible_namespace(request, "prod-eu", name))

    def test_a_missing_and_a_hidden_namespace_are_the_same_404(self) -> None:
        factories.namespace(factories.cluster(), "team-vision", owners=("grace",))
        stranger = factories.owner("eve")

        with pytest.raises(Http404) as hidden:
            self.visible(stranger)
        with pytest.raises(Http404) as missing:
            self.visible(stranger, "no-such")

        assert str(hidden.value) == str(missing.value)

    def test_a_group_of_a_local_user_makes_an_owner(self) -> None:
        namespace = factories.namespace(factories.cluster(), "team-vision")
        NamespaceOwner.objects.create(namespace=namespace, kind="group", name="vision", source="rolebinding")
        user = factories.owner("grace")
        user.groups.add(Group.objects.create(name="vision"))

        assert self.visible(user) == "team-vision"

    def test_operators_only(self) -> None:
        guarded = operator_required(lambda request: HttpResponse("done"))
        request = RequestFactory().get("/")
        request.user = factories.operator()
        assert guarded(request).status_code == 200

        request.user = factories.owner()
        with pytest.raises(Exception, match="This is for operators"):
            guarded(request)

    class Reviewer:
        def __init__(self, *allowed: str) -> None:
            self.allowed = allowed
            self.asked: list[tuple[str, tuple[str, ...], str]] = []

        def can(self, user: str, groups: Any, verb: str, resource: str, namespace: str) -> bool:
            self.asked.append((user, tuple(groups), f"{verb} {resource}"))
            return f"{verb} {resource}" in self.allowed

    def test_an_operator_may_by_role(self) -> None:
        namespace = factories.namespace(factories.cluster())
        reviewer = self.Reviewer()

        assert may_create(factories.operator(), namespace, reviewer).allowed
        assert reviewer.asked == []

    def test_an_owner_may_what_kubernetes_says(self) -> None:
        namespace = factories.namespace(factories.cluster(), owners=("grace",))
        user = factories.owner("grace")
        user.groups.add(Group.objects.create(name="vision"))
        reviewer = self.Reviewer("create secrets", "patch serviceaccounts")

        assert may_create(user, namespace, reviewer).allowed
        assert reviewer.asked == [
            ("grace", ("vision",), "create secrets"),
            ("grace", ("vision",), "patch serviceaccounts"),
        ]

    def test_the_missing_right_is_named_with_the_command_that_grants_it(self) -> None:
        namespace = factories.namespace(factories.cluster(), owners=("grace",))

        decision = may_create(factories.owner("grace"), namespace, self.Reviewer("create secrets"))

        assert not decision.allowed
        assert "patch serviceaccounts in team-vision" in decision.words
        assert "--verb=patch --resource=serviceaccounts" in decision.remedy
        assert "--user=grace" in decision.remedy

    def test_who_is_no_owner_is_not_even_asked_about(self) -> None:
        namespace = factories.namespace(factories.cluster())
        reviewer = self.Reviewer("create secrets", "patch serviceaccounts")

        assert not may_create(factories.owner("eve"), namespace, reviewer).allowed
        assert reviewer.asked == []


def test_only_who_signed_in_here_can_sign_out_here(client: Client) -> None:
    factories.cluster()
    by_header = client.get("/", REMOTE_ADDR=PROXY, headers={"kubeflow-userid": NAME})
    assert by_header.status_code == 200
    assert "Sign out" not in by_header.content.decode()

    client.force_login(factories.owner("grace"))
    assert "Sign out" in client.get("/").content.decode()


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.9", "", "198.51.100.9"),
        ("198.51.100.9", "192.0.2.1", "198.51.100.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("::ffff:10.0.0.1", "made up, 192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "192.0.2.1, 10.0.0.7", "192.0.2.1"),
        ("10.0.0.1", "192.0.2.1, 10.9.9.9", "10.9.9.9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "192.0.2.1:4711", "192.0.2.1"),
        ("10.0.0.1", "[2001:db8:1:2::3]:4711", "2001:db8:1:2::/64"),
        ("10.0.0.1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("10.0.0.1", "192.0.2.1, unknown", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.1,", "10.0.0.1"),
        ("10.0.0.1", "[", "10.0.0.1"),
        ("", "192.0.2.1", ""),
    ],
)
def test_where_a_request_comes_from(settings: Settings, peer: str, forwarded: str, client: str) -> None:
    settings.TRUSTED_PROXIES = [ipaddress.ip_network("10.0.0.0/30")]
    settings.FORWARDED_BY = [ipaddress.ip_network("10.0.0.7/32")]
    request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)

    assert client_address(request) == client
