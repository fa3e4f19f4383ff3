"""The admission policy of the chart in force on a real API server: what it leaves to the account of the web."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from scanner.models import Namespace
from tests import factories
from tests.rig.apiserver import KubeApiServer
from tests.shipping import chart
from tests.shipping.chart import MATRIX, TRIAL, Json, Values
from tests.shipping.chart_readme import CHART
from tests.shipping.release import POLICIES, WRITES, Release, create, names, rule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_broker")]

MERGE = "application/merge-patch+json"
Owned = Callable[..., tuple[Release, Namespace]]


def secret(kind: str, *, name: str = "made", **metadata: Any) -> Json:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, **metadata}, "type": kind}


@pytest.fixture(name="web")
def _web(owned: Owned, team: str) -> tuple[Release, Namespace]:
    """A release whose policy is in force; `team` was scanned."""
    made, namespace = owned()
    deadline = time.monotonic() + 60
    path = f"/api/v1/namespaces/{team}/secrets?dryRun=All"
    while made.request("credboard-web", "POST", path, secret("Opaque"))[0] != 422:
        assert time.monotonic() < deadline, "the policy does not come into force"
        time.sleep(0.05)
    return made, namespace


def test_what_people_do_on_the_page_goes_on(
    web: tuple[Release, Namespace], apiserver: KubeApiServer, team: str
) -> None:
    made, namespace = web
    apiserver.grant("ada@example.com", [rule(right) for right in sorted(WRITES)], namespace=team)

    create(made, namespace, factories.owner("ada@example.com"))

    assert names(apiserver, team) == (["regcred"], ["regcred"])
    with made.connect("web") as api:
        assert api.unlink_pull_secret(team, "default", "regcred")
        held = apiserver.must("GET", f"/api/v1/namespaces/{team}/secrets/regcred")
        api.delete_secret(team, "regcred", held["metadata"]["uid"])
    assert names(apiserver, team) == ([], [])


@pytest.mark.parametrize(
    "wanted",
    [
        secret("kubernetes.io/service-account-token", annotations={"kubernetes.io/service-account.name": "default"}),
        secret("bootstrap.kubernetes.io/token", name="bootstrap-token-abcdef"),
        secret("Opaque"),
    ],
    ids=lambda wanted: wanted["type"],
)
def test_it_creates_no_token(web: tuple[Release, Namespace], apiserver: KubeApiServer, team: str, wanted: Json) -> None:
    made, _ = web

    status, answer = made.request("credboard-web", "POST", f"/api/v1/namespaces/{team}/secrets", wanted)

    assert status == 422, answer
    assert "Credboard creates pull Secrets and TLS Secrets only" in answer["message"]
    assert names(apiserver, team) == ([], [])


def test_it_deletes_no_secret_of_others(web: tuple[Release, Namespace], apiserver: KubeApiServer, team: str) -> None:
    made, _ = web
    apiserver.apply([secret("Opaque", name="theirs", namespace=team)])

    status, answer = made.request("credboard-web", "DELETE", f"/api/v1/namespaces/{team}/secrets/theirs")

    assert status == 422, answer
    assert "deletes only Secrets that it made" in answer["message"]
    assert names(apiserver, team)[0] == ["theirs"]


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/admin"}}},
        {"metadata": {"labels": {"azure.workload.identity/use": "true"}}},
        {"metadata": {"finalizers": ["example.com/for-ever"]}},
        {"secrets": [{"name": "token"}]},
        {"automountServiceAccountToken": True},
    ],
    ids=str,
)
def test_of_a_service_account_it_changes_the_pull_secrets_only(
    web: tuple[Release, Namespace], team: str, change: Json
) -> None:
    made, _ = web
    path = f"/api/v1/namespaces/{team}/serviceaccounts/default"

    status, answer = made.request("credboard-web", "PATCH", path, change, content_type=MERGE)

    assert status == 422, answer
    assert "nothing of a ServiceAccount but its imagePullSecrets" in answer["message"]


def test_it_concerns_no_other_account(web: tuple[Release, Namespace], apiserver: KubeApiServer, team: str) -> None:
    apiserver.apply([secret("Opaque", name="of-an-administrator", namespace=team)])

    assert names(apiserver, team)[0] == ["of-an-administrator"]


# -- where it is made --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "is_made"),
    [
        (TRIAL, True),
        (MATRIX["namespaces"], True),
        (MATRIX["no admission policy"], False),
        (MATRIX["read only"], False),
        (MATRIX["impersonation"], False),
    ],
)
def test_it_is_made_where_the_web_has_rights_to_write(values: Values, *, is_made: bool) -> None:
    assert bool(chart.of_kind(chart.render(values), *POLICIES)) == is_made


@pytest.mark.parametrize(("version", "is_made"), [("1.29.9", False), ("1.30.0", True), ("v1.31.4-gke.1183000", True)])
def test_it_is_made_where_kubernetes_has_such_policies(version: str, *, is_made: bool) -> None:
    done = chart.run("template", "credboard", CHART, "--kube-version", version, values=TRIAL)
    assert (done.returncode, "ValidatingAdmissionPolicy" in done.stdout) == (0, is_made), done.stderr


def test_the_policy_of_the_docs_is_that_of_the_chart() -> None:
    page = (CHART.parent / "docs" / "rbac" / "creator-policy.yaml").read_text(encoding="utf-8")
    policy, binding = yaml.safe_load_all(page)
    documents = chart.render(namespace="credboard")
    assert policy["spec"] == chart.named(documents, "ValidatingAdmissionPolicy")["spec"]
    rendered = chart.named(documents, "ValidatingAdmissionPolicyBinding")["spec"]
    assert rendered["policyName"] == "credboard-web.credboard"
    assert {**binding["spec"], "policyName": rendered["policyName"]} == rendered
