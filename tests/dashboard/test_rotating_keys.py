"""docs/rotating-keys.md, step by step."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import get_commands
from django.core.signing import BadSignature, Signer
from django.test import Client

from dashboard import env
from dashboard.demo.server import DemoCluster
from scanner.models import Cell, Cluster, Finding, Namespace, Transition
from scanner.scan import scan_cluster

PAGE = Path(__file__).parents[2] / "docs" / "rotating-keys.md"
OLD, NEW = (
    "the old key, of fifty characters and a few more of them",
    "the new key, of fifty characters and a few more of them",
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def signed_in(client: Client, settings: Any) -> Client:
    """A person who signed in while the old key was the only one."""
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = OLD, []
    User.objects.create_user(username="ada", password="correct horse battery", is_staff=True)
    assert client.login(username="ada", password="correct horse battery")
    return client


def is_signed_in(client: Client) -> bool:
    return client.get("/account/password/").status_code == 200


@pytest.mark.parametrize(("key", "former"), [(OLD, [NEW]), (NEW, [OLD])], ids=["step 1", "step 2"])
def test_nobody_is_signed_out_while_the_former_key_is_known(
    signed_in: Client, settings: Any, key: str, former: list[str]
) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = key, former

    assert is_signed_in(signed_in)


def test_a_process_of_step_1_believes_what_one_of_step_2_signed(client: Client, settings: Any) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, [OLD]
    client.force_login(User.objects.create_user(username="ada"))

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = OLD, [NEW]

    assert client.get("/").status_code == 200


def test_without_the_former_key_everyone_signs_in_again(signed_in: Client, settings: Any) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, []

    assert not is_signed_in(signed_in)


def test_links_in_mails_hold_as_long_as_their_key_is_known(settings: Any) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = OLD, []
    link = Signer(salt="a mail").sign("7")

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, [OLD]
    assert Signer(salt="a mail").unsign(link) == "7"

    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(BadSignature):
        Signer(salt="a mail").unsign(link)


def test_the_next_scan_makes_every_fingerprint_anew_and_changes_nothing_else(settings: Any, tmp_path: Path) -> None:
    with DemoCluster(kubelet=False, closed=()) as demo:
        path = demo.kubeconfig(tmp_path / "kubeconfig")
        cluster = Cluster.objects.create(name="demo", kubeconfig=str(path), scan_interval=86_400)
        settings.FINGERPRINT_KEY = OLD
        scan_cluster(cluster)
        prints, before = fingerprints(), rest()

        settings.FINGERPRINT_KEY = NEW
        scan_cluster(cluster)

    assert sum(map(len, prints.values())) > 10
    assert fingerprints().keys() == prints.keys()
    assert all(set(new).isdisjoint(prints[name]) for name, new in fingerprints().items())
    assert [len(one) for one in fingerprints().values()] == [len(one) for one in prints.values()]
    assert rest() == before
    assert not Transition.objects.exists()


def fingerprints() -> dict[str, list[str]]:
    return dict(Namespace.objects.exclude(fingerprints=[]).order_by("name").values_list("name", "fingerprints"))


def rest() -> list[Any]:
    """What people see of it."""
    cells = Cell.objects.order_by("namespace__name", "credential__slug")
    findings = Finding.objects.order_by("pk")
    return [
        list(cells.values_list("namespace__name", "credential__slug", "status", "reason", "since", "secret")),
        list(findings.values_list("pk", "code", "object", "status", "reason", "first_seen_at", "resolved_at")),
        list(Namespace.objects.order_by("name").values_list("name", "status", "reason")),
    ]


def test_every_command_and_setting_of_the_page_is_there() -> None:
    page = PAGE.read_text(encoding="utf-8")
    known = {one.name for one in env.declared()}
    known |= {f"{one.name}_FILE" for one in env.declared() if one.may_be_in_file}

    assert set(re.findall(r"manage\.py (\w+)", page)) <= get_commands().keys()
    assert set(re.findall(r"CREDBOARD_[A-Z_]+", page)) <= known
    assert {"CREDBOARD_SECRET_KEY", "CREDBOARD_FINGERPRINT_KEY", "CREDBOARD_ENCRYPTION_KEYS"} <= known


@pytest.mark.parametrize("command", re.findall(r'python -c "(.*?)"$', PAGE.read_text(encoding="utf-8"), re.M))
def test_the_one_liners_print_a_key(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(command, {})

    assert len(capsys.readouterr().out.strip()) >= 44
