"""The examples of docs/alerts.md are what is sent."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dashboard.alerting.damping import News
from dashboard.alerting.grouping import Change, Entry, Group
from dashboard.alerting.naming import naming
from dashboard.alerting.wording import Message, Names, compose, compose_digest
from scanner.models import Cluster

pytestmark = pytest.mark.django_db

DOCS = Path(__file__).parents[3] / "docs/alerts.md"
HARBOR = "registry/harbor.example.com"


@pytest.fixture(name="names")
def _names() -> Names:
    Cluster.objects.create(pk=1, name="prod-eu")
    return naming({pk: f"team-{pk:02}" for pk in range(14)}, zone=UTC)


def group(news: News = News.TROUBLE, credential: str = HARBOR, status: str = "", reason: str = "") -> Group:
    return Group(cluster=1, credential=credential, news=news, status=status, reason=reason)


def entries(number: int, of: Group, *, first: int = 0) -> list[Entry]:
    at = datetime(2024, 11, 20, 12, tzinfo=UTC)
    status = "ok" if of.news is News.RECOVERY else of.status
    return [
        Entry(
            change=Change(
                key=pk, cluster=1, namespace=pk, credential=of.credential, at=at, status=status, reason=of.reason
            )
        )
        for pk in range(first, first + number)
    ]


def test_each_example_is_what_is_sent(names: Names) -> None:
    rejected = group(status="critical", reason="rejected")
    expiring = group(credential="tls", status="warning", reason="expiring")
    recovered, flapping = group(News.RECOVERY), group(News.FLAPPING)
    other = group(News.RECOVERY, credential="tls")
    sent: list[Message] = [
        compose(rejected, entries(14, rejected), names=names),
        compose(recovered, entries(9, recovered), names=names, remaining=5),
        compose(flapping, entries(1, flapping), names=names),
        compose(expiring, entries(1, expiring), names=names),
        compose_digest([(other, entries(1, other, first=1), 0), (rejected, entries(1, rejected), 0)], names=names),
    ]
    examples = re.findall(r"```\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert examples == [f"{message.title}\n\n{message.body}\n" for message in sent]
