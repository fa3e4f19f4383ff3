"""The rights that the chart gives, bound on a real API server: enough for a scan and a creation, and nothing else.

Every question is asked of the server: what an account may (SelfSubjectRulesReview, SubjectAccessReview of every verb on
every resource that discovery names), and what it does (a whole scan, a whole creation, with its own token).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.contrib.auth.models import User

from dashboard.create_page import CreatePage
from dashboard.identity import may_create
from scanner import scan
from scanner.cluster import Cluster as Api
from scanner.cluster import Forbidden
from scanner.cluster.errors import Ask
from scanner.models import AuditEntry, Cluster, Namespace
from scanner.provision import Plan, Refusal, create_pull_secret
from scanner.scan import scan_cluster, scan_namespace
from tests import factories
from tests.rig.apiserver import KubeApiServer
from tests.rig.kube_api import unique_namespace
from tests.scanner.test_scan import pod, scan_handed_out, secret
from tests.shipping import chart
from tests.shipping.chart import TRIAL, Json
from tests.shipping.chart_readme import CHART

GROUP = "rbac.authorization.k8s.io"
RIGHTS = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
TYPE = "kubernetes.io/dockerconfigjson"
PLAIN = {".dockerconfigjson": b'{"auths":{"quay.io":{"username":"u","password":"p"}}}'}
#: Beside the verbs that a resource serves: those that RBAC knows besides.
SPECIAL = ("impersonate", "bind", "escalate", "approve", "sign", "use", "deletecollection", "watch")

Right = tuple[str, str, str]
"""(group, resource, verb)"""
_everybody: dict[tuple[str, bool], set[Right]] = {}


def rights(group: str, verbs: str, *resources: str) -> set[Right]:
    return {(group, resource, verb) for resource in resources for verb in verbs.split()}


READS_HERE = rights("", "list", "secrets", "serviceaccounts", "pods", "events") | rights(GROUP, "list", "rolebindings")
READS = READS_HERE | rights("", "get list", "namespaces") | rights("kubeflow.org", "get list", "profiles")
WRITES = (
    rights("", "create delete", "secrets")
    | rights("", "get list patch", "serviceaccounts")
    | rights("", "list delete", "pods")
)
ASKS = rights("authorization.k8s.io", "create", "subjectaccessreviews")


class Release:
    """The rights of a rendered chart, in force; the objects of the cluster among them go with `remove`."""

    def __init__(self, server: KubeApiServer, folder: Path, **values: Any) -> None:
        self.server = server
        self.namespace = server.create_namespace()
        self._folder = folder
        self._bound = chart.of_kind(chart.render({**TRIAL, **values}, namespace=self.namespace), *RIGHTS)
        server.apply(self._bound)
        for one in self._bound:
            if one["kind"].endswith("Binding"):
                self._wait_for(one)

    def _wait_for(self, binding: Json) -> None:
        """RBAC reads from a cache that lags by a moment: until the last rule of what is bound counts."""
        reference = binding["roleRef"]
        role = next(
            one
            for one in self._bound
            if (one["kind"], one["metadata"]["name"], one["metadata"].get("namespace"))
            == (reference["kind"], reference["name"], binding["metadata"].get("namespace"))
        )
        rule = role["rules"][-1]
        (subject,) = binding["subjects"]
        deadline = time.monotonic() + 30
        while not self.allows(
            subject["name"].rpartition("-")[2],
            (rule["apiGroups"][-1], rule["resources"][-1], rule["verbs"][-1]),
            namespace=binding["metadata"].get("namespace", ""),
            name=rule.get("resourceNames", [""])[-1],
        ):
            assert time.monotonic() < deadline, f"{rule} is not honoured"
            time.sleep(0.02)

    def remove(self) -> None:
        for one in self._bound:
            if one["kind"].startswith("Cluster"):
                self.server.request("DELETE", f"/apis/{GROUP}/v1/{one['kind'].lower()}s/{one['metadata']['name']}")

    def kubeconfig(self, role: str) -> Path:
        """With a token of the ServiceAccount of `role`, as its Pods have one."""
        token = self._token(f"credboard-{role}")
        written = self.server.kubeconfig(self._folder / f"{role}.kubeconfig")
        config = json.loads(written.read_text(encoding="utf-8"))
        config["users"][0]["user"] = {"token": token}
        written.write_text(json.dumps(config), encoding="utf-8")
        return written

    def _token(self, account: str) -> str:
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{account}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        return str(self.server.must("POST", path, request)["status"]["token"])

    def connect(self, role: str) -> Api:
        return Api.from_kubeconfig(str(self.kubeconfig(role)))

    def allows(self, role: str, right: Right, *, namespace: str = "", name: str = "") -> bool:
        group, resource, verb = right
        resource, _, subresource = resource.partition("/")
        account = f"system:serviceaccount:{self.namespace}"
        review = {
            "spec": {
                "user": f"{account}:credboard-{role}",
                "groups": [
                    "system:serviceaccounts",
                    f"system:serviceaccounts:{self.namespace}",
                    "system:authenticated",
                ],
                "resourceAttributes": {
                    "group": group,
                    "resource": resource,
                    "subresource": subresource,
                    "verb": verb,
                    "namespace": namespace,
                    "name": name,
                },
            }
        }
        answer = self.server.must("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(answer["status"]["allowed"])

    def all_rights(self, role: str, namespace: str = "") -> set[Right]:
        """Of everything that the server serves, what `role` may and an account without any role may not."""
        asked = sorted(universe(self.server))
        of_all = self._of_everybody(asked, namespace)
        with ThreadPoolExecutor(4) as pool:
            own = pool.map(lambda right: self.allows(role, right, namespace=namespace), asked)
            return {right for right, mine in zip(asked, own, strict=True) if mine} - of_all

    def _of_everybody(self, asked: list[Right], namespace: str) -> set[Right]:
        """What an account without any role may. It is the same wherever it is asked about."""
        key = (self.server.url, bool(namespace))
        if key not in _everybody:
            with ThreadPoolExecutor(4) as pool:
                may = pool.map(lambda right: self.allows("nobody", right, namespace=namespace), asked)
                _everybody[key] = {right for right, mine in zip(asked, may, strict=True) if mine}
        return _everybody[key]

    def told_rights(self, role: str, namespace: str) -> set[Right]:
        """What the API server tells the account of its rights in one Namespace, but for what everybody may."""
        return self._told(f"credboard-{role}", namespace) - self._told("default", namespace)

    def _told(self, account: str, namespace: str) -> set[Right]:
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        user = f"{self.namespace}/{account}"
        self.server._tokens.setdefault(user, self._token(account))
        status, answer = self.server.request("POST", path, {"spec": {"namespace": namespace}}, user=user)
        assert status == 201, answer
        assert not answer["status"]["incomplete"]
        return {
            (group, resource, verb)
            for rule in answer["status"]["resourceRules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }


def universe(server: KubeApiServer) -> set[Right]:
    """Every verb on every resource and subresource that discovery names, and what RBAC knows besides."""
    found = rights("", "impersonate", "users", "groups", "serviceaccounts", "uids") | READS | WRITES | ASKS
    groups = server.must("GET", "/apis")["groups"]
    versions = [("", "/api/v1"), *((g["name"], f"/apis/{g['preferredVersion']['groupVersion']}") for g in groups)]
    for group, path in versions:
        for resource in server.must("GET", path)["resources"]:
            for verb in {*resource["verbs"], *SPECIAL, "get", "list", "create", "update", "patch", "delete"}:
                found.add((group, resource["name"], verb))
    return found


MakeRelease = Callable[..., Release]


@pytest.fixture(name="release")
def _release(apiserver: KubeApiServer, tmp_path: Path) -> Iterator[MakeRelease]:
    made: list[Release] = []

    def make(**values: Any) -> Release:
        made.append(Release(apiserver, tmp_path, **values))
        return made[-1]

    yield make
    for one in made:
        one.remove()


@pytest.fixture(name="team")
def _team(apiserver: KubeApiServer) -> str:
    """A Namespace whose one Pod lacks the Secret that it needs."""
    name = apiserver.create_namespace(annotations={"credboard.dev/owner": "ada@example.com"})
    apiserver.apply([pod(name)])
    return name


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "tell_dispatcher", lambda: True)


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


def create(made: Release, namespace: Namespace, user: User, *, name: str = "regcred") -> None:
    plan = Plan(
        name=name,
        type=TYPE,
        credential="registry/quay.io",
        registry="quay.io",
        service_accounts=("default",),
        restart=True,
    )
    with made.connect("web") as api:
        create_pull_secret(
            api,
            namespace,
            plan,
            PLAIN,
            actor=user.username,
            permitted=lambda: may_create(user, namespace, api, restart=True),
        )


@pytest.fixture(name="owned")
def _owned(release: MakeRelease, team: str, tmp_path: Path) -> Callable[..., tuple[Release, Namespace]]:
    """A release, and `team` as its worker has scanned it; `cluster` then holds the web's own kubeconfig."""

    def make(**values: Any) -> tuple[Release, Namespace]:
        made = release(**values)
        cluster = Cluster.objects.create(name="ours", kubeconfig=str(made.kubeconfig("worker")), include=[team])
        namespace = Namespace.objects.create(cluster=cluster, name=team)
        scan_namespace(namespace)
        cluster.kubeconfig = str(made.kubeconfig("web"))
        cluster.save()
        return made, Namespace.objects.select_related("cluster").get(pk=namespace.pk)

    return make


def names(server: KubeApiServer, namespace: str) -> tuple[list[str], list[str]]:
    """(Secrets, imagePullSecrets of `default`), as an administrator sees them."""
    secrets = server.must("GET", f"/api/v1/namespaces/{namespace}/secrets")["items"]
    account = server.must("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/default")
    links = [reference["name"] for reference in account.get("imagePullSecrets", ())]
    return [one["metadata"]["name"] for one in secrets], links


@pytest.mark.django_db
@pytest.mark.parametrize("mode", ["cluster", "namespaces"])
def test_the_web_creates_for_an_owner_whom_kubernetes_lets_and_reads_no_secret(
    apiserver: KubeApiServer, owned: Callable[..., tuple[Release, Namespace]], team: str, mode: str
) -> None:
    made, namespace = owned(rbac={"mode": mode, "namespaces": [team]})
    ada = factories.owner("ada@example.com")
    with pytest.raises(Refusal, match=r"Kubernetes does not let ada@example\.com create secrets"):
        create(made, namespace, ada)
    assert names(apiserver, team) == ([], [])

    apiserver.grant("ada@example.com", [_rule(right) for right in sorted(WRITES)], namespace=team)
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
    apiserver.grant(ada, [_rule(right) for right in sorted(WRITES)], namespace=team)

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
    assert (entry.outcome, FORM["password"] in entry.message) == (AuditEntry.Outcome.REFUSED, False)


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


def _rule(right: Right) -> Json:
    group, resource, verb = right
    return {"apiGroups": [group], "resources": [resource], "verbs": [verb]}


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
