"""How a report looks as a mail: complete, readable anywhere, bounded, and safe whatever a cluster has in it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from dashboard.mail.rendering import LARGEST_HTML, render_report
from dashboard.reports.report import (
    ClusterReport,
    Counts,
    CredentialLine,
    DayHealth,
    FailedScanLine,
    NamespaceReport,
    Report,
    ReportItem,
    Top,
    UnseenNamespace,
)

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
WEEK = timedelta(days=7)
HOME = "https://credboard.example.com/"
ACKNOWLEDGE = f"{HOME}n/prod-eu/team-vision/acknowledge/registry/quay.io/"
HOSTILE = "<img src=x onerror=alert(1)>{{ mail }}{% load x %}<mj-raw>&amp;\x00\x1b[31m\u202e\"'"


def item(namespace: str = "team-vision", credential: str = "registry/quay.io", **fields: Any) -> ReportItem:
    values: dict[str, Any] = {
        "cluster": "prod-eu",
        "status": "critical",
        "reason": "missing",
        "since": NOW - WEEK,
        "what": "Pod web-0 names the pull Secret regcred, which is not here.",
        "url": f"{HOME}n/prod-eu/team-vision/cells/registry/quay.io/",
        "acknowledge_url": ACKNOWLEDGE,
    }
    return ReportItem(namespace=namespace, credential=credential, **(values | fields))


def namespace(name: str = "team-vision", *items: ReportItem, **fields: Any) -> NamespaceReport:
    values: dict[str, Any] = {"status": "critical", "url": f"{HOME}n/prod-eu/{name[:20]}/", "items": Top.of(items)}
    return NamespaceReport(name=name, **(values | fields))


def cluster(name: str = "prod-eu", **fields: Any) -> ClusterReport:
    values: dict[str, Any] = {
        "url": f"{HOME}?cluster=prod-eu",
        "scanned_at": NOW - timedelta(minutes=1),
        "counts": Counts(ok=3),
        "namespaces": Top(),
    }
    return ClusterReport(name=name, **(values | fields))


def report(*clusters: ClusterReport, is_operator: bool = True, **fields: Any) -> Report:
    values: dict[str, Any] = {
        "reader": "ada",
        "since": NOW - WEEK,
        "until": NOW,
        "frequency": "weekly",
        "time_zone": "UTC",
        "home_url": HOME,
        "settings_url": f"{HOME}settings/report/",
        "unsubscribe_url": f"{HOME}unsubscribe/abc/",
    }
    return Report(is_operator=is_operator, clusters=clusters, **(values | fields))


def full(count: int, *, text: str = "Pod web-0 names the pull Secret regcred, which is not here.") -> ClusterReport:
    """A cluster with `count` of everything."""
    items = [item(f"team-{number}", what=text, note=text, reason="missing") for number in range(count)]
    return cluster(
        counts=Counts(critical=count, unknown=count, warning=count, ok=1),
        namespaces=Top.of([namespace(f"team-{number}", *items) for number in range(min(count, 200))]),
        new=Top.of(items),
        resolved=Top.of([replace(one, status="ok") for one in items]),
        expiring=Top.of([replace(one, expires_at=NOW + timedelta(days=3)) for one in items]),
        acknowledged=Top.of(items),
        unseen=Top.of(
            [UnseenNamespace(name=f"dark-{number}", why=text, scanned_at=None, url=HOME) for number in range(count)]
        ),
        trend=tuple(DayHealth(day=(NOW - timedelta(days=30 - number)).date(), critical=number) for number in range(30)),
        credentials=Top.of(
            [
                CredentialLine(credential=f"registry/r{n}", status="critical", namespaces=2, critical=1, url=HOME)
                for n in range(count)
            ]
        ),
        failed_scans=Top.of([FailedScanLine(namespace=f"n{n}", words=text, times=2, at=NOW) for n in range(count)]),
    )


class Reader(HTMLParser):
    """What a mail program sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.addresses: list[str] = []
        self._is_head = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._is_head = self._is_head or tag in ("style", "title")
        named = dict(attrs)
        assert not any(name.startswith("on") for name in named)
        if tag == "a":
            self.links.append(named["href"] or "")
        self.addresses += [value for name, value in attrs if name in ("src", "background", "srcset") and value]

    def handle_endtag(self, tag: str) -> None:
        if tag in ("style", "title"):
            self._is_head = False

    def handle_data(self, data: str) -> None:
        if not self._is_head:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_a_look_at_a_report_that_is_off_does_not_say_that_it_comes_off() -> None:
    mail = render_report(report(full(2), frequency="off"))

    for told in (mail.text, mail.html):
        assert "Reports are off for you: this one is a look at it." in " ".join(told.split())
        assert "You get this" not in told


def test_an_operator_is_told_everything_that_a_report_holds() -> None:
    mail = render_report(report(full(2)))

    seen = Reader(mail.html).text
    for words in (
        "2 critical",
        "New problems",
        "Worst Namespaces",
        "Credentials by the Namespaces they hurt",
        "Could not be seen",
        "Ends within 30 days",
        "Resolved",
        "Acknowledged",
        "Scans that failed",
        "team-0 · quay.io",
        "missing · since 2026-11-16 (7\u00a0d)".replace("\u00a0", " "),
        "ends 2026-11-26 (in 3 d)",
        "at most 29 on 2026-11-22",
    ):
        assert words in seen, words


def test_text_and_html_tell_the_same_things() -> None:
    mail = render_report(report(full(3)))

    seen, text = Reader(mail.html).text, " ".join(mail.text.split())
    for words in re.findall(r"(?:team|dark)-\d|r\d|20\d\d-\d\d-\d\d|https://\S+", text):
        assert words in seen or words in mail.html


def test_an_owner_gets_one_link_to_each_repair() -> None:
    two = (item(), item(credential="tls", url=f"{HOME}n/prod-eu/team-vision/cells/tls/"))
    mail = render_report(
        report(
            cluster(counts=Counts(critical=1), namespaces=Top.of([namespace("team-vision", *two)])), is_operator=False
        )
    )

    assert Reader(mail.html).text.count("Repair it") == 2
    assert "cells/tls/" in mail.text
    assert "In team-vision" in mail.text
    assert "Worst" not in mail.text


@pytest.mark.parametrize("is_operator", [True, False])
def test_each_item_in_trouble_can_be_acknowledged_from_the_mail(is_operator: bool) -> None:
    told = Top.of([item(expires_at=NOW + timedelta(days=3))])
    made = cluster(
        counts=Counts(critical=1), namespaces=Top.of([namespace("team-vision", *told)]), new=told, expiring=told
    )
    mail = render_report(report(made, is_operator=is_operator))

    # Of an operator in New and in Ends, of an owner once, where the item is told in full.
    times = 2 if is_operator else 1
    assert Reader(mail.html).links.count(ACKNOWLEDGE) == times
    assert mail.text.count(f"\n  Acknowledge: {ACKNOWLEDGE}\n") == times


def test_what_cannot_be_acknowledged_has_no_such_link() -> None:
    well = Top.of([item(acknowledge_url="")])
    mail = render_report(report(cluster(new=well, acknowledged=well, resolved=Top.of([item()]))))

    assert "/acknowledge/" not in mail.html + mail.text
    assert "Acknowledge:" not in mail.text


def test_what_was_resolved_is_told_in_one_sentence() -> None:
    mail = render_report(report(cluster(resolved=Top.of([item(status="ok", what="Was missing.")]))))

    for text in (mail.text, Reader(mail.html).text):
        assert "Was missing." in text
        assert "Was: " not in text


@pytest.mark.parametrize(("status", "sign"), [("critical", "●"), ("unknown", "?"), ("warning", "▲")])
def test_a_credential_has_the_sign_of_its_worst_status(status: str, sign: str) -> None:
    line = CredentialLine(credential="registry/quay.io", status=status, namespaces=2, critical=0, url=HOME)
    mail = render_report(report(cluster(counts=Counts(unknown=2), credentials=Top.of([line]))))

    assert f"{sign} quay.io\n  {status.upper()}: 2 Namespaces" in mail.text


def test_nothing_wrong_is_a_short_good_mail() -> None:
    mail = render_report(report(cluster()))

    assert mail.subject == "prod-eu: all well"
    assert len(mail.text.splitlines()) < 30
    assert "Nothing needs you." in Reader(mail.html).text


@pytest.mark.parametrize(
    ("made", "subject"),
    [
        (report(cluster(counts=Counts(critical=9, unknown=3, warning=1), namespaces=Top.of([namespace()]))),
         "prod-eu: 9 critical, 3 unknown, 1 with a warning"),
        (report(cluster(), is_operator=False), "Your Namespaces: all well"),
        (report(cluster(), cluster("stage")), "2 clusters: all well"),
        (report(cluster(counts=Counts(critical=1))), "prod-eu: nothing new, only what was acknowledged"),
        (report(cluster(is_failing=True)), "prod-eu: scans fail"),
        (report(cluster(unseen=Top.of([UnseenNamespace(name="a", why="", scanned_at=None, url=HOME)]))),
         "prod-eu: not all of it was seen"),
        (report(cluster(counts=Counts())), "prod-eu: no Namespaces to report on"),
        (report(is_operator=False), "Your Namespaces: no Namespaces to report on"),
    ],
)  # fmt: skip
def test_the_subject_says_how_things_are(made: Report, subject: str) -> None:
    assert render_report(made).subject == subject


@pytest.mark.parametrize("status", ["", "green", "critical", "unknown", "warning"])
def test_a_status_that_is_not_known_is_never_shown_as_fine(status: str) -> None:
    mail = render_report(report(cluster(counts=Counts(unknown=1), new=Top.of([item(status=status)]))))

    told = mail.text.split("New problems")[1].split("Dates are")[0]
    assert "✓" not in told
    assert ("UNKNOWN" in told) == (status in ("", "green", "unknown"))


def test_each_status_has_a_sign_and_a_word() -> None:
    counts = Counts(critical=1, unknown=2, warning=3, ok=4)
    mail = render_report(report(cluster(counts=counts, namespaces=Top.of([namespace()]))))

    assert "● 1 critical   ? 2 unknown   ▲ 3 warning   ✓ 4 well" in mail.text
    assert {"● critical", "? unknown", "▲ warning", "✓ well"} <= {
        " ".join(one.split()) for one in Reader(mail.html).words
    }


def test_the_chart_is_there_without_images_and_in_words() -> None:
    days = [DayHealth(day=(NOW - timedelta(days=7 - number)).date(), critical=None if number == 2 else number)
            for number in range(7)]  # fmt: skip
    mail = render_report(report(cluster(trend=tuple(days))))

    seen = Reader(mail.html)
    assert "img" not in seen.tags
    assert mail.html.count('class="bar"') == 5  # a day without a scan and one without trouble have none
    assert "Critical Namespaces: 0 on 2026-11-16, 6 on 2026-11-22, at most 6 on 2026-11-22. No good scan on 1 day." in (
        seen.text
    )
    assert "11-18 no good scan" in mail.text
    assert "11-16 0" in mail.text


@pytest.mark.parametrize("clusters", [1, 3, 40])
@pytest.mark.parametrize("operator", [True, False])
def test_ten_thousand_items_fit_into_what_mail_programs_show(clusters: int, operator: bool) -> None:
    big = full(10_000, text="ü" * 10_000)

    mail = render_report(report(*[big] * clusters, is_operator=operator))

    assert len(mail.html.encode()) <= LARGEST_HTML < 102_000
    assert len(mail.text) < 100_000
    assert re.search(r"and \d+ more", mail.text)
    assert re.search(r"and \d+ more", mail.html)


def test_what_is_left_out_is_counted() -> None:
    items = [item(f"team-{number}") for number in range(200)]

    mail = render_report(report(cluster(counts=Counts(critical=200), new=Top.of(items))))

    assert "and 180 more" in Reader(mail.html).text
    assert f"and 180 more: {HOME}?cluster=prod-eu" in mail.text


def test_namespaces_and_clusters_that_do_not_fit_are_counted_as_well() -> None:
    many = cluster(namespaces=Top.of([namespace(f"team-{n}", item()) for n in range(30)]), counts=Counts(critical=30))

    owners = render_report(report(many, is_operator=False))
    clusters = render_report(report(*[many] * 12))

    assert "And 10 more Namespaces" in Reader(owners.html).text
    (left_out,) = re.findall(r"(\d+) more clusters did not fit in here", Reader(clusters.html).text)
    assert clusters.text.count("Last scanned") == 12 - int(left_out)
    assert f"{left_out} more clusters did not fit in here" in clusters.text


def test_hostile_names_are_only_ever_words() -> None:
    bad = item(HOSTILE, HOSTILE, what=HOSTILE * 500, note=HOSTILE, reason=HOSTILE[:40])
    made = cluster(
        HOSTILE,
        counts=Counts(critical=1),
        namespaces=Top.of([namespace(HOSTILE, bad)]),
        new=Top.of([bad]),
        resolved=Top.of([bad]),
        expiring=Top.of([replace(bad, expires_at=NOW)]),
        acknowledged=Top.of([bad]),
        unseen=Top.of([UnseenNamespace(name=HOSTILE, why=HOSTILE, scanned_at=NOW, url=HOME)]),
        credentials=Top.of([CredentialLine(credential=HOSTILE, status=HOSTILE, namespaces=1, critical=1, url=HOME)]),
        failed_scans=Top.of([FailedScanLine(namespace=HOSTILE, words=HOSTILE, times=1, at=NOW)]),
    )
    for operator in (True, False):
        mail = render_report(report(made, is_operator=operator, reader=HOSTILE))

        seen = Reader(mail.html)
        assert not seen.tags & {"img", "script", "mj-raw", "iframe", "svg", "form", "object"}
        assert "onerror=alert(1)>{{ mail }}" in seen.text
        everything = mail.subject + mail.html + mail.text
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", everything)
        assert "\n" not in mail.subject
        assert len(mail.subject) <= 200


def test_every_link_leads_to_credboard_and_nothing_is_loaded() -> None:
    mail = render_report(report(full(3)))

    seen = Reader(mail.html)
    assert seen.links
    assert all(link.startswith(HOME) for link in seen.links)
    assert seen.addresses == []
    assert "url(" not in mail.html
    assert "@import" not in mail.html
    assert {"link", "script", "img"}.isdisjoint(seen.tags)
    assert {"https://credboard.example.com"} == set(re.findall(r"https://[\w.-]+", mail.text))


def test_it_knows_light_and_dark() -> None:
    html = render_report(report(cluster())).html

    assert '<meta name="color-scheme" content="light dark"' in html
    assert "@media (prefers-color-scheme: dark)" in html
    assert "&gt;" not in html.split("<body")[0]


def test_the_text_part_keeps_within_72_columns() -> None:
    mail = render_report(report(full(5, text="Pod web-0 names the pull Secret regcred, which is not here. " * 5)))

    long = [line for line in mail.text.splitlines() if len(line) > 72 and "https://" not in line]
    assert long == []
    assert "\n\n\n\n" not in mail.text


def test_times_are_those_of_the_reader_and_say_so() -> None:
    text = render_report(report(cluster(), time_zone="Europe/Berlin")).text

    assert "2026-11-16 10:00 to 2026-11-23 10:00 Europe/Berlin" in text
    assert "Last scanned 2026-11-23 09:59." in text
    assert "Dates are those of Europe/Berlin" in text


def test_the_ways_out_are_there_and_only_those_that_exist() -> None:
    both = render_report(report(cluster()))
    neither = render_report(report(cluster(), settings_url="", unsubscribe_url=""))

    assert "Unsubscribe: https://credboard.example.com/unsubscribe/abc/" in both.text
    assert f"{HOME}unsubscribe/abc/" in Reader(both.html).links
    assert "nsubscribe" not in neither.text + neither.html
    assert "Change how often" not in neither.text + neither.html
