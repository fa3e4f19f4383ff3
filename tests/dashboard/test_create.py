"""From a red cell to a green one without a browser: the form, what can go wrong, and the wait for the rescan."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from dashboard import celery_app
from dashboard.demo.server import DemoCluster
from scanner import scan
from scanner.cluster import Cluster as Api
from scanner.models import AuditEntry, Cell, Cluster, Namespace, NamespaceOwner
from scanner.scan import scan_namespace
from tests import factories
from tests.rig.apiserver import KubeApiServer
from tests.rig.valkey import ValkeyServer

pytestmark = pytest.mark.django_db

NS = "kubeflow-user-example-com"
GITLAB = "registry/gitlab.example.com:4567"
URL = f"/n/demo/{NS}/create/{GITLAB}/"
CREATED = f"/n/demo/{NS}/created/{GITLAB}/"
PASSWORD = 's3cret<&>"pass'
HTMX = {"HX-Request": "true", "HX-Target": "cell"}


class Inputs(HTMLParser):
    """The inputs of a page: name -> values, and which of them are ticked."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__()
        self.values: dict[str, list[str]] = {}
        self.ticked: dict[str, list[str]] = {}
        self.text = response.content.decode()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in ("input", "textarea") and (name := found.get("name")):
            self.values.setdefault(name, []).append(found.get("value") or "")
            if "checked" in found:
                self.ticked.setdefault(name, []).append(found.get("value") or "")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Instead of a broker: remembers that somebody was told."""
    calls: list[str] = []

    def tell() -> bool:
        calls.append("told")
        return True

    monkeypatch.setattr(scan, "tell_dispatcher", tell)
    return calls


@pytest.fixture
def demo() -> Iterator[DemoCluster]:
    with DemoCluster(closed=(), kubelet=False) as cluster:
        yield cluster


@pytest.fixture
def namespace(demo: DemoCluster, tmp_path: Path, told: list[str]) -> Namespace:
    """Story 1, scanned."""
    kubeconfig = demo.kubeconfig(tmp_path / "kubeconfig")
    cluster = Cluster.objects.create(name="demo", kubeconfig=str(kubeconfig), next_scan_at=None)
    found = Namespace.objects.create(cluster=cluster, name=NS)
    scan_namespace(found)
    found.refresh_from_db()
    return found


@pytest.fixture
def api(namespace: Namespace) -> Iterator[Api]:
    with Api.from_kubeconfig(namespace.cluster.kubeconfig) as connection:
        yield connection


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(factories.operator())
    return client


def form(**changes: Any) -> dict[str, Any]:
    filled = {
        "how": "login",
        "name": "regcred-pipeline",
        "server": "gitlab.example.com:4567",
        "username": "gitlab+deploy-token",
        "password": PASSWORD,
        "service_accounts": ["default-editor"],
    }
    return {name: value for name, value in {**filled, **changes}.items() if value is not None}


def secret(api: Api, namespace: str = NS, name: str = "regcred-pipeline") -> dict[str, bytes] | None:
    return next((dict(one.data or {}) for one in api.namespace(namespace).secrets if one.metadata.name == name), None)


def linked(api: Api, namespace: str = NS, account: str = "default-editor") -> list[str]:
    (found,) = [one for one in api.service_accounts(namespace) if one.metadata.name == account]
    return [reference.name for reference in found.image_pull_secrets or ()]


class TestTheForm:
    def test_everything_known_is_filled_in(self, operator: Client, namespace: Namespace) -> None:
        response = operator.get(URL)
        inputs = Inputs(response)

        assert inputs.values["name"] == ["regcred-pipeline"]
        assert inputs.values["server"] == ["gitlab.example.com:4567"]
        assert inputs.values["password"] == [""]
        assert inputs.ticked["service_accounts"] == ["default-editor"]
        assert inputs.ticked["how"] == ["login"]
        assert "4 Pods wait for an image" in inputs.text
        assert response.headers["Cache-Control"].find("no-store") >= 0

    def test_it_comes_as_code_with_placeholders(self, operator: Client, namespace: Namespace) -> None:
        text = operator.get(URL).content.decode()

        assert "kubectl create secret docker-registry regcred-pipeline --namespace kubeflow-user-example-com" in text
        assert "&lt;password or token&gt;" in text
        assert "kubectl edit serviceaccount default-editor" in text

    def test_in_the_drawer_it_is_a_part_and_else_a_page(self, operator: Client, namespace: Namespace) -> None:
        part, page = operator.get(URL, headers=HTMX), operator.get(URL)

        assert b"<!doctype" not in part.content
        assert b'hx-target="#cell"' in part.content
        assert b"<!doctype html>" in page.content
        assert b'hx-post="' not in page.content

    def test_without_a_name_that_workloads_ask_for_one_is_suggested(self, operator: Client) -> None:
        where = factories.namespace(
            factories.cluster("demo"),
            cells={"registry/quay.io": "critical missing"},
            pull_secrets={"pull-quay.io": ["quay.io"]},
            service_accounts=["default", "builder"],
        )
        factories.finding(
            where, "PS03", object="Registry/quay.io", details={"pods": ["a"], "pod_accounts": ["builder"]}
        )

        inputs = Inputs(operator.get(f"/n/demo/{where}/create/registry/quay.io/"))

        assert inputs.values["name"] == ["pull-quay.io-2"]
        assert inputs.ticked["service_accounts"] == ["builder"]

    def test_docker_hub_is_written_as_docker_writes_it(self, operator: Client) -> None:
        factories.namespace(factories.cluster("demo"))

        inputs = Inputs(operator.get("/n/demo/team-vision/create/registry/docker.io/"))

        assert inputs.values["server"] == ["https://index.docker.io/v1/"]

    @pytest.mark.parametrize("credential", ["tls", "token/pipelines.kubeflow.org", "storage/s3", "registry/"])
    def test_what_is_no_pull_secret_has_no_form(self, operator: Client, credential: str) -> None:
        factories.namespace(factories.cluster("demo"))

        assert operator.get(f"/n/demo/team-vision/create/{credential}/").status_code == 404


class TestCreating:
    def test_a_red_cell_turns_green(
        self, operator: Client, namespace: Namespace, api: Api, demo: DemoCluster, told: list[str]
    ) -> None:
        assert namespace.cells.get(credential__slug=GITLAB).reason == "missing"

        response = operator.post(URL, form(), headers=HTMX)

        assert response.status_code == 200
        assert b"Created regcred-pipeline" in response.content
        data = secret(api)
        assert data is not None
        entry = json.loads(data[".dockerconfigjson"])["auths"]["gitlab.example.com:4567"]
        assert (entry["username"], entry["password"]) == ("gitlab+deploy-token", PASSWORD)
        assert "regcred-pipeline" in linked(api)
        assert told == ["told"]

        poll = Poll(operator, response)
        assert "Scanning" in poll.text
        assert "HX-Trigger" not in poll.response.headers
        for _ in range(3):
            demo.kubelet.tick()
        scan_namespace(Namespace.objects.get(pk=namespace.pk))
        poll.again()
        assert poll.response.headers["HX-Trigger"] == '{"cell-changed": {}}'
        assert "is-ok" in poll.text
        assert not poll.url
        assert Cell.objects.get(namespace=namespace, credential__slug=GITLAB).status == "ok"

    def test_it_works_without_javascript(self, operator: Client, namespace: Namespace, api: Api) -> None:
        response = operator.post(URL, form())

        assert response.status_code == 302
        assert response.headers["Location"].startswith(CREATED)
        page = operator.get(response.headers["Location"]).content.decode()
        assert "Created the Secret regcred-pipeline" in page
        assert "Look again" in page

    def test_a_pasted_config_is_stored_as_it_is(self, operator: Client, namespace: Namespace, api: Api) -> None:
        pasted = json.dumps({"auths": {"gitlab.example.com:4567": {"auth": "dTpw"}}}, indent=2)

        operator.post(URL, form(how="paste", config_json=pasted, username=None, password=None), headers=HTMX)

        assert secret(api) == {".dockerconfigjson": pasted.encode()}

    def test_what_was_typed_on_the_other_tab_does_not_count(
        self, operator: Client, namespace: Namespace, api: Api
    ) -> None:
        operator.post(URL, form(how="login", config_json="{not json"), headers=HTMX)

        data = secret(api)
        assert data is not None
        assert b"gitlab+deploy-token" in data[".dockerconfigjson"]

    def test_waiting_pods_that_can_start_again_do(
        self, operator: Client, namespace: Namespace, demo: DemoCluster
    ) -> None:
        where = Namespace.objects.create(cluster=namespace.cluster, name="team-maps")
        scan_namespace(where)

        url = "/n/demo/team-maps/create/registry/gitlab.example.com:4567/"
        text = operator.post(url, form(name="pull-gitlab", service_accounts=["default"], restart="on"), headers=HTMX)

        assert "starts again" in text.content.decode()
        assert AuditEntry.objects.get().details["restarted"]

    def test_the_wait_ends_in_words(self, operator: Client, namespace: Namespace) -> None:
        url = f"{CREATED}?after={(timezone.now() + timedelta(hours=1)).isoformat()}".replace("+", "%2B")

        text = operator.post(f"{url}&polls=60", headers=HTMX).content.decode()

        assert "No scan came back within a minute" in text
        assert "hx-post" not in text

    def test_a_cell_that_is_not_well_yet_is_scanned_once_more(
        self, operator: Client, namespace: Namespace, told: list[str]
    ) -> None:
        after = timezone.now() - timedelta(minutes=1)
        Namespace.objects.update(scanned_at=timezone.now() - timedelta(seconds=10))

        url = f"{CREATED}?after={after.isoformat()}&polls=3".replace("+", "%2B")
        response = operator.post(url, headers=HTMX)

        assert "Scanned: missing" in response.content.decode()
        assert told == ["told"]
        operator.post(url, headers=HTMX)
        assert told == ["told"], "the scan that is due already is enough"

    @pytest.mark.parametrize("query", ["", "?after=&polls=", "?after=2026-13-45T99:99Z&polls=-1", "?after=x&polls=²"])
    def test_any_query_is_answered(self, operator: Client, namespace: Namespace, query: str) -> None:
        assert operator.get(f"{CREATED}{query}").status_code == 200
        assert operator.post(f"{CREATED}{query}").status_code == 200


class Poll:
    """What the page does by itself after the creation."""

    def __init__(self, client: Client, response: HttpResponse) -> None:
        self.client = client
        self.response = response
        self.again()

    @property
    def text(self) -> str:
        return self.response.content.decode()

    @property
    def url(self) -> str:
        _, _, rest = self.text.partition('id="created-status"')
        _, found, rest = rest.partition('hx-post="')
        return rest.partition('"')[0].replace("&amp;", "&") if found else ""

    def again(self) -> None:
        self.response = self.client.post(self.url, headers={"HX-Request": "true"})


class TestWhatGoesWrong:
    def refused(self, client: Client, **changes: Any) -> str:
        response = client.post(URL, form(**changes), headers=HTMX)
        assert response.status_code == 422
        text = response.content.decode()
        assert PASSWORD not in text
        assert "s3cret" not in text
        return text

    def test_an_empty_form_says_what_is_missing(self, operator: Client, namespace: Namespace, api: Api) -> None:
        text = self.refused(operator, name="", username="", password="")

        assert "This field is required" in text
        assert "Secret values are not shown back" in text
        assert secret(api) is None

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"username": ""}, "Fill in the user name"),
            ({"password": ""}, "Fill in the password"),
            ({"server": "quay.io"}, "no entry that the kubelet would use for gitlab.example.com:4567"),
            ({"name": "Reg_Cred"}, "lower-case letters"),
            ({"how": "paste", "config_json": ""}, "Paste the content of the file"),
            ({"how": "paste", "config_json": '{"auths": {"s3cret"'}, "could not read this config.json"),
            ({"how": "paste", "config_json": '{"credsStore": "desktop", "auths": {}}'}, "credential helper"),
            ({"service_accounts": ["nobody-knows"]}, "nobody-knows is not one of the available choices"),
        ],
    )
    def test_what_cannot_be_right_is_said_beside_its_input(
        self, operator: Client, namespace: Namespace, api: Api, changes: dict[str, Any], words: str
    ) -> None:
        assert words in self.refused(operator, **changes)
        assert secret(api) is None
        assert not AuditEntry.objects.exists()

    def test_what_was_typed_besides_secrets_is_kept(self, operator: Client, namespace: Namespace) -> None:
        text = self.refused(operator, name="Reg_Cred", service_accounts=["default", "default-editor"])

        assert 'value="gitlab+deploy-token"' in text
        assert text.count("checked") == 3
        assert "Not shown back. Type or paste it again." in text

    def test_a_name_that_is_taken_is_said_with_a_way_to_see_it(
        self, operator: Client, namespace: Namespace, api: Api
    ) -> None:
        text = self.refused(operator, name="harbor-credential")

        assert "A Secret called harbor-credential is already in this Namespace" in text
        assert "See what is in" in text
        assert "harbor-credential" in linked(api)

    def test_a_failing_link_is_undone_and_said(
        self, operator: Client, namespace: Namespace, api: Api, demo: DemoCluster
    ) -> None:
        demo.faults.respond(500, method="PATCH", path=r"/serviceaccounts/default-editor\?fieldManager=credboard$")

        assert "Everything was undone" in self.refused(operator)
        assert secret(api) is None
        assert AuditEntry.objects.get().outcome == "undone"

    def test_a_quota_is_said_in_words(self, operator: Client, namespace: Namespace, demo: DemoCluster) -> None:
        words = 'secrets "regcred-pipeline" is forbidden: exceeded quota: few, requested: secrets=1, used: secrets=3'
        demo.faults.respond(403, method="POST", path="/secrets", message=words)

        text = self.refused(operator)

        assert "is used up" in text
        assert "ResourceQuota raised" in text

    def test_a_cluster_that_is_away_is_said_in_words(
        self, operator: Client, namespace: Namespace, demo: DemoCluster
    ) -> None:
        demo.stop()

        assert "Not created" in self.refused(operator)

    def test_a_kubeconfig_that_is_gone_is_said_in_words(
        self, operator: Client, namespace: Namespace, tmp_path: Path
    ) -> None:
        Cluster.objects.update(kubeconfig=str(tmp_path / "gone"))

        assert "Not created" in self.refused(operator)


class TestWithoutABroker:
    @pytest.fixture
    def no_broker(self, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """The application as it is when Redis went away."""
        monkeypatch.setattr(scan, "tell_dispatcher", TELL)
        celery_app.pool.force_close_all()
        monkeypatch.setattr(celery_app.conf, "broker_url", valkey.url)
        valkey.stop()
        yield
        celery_app.pool.force_close_all()
        valkey.start()

    def test_creation_works_and_the_scan_is_due(
        self, operator: Client, namespace: Namespace, api: Api, no_broker: None
    ) -> None:
        response = operator.post(URL, form(), headers=HTMX)

        assert "Redis does not answer" in response.content.decode()
        assert secret(api) is not None
        namespace.refresh_from_db()
        assert namespace.next_scan_at is not None
        assert AuditEntry.objects.get().outcome == "done"


TELL = scan.tell_dispatcher


class TestAnOwnerOnARealApiServer:
    USER = "grace@example.com"
    MAKES = (
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["patch"]},
    )

    @pytest.fixture
    def owned(self, apiserver: KubeApiServer, tmp_path: Path, told: list[str]) -> Namespace:
        kubeconfig = apiserver.kubeconfig(tmp_path / "kubeconfig")
        cluster = Cluster.objects.create(name="demo", kubeconfig=str(kubeconfig), next_scan_at=None)
        made = Namespace.objects.create(
            cluster=cluster, name=apiserver.create_namespace(), scanned_at=timezone.now(), service_accounts=["default"]
        )
        NamespaceOwner.objects.create(namespace=made, kind="user", name=self.USER, source="profile")
        return made

    @pytest.fixture
    def owner(self, client: Client) -> Client:
        client.force_login(User.objects.create_user(username=self.USER))
        return client

    def post(self, client: Client, where: Namespace, **changes: Any) -> HttpResponse:
        data = form(name="regcred", service_accounts=["default"], **changes)
        return client.post(f"/n/demo/{where}/create/{GITLAB}/", data, headers=HTMX)

    def test_without_rights_the_missing_one_is_named(
        self, owner: Client, owned: Namespace, apiserver: KubeApiServer, tmp_path: Path
    ) -> None:
        response = self.post(owner, owned)

        text = response.content.decode()
        assert response.status_code == 422
        assert f"does not let {self.USER} create secrets in {owned.name}" in text
        assert "kubectl create role" in text
        assert AuditEntry.objects.get().outcome == "refused"

    def test_half_the_rights_are_not_enough(self, owner: Client, owned: Namespace, apiserver: KubeApiServer) -> None:
        apiserver.grant(self.USER, self.MAKES[:1], namespace=owned.name)

        assert "patch serviceaccounts" in self.post(owner, owned).content.decode()
        with Api.from_kubeconfig(owned.cluster.kubeconfig) as api:
            assert secret(api, owned.name, "regcred") is None

    def test_with_the_rights_it_is_created_and_linked(
        self, owner: Client, owned: Namespace, apiserver: KubeApiServer
    ) -> None:
        apiserver.grant(self.USER, self.MAKES, namespace=owned.name)

        assert self.post(owner, owned).status_code == 200
        with Api.from_kubeconfig(owned.cluster.kubeconfig) as api:
            assert secret(api, owned.name, "regcred") is not None
            assert linked(api, owned.name, "default") == ["regcred"]
        assert AuditEntry.objects.get().actor == self.USER
