"""Who is asking, and may they: tokens, groups, and the RBAC objects that the demo cluster holds (kubernetes
plugin/pkg/auth/authorizer/rbac).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from dashboard.demo.resources import named
from dashboard.demo.status import Json
from dashboard.demo.store import Store

__all__ = ["Attributes", "Authorizer", "Decision", "User"]

_MASTERS: Final = "system:masters"


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated client. `groups` holds the system groups too."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""

    @classmethod
    def of(cls, name: str, groups: Collection[str] = ()) -> User:
        """The user with the groups that the API server adds itself."""
        extra = ["system:authenticated"]
        if name.startswith("system:serviceaccount:"):
            extra += ["system:serviceaccounts", "system:serviceaccounts:" + name.split(":")[2]]
        return cls(name, tuple(dict.fromkeys([*groups, *extra])))


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is asked, in the words of an access review. `resource` is "" for a non-resource path."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @classmethod
    def from_spec(cls, spec: Json) -> Attributes:
        """From the `spec` of an access review."""
        if spec.get("nonResourceAttributes"):
            asked = spec["nonResourceAttributes"]
            return cls(verb=asked.get("verb", ""), path=asked.get("path", ""))
        asked = spec.get("resourceAttributes") or {}
        return cls(
            verb=asked.get("verb", ""),
            group=asked.get("group", ""),
            resource=asked.get("resource", ""),
            subresource=asked.get("subresource", ""),
            namespace=asked.get("namespace", ""),
            name=asked.get("name", ""),
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """`denied` says that somebody forbade it, not only that nobody allowed it."""

    allowed: bool
    reason: str = ""
    denied: bool = False


class Authorizer:
    """RBAC over the stored objects, after a rule of our own: the Secrets of some Namespaces are closed to everybody.

    A LIST or WATCH of Secrets over all Namespaces is then refused as well, as it would be for a person whose rights
    were given Namespace by Namespace.
    """

    def __init__(self, store: Store, *, closed: Collection[str] = ()) -> None:
        self._store = store
        self.closed = frozenset(closed)

    def authorize(self, user: User, asked: Attributes) -> Decision:
        """Decide one request."""
        if self.closed and asked.resource == "secrets" and asked.verb != "create":
            if asked.namespace in self.closed:
                return Decision(False, "the Secrets of this Namespace are closed in the demo", denied=True)
            if not asked.namespace:
                return Decision(False, "the Secrets of some Namespaces are closed in the demo", denied=True)
        if _MASTERS in user.groups:
            return Decision(True)
        if not asked.resource:
            open_paths = ("/api", "/apis", "/healthz", "/readyz", "/livez", "/version", "/openapi")
            if asked.verb == "get" and asked.path.startswith(open_paths):
                return Decision(True)
        elif asked.verb == "create" and (asked.group, asked.resource) in {
            ("authorization.k8s.io", "selfsubjectaccessreviews"),
            ("authorization.k8s.io", "selfsubjectrulesreviews"),
            ("authentication.k8s.io", "selfsubjectreviews"),
        }:
            return Decision(True)
        for rule, reason in self._rules(user, asked.namespace):
            if _covers(rule, asked):
                return Decision(True, f"RBAC: allowed by {reason}")
        return Decision(False)

    def rules_of(self, user: User, namespace: str) -> list[Json]:
        """Every rule that a user has in a Namespace, for SelfSubjectRulesReview."""
        if _MASTERS in user.groups:
            return [
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
                {"verbs": ["*"], "nonResourceURLs": ["*"]},
            ]
        return [rule for rule, _ in self._rules(user, namespace)]

    def _rules(self, user: User, namespace: str) -> Iterator[tuple[Json, str]]:
        for kind, within in (("clusterrolebindings", ""), ("rolebindings", namespace)):
            if kind == "rolebindings" and not namespace:
                continue
            for binding in self._store.all(named(kind), within):
                for subject in binding.get("subjects") or []:
                    if _is_subject(user, subject, within):
                        yield from self._role_rules(binding, subject, within)
                        break

    def _role_rules(self, binding: Json, subject: Json, namespace: str) -> Iterator[tuple[Json, str]]:
        reference = binding.get("roleRef") or {}
        plural = "clusterroles" if reference.get("kind") == "ClusterRole" else "roles"
        role = self._store.get(named(plural), "" if plural == "clusterroles" else namespace, reference.get("name", ""))
        name = binding["metadata"]["name"]
        bound = f'RoleBinding "{name}/{namespace}"' if namespace else f'ClusterRoleBinding "{name}"'
        who = (
            f'{subject.get("kind")} "{subject.get("name")}'
            + (f"/{subject['namespace']}" if subject.get("namespace") else "")
            + '"'
        )
        for rule in (role or {}).get("rules") or []:
            yield rule, f'{bound} of {reference.get("kind")} "{reference.get("name")}" to {who}'


def _is_subject(user: User, subject: Json, namespace: str) -> bool:
    kind, name = subject.get("kind"), subject.get("name")
    if kind == "User":
        return name == user.name
    if kind == "Group":
        return name in user.groups
    return (
        kind == "ServiceAccount"
        and user.name == f"system:serviceaccount:{subject.get('namespace') or namespace}:{name}"
    )


def _covers(rule: Json, asked: Attributes) -> bool:
    verbs = rule.get("verbs") or []
    if "*" not in verbs and asked.verb not in verbs:
        return False
    if not asked.resource:
        urls = rule.get("nonResourceURLs") or []
        return any(url == asked.path or (url.endswith("*") and asked.path.startswith(url[:-1])) for url in urls)
    groups, resources, names = rule.get("apiGroups") or [], rule.get("resources") or [], rule.get("resourceNames") or []
    if "*" not in groups and asked.group not in groups:
        return False
    full = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    matches = (
        "*" in resources or full in resources or (bool(asked.subresource) and f"*/{asked.subresource}" in resources)
    )
    return matches and (not names or asked.name in names)
