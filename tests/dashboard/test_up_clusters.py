"""Which clusters `manage.py up` leaves to be scanned when it starts."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from dashboard.management.commands.up import Command
from scanner.encryption import encrypt
from scanner.models import Cluster, ClusterAccess

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose current context is `here`. Nothing is asked at its address."""
    path = tmp_path / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "ada", "user": {"token": "not-a-real-one"}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "ada"}}],
        "current-context": "here",
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(path))


def scanned() -> list[str]:
    """What is scanned after a start with that kubeconfig."""
    with ExitStack() as stack:
        Command()._cluster(stack, demo=False, context="")
    return sorted(Cluster.objects.exclude(next_scan_at=None).values_list("name", flat=True))


def test_a_cluster_that_was_added_with_a_kubeconfig_goes_on_being_scanned() -> None:
    Cluster.objects.create(name="prod", kubeconfig="/etc/reader.kubeconfig", next_scan_at=timezone.now())

    assert scanned() == ["here", "prod"]


@pytest.mark.parametrize("current", ["there", "here"])
def test_a_cluster_that_was_added_by_its_context_alone_goes_on_being_scanned(current: str, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    document = json.loads(path.read_text("utf-8"))
    document["contexts"] += [{"name": "there", "context": {"cluster": "here", "user": "ada"}}]
    path.write_text(json.dumps({**document, "current-context": current}), encoding="utf-8")
    call_command("cluster", "there", "--context", "there")
    scanned()
    path.write_text(json.dumps(document), encoding="utf-8")

    assert scanned() == ["here", "there"]


def test_a_cluster_that_was_added_on_the_page_goes_on_being_scanned() -> None:
    pasted = Cluster.objects.create(name="pasted", next_scan_at=timezone.now())
    ClusterAccess.objects.create(cluster=pasted, kubeconfig=encrypt("not looked at here"))

    assert scanned() == ["here", "pasted"]


def test_what_an_earlier_start_chose_is_scanned_no_more() -> None:
    yesterday = Cluster.objects.create(name="yesterday", context="yesterday", next_scan_at=timezone.now())
    ClusterAccess.objects.create(cluster=yesterday, server="https://yesterday.example.com")  # as each scan notes it
    Cluster.objects.create(name="demo", kubeconfig="/tmp/demo.kubeconfig", is_demo=True, next_scan_at=timezone.now())

    assert scanned() == ["here"]
