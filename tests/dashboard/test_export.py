"""Tables as CSV, read back as a spreadsheet would."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import StreamingHttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from dashboard import exporting
from dashboard.encryption import encrypt
from dashboard.models import AlertMessage, AlertRoute, Mail
from scanner.models import AuditEntry, Cluster, Namespace
from tests import factories

pytestmark = pytest.mark.django_db

ENDS = datetime(2027, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture(name="cluster", autouse=True)
def _cluster() -> Cluster:
    made = factories.cluster("prod-eu", scanned_at=timezone.now())
    for name, person in (("team-vision", "grace"), ("team-nlp", "linus@example.com")):
        ends = {"status": "warning", "reason": "expiring", "expires_at": ENDS, "secret": "web-tls"}
        where = factories.namespace(
            made, name, owners=(person,), cells={"registry/quay.io": "critical missing", "tls": ends}
        )
        factories.finding(where, message=f'in {name}, "quoted"\nand on two lines')
        AuditEntry.objects.create(
            actor=person, action="create", cluster="prod-eu", namespace=name, object="Secret/x", outcome="done"
        )
    return made


@pytest.fixture(name="ada")
def _ada() -> Client:
    return client_of(factories.operator())


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def table(client: Client, name: str, query: str = "") -> list[list[str]]:
    response: Any = client.get(reverse("export", args=[name]) + query)
    assert response.status_code == 200
    assert isinstance(response, StreamingHttpResponse)
    text = b"".join(response).decode("utf-8")
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def test_the_matrix_has_a_column_for_each_credential_and_worst_rows_first(ada: Client, cluster: Cluster) -> None:
    factories.namespace(cluster, "quiet", cells={"tls": "ok valid"})

    header, *rows = table(ada, "matrix")

    assert header == ["Namespace", "Owner", "More owners", "Status", "Reason", "registry/quay.io", "tls"]
    assert [row[0] for row in rows] == ["team-nlp", "team-vision", "quiet"]
    assert rows[1][1:] == ["grace", "", "critical", "", "critical: missing", "warning: expiring"]
    assert rows[2][5:] == ["", "ok"]


def test_the_matrix_is_exported_with_its_filters(ada: Client) -> None:
    assert [row[0] for row in table(ada, "matrix", "?q=vision")[1:]] == ["team-vision"]
    assert table(ada, "matrix", "?status=ok")[1:] == []


def test_what_is_stale_is_exported_as_unknown(ada: Client) -> None:
    Namespace.objects.update(scanned_at=timezone.now() - timedelta(days=1))

    assert {row[3] for row in table(ada, "matrix")[1:]} == {"unknown"}
    assert {row[4] for row in table(ada, "expiry", "?within=all")[1:]} == {"unknown"}
    assert {row[-1] for row in table(ada, "findings")[1:]} == {"yes"}


def test_findings_expiry_and_audit_are_exported(ada: Client) -> None:
    findings, expiry, audit = (table(ada, name, "?within=all") for name in ("findings", "expiry", "audit"))

    assert sorted(row[6] for row in findings[1:]) == [
        "in team-nlp, \"quoted\"\nand on two lines", "in team-vision, \"quoted\"\nand on two lines",
    ]  # fmt: skip
    assert {tuple(row[:1] + row[2:6]) for row in expiry[1:]} == {
        ("2027-03-04T05:06:07Z", "tls", "web-tls", "warning", "expiring")
    }
    assert {row[1] for row in audit[1:]} == {"grace", "linus@example.com"}


def test_findings_are_exported_with_their_filters(ada: Client) -> None:
    assert [row[0] for row in table(ada, "findings", "?namespace=team-nlp")[1:]] == ["team-nlp"]
    assert table(ada, "findings", "?code=TK01")[1:] == []
    assert table(ada, "findings", "?tab=resolved")[1:] == []
    assert table(ada, "findings", "?credential=tls")[1:] == []
    assert table(ada, "findings", "?status=warning")[1:] == []
    assert table(ada, "expiry", "?credential=registry/quay.io&within=all")[1:] == []


@pytest.mark.parametrize("name", sorted(exporting.TABLES.keys() - {"reports", "alerts"}))
def test_an_owner_exports_nothing_of_others(name: str) -> None:
    rows = table(client_of(factories.owner()), name, "?within=all")

    assert len(rows) == 2
    assert "team-nlp" not in str(rows)


def test_a_table_or_cluster_that_is_not_there_is_not_found(ada: Client) -> None:
    assert ada.get("/export/secrets.csv").status_code == 404
    assert ada.get("/export/matrix.csv?cluster=nowhere").status_code == 404
    assert client_of(factories.owner("stranger")).get("/export/matrix.csv").status_code == 404


def test_a_file_has_a_name_and_is_kept_by_nobody(ada: Client) -> None:
    response = ada.get("/export/audit.csv")

    assert response["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert response["Content-Disposition"].startswith('attachment; filename="credboard-audit-20')
    assert response["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", *"＝＋－＠"])
def test_nothing_that_a_spreadsheet_would_run_is_exported(ada: Client, text: str) -> None:
    factories.finding(Namespace.objects.first(), "HY01", message=text, object="Pod/x")  # type: ignore[arg-type]

    assert f"'{text}" in [row[6] for row in table(ada, "findings", "?code=HY01")]


@given(st.text())
def test_no_cell_begins_a_formula(text: str) -> None:
    assert not exporting.cell(text).startswith(exporting.FORMULA)
    assert exporting.cell(text).removeprefix("'").endswith(text.removeprefix("'"))


@pytest.mark.parametrize("name", exporting.TABLES)
def test_more_rows_cost_no_more_queries(ada: Client, cluster: Cluster, name: str) -> None:
    counts = []
    for size in (3, 30):
        for number in range(Namespace.objects.count(), size):
            where = factories.namespace(cluster, f"team-{number}", cells={"tls": {"expires_at": ENDS}})
            factories.finding(where)
        with CaptureQueriesContext(connection) as asked:
            table(ada, name)
        counts.append(len(asked))

    assert counts[0] == counts[1]


def test_the_pages_lead_to_their_files(ada: Client) -> None:
    assert 'href="/export/matrix.csv?status=critical"' in ada.get("/?status=critical&rows=100").content.decode()
    assert 'href="/export/audit.csv?actor=grace"' in ada.get("/audit/?actor=grace").content.decode()


def test_what_was_mailed_is_exported_with_its_filters_and_without_the_mails(ada: Client) -> None:
    for number, to in enumerate(("grace@example.com", "ada@example.com")):
        key, text = f"report:{number}", "the words of the mail"
        Mail.objects.enqueue(key=key, kind="report", to=to, subject="Two critical", html=text, text=text, headers={})

    header, *rows = table(ada, "reports", "?to=grace")

    assert header[:4] == ["Created", "To", "Kind", "Subject"]
    assert [row[1:5] for row in rows] == [["grace@example.com", "report", "Two critical", "queued"]]
    assert "the words of the mail" not in str(rows)
    assert 'href="/export/reports.csv?to=grace"' in ada.get("/reports/?to=grace").content.decode()


def test_an_owner_exports_only_the_mails_to_themselves() -> None:
    grace = factories.owner("grace")
    User.objects.filter(pk=grace.pk).update(email="grace@example.com")
    for to in ("grace@example.com", "ada@example.com"):
        Mail.objects.enqueue(key=to, kind="report", to=to, subject="s", html="", text="", headers={})

    _, *rows = table(client_of(User.objects.get(pk=grace.pk)), "reports")

    assert [row[1] for row in rows] == ["grace@example.com"]


def test_alerts_are_exported_to_operators_alone(ada: Client, cluster: Cluster) -> None:
    route = AlertRoute.objects.create(name="platform", url=encrypt("json://canary"), service="json", created_by="ada")
    told = {"credential": "tls", "news": "trouble", "title": "TLS: expired", "state": "sent"}
    AlertMessage.objects.create(route=route, cluster=cluster, due_at=timezone.now(), sealed_at=timezone.now(), **told)
    owner = client_of(factories.owner())

    _, row = table(ada, "alerts")

    assert row[1:7] == ["platform", cluster.name, "tls", "trouble", "TLS: expired", "sent"]
    assert "canary" not in str(row)
    assert owner.get("/export/alerts.csv").status_code == 404
    assert 'href="/export/alerts.csv"' in ada.get("/settings/alerts/").content.decode()


def test_findings_and_ends_are_exported_as_their_pages_show_them(ada: Client, cluster: Cluster) -> None:
    old = factories.namespace(cluster, "team-old", scanned_at=timezone.now() - timedelta(days=9))
    factories.finding(old)

    assert {row[0]: row[1] for row in table(ada, "findings")[1:]}["team-old"] == "unknown"
    assert [row[0] for row in table(ada, "findings", "?q=vision&status=critical")[1:]] == ["team-vision"]
    assert table(ada, "findings", "?acknowledged=only")[1:] == []
    assert table(ada, "findings", "?reason=expired")[1:] == []
    assert table(ada, "expiry", "?within=7")[1:] == []
    assert table(ada, "expiry", "?within=all&kind=registry")[1:] == []
    assert len(table(ada, "expiry", "?day=2027-03-04")[1:]) == 2
