"""The matrix in the browser's eyes: order, filters, tallies, pages, polls, and who sees what, at a constant price."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.matrix_page import Filters
from scanner.models import Cluster
from tests import factories
from tests.dashboard.matrix_html import HUB, QUAY, names, tallies

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker_up")]
HTMX = {"HX-Request": "true", "HX-Target": "matrix"}


def text(response: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def test_the_worst_namespaces_come_first_then_the_most_critical_then_by_name(ada: Client, cluster: Cluster) -> None:
    factories.namespace(cluster, "well", cells={QUAY: "ok covered"})
    factories.namespace(cluster, "warned", cells={QUAY: "warning expiring"})
    factories.namespace(cluster, "doubted", cells={QUAY: "unknown unreachable"})
    factories.namespace(cluster, "b-hurt", cells={QUAY: "critical missing"})
    factories.namespace(cluster, "a-hurt", cells={QUAY: "critical missing"})
    factories.namespace(cluster, "z-hurt-twice", cells={QUAY: "critical missing", HUB: "critical expired"})

    response = ada.get("/")

    assert names(response) == ["z-hurt-twice", "a-hurt", "b-hurt", "doubted", "warned", "well"]


def test_a_namespace_seen_too_long_ago_counts_and_sorts_as_unknown(ada: Client, cluster: Cluster) -> None:
    factories.namespace(cluster, "warned", cells={QUAY: "warning expiring"})
    old = timezone.now() - cluster.stale_after - timedelta(seconds=5)
    factories.namespace(cluster, "old", cells={QUAY: "critical missing"}, scanned_at=old)

    response = ada.get("/")

    assert names(response) == ["old", "warned"]
    assert tallies(response) == {"critical": 0, "unknown": 1, "warning": 1, "ok": 0}
    assert "1 unknown" in response.content.decode()
    assert names(ada.get("/?status=unknown")) == ["old"]
    assert names(ada.get("/?status=critical")) == []
    assert names(ada.get("/?reason=stale")) == ["old"]
    assert names(ada.get("/?reason=missing")) == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=vision", ["team-vision"]),
        ("q=VISION", ["team-vision"]),
        ("q=grace", ["team-nlp"]),
        ("q=kubeflow-profile", ["team-vision"]),
        ("q=team grace", ["team-nlp"]),
        ("owner=grace@example.com", ["team-nlp"]),
        ("label=app.kubernetes.io/part-of=kubeflow-profile", ["team-vision"]),
        ("label=app.kubernetes.io/part-of", ["team-vision"]),
        ("label=app.kubernetes.io/part-of=other", []),
        ("status=critical", ["team-vision"]),
        ("status=ok", ["team-nlp"]),
        ("reason=missing", ["team-vision"]),
        (f"credential={HUB}", ["team-nlp"]),
        (f"credential={QUAY}&status=ok", ["team-nlp"]),
        (f"credential={QUAY}&reason=missing", ["team-vision"]),
        (f"credential={HUB}&reason=missing", []),
        ("q=nobody", []),
    ],
)
def test_filters_find_the_namespaces_that_they_name(
    ada: Client, cluster: Cluster, query: str, found: list[str]
) -> None:
    labels = {"app.kubernetes.io/part-of": "kubeflow-profile"}
    factories.namespace(cluster, "team-vision", cells={QUAY: "critical missing"}, labels=labels)
    cells = {QUAY: "ok covered", HUB: "ok covered"}
    factories.namespace(cluster, "team-nlp", owners=("grace@example.com",), cells=cells)

    assert names(ada.get("/", QueryDict(query, mutable=True).dict())) == found


def test_with_a_credential_the_tallies_count_its_cells(ada: Client, cluster: Cluster) -> None:
    factories.namespace(cluster, "a", cells={QUAY: "ok covered", HUB: "critical missing"})
    factories.namespace(cluster, "b", cells={QUAY: "critical missing"})

    assert tallies(ada.get("/", {"credential": QUAY})) == {"critical": 1, "unknown": 0, "warning": 0, "ok": 1}


@pytest.mark.parametrize(
    ("told", "headline"),
    [
        ([], "0 Namespaces"),
        (["ok covered"], "1 Namespace, all well"),
        (["ok covered", "warning expiring"], "2 Namespaces, 1 with warnings"),
        (["warning expiring", "unknown unreachable"], "2 Namespaces, 1 unknown"),
        (["unknown unreachable"] * 2, "2 Namespaces, all unknown"),
        (["critical missing", "unknown unreachable"], "2 Namespaces, 1 needs repair"),
        (["critical missing"] * 2, "2 Namespaces, 2 need repair"),
    ],
)
def test_the_headline_never_calls_well_what_is_not_known(
    ada: Client, cluster: Cluster, told: list[str], headline: str
) -> None:
    for number, cell in enumerate(told):
        factories.namespace(cluster, f"team-{number}", cells={QUAY: cell})

    assert f"<h1>{headline}</h1>" in ada.get("/").content.decode()


def test_tallies_do_not_change_with_the_status_that_is_chosen(ada: Client, cluster: Cluster) -> None:
    factories.namespace(cluster, "a", cells={QUAY: "critical missing"})
    factories.namespace(cluster, "b", cells={QUAY: "ok covered"})

    assert tallies(ada.get("/?status=ok")) == tallies(ada.get("/"))


def test_a_column_head_links_to_the_namespaces_that_it_hurts(ada: Client, cluster: Cluster) -> None:
    factories.namespace(cluster, "a", cells={QUAY: "critical missing"})
    factories.namespace(cluster, "b", cells={QUAY: "ok covered"})

    page = ada.get("/").content.decode()

    assert "1 critical" in page
    assert 'href="/?status=critical&amp;credential=registry%2Fquay.io"' in page


def test_pages_hold_fifty_and_one_past_the_end_is_the_last(ada: Client, cluster: Cluster) -> None:
    for number in range(60):
        factories.namespace(cluster, f"team-{number:02}")

    assert len(names(ada.get("/"))) == 50
    assert names(ada.get("/?page=2"))[0] == "team-50"
    assert names(ada.get("/?page=999")) == names(ada.get("/?page=2"))
    assert len(names(ada.get("/?rows=100"))) == 60


@pytest.mark.parametrize(
    "query", ["page=-1", "page=x", "page=²", "rows=7", "status=evil", "q=%00", "label=%3D", "label==x"]
)
def test_a_query_that_means_nothing_is_still_a_page(ada: Client, cluster: Cluster, query: str) -> None:
    factories.namespace(cluster)

    assert ada.get(f"/?{query}").status_code == 200


def test_filters_cut_what_is_too_long() -> None:
    assert len(Filters.read({"q": "x" * 10_000}).q) == 320


def test_an_empty_cell_is_told_from_one_that_was_not_checked(ada: Client, cluster: Cluster) -> None:
    factories.namespace(cluster, "a", cells={QUAY: "ok covered"})
    factories.namespace(cluster, "b")
    factories.namespace(cluster, "c", unreadable={"secrets": "forbidden"})

    page = ada.get("/").content.decode()

    assert page.count("Nothing here needs it") == 1
    assert page.count(">not checked</a>") == 1
    assert "Credboard may not read everything in 1 Namespace." in page
    assert names(ada.get("/?reason=not-checked")) == ["c"]


def test_an_owner_sees_own_namespaces_columns_and_counts_only(client: Client, cluster: Cluster) -> None:
    factories.namespace(cluster, "mine", owners=("grace",), cells={QUAY: "ok covered"})
    factories.namespace(cluster, "theirs", cells={"registry/hidden.example.com": "critical missing"})
    client.force_login(factories.owner("grace"))

    response = client.get("/")

    assert names(response) == ["mine"]
    assert tallies(response) == {"critical": 0, "unknown": 0, "warning": 0, "ok": 1}
    for secret in ("theirs", "hidden.example.com", "missing"):
        assert secret not in response.content.decode()
    assert names(client.get("/?q=theirs")) == []


def test_an_owner_cannot_tell_a_hidden_cluster_from_a_missing_one(client: Client, cluster: Cluster) -> None:
    factories.namespace(cluster, "mine", owners=("grace",))
    factories.cluster("hidden", scanned_at=timezone.now())
    client.force_login(factories.owner("grace"))

    hidden, missing = client.get("/?cluster=hidden"), client.get("/?cluster=nothing")

    assert hidden.status_code == missing.status_code == 404
    assert strip(hidden) == strip(missing)


def strip(response: Any) -> str:
    """The page without what changes with each request."""
    return re.sub(r'data-now="[^"]*"|X-CSRFToken": "\w+"|value="\w{64}"', "", response.content.decode())


def test_the_demo_is_said_to_be_one(ada: Client) -> None:
    factories.cluster("demo", is_demo=True, scanned_at=timezone.now())

    assert "example data" in ada.get("/").content.decode()


def test_the_cluster_of_ones_own_comes_before_the_demo(ada: Client) -> None:
    now = timezone.now()
    for name, is_demo in (("demo", True), ("prod-eu", False)):
        factories.namespace(factories.cluster(name, scanned_at=now, is_demo=is_demo), f"in-{name}")

    page = text(ada.get("/"))

    assert "in-prod-eu" in page
    assert "embedded demo cluster" not in page


def test_a_stale_cluster_that_is_scanned_no_more_does_not_ask_for_the_worker(ada: Client) -> None:
    long_ago = timezone.now() - timedelta(hours=5)
    cluster = factories.cluster(scanned_at=long_ago, next_scan_at=None)
    row = factories.namespace(cluster, scanned_at=long_ago, cells={"tls": "ok valid"})

    for url in ("/", reverse("namespace", args=[cluster.name, row.name])):
        page = text(ada.get(url))
        assert page.count("Last good scan") == 1
        assert "This cluster is not scanned any more." in page
        assert "Is the worker running?" not in page


def test_a_matrix_without_columns_says_why(ada: Client) -> None:
    factories.namespace(factories.cluster(scanned_at=timezone.now()))

    assert "No scan has found anything here that needs a credential." in text(ada.get("/"))


@pytest.mark.parametrize("size", [5, 500])
def test_the_price_of_a_page_does_not_grow_with_the_cluster(
    ada: Client, cluster: Cluster, django_assert_num_queries: Any, size: int
) -> None:
    for number in range(size):
        factories.namespace(cluster, f"team-{number:03}", owners=("grace",), cells={QUAY: "ok covered"})

    # Session and person; clusters; scans; tallies; rows with their owners; columns; cells.
    with django_assert_num_queries(8):
        ada.get("/?rows=200")


@pytest.mark.parametrize("query", ["q=team", "status=critical", f"credential={QUAY}", "reason=missing", "owner=grace"])
@pytest.mark.parametrize("who", ["operator", "owner"])
def test_filters_cost_no_query(
    client: Client, cluster: Cluster, django_assert_max_num_queries: Any, query: str, who: str
) -> None:
    factories.namespace(cluster, "team-a", owners=("grace",), cells={QUAY: "critical missing"})
    old = timezone.now() - cluster.stale_after - timedelta(seconds=5)
    factories.namespace(cluster, "team-b", owners=("grace",), cells={QUAY: "critical missing"}, scanned_at=old)
    client.force_login(factories.operator() if who == "operator" else factories.owner("grace"))

    with django_assert_max_num_queries(8):
        assert names(client.get(f"/?{query}"))


def test_a_row_names_one_owner_and_how_many_more_there_are(ada: Client, cluster: Cluster) -> None:
    factories.namespace(cluster, "alone")
    factories.namespace(cluster, "ours", owners=("grace", "ada", "edsger"))

    page = ada.get("/").content.decode()

    assert "<small>ada +2</small>" in page
    assert "<small>no owner</small>" in page


def test_the_trend_comes_after_the_page_and_for_operators_only(client: Client, cluster: Cluster) -> None:
    factories.namespace(cluster, "mine", owners=("grace",))
    for days in (1, 2):
        factories.scan(cluster, started_at=timezone.now() - timedelta(days=days), state="done", critical=days)
    asked = {"HX-Request": "true", "HX-Target": "trend"}

    client.force_login(factories.operator())
    assert "<path" not in client.get("/").content.decode().partition('id="trend"')[2].partition("</section>")[0]
    assert "<path d=" in client.get("/", headers=asked).content.decode()

    client.force_login(factories.owner("grace"))
    assert client.get("/", headers=asked).content.decode().strip() == ""


def test_a_column_stays_when_all_in_it_is_well_or_stale(ada: Client, cluster: Cluster) -> None:
    factories.namespace(cluster, "well", cells={QUAY: "ok covered"})
    old = timezone.now() - cluster.stale_after - timedelta(seconds=5)
    factories.namespace(cluster, "old", cells={HUB: "ok covered"}, scanned_at=old)

    page = ada.get("/").content.decode()

    assert re.findall(r'<span class="label">([^<]+)</span><small class="([^"]*)">([^<]+)<', page) == [
        ("docker.io", "is-unknown", "1 unknown"),
        ("quay.io", "", "all well"),
    ]


def test_htmx_gets_the_part_and_the_head_beside_it(ada: Client, cluster: Cluster) -> None:
    factories.namespace(cluster)

    part = ada.get("/", headers=HTMX).content.decode()

    assert "<html" not in part
    assert part.lstrip().startswith('<div id="matrix"')
    assert 'id="top" hx-swap-oob="true"' in part


def test_a_poll_that_would_show_the_same_is_not_answered_with_a_page(ada: Client, cluster: Cluster) -> None:
    namespace = factories.namespace(cluster, cells={QUAY: "ok covered"})
    first = ada.get("/", headers=HTMX).content.decode()
    (seen,) = re.findall(r'data-seen="(\w+)"', first)

    assert ada.get("/", headers={**HTMX, "HX-PTag": seen}).status_code == 304

    factories.cell(namespace, HUB, "critical missing")
    assert ada.get("/", headers={**HTMX, "HX-PTag": seen}).status_code == 200


def test_a_browser_that_shows_another_page_in_this_place_reloads(ada: Client, cluster: Cluster) -> None:
    response = ada.get("/", headers={**HTMX, "HX-Target": "first-scan"})

    assert response.headers["HX-Refresh"] == "true"


def test_hostile_names_are_shown_as_text(ada: Client, cluster: Cluster) -> None:
    namespace = factories.namespace(cluster, owners=('"><script>alert(1)</script>',))
    factories.cell(namespace, "registry/<script>alert(2)</script>", "critical missing")

    page = ada.get("/").content.decode()

    assert "<script>alert" not in page


def test_a_page_has_no_inline_style_script_or_handler(ada: Client, cluster: Cluster) -> None:
    factories.namespace(cluster, cells={QUAY: "critical missing"})

    page = ada.get("/").content.decode()

    assert not re.search(r'<style|\sstyle="|\son\w+="|<script(?![^>]*\ssrc=)|hx-on|javascript:', page)


def test_an_operator_has_the_cluster_scanned_and_comes_back(
    ada: Client, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scanner.scan.tell_dispatcher", lambda: True)

    response = ada.post("/scan/prod-eu/", {"next": "/?q=x"})

    assert (response.status_code, response.headers["Location"]) == (302, "/?q=x")
    cluster.refresh_from_db()
    assert cluster.next_scan_at is not None
    assert cluster.next_scan_at <= timezone.now()


def test_nobody_is_sent_to_another_site(ada: Client, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.scan.tell_dispatcher", lambda: True)

    assert ada.post("/scan/prod-eu/", {"next": "https://evil.example/"}).headers["Location"] == "/"
    assert ada.post("/scan/prod-eu/", {"next": "nowhere"}).headers["Location"] == "nowhere"


def test_an_owner_may_not_scan_the_cluster_but_the_own_namespace(
    client: Client, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scanner.scan.tell_dispatcher", lambda: True)
    factories.namespace(cluster, "mine", owners=("grace",))
    factories.namespace(cluster, "theirs")
    client.force_login(factories.owner("grace"))

    assert client.post("/scan/prod-eu/").status_code == 403
    assert client.post("/n/prod-eu/mine/scan/").status_code == 302
    assert client.post("/n/prod-eu/theirs/scan/").status_code == 404
    assert client.get("/scan/prod-eu/").status_code == 405


def test_a_stranger_is_sent_to_sign_in(client: Client, cluster: Cluster) -> None:
    assert client.get("/").headers["Location"].startswith("/sign-in/")
