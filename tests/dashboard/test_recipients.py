"""Who is subscribed without having asked, and which addresses are never written to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User

from dashboard.models import Subscription
from dashboard.reports.recipients import (
    may_be_written_to,
    names_by_address,
    namespaces_of,
    subscribe_people,
    valid_address,
)
from scanner.models import Cluster, Namespace, NamespaceOwner
from tests import factories

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)


@pytest.fixture(name="cluster")
def _cluster() -> Cluster:
    return factories.cluster()


@pytest.fixture(autouse=True)
def _domains(settings: Any) -> None:
    settings.MAIL_DOMAINS = frozenset({"example.com"})


def owned(cluster: Cluster, *owners: tuple[str, str], kind: str = "user", name: str = "team-vision") -> Namespace:
    """A Namespace with owners of (name, source)."""
    made = factories.namespace(cluster, name)
    for who, source in owners:
        NamespaceOwner.objects.create(namespace=made, kind=kind, name=who, source=source)
    return made


def user(name: str, email: str, *, signed_in: bool = True, **fields: Any) -> User:
    made = User.objects.create_user(username=name, email=email, password="correct horse battery", **fields)
    if signed_in:
        made.last_login = NOW
        made.save()
    return made


def subscribed() -> dict[str, str]:
    """Addresses and sources, after everyone was subscribed who may be."""
    subscribe_people(now=NOW)
    return dict(Subscription.objects.values_list("address", "source"))


class TestOwners:
    def test_the_owner_of_a_profile_is_subscribed_weekly(self, cluster: Cluster) -> None:
        owned(cluster, ("grace@example.com", "profile"))

        assert subscribed() == {"grace@example.com": "profile"}
        made = Subscription.objects.get()
        assert (made.frequency, made.next_send_at) == ("weekly", datetime(2026, 11, 23, 9, tzinfo=UTC))

    def test_the_profile_goes_before_the_annotation(self, cluster: Cluster) -> None:
        owned(cluster, ("ada@example.com", "annotation"), ("grace@example.com", "profile"))

        assert subscribed() == {"grace@example.com": "profile"}

    def test_the_annotation_counts_where_the_profile_has_no_address(self, cluster: Cluster) -> None:
        owned(cluster, ("ada@example.com", "annotation"), ("grace", "profile"))

        assert subscribed() == {"ada@example.com": "annotation"}

    def test_a_rolebinding_subscribes_nobody(self, cluster: Cluster) -> None:
        owned(cluster, ("grace@example.com", "rolebinding"))

        assert subscribed() == {}

    def test_a_group_has_no_address(self, cluster: Cluster) -> None:
        owned(cluster, ("team@example.com", "annotation"), kind="group")

        assert subscribed() == {}

    def test_a_namespace_that_is_gone_subscribes_nobody(self, cluster: Cluster) -> None:
        owned(cluster, ("grace@example.com", "profile"))
        Namespace.objects.update(gone_at=NOW)

        assert subscribed() == {}

    def test_one_person_with_many_namespaces_is_subscribed_once(self, cluster: Cluster) -> None:
        for number, name in enumerate(("grace@example.com", "Grace@example.com", "grace@EXAMPLE.com")):
            owned(cluster, (name, "profile"), name=f"team-{number}")

        assert len(subscribed()) == 1

    def test_asking_again_changes_nothing_and_off_stays_off(self, cluster: Cluster) -> None:
        owned(cluster, ("grace@example.com", "profile"))
        assert subscribe_people(now=NOW) == 1
        Subscription.objects.get().switch("off", now=NOW)

        assert subscribe_people(now=NOW) == 0
        assert Subscription.objects.get().frequency == "off"


class TestAddresses:
    @pytest.mark.parametrize("source", ["profile", "annotation"])
    @pytest.mark.parametrize(
        "address", ["ceo@elsewhere.example", "a@sub.example.com", "a@example.com.elsewhere.example"]
    )
    def test_an_address_that_only_the_cluster_knows_is_not_written_to_outside_the_domains(
        self, cluster: Cluster, source: str, address: str
    ) -> None:
        owned(cluster, (address, source))

        assert subscribed() == {}

    def test_without_allowed_domains_no_address_of_a_cluster_is_written_to(
        self, cluster: Cluster, settings: Any
    ) -> None:
        settings.MAIL_DOMAINS = frozenset()
        owned(cluster, ("grace@example.com", "profile"))

        assert subscribed() == {}

    def test_the_case_of_a_domain_does_not_matter(self, cluster: Cluster) -> None:
        owned(cluster, ("Grace@EXAMPLE.Com", "profile"))

        assert subscribed() == {"Grace@example.com": "profile"}

    @pytest.mark.parametrize(
        "text",
        ["", "grace", "@example.com", "grace@", "a b@example.com", "grace@example.com\r\nBcc: x@example.com",
         "grace@example.com,ada@example.com", "<grace@example.com>", "gräce@example.com", f"{'x' * 250}@example.com",
         "grace@exa mple.com", "grace@example..com", "group:team@example.com@"],
    )  # fmt: skip
    def test_what_is_no_address_is_none(self, cluster: Cluster, text: str) -> None:
        owned(cluster, (text[:253], "annotation"))

        assert valid_address(text) == ""
        assert subscribed() == {}

    def test_someone_who_signed_in_with_that_address_gets_it_in_any_domain(self, cluster: Cluster) -> None:
        grace = user("grace", "grace@elsewhere.example")
        owned(cluster, ("grace@elsewhere.example", "annotation"))

        assert subscribed() == {"grace@elsewhere.example": "annotation"}
        assert Subscription.objects.get().user == grace

    def test_someone_who_never_signed_in_does_not_confirm_an_address(self, cluster: Cluster) -> None:
        user("grace", "grace@elsewhere.example", signed_in=False)
        owned(cluster, ("grace@elsewhere.example", "profile"))

        assert subscribed() == {}

    def test_who_came_with_a_trusted_header_has_been_here(self, cluster: Cluster) -> None:
        person = User(username="grace@elsewhere.example", email="grace@elsewhere.example")
        person.set_unusable_password()
        person.save()
        owned(cluster, ("grace@elsewhere.example", "profile"))

        assert len(subscribed()) == 1

    def test_an_owner_by_user_name_gets_it_at_the_address_of_the_account(self, cluster: Cluster) -> None:
        user("grace", "grace@elsewhere.example")
        owned(cluster, ("grace", "annotation"))

        assert subscribed() == {"grace@elsewhere.example": "annotation"}

    def test_who_has_it_sent_elsewhere_gets_no_second_one(self, cluster: Cluster) -> None:
        grace = user("grace", "grace@example.com")
        Subscription.objects.subscribe("grace@home.example", source="person", user=grace, now=NOW)
        owned(cluster, ("grace@example.com", "profile"))

        assert subscribed() == {"grace@home.example": "person"}


class TestOperators:
    def test_an_operator_with_an_address_is_subscribed(self) -> None:
        user("ada", "ada@elsewhere.example", is_staff=True)

        assert subscribed() == {"ada@elsewhere.example": "operator"}

    def test_a_new_address_of_the_account_is_followed(self) -> None:
        ada = user("ada", "ada@example.com", is_staff=True)
        subscribe_people(now=NOW)
        ada.email = "ada@Elsewhere.example"
        ada.save()

        assert subscribed() == {"ada@elsewhere.example": "operator"}

    def test_an_address_that_a_person_chose_stays(self) -> None:
        ada = user("ada", "ada@example.com", is_staff=True)
        Subscription.objects.subscribe("ada@home.example", source="person", user=ada, now=NOW)

        assert subscribed() == {"ada@home.example": "person"}

    def test_one_without_an_address_or_switched_off_is_not(self) -> None:
        user("ada", "", is_staff=True)
        user("grace", "grace@example.com", is_staff=True, is_active=False)

        assert subscribed() == {}

    def test_others_are_subscribed_when_they_ask_or_own_something(self) -> None:
        user("grace", "grace@example.com")

        assert subscribed() == {}


class TestWhenItIsSent:
    def test_a_mailbox_becomes_that_of_the_person_who_came(self, cluster: Cluster) -> None:
        owned(cluster, ("grace@example.com", "profile"))
        subscribe_people(now=NOW)
        grace = user("grace", "Grace@example.com")
        subscribe_people(now=NOW)

        assert Subscription.objects.get().user == grace

    def test_a_domain_that_is_not_allowed_any_more_is_not_written_to(self, cluster: Cluster, settings: Any) -> None:
        owned(cluster, ("grace@example.com", "profile"))
        subscribe_people(now=NOW)
        made = Subscription.objects.get()
        assert may_be_written_to(made)

        settings.MAIL_DOMAINS = frozenset()
        assert not may_be_written_to(made)

    def test_a_person_whose_access_was_switched_off_is_not_written_to(self) -> None:
        ada = user("ada", "ada@example.com", is_staff=True)
        subscribe_people(now=NOW)
        User.objects.update(is_active=False)

        made = Subscription.objects.select_related("user").get(user=ada)
        assert not may_be_written_to(made)

    def test_an_address_without_a_person_sees_what_names_it_and_nothing_else(self, cluster: Cluster) -> None:
        mine = owned(cluster, ("Grace@EXAMPLE.com", "profile"), name="mine")
        owned(cluster, ("ada@example.com", "profile"), name="not-mine")
        owned(cluster, ("Grace@example.com", "annotation"), kind="group", name="of-a-group")
        subscribe_people(now=NOW)

        made = Subscription.objects.get(address="Grace@example.com")
        assert list(namespaces_of(made, names_by_address())) == [mine]
