"""The rights that the chart gives, bound on a real API server: enough for a scan and a creation, and nothing else.

Every question is asked of the server: what an account may (SelfSubjectRulesReview, SubjectAccessReview of every verb on
every resource that discovery names), and what it does (a whole scan, a whole creation, with its own token).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.contrib.auth.models import User

from dashboard.create_page import CreatePage
from scanner.cluster import Cluster as Api
from scanner.cluster import Forbidden
from scanner.cluster.errors import Ask
from scanner.models import AuditEntry, Cluster, Namespace
from scanner.provision import Refusal
from scanner.scan import scan_cluster
from tests import factories
from tests.rig.apiserver import KubeApiServer
from tests.rig.kube_api import unique_namespace
from tests.scanner.scan.builders import pod, scan_handed_out, secret
from tests.shipping import chart
from tests.shipping.chart import TRIAL, Json
from tests.shipping.chart_readme import CHART
from tests.shipping.release import (
    ASKS,
    GROUP,
    PLAIN,
    READS,
    READS_HERE,
    TYPE,
    WRITES,
    Release,
    Right,
    create,
    names,
    rights,
    rule,
)

MakeRelease = Callable[..., Release]

pytestmark = pytest.mark.usefixtures("no_broker")


# -- what they may -----------------------------------------------------------------------------------------------------


def test_in_the_whole_cluster_the_worker_reads_what_a_scan_needs_and_nothing_else(
    release: MakeRelease, team: str
) -> None:
    made = release()
    assert made.all_rights("worker") == READS
    assert made.all_rights("worker", team) == READS
    assert made.told_rights("worker", team) == READS


def test_in_the_whole_cluster_the_web_creates_and_reads_no_secret(release: MakeRelease, team: str) -> None:
    made = release()
    assert made.all_rights("web") == WRITES | ASKS
    assert made.all_rights("web", team) == WRITES | ASKS
    assert made.told_rights("web", team) == WRITES | ASKS


def test_reading_only_leaves_the_web_with_nothing(release: MakeRelease, team: str) -> None:
    made = release(rbac={"mode": "readOnly"})
    assert made.all_rights("web") == set()
    assert made.told_rights("web", team) == set()
    assert made.all_rights("worker") == READS


def test_in_some_namespaces_both_have_rights_there_and_nowhere_else(
    apiserver: KubeApiServer, release: MakeRelease, team: str
) -> None:
    other = apiserver.create_namespace()
    made = release(rbac={"mode": "namespaces", "namespaces": [team]})
    reads = READS_HERE | rights("", "get", "namespaces")
    assert made.all_rights("worker", team) == reads
    assert made.told_rights("worker", team) == reads
    assert made.all_rights("worker") == set()
    assert made.told_rights("worker", other) == set()
    assert made.told_rights("web", team) == WRITES | ASKS
    assert made.told_rights("web", other) == ASKS
    assert made.all_rights("web") == ASKS


def test_reading_only_some_namespaces_gives_nothing_in_the_whole_cluster(
    apiserver: KubeApiServer, release: MakeRelease, team: str
) -> None:
    other = apiserver.create_namespace()
    made = release(rbac={"mode": "readOnly", "namespaces": [team]})
    assert made.told_rights("worker", team) == READS_HERE | rights("", "get", "namespaces")
    assert made.told_rights("worker", other) == made.told_rights("web", other) == made.told_rights("web", team) == set()
    rendered = chart.render({**TRIAL, "rbac": {"mode": "readOnly", "namespaces": [team]}})
    assert not [one for one in rendered if chart.is_of_cluster(one)]


def test_the_watch_is_told_of_changes_and_does_nothing_else(release: MakeRelease, team: str) -> None:
    watched = rights("", "list watch", "namespaces", "secrets", "serviceaccounts", "pods")
    watched |= rights(GROUP, "list watch", "rolebindings") | rights("kubeflow.org", "list watch", "profiles")
    made = release(watch={"enabled": True})
    assert made.told_rights("watch", team) == watched
    with made.connect("watch") as api:
        with api.watch("secrets", since=api.version_now("secrets"), seconds=1, silence=5) as changes:
            list(changes)
        assert changes.version
        with pytest.raises(Forbidden):
            api.create_secret(team, "made", TYPE, PLAIN)


def test_without_profiles_they_are_not_read(release: MakeRelease, team: str) -> None:
    made = release(rbac={"profiles": False})
    assert made.told_rights("worker", team) == READS - rights("kubeflow.org", "get list", "profiles")


def test_who_may_be_impersonated_is_bounded_by_name_and_nothing_else_is_left(release: MakeRelease, team: str) -> None:
    made = release(rbac={"impersonation": {"enabled": True, "users": ["ada@example.com"], "groups": ["team"]}})
    assert made.all_rights("web") == ASKS, "nobody may be impersonated without being named"
    people = {
        name: made.allows("web", ("", "users", "impersonate"), name=name) for name in ("ada@example.com", "grace")
    }
    assert people == {"ada@example.com": True, "grace": False}
    groups = {name: made.allows("web", ("", "groups", "impersonate"), name=name) for name in ("team", "system:masters")}
    assert groups == {"team": True, "system:masters": False}
    assert made.told_rights("web", team) == ASKS | rights("", "impersonate", "users", "groups"), "of those names"


@pytest.mark.parametrize("role", ["web", "worker"])
def test_nobody_may_give_themselves_more(release: MakeRelease, role: str) -> None:
    made = release()
    for verb in ("create", "update", "patch", "bind", "escalate"):
        for resource in ("roles", "rolebindings", "clusterroles", "clusterrolebindings"):
            assert not made.allows(role, (GROUP, resource, verb), namespace=made.namespace)
    assert not made.allows(role, ("", "serviceaccounts/token", "create"), namespace=made.namespace)
    assert not made.allows(role, ("", "pods/exec", "create"), namespace=made.namespace)


# -- what they do ------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_worker_scans_the_whole_cluster_and_writes_nothing(release: MakeRelease, team: str) -> None:
    made = release()
    cluster = Cluster.objects.create(name="ours", kubeconfig=str(made.kubeconfig("worker")), include=[team])
    done = scan_cluster(cluster)
    assert done is not None
    assert (done.state, done.mode, done.error) == ("done", "cluster", "")
    row = Namespace.objects.get(name=team)
    assert (row.status, row.unreadable, row.owners.get().name) == ("warning", {}, "ada@example.com")
    with made.connect("worker") as api:
        with pytest.raises(Forbidden):
            api.create_secret(team, "made", TYPE, PLAIN)
        with pytest.raises(Forbidden):
            api.link_pull_secret(team, "default", "made")
        with pytest.raises(Forbidden):
            api.delete_pod(team, "web")


@pytest.mark.django_db
def test_the_worker_scans_the_namespaces_that_are_named(
    apiserver: KubeApiServer, release: MakeRelease, team: str
) -> None:
    closed = apiserver.create_namespace()
    apiserver.apply([secret(closed), pod(closed)])
    made = release(rbac={"mode": "namespaces", "namespaces": [team]})
    kubeconfig = str(made.kubeconfig("worker"))
    parent = scan_cluster(Cluster.objects.create(name="ours", kubeconfig=kubeconfig, include=[team]))
    assert parent is not None
    assert parent.mode == "namespaces"
    scan_handed_out()
    row = Namespace.objects.get()
    assert (row.name, row.status, row.owners.get().name) == (team, "warning", "ada@example.com")
    assert not row.unreadable.keys() & {"secrets", "pods", "serviceaccounts", "events", "rolebindings"}
    with made.connect("worker") as api:
        assert {"secrets", "pods"} <= api.namespace(closed).unreadable.keys()


@pytest.mark.django_db
@pytest.mark.parametrize("is_bounded", [False, True])
def test_the_web_creates_for_an_owner_whom_kubernetes_lets_and_reads_no_secret(
    apiserver: KubeApiServer, owned: Callable[..., tuple[Release, Namespace]], team: str, *, is_bounded: bool
) -> None:
    made, namespace = owned(rbac={"mode": "namespaces", "namespaces": [team]} if is_bounded else {})
    ada = factories.owner("ada@example.com")
    with pytest.raises(Refusal, match=r"Kubernetes does not let ada@example\.com create secrets"):
        create(made, namespace, ada)
    assert names(apiserver, team) == ([], [])

    apiserver.grant("ada@example.com", [rule(right) for right in sorted(WRITES)], namespace=team)
    create(made, namespace, ada)
    assert names(apiserver, team) == (["regcred"], ["regcred"])

    with made.connect("web") as api:
        with pytest.raises(Forbidden):
            api.secret_metadata(team, "regcred")
        assert "secrets" in api.namespace(team).unreadable


@pytest.mark.django_db
def test_what_the_web_began_it_can_undo(
    apiserver: KubeApiServer,
    owned: Callable[..., tuple[Release, Namespace]],
    team: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, namespace = owned()

    def fails(*_: object, **options: Any) -> bool:
        if options.get("dry_run"):
            return True
        raise Forbidden("Refused.", ask=Ask(verb="patch", resource="serviceaccounts"))

    monkeypatch.setattr(Api, "link_pull_secret", fails)
    with pytest.raises(Refusal, match="Everything was undone"):
        create(made, namespace, factories.operator())
    assert names(apiserver, team) == ([], [])


@pytest.mark.django_db
def test_reading_only_no_creation_succeeds(
    apiserver: KubeApiServer, owned: Callable[..., tuple[Release, Namespace]], team: str
) -> None:
    made, namespace = owned(rbac={"mode": "readOnly"})
    with pytest.raises(Refusal, match="may not create secrets"):
        create(made, namespace, factories.operator())
    assert names(apiserver, team) == ([], [])


FORM = {
    "how": "login",
    "name": "regcred",
    "server": "quay.io",
    "username": "puller",
    "password": "hunter2-canary-value",
    "service_accounts": ["default"],
}


@pytest.mark.django_db
def test_in_the_name_of_a_person_the_page_creates_with_their_rights(
    apiserver: KubeApiServer,
    owned: Callable[..., tuple[Release, Namespace]],
    team: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settings, "WRITE_AS", "person")
    ada = unique_namespace("ada") + "@example.com"
    _made, namespace = owned(rbac={"impersonation": {"enabled": True, "users": [ada]}})
    namespace.owners.create(kind="user", name=ada, source="annotation")
    apiserver.grant(ada, [rule(right) for right in sorted(WRITES)], namespace=team)

    page = CreatePage(namespace, "registry/quay.io")
    assert page.submit(FORM, User.objects.create_user(ada)) is not None, page.refusal
    assert names(apiserver, team) == (["regcred"], ["regcred"])
    assert AuditEntry.objects.get().actor == ada


@pytest.mark.django_db
def test_in_the_name_of_who_is_not_listed_the_page_refuses_with_words_and_writes_nothing(
    apiserver: KubeApiServer,
    owned: Callable[..., tuple[Release, Namespace]],
    team: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settings, "WRITE_AS", "person")
    _made, namespace = owned(rbac={"impersonation": {"enabled": True, "users": ["ada@example.com"]}})

    page = CreatePage(namespace, "registry/quay.io")
    assert page.submit(FORM, factories.operator()) is None
    assert page.refusal is not None
    assert "does not let Credboard act for" in page.refusal.message
    assert "--verb=impersonate" in page.refusal.remedy
    assert names(apiserver, team) == ([], [])
    entry = AuditEntry.objects.get()
    assert (entry.outcome, str(FORM["password"]) in entry.message) == (AuditEntry.Outcome.REFUSED, False)


@pytest.mark.django_db
def test_an_operator_in_whose_name_it_writes_has_no_more_rights_than_in_kubernetes(
    apiserver: KubeApiServer,
    owned: Callable[..., tuple[Release, Namespace]],
    team: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settings, "WRITE_AS", "person")
    operator = factories.operator()
    _made, namespace = owned(rbac={"impersonation": {"enabled": True, "users": [operator.username]}})

    page = CreatePage(namespace, "registry/quay.io")
    assert page.submit(FORM, operator) is None
    assert page.refusal is not None
    assert f"{operator.username} may not create secrets" in page.refusal.message
    assert names(apiserver, team) == ([], [])


# -- docs/rbac ---------------------------------------------------------------------------------------------------------


def ruled(document: Json) -> set[Right]:
    return {
        (group, resource, verb)
        for rule in document["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize(
    ("page", "values", "kind", "role"),
    [
        ("cluster-reader", {}, "ClusterRole", "-worker"),
        ("creator", {}, "ClusterRole", "-web"),
        ("namespace-reader", {"rbac": {"mode": "namespaces", "namespaces": ["a"]}}, "Role", "-worker"),
    ],
)
def test_the_roles_of_the_docs_are_those_of_the_chart(page: str, values: Json, kind: str, role: str) -> None:
    text = (CHART.parent / "docs" / "rbac" / f"{page}.yaml").read_text(encoding="utf-8")
    rendered = chart.named(chart.render({**TRIAL, **values}), kind, role)
    assert ruled(yaml.safe_load(text)) == ruled(rendered)
