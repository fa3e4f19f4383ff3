"""The rights of a release of the chart, bound on a real API server, and what its accounts are asked and do there."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User

from dashboard.identity import may_create
from scanner.cluster import Cluster as Api
from scanner.models import Namespace
from scanner.provision import Plan, create_pull_secret
from tests.rig.apiserver import KubeApiServer
from tests.shipping import chart
from tests.shipping.chart import TRIAL, Json

GROUP = "rbac.authorization.k8s.io"
POLICIES = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
RIGHTS = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", *POLICIES)
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
            if "roleRef" in one:
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
        deadline = time.monotonic() + 60
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
            if chart.is_of_cluster(one):
                kind = self.server._kind(one["apiVersion"], one["kind"])
                self.server.request("DELETE", f"{kind.collection('')}/{one['metadata']['name']}")

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

    def request(
        self, account: str, method: str, path: str, body: Json = None, *, content_type: str = "application/json"
    ) -> tuple[int, Json]:
        """(HTTP status, answer) of one request with a token of this ServiceAccount."""
        user = f"{self.namespace}/{account}"
        if user not in self.server._tokens:
            self.server._tokens[user] = self._token(account)
        return self.server.request(method, path, body, user=user, content_type=content_type)

    def _told(self, account: str, namespace: str) -> set[Right]:
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        status, answer = self.request(account, "POST", path, {"spec": {"namespace": namespace}})
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


def rule(right: Right) -> Json:
    group, resource, verb = right
    return {"apiGroups": [group], "resources": [resource], "verbs": [verb]}


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


def names(server: KubeApiServer, namespace: str) -> tuple[list[str], list[str]]:
    """(Secrets, imagePullSecrets of `default`), as an administrator sees them."""
    secrets = server.must("GET", f"/api/v1/namespaces/{namespace}/secrets")["items"]
    account = server.must("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/default")
    links = [reference["name"] for reference in account.get("imagePullSecrets", ())]
    return [one["metadata"]["name"] for one in secrets], links
