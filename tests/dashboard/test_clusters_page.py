"""Clusters from the page: tried before they are saved, stored encrypted, never shown back."""

from __future__ import annotations

import base64
import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.signals import got_request_exception
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.views.debug import ExceptionReporter
from pytest_django.fixtures import Settings

from dashboard import doctor, forms_cluster
from dashboard.demo.server import DemoCluster
from dashboard.kubeconfig_draft import seal, unseal
from dashboard.views import clusters
from scanner import scan
from scanner.models import AuditEntry, Cluster, ClusterAccess, Namespace, Scan
from tests import factories
from tests.rig.process import free_port

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _alone(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings.ENCRYPTION_KEYS = ()
    settings.KUBECONFIG_DIR = str(tmp_path / "kubeconfigs")
    monkeypatch.setattr(clusters, "request_cluster_scan", lambda cluster: True)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


@pytest.fixture(name="client")
def _client() -> Client:
    client = Client()
    client.force_login(factories.operator())
    return client


@pytest.fixture(name="demo")
def _demo() -> Iterator[DemoCluster]:
    """Four Namespaces of Kubernetes' own and three teams."""
    made = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"team-{one}"}} for one in "abc"]
    with DemoCluster(objects=made, kubelet=False) as demo:
        yield demo


def kubeconfig_of(demo: DemoCluster, *, contexts: tuple[str, ...] = ("prod",), **user: Any) -> str:
    return yaml.safe_dump(
        {
            "clusters": [{"name": "c", "cluster": {"server": demo.url}}],
            "users": [{"name": "reader", "user": user or {"token": demo.token}}],
            "contexts": [{"name": name, "context": {"cluster": "c", "user": "reader"}} for name in contexts],
        }
    )


def fields(**more: Any) -> dict[str, Any]:
    return {"name": "prod-eu", "source": "paste", "scan_interval": "60", "action": "save", **more}


def add(client: Client, **more: Any) -> Any:
    return client.post(reverse("cluster-add"), fields(**more))


def body(response: Any) -> str:
    return str(response.content.decode())


class TestAdding:
    def test_a_pasted_kubeconfig_is_tried_and_saved(self, client: Client, demo: DemoCluster) -> None:
        response = add(client, kubeconfig=kubeconfig_of(demo), include="team-a\nteam-b", exclude="x", scan_interval=90)
        assert response.status_code == 302
        cluster = Cluster.objects.get()
        assert (cluster.name, cluster.scan_interval, cluster.include) == ("prod-eu", 90, ["team-a", "team-b"])
        assert cluster.next_scan_at is not None
        assert cluster.next_scan_at <= timezone.now()
        assert (cluster.access.server, cluster.access.user, cluster.access.context) == (demo.url, "reader", "prod")

    def test_scans_use_the_stored_kubeconfig(self, client: Client, demo: DemoCluster) -> None:
        add(client, kubeconfig=kubeconfig_of(demo), include="team-*")
        done = scan.scan_cluster(Cluster.objects.get())
        assert done is not None
        assert (done.state, done.namespaces_done) == (Scan.State.DONE, 3)
        assert ClusterAccess.objects.get().is_stored

    def test_an_uploaded_kubeconfig_is_taken(self, client: Client, demo: DemoCluster) -> None:
        upload = SimpleUploadedFile("config", kubeconfig_of(demo).encode())
        assert add(client, upload=upload).status_code == 302
        assert ClusterAccess.objects.get().is_stored

    def test_an_upload_that_is_no_text_or_too_large_is_refused(self, client: Client) -> None:
        assert "It is not a text file." in body(add(client, upload=SimpleUploadedFile("config", b"\xff\xfe")))
        large = SimpleUploadedFile("config", b"a" * (256 * 1024 + 1))
        assert "larger than 256 KiB" in body(add(client, upload=large))
        assert not Cluster.objects.exists()

    def test_a_context_is_chosen_without_pasting_again(self, client: Client, demo: DemoCluster) -> None:
        asked = add(client, kubeconfig=kubeconfig_of(demo, contexts=("prod", "test")))
        assert asked.status_code == 422
        assert "<option>test</option>" in body(asked)
        assert add(client, draft=draft_in(asked), context="test").status_code == 302
        assert Cluster.objects.get().context == "test"

    def test_a_slip_elsewhere_loses_nothing(self, client: Client, demo: DemoCluster) -> None:
        refused = add(client, kubeconfig=kubeconfig_of(demo), scan_interval=1, label_selector="a in (")
        assert refused.status_code == 422
        assert "cannot be used" in body(refused)
        assert add(client, draft=draft_in(refused)).status_code == 302

    def test_a_test_saves_nothing_and_says_what_was_found(self, client: Client, demo: DemoCluster) -> None:
        tried = add(client, kubeconfig=kubeconfig_of(demo), action="test", include="team-a")
        assert tried.status_code == 200
        assert "1 of 7 Namespaces matches." in body(tried)
        assert "(v1." in body(tried)
        assert not Cluster.objects.exists()

    def test_an_unreachable_server_is_saved_only_after_it_was_said(self, client: Client) -> None:
        text = yaml.safe_dump(
            {
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{free_port()}"}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            }
        )
        first = add(client, kubeconfig=text)
        assert first.status_code == 422
        assert "Nothing accepts connections at" in body(first)
        assert "Save it all the same" in body(first)
        assert not Cluster.objects.exists()
        assert add(client, draft=draft_in(first), anyway="on").status_code == 302

    def test_filters_that_leave_nothing_are_told_first(self, client: Client, demo: DemoCluster) -> None:
        first = add(client, kubeconfig=kubeconfig_of(demo), include="nobody")
        assert first.status_code == 422
        assert "These filters leave nothing" in body(first)

    def test_missing_rights_are_told_with_the_commands_that_grant_them(self, client: Client) -> None:
        with DemoCluster(objects=[], closed=("kube-system",), kubelet=False) as demo:
            first = add(client, kubeconfig=kubeconfig_of(demo))
            assert first.status_code == 422
            assert "may not list secrets" in body(first)
            assert "kubectl create clusterrole" in body(first)
            assert add(client, draft=draft_in(first), anyway="on").status_code == 302

    def test_a_sign_in_that_runs_a_program_is_refused(self, client: Client, demo: DemoCluster, tmp_path: Path) -> None:
        proof = tmp_path / "ran"
        plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": [str(proof)]}
        refused = add(client, kubeconfig=kubeconfig_of(demo, exec=plugin), anyway="on")
        assert refused.status_code == 422
        assert "running a command (exec)" in body(refused)
        assert not proof.exists()

    def test_not_checking_who_answers_needs_a_tick(self, client: Client, demo: DemoCluster) -> None:
        document = yaml.safe_load(kubeconfig_of(demo))
        document["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = True
        first = add(client, kubeconfig=yaml.safe_dump(document))
        assert first.status_code == 422
        assert 'name="unverified"' in body(first)
        assert add(client, draft=draft_in(first), unverified="on").status_code == 302
        assert "who answers is not checked" in body(client.get(reverse("clusters")))

    def test_a_name_that_is_taken_or_no_address_can_hold_is_refused(self, client: Client, demo: DemoCluster) -> None:
        factories.cluster("prod-eu")
        for name, words in (("prod-eu", "already exists"), ("a/b", "no slash"), ("", "required")):
            assert words in body(add(client, kubeconfig=kubeconfig_of(demo), name=name))
        assert Cluster.objects.count() == 1


class TestMountedFiles:
    @pytest.fixture(name="mounted")
    def _mounted(self, settings: Settings, demo: DemoCluster) -> Path:
        folder = Path(settings.KUBECONFIG_DIR)
        folder.mkdir()
        path = folder / "prod.yaml"
        path.write_text(kubeconfig_of(demo), encoding="utf-8")
        return path

    def test_they_are_offered_and_used_as_they_are(self, client: Client, mounted: Path) -> None:
        assert str(mounted) in body(client.get(reverse("cluster-add")))
        document = yaml.safe_load(mounted.read_text(encoding="utf-8"))
        document["current-context"] = "prod"
        mounted.write_text(yaml.safe_dump(document), encoding="utf-8")
        assert add(client, source="file", file=str(mounted)).status_code == 302
        assert Cluster.objects.get().kubeconfig == str(mounted)
        assert not ClusterAccess.objects.get().is_stored

    def test_no_other_file_of_the_machine_can_be_named(self, client: Client, mounted: Path, tmp_path: Path) -> None:
        elsewhere = tmp_path / "other"
        elsewhere.write_text(mounted.read_text(encoding="utf-8"), encoding="utf-8")
        for path in (str(elsewhere), "/etc/passwd", f"{mounted.parent}/../other"):
            assert add(client, source="file", file=path, anyway="on").status_code == 422
        assert not Cluster.objects.exists()

    def test_one_that_runs_a_program_is_refused_as_well(self, client: Client, mounted: Path, demo: DemoCluster) -> None:
        document = yaml.safe_load(kubeconfig_of(demo, exec={"command": "sh"}))
        document["current-context"] = "prod"
        mounted.write_text(yaml.safe_dump(document), encoding="utf-8")
        assert "running a command (exec)" in body(add(client, source="file", file=str(mounted), anyway="on"))


class TestChanging:
    @pytest.fixture(name="cluster")
    def _cluster(self, client: Client, demo: DemoCluster) -> Cluster:
        add(client, kubeconfig=kubeconfig_of(demo))
        return Cluster.objects.get()

    def change(self, client: Client, cluster: Cluster, **more: Any) -> Any:
        data = fields(source="keep", **more)
        return client.post(reverse("cluster-edit", args=[cluster.pk]), data)

    def test_a_filter_changes_and_the_kubeconfig_stays(self, client: Client, cluster: Cluster) -> None:
        before = bytes(ClusterAccess.objects.get().kubeconfig)
        assert self.change(client, cluster, include="team-*", name="another").status_code == 302
        cluster.refresh_from_db()
        assert (cluster.name, cluster.include) == ("prod-eu", ["team-*"])
        assert bytes(ClusterAccess.objects.get().kubeconfig) == before

    def test_what_a_scan_writes_meanwhile_stays(self, client: Client, cluster: Cluster, demo: DemoCluster) -> None:
        until = timezone.now() + timedelta(minutes=2)
        form = forms_cluster.ClusterForm(
            fields(source="keep"), None, user=factories.operator("grace"), cluster=Cluster.objects.for_page().get()
        )
        assert form.is_valid()
        trial = form.trial()
        Cluster.objects.update(lease_until=until)
        form.save(trial)
        assert Cluster.objects.get().lease_until == until

    def test_another_kubeconfig_replaces_it(self, client: Client, cluster: Cluster, demo: DemoCluster) -> None:
        text = kubeconfig_of(demo, contexts=("other",))
        response = client.post(reverse("cluster-edit", args=[cluster.pk]), fields(kubeconfig=text))
        assert response.status_code == 302
        assert ClusterAccess.objects.get().context == "other"
        assert Cluster.objects.get().context == "other"

    def test_the_saved_one_is_tested_in_place(self, client: Client, cluster: Cluster) -> None:
        url = reverse("cluster-test", args=[cluster.pk])
        part, page = client.post(url, headers={"HX-Request": "true"}), client.post(url)
        for response in (part, page):
            assert "7 of 7 Namespaces match." in body(response)
        assert "<html" not in body(part)
        assert "<html" in body(page)

    def test_removing_asks_for_the_name(self, client: Client, cluster: Cluster) -> None:
        factories.namespace(cluster, "team-a", cells={"registry/quay.io": "critical missing"})
        url = reverse("cluster-remove", args=[cluster.pk])
        assert client.post(url, {"name": "prod"}).status_code == 422
        assert Namespace.objects.exists()
        assert client.post(url, {"name": "prod-eu"}).status_code == 302
        assert [model.objects.count() for model in (Cluster, Namespace, ClusterAccess)] == [0, 0, 0]

    def test_every_change_is_written_down(self, client: Client, cluster: Cluster) -> None:
        self.change(client, cluster, include="team-*")
        client.post(reverse("cluster-test", args=[cluster.pk]))
        client.post(reverse("cluster-remove", args=[cluster.pk]), {"name": "prod-eu"})
        told = list(AuditEntry.objects.order_by("pk").values_list("actor", "action", "object"))
        names = ("add-cluster", "change-cluster", "test-cluster", "remove-cluster")
        assert told == [("ada", name, "Cluster/prod-eu") for name in names]
        assert AuditEntry.objects.get(action="change-cluster").details == {"changed": ["include"]}


def test_settings_do_not_call_themselves_unknown_for_one_clusters_old_scan(client: Client) -> None:
    factories.cluster("asleep", scanned_at=timezone.now() - timedelta(hours=5))
    assert "everything below is unknown" in body(client.get(reverse("matrix")))
    for name in ("clusters", "report-settings", "alert-routes", "api-keys"):
        assert "everything below is unknown" not in body(client.get(reverse(name)))


class TestHowItEnds:
    def told(self, client: Client, days: int) -> str:
        cluster = factories.cluster("prod-eu", scanned_at=timezone.now())
        ends = timezone.now() + timedelta(days=days)
        ClusterAccess.objects.create(cluster=cluster, server="https://api.example.com", user="reader", expires_at=ends)
        return body(client.get(reverse("matrix")))

    def test_operators_are_warned_on_every_page_for_two_weeks(self, client: Client) -> None:
        assert "own access to prod-eu ends" in self.told(client, 13)
        assert "own access to prod-eu ends" in body(client.get(reverse("clusters")))

    def test_an_end_that_is_past_is_told_as_such(self, client: Client) -> None:
        assert "own access to prod-eu ended" in self.told(client, -1)

    def test_one_that_is_further_away_is_not_told(self, client: Client) -> None:
        assert "own access" not in self.told(client, 15)

    def test_owners_are_not_told(self) -> None:
        client = Client()
        client.force_login(factories.owner())
        page = self.told(client, 1)
        assert "own access" not in page

    def test_a_scan_notes_the_end_of_a_kubeconfig_in_a_file(
        self, client: Client, demo: DemoCluster, tmp_path: Path
    ) -> None:
        path = demo.kubeconfig(tmp_path / "kubeconfig")
        cluster = factories.cluster("prod-eu", kubeconfig=str(path))
        scan.scan_cluster(cluster)
        assert ClusterAccess.objects.get().server == demo.url


class TestSecrecy:
    def test_the_token_is_nowhere(
        self, client: Client, demo: DemoCluster, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
    ) -> None:
        caplog.set_level(logging.DEBUG)
        text = kubeconfig_of(demo, contexts=("prod", "test"))
        answers = [body(add(client, kubeconfig=text))]
        answers += [body(add(client, kubeconfig=text, context="nope")), body(add(client, kubeconfig=f"a: b: {text}"))]
        answers += [body(add(client, kubeconfig=text, context="prod", action="test"))]
        add(client, kubeconfig=text, context="prod")
        cluster = Cluster.objects.get()
        scan.scan_cluster(cluster)
        for name, args in (("clusters", []), ("cluster-edit", [cluster.pk]), ("audit", []), ("matrix", [])):
            answers.append(body(client.get(reverse(name, args=args))))
        answers.append(body(client.post(reverse("cluster-test", args=[cluster.pk]))))
        answers += [dump(), caplog.text, *capsys.readouterr()]
        encoded = base64.b64encode(demo.token.encode()).decode().rstrip("=")
        for answer in answers:
            assert demo.token not in answer
            assert encoded[4:-4] not in answer

    def test_a_report_of_an_error_shows_nothing_of_the_form(
        self, client: Client, demo: DemoCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client.raise_request_exception = False
        reports: list[str] = []

        def fail(*args: Any, **kwargs: Any) -> None:
            raise RuntimeError("a mistake of ours")

        def report(request: HttpRequest, **kwargs: Any) -> None:
            reports.append(ExceptionReporter(request, *sys.exc_info()).get_traceback_html())

        got_request_exception.connect(report)
        try:
            for place in ("take", "try_cluster", "note"):
                with monkeypatch.context() as patched:
                    patched.setattr(forms_cluster, place, fail)
                    assert add(client, kubeconfig=kubeconfig_of(demo)).status_code == 500
        finally:
            got_request_exception.disconnect(report)
        assert len(reports) == 3
        for text in reports:
            assert "a mistake of ours" in text
            assert demo.token not in text

    def test_a_draft_is_of_use_to_who_pasted_it_only_and_for_an_hour(self) -> None:
        ada, grace, now = factories.operator(), factories.operator("grace"), datetime(2030, 1, 1, tzinfo=UTC)
        sealed = seal("text", user=ada, now=now)
        assert "text" not in sealed
        assert unseal(sealed, user=ada, now=now + timedelta(minutes=59)) == "text"
        assert unseal(sealed, user=ada, now=now + timedelta(minutes=61)) == ""
        assert unseal(sealed, user=grace, now=now) == ""
        for forged in ("", "x", "é", sealed[:-4], "a" * 2_000_000):
            assert unseal(forged, user=ada, now=now) == ""

    def test_with_other_keys_it_is_said_plainly(self, client: Client, demo: DemoCluster, settings: Settings) -> None:
        add(client, kubeconfig=kubeconfig_of(demo))
        settings.SECRET_KEY = "another key, and none of the former ones, fifty letters"
        settings.ENCRYPTION_KEYS = (Fernet.generate_key().decode(),)
        done = scan.scan_cluster(Cluster.objects.get())
        assert done is not None
        assert done.error == "The stored kubeconfig of prod-eu cannot be decrypted."
        assert "CREDBOARD_ENCRYPTION_KEYS" in done.remedy
        told = [one for one in doctor.examine(now=timezone.now()) if one.about == "cluster prod-eu"]
        assert "cannot be decrypted" in told[0].found


def draft_in(response: Any) -> str:
    return str(response.context["form"].kept)


def dump() -> str:
    """All rows of all tables."""
    rows = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            rows += [[shown(value) for value in row] for row in cursor]
    return json.dumps(rows, default=str)


def shown(value: Any) -> Any:
    return bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else value
