"""What Prometheus is told, and who may ask."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client
from django.utils import timezone
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from dashboard import backlog
from dashboard.metrics import METRICS
from scanner.check import rank
from scanner.models import Cluster, Namespace, Scan
from tests import factories
from tests.rig.valkey import ValkeyServer

TOKEN = "a token of forty characters for Prometheus"
PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _settings(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN
    settings.REDIS_URL = "redis://127.0.0.1:1/0"


def scrape(client: Client, **headers: str) -> str:
    response = client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}", **headers})
    assert response.status_code == 200
    return response.content.decode()


def samples(client: Client, name: str) -> dict[tuple[str, ...], float]:
    """Values of labels, in the order of docs, to the value of the sample."""
    labels = next(one.labels for one in METRICS if one.name == name)
    return {
        tuple(sample.labels[label] for label in labels): sample.value
        for family in read_text(scrape(client))
        for sample in family.samples
        if sample.name == name
    }


def stale(cluster: Cluster, name: str, told: str = "ok covered") -> Namespace:
    long_ago = timezone.now() - timedelta(days=1)
    return factories.namespace(cluster, name, scanned_at=long_ago, cells={"registry/quay.io": told})


class TestAccess:
    @pytest.mark.parametrize("given", [None, "Bearer wrong", "Bearer ", f"Basic {TOKEN}", "Bearer é"])
    def test_without_the_token_nothing_is_told(self, client: Client, given: str | None) -> None:
        factories.namespace(factories.cluster(), "team-vision")

        response = client.get("/metrics", headers={"authorization": given} if given else {})

        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert "team-vision" not in response.content.decode()

    def test_without_a_token_in_the_settings_no_token_fits(self, client: Client, settings: Any) -> None:
        settings.METRICS_TOKEN = ""

        assert client.get("/metrics", headers={"authorization": "Bearer "}).status_code == 401

    def test_an_operator_who_is_signed_in_may_look(self, client: Client) -> None:
        client.force_login(factories.operator())

        assert client.get("/metrics").status_code == 200

    def test_an_owner_may_not(self, client: Client) -> None:
        client.force_login(factories.owner())

        assert client.get("/metrics").status_code == 403

    def test_a_wrong_token_is_not_made_good_by_a_session(self, client: Client) -> None:
        client.force_login(factories.operator())

        assert client.get("/metrics", headers={"authorization": "Bearer wrong"}).status_code == 401


class TestWhatIsTold:
    def test_namespaces_and_cells_are_counted_by_status(self, client: Client) -> None:
        cluster = factories.cluster()
        factories.namespace(cluster, "a", cells={"registry/quay.io": "critical missing", "tls": "ok valid"})
        factories.namespace(cluster, "b", cells={"registry/quay.io": "ok covered"})

        assert samples(client, "credboard_namespaces") == {
            ("prod-eu", "critical"): 1,
            ("prod-eu", "unknown"): 0,
            ("prod-eu", "warning"): 0,
            ("prod-eu", "ok"): 1,
        }
        cells = samples(client, "credboard_cells")
        assert cells["prod-eu", "registry/quay.io", "critical"] == cells["prod-eu", "registry/quay.io", "ok"] == 1
        assert cells["prod-eu", "tls", "warning"] == 0

    def test_what_was_seen_too_long_ago_is_unknown(self, client: Client) -> None:
        cluster = factories.cluster()
        stale(cluster, "old")

        assert samples(client, "credboard_namespaces")["prod-eu", "unknown"] == 1
        assert samples(client, "credboard_namespaces")["prod-eu", "ok"] == 0
        assert samples(client, "credboard_cells")["prod-eu", "registry/quay.io", "unknown"] == 1
        assert samples(client, "credboard_namespace_status") == {("prod-eu", "old", "unknown", "stale"): 1}
        assert samples(client, "credboard_cell_status") == {
            ("prod-eu", "old", "registry/quay.io", "unknown", "stale"): 1
        }

    def test_each_cluster_has_an_interval_of_its_own(self, client: Client) -> None:
        slow, fast = factories.cluster("slow", scan_interval=3_600), factories.cluster("fast", scan_interval=60)
        ago = timezone.now() - timedelta(minutes=10)
        for cluster in (slow, fast):
            factories.namespace(cluster, "team", scanned_at=ago)

        counted = samples(client, "credboard_namespaces")

        assert (counted["slow", "ok"], counted["fast", "unknown"]) == (1, 1)

    def test_only_what_is_not_well_has_a_series_of_its_own(self, client: Client) -> None:
        cluster = factories.cluster()
        factories.namespace(cluster, "bad", reason="missing", cells={"registry/quay.io": "critical missing"})
        factories.namespace(cluster, "good", cells={"registry/quay.io": "ok covered"})
        gone = factories.namespace(cluster, "gone", status="critical", rank=rank("critical"))
        Namespace.objects.filter(pk=gone.pk).update(gone_at=timezone.now())

        assert samples(client, "credboard_namespace_status") == {("prod-eu", "bad", "critical", "missing"): 1}
        assert samples(client, "credboard_cell_status") == {
            ("prod-eu", "bad", "registry/quay.io", "critical", "missing"): 1
        }

    def test_the_worst_are_told_where_not_all_fit_and_the_rest_is_counted(self, client: Client, settings: Any) -> None:
        settings.METRICS_MAX_SERIES = 4
        cluster = factories.cluster()
        stale(cluster, "a-stale", "critical missing")
        for name, told in (("b", "warning expiring"), ("c", "critical missing"), ("d", "unknown unreachable")):
            factories.namespace(cluster, name, cells={"registry/quay.io": told})

        told = samples(client, "credboard_cell_status")

        assert [words[1] for words in told] == ["c", "d"]
        assert list(samples(client, "credboard_namespace_status")) == [("prod-eu", "c", "critical", "")]
        assert samples(client, "credboard_metrics_truncated") == {
            ("credboard_cell_expiry_timestamp_seconds",): 0,
            ("credboard_cell_status",): 2,
            ("credboard_namespace_status",): 3,
        }

    def test_no_series_of_single_namespaces_on_request(self, client: Client, settings: Any) -> None:
        settings.METRICS_MAX_SERIES = 0
        factories.namespace(factories.cluster(), "bad", cells={"tls": "critical expired"})

        assert "bad" not in scrape(client)
        assert samples(client, "credboard_metrics_truncated")["credboard_cell_status",] == 1

    def test_ends_are_told_soonest_first_and_the_first_of_each_credential(self, client: Client) -> None:
        cluster = factories.cluster()
        now = timezone.now().replace(microsecond=0)
        for name, days in (("late", 200), ("soon", 3), ("past", -2)):
            ends: dict[str, Any] = {"status": "ok", "reason": "valid", "expires_at": now + timedelta(days=days)}
            factories.namespace(cluster, name, cells={"tls": ends})

        assert samples(client, "credboard_credential_expiry_timestamp_seconds") == {
            ("prod-eu", "tls"): (now - timedelta(days=2)).timestamp()
        }
        assert samples(client, "credboard_cell_expiry_timestamp_seconds") == {
            ("prod-eu", "past", "tls"): (now - timedelta(days=2)).timestamp(),
            ("prod-eu", "soon", "tls"): (now + timedelta(days=3)).timestamp(),
        }

    def test_names_that_break_lines_are_escaped(self, client: Client) -> None:
        factories.namespace(factories.cluster('a"b\\c\nd'), "team", cells={"tls": "critical expired"})

        assert samples(client, "credboard_cell_status") == {('a"b\\c\nd', "team", "tls", "critical", "expired"): 1}


class TestScans:
    def test_a_cluster_that_was_never_scanned_well_is_infinitely_old(self, client: Client) -> None:
        factories.scan(factories.cluster(), state=Scan.State.FAILED, finished_at=timezone.now(), error_kind="Forbidden")

        assert samples(client, "credboard_scan_age_seconds") == {("prod-eu",): math.inf}
        assert samples(client, "credboard_scan_failed") == {("prod-eu", "Forbidden"): 1}
        assert samples(client, "credboard_scan_errors") == {("prod-eu", "Forbidden"): 1}

    def test_age_counts_from_the_last_good_one_and_duration_is_that_of_the_last_that_ended(
        self, client: Client
    ) -> None:
        cluster, now = factories.cluster(scan_interval=300), timezone.now()
        ends(cluster, now - timedelta(minutes=10), seconds=7, state=Scan.State.DONE, failed_namespaces=2)
        ends(cluster, now - timedelta(minutes=5), seconds=30, state=Scan.State.FAILED, error_kind="Unavailable")
        factories.scan(cluster, started_at=now)

        assert 600 <= samples(client, "credboard_scan_age_seconds")["prod-eu",] < 700
        assert samples(client, "credboard_scan_duration_seconds") == {("prod-eu",): 30}
        assert samples(client, "credboard_scan_interval_seconds") == {("prod-eu",): 300}
        assert samples(client, "credboard_scan_failed") == {("prod-eu", "Unavailable"): 1}
        assert samples(client, "credboard_scan_failed_namespaces") == {("prod-eu",): 2}

    def test_a_good_scan_has_not_failed(self, client: Client) -> None:
        factories.cluster(scanned_at=timezone.now())

        assert samples(client, "credboard_scan_failed") == {("prod-eu", ""): 0}


def ends(cluster: Cluster, started_at: datetime, *, seconds: int, **fields: Any) -> Scan:
    return factories.scan(cluster, started_at=started_at, finished_at=started_at + timedelta(seconds=seconds), **fields)


class TestWork:
    def test_what_is_due_is_counted_with_how_long_it_waits(self, client: Client) -> None:
        now = timezone.now()
        cluster = factories.cluster(next_scan_at=now - timedelta(seconds=90))
        factories.namespace(cluster, "a", next_scan_at=now - timedelta(seconds=30))
        factories.namespace(cluster, "b", next_scan_at=now + timedelta(seconds=30))

        assert samples(client, "credboard_queue_due") == {("cluster",): 1, ("namespace",): 1}
        lags = samples(client, "credboard_queue_lag_seconds")
        assert 90 <= lags["cluster",] < 300
        assert 30 <= lags["namespace",] < 300

    def test_a_broker_that_is_down_is_told_and_its_length_is_not(self, client: Client) -> None:
        assert samples(client, "credboard_broker_up") == {(): 0}
        assert samples(client, "credboard_queue_length") == {}

    def test_the_broker_tells_how_many_tasks_wait(self, client: Client, settings: Any, valkey: ValkeyServer) -> None:
        settings.REDIS_URL = valkey.url
        with backlog.redis.Redis.from_url(valkey.url) as connection:
            connection.rpush(backlog.QUEUE, "one", "two")
        assert samples(client, "credboard_queue_length") == {(): 2}
        assert samples(client, "credboard_broker_up") == {(): 1}


class TestForm:
    def test_openmetrics_is_given_to_who_asks_for_it(self, client: Client) -> None:
        factories.namespace(factories.cluster(), cells={"tls": "critical expired"})

        body = scrape(client, accept="application/openmetrics-text; version=1.0.0")

        assert body.endswith("# EOF\n")
        assert {family.name for family in read_openmetrics(body)} == {one.name for one in METRICS}

    def test_everything_that_is_told_is_declared_and_everything_declared_is_told(self, client: Client) -> None:
        told = {family.name: family for family in read_text(scrape(client))}

        assert told.keys() == {one.name for one in METRICS}
        for one in METRICS:
            assert told[one.name].type == "gauge"
            assert told[one.name].documentation == one.about

    def test_the_number_of_queries_does_not_grow(self, client: Client, django_assert_max_num_queries: Any) -> None:
        for number in range(3):
            cluster = factories.cluster(f"c{number}", scanned_at=timezone.now())
            for name in "abc":
                factories.namespace(cluster, name, cells={"tls": "critical expired", "registry/quay.io": "ok x"})

        with django_assert_max_num_queries(25):
            scrape(client)


class TestDocs:
    def test_the_page_lists_every_metric_with_its_labels(self) -> None:
        rows = re.findall(r"^\| `(credboard_\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", PAGE.read_text("utf-8"), re.M)

        told = {name: (kind, tuple(re.findall(r"`(\w+)`", labels)), about) for name, kind, labels, about in rows}

        assert told == {one.name: ("gauge", one.labels, one.about) for one in METRICS}

    def test_example_rules_ask_for_metrics_and_labels_that_there_are(self) -> None:
        blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.S)
        rules = [
            rule for block in blocks for group in yaml.safe_load(block).get("groups", []) for rule in group["rules"]
        ]
        known = {one.name: set(one.labels) for one in METRICS}

        assert len(rules) >= 5
        for rule in rules:
            for name, matchers in re.findall(r"(credboard_\w+)(?:\{(.*?)\})?", rule["expr"]):
                assert set(re.findall(r"(\w+)\s*[=!]~?", matchers)) <= known[name], rule
