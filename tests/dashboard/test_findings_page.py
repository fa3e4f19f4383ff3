"""The page of findings: the same cause once, what matches, and what a person may not see."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.acknowledging import acknowledge
from dashboard.models import Acknowledgement
from scanner.models import Cluster, Namespace
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker_up")]

QUAY, HUB = "registry/quay.io", "registry/docker.io"


def text(response: Any) -> str:
    assert response.status_code == 200, response.status_code
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode().partition('id="list"')[2]).split())


def hurt(cluster: Cluster, name: str, told: str = "critical missing", code: str = "PS01", **fields: Any) -> Namespace:
    status, reason = told.split()
    made = factories.namespace(
        cluster, name, cells={QUAY: told}, **{k: fields.pop(k) for k in ("owners", "scanned_at") if k in fields}
    )
    factories.finding(made, code, status=status, reason=reason, **fields)
    return made


def test_the_same_cause_is_told_once_with_how_many_namespaces_have_it(ada: Client, cluster: Cluster) -> None:
    for number in range(14):
        hurt(cluster, f"team-{number}")
    hurt(cluster, "other", "warning expiring", code="TK02")

    response = ada.get("/findings/")

    page = text(response)
    assert "<h1>15 findings, 2 causes</h1>" in response.content.decode()
    assert page.count("PS01 missing-pull-secret") >= 1
    assert response.content.decode().count('id="cause-') == 2
    assert "14 Namespaces" in page
    assert page.index("PS01 missing") < page.index("TK02 expiring")


def test_one_by_one_each_finding_leads_to_its_cell_and_namespace(ada: Client, cluster: Cluster) -> None:
    hurt(cluster, "team-a")
    nothing_needs_it = factories.namespace(cluster, "team-b")
    factories.finding(nothing_needs_it, "HY02", status="warning", reason="unused")

    page = ada.get("/findings/?group=no").content.decode()

    assert 'href="/n/prod-eu/team-a/cells/registry/quay.io/"' in page
    assert 'href="/n/prod-eu/team-b/"' in page
    assert "/n/prod-eu/team-b/cells/" not in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["team-a", "team-b", "team-c"]),
        ("q=team-b", ["team-b"]),
        ("q=grace", ["team-c"]),
        ("q=my-object", ["team-b"]),
        ("q=tk02", ["team-b"]),
        ("status=critical", ["team-a", "team-c"]),
        ("status=evil", ["team-a", "team-b", "team-c"]),
        ("code=TK02", ["team-b"]),
        ("reason=expiring", ["team-b"]),
        (f"credential={QUAY}", ["team-a", "team-b"]),
        (f"credential={HUB}", []),
        ("credential=-", ["team-c"]),
        ("acknowledged=only", ["team-a"]),
        ("acknowledged=hide", ["team-b", "team-c"]),
        ("q=%00&page=x", ["team-a", "team-b", "team-c"]),
    ],
)
def test_filters_find_what_they_name(ada: Client, cluster: Cluster, query: str, found: list[str]) -> None:
    first = hurt(cluster, "team-a")
    hurt(cluster, "team-b", "warning expiring", code="TK02", object="Secret/my-object")
    third = hurt(cluster, "team-c", credential="", owners=("grace",))
    now = timezone.now()
    acknowledge(factories.operator("edsger"), first, QUAY, note="Known.", until=now + timedelta(days=1), now=now)
    assert third.findings.get().credential == ""

    page = ada.get(f"/findings/?group=no&{query}").content.decode()

    assert sorted(re.findall(r'class="link name"[^>]*>([^<]+)<', page)) == found


def test_what_is_acknowledged_is_counted_and_marked(ada: Client, cluster: Cluster) -> None:
    made = [hurt(cluster, f"team-{n}") for n in range(3)]
    now = timezone.now()
    acknowledge(factories.operator("edsger"), made[0], QUAY, note="Known.", until=now + timedelta(days=1), now=now)

    assert "3 Namespaces (1 acknowledged)" in text(ada.get("/findings/"))
    assert text(ada.get("/findings/?group=no")).count(" acknowledged ") == 1


def test_an_owner_sees_the_own_namespaces_only(client: Client, cluster: Cluster) -> None:
    hurt(cluster, "mine", owners=("grace",))
    hurt(cluster, "theirs", "warning expiring", code="TK02", message="Their own business.", credential=HUB)
    client.force_login(factories.owner("grace"))

    for query in ("", "?group=no", "?q=theirs", f"?credential={HUB}"):
        page = client.get(f"/findings/{query}").content.decode()
        for hidden in ("Their own business", "TK02", "docker.io</option>"):
            assert hidden not in page
    assert "mine" in client.get("/findings/?group=no").content.decode()


def test_namespaces_that_are_gone_and_resolved_findings_are_not_open(ada: Client, cluster: Cluster) -> None:
    gone = hurt(cluster, "gone")
    gone.gone_at = timezone.now()
    gone.save()
    hurt(cluster, "repaired", resolved_at=timezone.now() - timedelta(days=2))
    hurt(cluster, "long-ago", resolved_at=timezone.now() - timedelta(days=40))

    assert "No check found anything" in text(ada.get("/findings/"))
    resolved = ada.get("/findings/?tab=resolved&group=no").content.decode()
    assert re.findall(r'class="link name"[^>]*>([^<]+)<', resolved) == ["repaired"]


def test_what_could_not_be_seen_is_said_on_top_and_not_believed(ada: Client, cluster: Cluster) -> None:
    hurt(cluster, "old", scanned_at=timezone.now() - timedelta(days=1))
    factories.namespace(cluster, "blind", unreadable={"secrets": "forbidden"})

    response = ada.get("/findings/")

    page = " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())
    assert "1 Namespace was last seen too long ago" in page
    assert "1 Namespace could not be read in full" in page
    assert 'class="is-unknown" title="unknown"' in response.content.decode()
    assert "(1 seen too long ago)" in page
    assert "was critical" in text(ada.get("/findings/?group=no"))
    assert "Nothing matches" in text(ada.get("/findings/?status=critical"))


def test_a_cause_opens_into_its_findings(ada: Client, cluster: Cluster) -> None:
    for number in range(3):
        hurt(cluster, f"team-{number}")
    page = ada.get("/findings/").content.decode()
    (url,) = re.findall(r'id="rows-1" hx-get="([^"]+)"', page)

    part = ada.get(url.replace("&amp;", "&"), headers={"HX-Request": "true", "HX-Target": "rows-1"}).content.decode()

    assert part.lstrip().startswith('<ul class="found">')
    assert part.count('class="link name"') == 3


def test_the_csv_is_asked_for_with_what_the_page_was_asked_for(ada: Client, cluster: Cluster) -> None:
    hurt(cluster, "team-a")

    page = ada.get("/findings/?code=PS01&tab=resolved&q=team&credential=-&page=2").content.decode()

    assert 'href="/export/findings.csv?q=team&amp;code=PS01&amp;credential=-&amp;tab=resolved"' in page


@pytest.mark.parametrize("query", ["", "group=no", "q=team&status=critical", "acknowledged=hide", "tab=resolved"])
def test_the_price_does_not_grow_with_the_cluster(
    ada: Client, cluster: Cluster, django_assert_max_num_queries: Any, query: str
) -> None:
    for number in range(120):
        hurt(cluster, f"team-{number}", code=f"PS{number % 9:02}")

    # Session and person; clusters; options; sight; causes or count and rows; acknowledged; scans.
    with django_assert_max_num_queries(8):
        ada.get(f"/findings/?{query}")


def test_pages_hold_fifty(ada: Client, cluster: Cluster) -> None:
    namespace = factories.namespace(cluster)
    for number in range(60):
        factories.finding(namespace, object=f"Secret/s{number}")

    assert "1–50 of 60" in text(ada.get("/findings/?group=no"))
    assert "51–60 of 60" in text(ada.get("/findings/?group=no&page=99"))


def test_an_unchanged_list_is_not_sent_again(ada: Client, cluster: Cluster) -> None:
    namespace = hurt(cluster, "team-a")
    headers = {"HX-Request": "true", "HX-Target": "list"}
    (seen,) = re.findall(r'data-seen="(\w+)"', ada.get("/findings/", headers=headers).content.decode())

    assert ada.get("/findings/", headers={**headers, "HX-PTag": seen}).status_code == 304

    factories.finding(namespace, "PS02")
    assert ada.get("/findings/", headers={**headers, "HX-PTag": seen}).status_code == 200


# A whole cause at once


ALL = f"/findings/acknowledge/?code=PS01&credential={QUAY}&reason=missing"
SENT = {"note": "The registry moves on Monday.", "way": "snooze", "length": "7"}


def test_a_whole_cause_is_acknowledged_at_once(ada: Client, cluster: Cluster) -> None:
    made = [hurt(cluster, f"team-{n}") for n in range(3)]
    other = hurt(cluster, "other", "critical rejected", code="RG01")
    assert "Acknowledge 3 cells" in ada.get(ALL).content.decode()
    assert not Acknowledgement.objects.exists()

    response = ada.post(ALL, SENT)

    assert (response.status_code, response.headers["Location"]) == (302, "/findings/")
    found = Acknowledgement.objects.covered([*made, other], now=timezone.now())
    assert found == {(one.pk, QUAY) for one in made}


def test_a_group_that_cannot_be_acknowledged_says_why(ada: Client, cluster: Cluster) -> None:
    hurt(cluster, "team-a")

    assert ada.post(ALL, {**SENT, "note": ""}).status_code == 422
    gone = ada.post(ALL.replace("PS01", "PS09"), SENT)

    assert gone.status_code == 422
    assert "None of these cells" in gone.content.decode()


def test_an_owner_acknowledges_only_what_is_theirs(client: Client, cluster: Cluster) -> None:
    mine = hurt(cluster, "mine", owners=("grace",))
    theirs = hurt(cluster, "theirs")
    client.force_login(factories.owner("grace"))

    client.post(ALL, SENT)

    assert Acknowledgement.objects.covered([mine, theirs], now=timezone.now()) == {(mine.pk, QUAY)}


def test_hostile_text_stays_text(ada: Client, cluster: Cluster) -> None:
    evil = "<script>alert(1)</script>"
    namespace = factories.namespace(cluster)
    factories.finding(namespace, message=evil, object=evil, reason=evil, credential=f"registry/{evil}")

    for query in ("", "?group=no", f"?q={evil}"):
        assert "<script>alert" not in ada.get(f"/findings/{query}").content.decode()
