"""From a red cell to a green one without a browser: the form, the Secret, and the wait for the rescan."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.demo.server import DemoCluster
from scanner.cluster import Cluster as Api
from scanner.models import AuditEntry, Cell, Namespace
from scanner.scan import scan_namespace
from tests import factories
from tests.dashboard.create.form import CREATED, GITLAB, HTMX, PASSWORD, URL, Inputs, Poll, form, linked, secret

pytestmark = pytest.mark.django_db


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
