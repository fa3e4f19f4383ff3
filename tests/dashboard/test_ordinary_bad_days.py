"""The days that are not in the brochure: nothing there, no rights, no answer. Each has a page that says what to do."""

from __future__ import annotations

import re
import socket
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from django.db import DatabaseError
from django.test import Client, RequestFactory
from django.utils import timezone

from dashboard import readiness, shell
from scanner.models import Cluster, Scan
from tests import factories
from tests.rig.sockets import watch_sockets

pytestmark = pytest.mark.django_db

FIRST = {"HX-Request": "true", "HX-Target": "first-scan"}


@pytest.fixture
def ada(client: Client) -> Client:
    client.force_login(factories.operator())
    return client


@pytest.fixture
def grace(client: Client) -> Client:
    client.force_login(factories.owner("grace"))
    return client


def text(response: Any, status: int = 200) -> str:
    assert response.status_code == status
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


@pytest.mark.usefixtures("broker_up")
class TestBeforeTheFirstScan:
    def test_without_a_cluster_an_operator_reads_how_to_get_one(self, ada: Client) -> None:
        assert "python manage.py up --demo" in text(ada.get("/"))

    def test_an_owner_without_namespaces_reads_how_one_becomes_theirs(self, grace: Client) -> None:
        factories.namespace(factories.cluster(scanned_at=timezone.now()), "theirs")

        page = text(grace.get("/"))

        assert "None of the Namespaces is yours yet" in page
        assert "kubectl annotate namespace NAMESPACE credboard.dev/owner=grace" in page
        assert "theirs" not in page.replace("becomes theirs", "")

    def test_a_cluster_that_waits_says_when_and_what_to_look_at(self, ada: Client) -> None:
        factories.cluster()

        page = text(ada.get("/"))

        assert "prod-eu has not been scanned yet" in page
        assert "celery -A dashboard beat" in page

    def test_a_running_scan_shows_how_far_it_is_and_is_asked_again_every_second(self, ada: Client) -> None:
        factories.scan(factories.cluster(), namespaces_done=50, namespaces_total=200, critical=3)

        response = ada.get("/")

        assert "50 of 200 Namespaces" in text(response)
        assert '<progress max="100" value="25"' in response.content.decode()
        assert 'data-refresh="1"' in response.content.decode()

    def test_a_scan_that_does_not_know_its_end_shows_no_percentage(self, ada: Client) -> None:
        factories.scan(factories.cluster(), namespaces_done=50)

        assert "Counting the Namespaces : 50 so far" in text(ada.get("/")).replace("Namespaces:", "Namespaces :")

    def test_progress_that_stands_still_is_not_sent_again(self, ada: Client) -> None:
        scan = factories.scan(factories.cluster(), namespaces_done=1, namespaces_total=2)
        (seen,) = re.findall(r'data-seen="(\w+)"', ada.get("/", headers=FIRST).content.decode())
        assert ada.get("/", headers={**FIRST, "HX-PTag": seen}).status_code == 304

        scan.namespaces_done = 2
        scan.save()

        assert "2 of 2 Namespaces" in text(ada.get("/", headers={**FIRST, "HX-PTag": seen}))

    def test_when_the_first_scan_ends_the_page_becomes_the_matrix_by_itself(self, ada: Client) -> None:
        factories.cluster(scanned_at=timezone.now())

        assert ada.get("/", headers=FIRST).headers["HX-Refresh"] == "true"

    def test_a_cluster_that_does_not_answer_is_told_with_where_and_what_to_do(self, ada: Client) -> None:
        failed(factories.cluster(), "Unavailable", "https://10.0.0.1:6443 refused the connection.", "Is it running?")

        page = text(ada.get("/"))

        for words in (
            "prod-eu does not answer as it should",
            "https://10.0.0.1:6443",
            "Is it running?",
            "Try again now",
        ):
            assert words in page

    def test_missing_rights_come_with_the_commands_that_grant_them(self, ada: Client) -> None:
        remedy = "kubectl create clusterrole credboard-list-secrets\nkubectl create clusterrolebinding x"
        failed(factories.cluster(), "ClusterWideForbidden", "Credboard may not list secrets.", remedy)

        response = ada.get("/")

        assert "Credboard may not read prod-eu" in text(response)
        assert f'<pre tabindex="0">{remedy}</pre>' in response.content.decode()

    def test_an_owner_is_not_told_the_addresses_of_the_cluster(self, grace: Client) -> None:
        cluster = factories.cluster()
        factories.namespace(cluster, "mine", owners=("grace",))
        failed(cluster, "Unavailable", "https://10.0.0.1:6443 refused the connection.", "Look at its log.")

        page = text(grace.get("/"))

        assert "An operator of Credboard can see why" in page
        assert "10.0.0.1" not in page
        assert "Look at its log" not in page

    def test_an_error_with_markup_is_shown_as_text(self, ada: Client) -> None:
        failed(factories.cluster(), "Unavailable", "<script>alert(1)</script>", "<b>x</b>")

        assert "<script>alert" not in ada.get("/").content.decode()


def failed(cluster: Cluster, kind: str, error: str, remedy: str, *, at: Any = None) -> Scan:
    at = at or timezone.now()
    return factories.scan(
        cluster, state="failed", started_at=at, finished_at=at, error_kind=kind, error=error, remedy=remedy
    )


@pytest.mark.usefixtures("broker_up")
class TestLater:
    def test_a_scan_that_is_too_old_makes_everything_unknown_and_says_so(self, ada: Client) -> None:
        long_ago = timezone.now() - timedelta(minutes=14)
        cluster = factories.cluster(scanned_at=long_ago)
        factories.namespace(cluster, scanned_at=long_ago, cells={"tls": "ok valid"})

        page = text(ada.get("/"))

        assert "Last good scan 14 min ago : everything below is unknown until the next." in page
        assert "was well" in page

    def test_what_a_clock_saw_that_was_set_back_since_is_unknown(self, ada: Client) -> None:
        ahead = timezone.now() + timedelta(hours=2)
        cluster = factories.cluster(scanned_at=ahead)
        row = factories.namespace(cluster, scanned_at=ahead, cells={"tls": "ok valid"})

        page = text(ada.get("/"))

        assert "everything below is unknown until the next." in page
        assert "was well" in page
        assert "was well" in text(ada.get(f"/n/{cluster.name}/{row.name}/cells/tls/"))

    def test_a_failed_scan_is_told_above_what_the_last_good_one_saw(self, ada: Client) -> None:
        cluster = factories.cluster(scanned_at=timezone.now() - timedelta(seconds=70))
        factories.namespace(cluster, cells={"tls": "ok valid"})
        failed(cluster, "Unavailable", "https://10.0.0.1:6443 timed out.", "Look at the API server.")

        page = text(ada.get("/"))

        assert "The last scan failed" in page
        assert "https://10.0.0.1:6443 timed out." in page
        assert "What you see is from 1 min ago" in page

    def test_an_empty_cluster_is_told_from_an_empty_filter(self, ada: Client) -> None:
        factories.cluster(scanned_at=timezone.now(), exclude=["kube-*"])

        assert "This cluster has no Namespaces to show" in text(ada.get("/"))
        assert "kube-*" in text(ada.get("/"))
        assert "Nothing matches these filters" in text(ada.get("/?q=x"))

    def test_a_scan_that_runs_is_shown_and_looked_at_more_often(self, ada: Client) -> None:
        cluster = factories.cluster(scanned_at=timezone.now() - timedelta(seconds=70))
        factories.scan(cluster, namespaces_done=1, namespaces_total=9)

        response = ada.get("/")

        assert "Scanning · 1 of 9 Namespaces" in text(response)
        assert 'data-refresh="2"' in response.content.decode()


@pytest.mark.usefixtures("broker_down")
class TestWithoutRedis:
    def test_pages_are_served_and_say_what_waits(self, ada: Client) -> None:
        factories.namespace(factories.cluster(scanned_at=timezone.now()), "team")

        page = text(ada.get("/"))

        assert "Redis does not answer." in page
        assert "team" in page

    def test_the_first_scan_says_what_it_waits_for(self, ada: Client) -> None:
        factories.cluster()

        assert "Redis does not answer" in text(ada.get("/"))

    def test_a_scan_that_is_asked_for_is_noted(self, ada: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("scanner.scan.tell_dispatcher", lambda: False)
        factories.cluster(scanned_at=timezone.now())

        page = text(ada.post("/scan/prod-eu/", follow=True))

        assert "The scan of prod-eu is noted. It starts as soon as Redis answers again." in page

    def test_readiness_tells_it_but_stays_ready(self, client: Client) -> None:
        response = client.get("/readyz")

        told = response.json()
        assert (response.status_code, told["status"], told["database"], told["broker"]) == (200, "ready", "ok", "down")


class TestTheBrokerQuestion:
    @pytest.fixture
    def broker(self) -> shell.Broker:
        return shell.Broker()

    def test_it_is_asked_once_in_five_seconds(self, broker: shell.Broker, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[int] = []
        monkeypatch.setattr(broker, "_ask", lambda: not asked.append(1))
        clock = iter([100.0, 100.0, 104.0, 105.5, 105.5])
        monkeypatch.setattr(shell, "time", SimpleNamespace(monotonic=lambda: next(clock)))

        assert [broker.is_up(), broker.is_up(), broker.is_up()] == [True, True, True]
        assert len(asked) == 2

    @pytest.mark.parametrize("error", [redis.ConnectionError(), redis.TimeoutError(), OSError(), ValueError()])
    def test_whatever_goes_wrong_means_down(
        self, broker: shell.Broker, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        def fail(*args: Any, **kwargs: Any) -> None:
            raise error

        monkeypatch.setattr(redis.Redis, "ping", fail)

        assert broker.is_up() is False

    def test_it_is_tried_once_and_no_step_waits_longer_than_a_fifth_of_a_second(
        self, broker: shell.Broker, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
            settings.REDIS_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
            asked = watch_sockets(monkeypatch)

            assert broker.is_up() is False

        assert len(asked.tries) == 1
        assert set(asked.patience) == {0.2}


@pytest.mark.usefixtures("broker_up")
class TestErrorPages:
    def test_a_page_that_is_not_there(self, ada: Client) -> None:
        assert "There is nothing here" in text(ada.get("/nothing/"), 404)

    def test_a_page_that_is_not_for_you(self, grace: Client) -> None:
        factories.cluster()

        assert "You may not do this This is for operators of Credboard. Ask one of them." in text(
            grace.post("/scan/prod-eu/"), 403
        )

    def test_a_form_without_its_token(self) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(factories.operator())

        assert "This page was open for too long" in text(client.post("/scan/prod-eu/"), 403)

    def test_a_mistake_of_ours(self, ada: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*args: Any) -> None:
            raise RuntimeError("detail-of-the-mistake")

        monkeypatch.setattr("dashboard.views.matrix.shell_of", fail)
        ada.raise_request_exception = False

        page = text(ada.get("/"), 500)

        assert "Credboard made a mistake" in page
        assert "detail-of-the-mistake" not in page


@pytest.mark.usefixtures("broker_up")
class TestProbes:
    def test_a_process_that_answers_is_alive_without_a_database(
        self, client: Client, django_assert_num_queries: Any
    ) -> None:
        with django_assert_num_queries(0):
            assert client.get("/healthz").json() == {"status": "ok"}

    def test_a_database_that_is_down_is_not_ready(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail() -> None:
            raise DatabaseError("password=hunter2")

        monkeypatch.setattr("dashboard.readiness.connection.cursor", fail)

        response = client.get("/readyz")

        assert response.status_code == 503
        assert response.json() == {
            "status": "not ready",
            "database": "down",
            "migrations": "unknown",
            "broker": "ok",
            "scans": "unknown",
        }

    def test_a_database_of_another_version_is_not_ready(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dashboard.readiness._migrations", readiness._Migrations())
        monkeypatch.setattr("dashboard.readiness.pending_migrations", lambda: ["scanner.0009_more"])
        assert (client.get("/readyz").status_code, client.get("/readyz").json()["migrations"]) == (503, "pending")

        monkeypatch.setattr("dashboard.readiness.pending_migrations", list)

        assert (client.get("/readyz").status_code, client.get("/readyz").json()["migrations"]) == (200, "ok")

    def test_scans_are_told_without_a_name_and_do_not_take_pages_away(self, client: Client) -> None:
        def told() -> tuple[int, str]:
            response = client.get("/readyz")
            assert "prod-eu" not in response.content.decode()
            return response.status_code, response.json()["scans"]

        assert told() == (200, "none")
        cluster = factories.cluster(scanned_at=timezone.now() - timedelta(minutes=14))
        assert told() == (200, "old")
        factories.scan(cluster, state=Scan.State.DONE)
        assert told() == (200, "ok")
        factories.cluster("second")
        assert told() == (200, "old")
        Cluster.objects.filter(name="second").update(next_scan_at=None)
        assert told() == (200, "ok")


def test_a_shell_without_a_person_shows_no_cluster() -> None:
    factories.cluster()

    assert shell.Shell(RequestFactory().get("/")).cluster is None


def test_an_owner_is_not_told_how_many_namespaces_the_cluster_has(client: Client) -> None:
    cluster = factories.cluster()
    factories.namespace(cluster, "team-a", owners=("grace",))
    factories.scan(cluster, namespaces_done=12, namespaces_total=214)
    client.force_login(factories.owner())

    page = client.get("/").content.decode()

    assert "214" not in page


@pytest.mark.parametrize("is_demo", [True, False])
def test_the_demo_cluster_says_that_it_is_one(ada: Client, is_demo: bool) -> None:
    factories.namespace(factories.cluster(scanned_at=timezone.now(), is_demo=is_demo))

    assert ("nothing in it is real" in text(ada.get("/"))) is is_demo
