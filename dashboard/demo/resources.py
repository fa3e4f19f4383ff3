"""The resources that the demo API serves, and their discovery documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dashboard.demo.status import Json

__all__ = ["RESOURCES", "REVIEWS", "Resource", "api_group", "api_groups", "api_resources", "find", "named", "of_object"]

_VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_META: Final = frozenset({"metadata.name", "metadata.namespace"})
_POD_FIELDS: Final = _META | {
    "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
    "status.phase", "status.podIP", "status.nominatedNodeName",
}  # fmt: skip
_INVOLVED: Final = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_EVENT_FIELDS: Final = (
    _META | {f"involvedObject.{field}" for field in _INVOLVED} | {"reason", "reportingComponent", "source", "type"}
)


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource type. `fields` are the top-level keys that its objects may have besides apiVersion, kind and
    metadata (None: any).
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    selectable: frozenset[str] = _META
    fields: frozenset[str] | None = None
    returns_deleted: bool = False
    custom: bool = False

    @property
    def group_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def label_conversion(self) -> bool:
        """Whether the real server words an unknown field label as "field label not supported" (it has a conversion
        function for it).
        """
        return self.selectable != _META or self.custom


def _keys(*names: str) -> frozenset[str]:
    return frozenset(names)


_RBAC: Final = "rbac.authorization.k8s.io"
RESOURCES: Final[tuple[Resource, ...]] = (
    Resource(
        "",
        "v1",
        "namespaces",
        "Namespace",
        namespaced=False,
        short=("ns",),
        subresources=("status", "finalize"),
        selectable=_META | {"status.phase"},
        fields=_keys("spec", "status"),
        returns_deleted=True,
    ),
    Resource(
        "",
        "v1",
        "secrets",
        "Secret",
        selectable=_META | {"type"},
        fields=_keys("data", "stringData", "type", "immutable"),
    ),
    Resource(
        "",
        "v1",
        "serviceaccounts",
        "ServiceAccount",
        short=("sa",),
        returns_deleted=True,
        fields=_keys("secrets", "imagePullSecrets", "automountServiceAccountToken"),
    ),
    Resource(
        "",
        "v1",
        "pods",
        "Pod",
        short=("po",),
        subresources=("status",),
        selectable=_POD_FIELDS,
        fields=_keys("spec", "status"),
        returns_deleted=True,
    ),
    Resource(
        "",
        "v1",
        "events",
        "Event",
        short=("ev",),
        selectable=_EVENT_FIELDS,
        fields=_keys(
            "involvedObject",
            "reason",
            "message",
            "source",
            "firstTimestamp",
            "lastTimestamp",
            "count",
            "type",
            "eventTime",
            "series",
            "action",
            "related",
            "reportingComponent",
            "reportingInstance",
        ),
    ),
    Resource("", "v1", "configmaps", "ConfigMap", short=("cm",), fields=_keys("data", "binaryData", "immutable")),
    Resource(_RBAC, "v1", "roles", "Role", fields=_keys("rules")),
    Resource(_RBAC, "v1", "rolebindings", "RoleBinding", fields=_keys("subjects", "roleRef")),
    Resource(_RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False, fields=_keys("rules", "aggregationRule")),
    Resource(
        _RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False, fields=_keys("subjects", "roleRef")
    ),
    Resource("kubeflow.org", "v1", "profiles", "Profile", namespaced=False, subresources=("status",), custom=True),
    Resource("kubeflow.org", "v1alpha1", "poddefaults", "PodDefault", custom=True),
    Resource(
        "serving.kserve.io",
        "v1beta1",
        "inferenceservices",
        "InferenceService",
        short=("isvc",),
        subresources=("status",),
        custom=True,
    ),
)

# Questions: only POST, nothing is stored.
REVIEWS: Final[dict[tuple[str, str, str], str]] = {
    ("authorization.k8s.io", "v1", "selfsubjectaccessreviews"): "SelfSubjectAccessReview",
    ("authorization.k8s.io", "v1", "subjectaccessreviews"): "SubjectAccessReview",
    ("authorization.k8s.io", "v1", "selfsubjectrulesreviews"): "SelfSubjectRulesReview",
    ("authentication.k8s.io", "v1", "selfsubjectreviews"): "SelfSubjectReview",
    ("authentication.k8s.io", "v1", "tokenreviews"): "TokenReview",
}

_BY_PATH: Final = {(r.group, r.version, r.plural): r for r in RESOURCES}
_BY_PLURAL: Final = {r.plural: r for r in RESOURCES}
_BY_KIND: Final = {(r.group_version, r.kind): r for r in RESOURCES}


def find(group: str, version: str, plural: str) -> Resource | None:
    """The resource behind a path, or None."""
    return _BY_PATH.get((group, version, plural))


def named(plural: str) -> Resource:
    """The resource with this plural name. Raises KeyError."""
    return _BY_PLURAL[plural]


def of_object(document: Json) -> Resource:
    """The resource that an object belongs to. Raises KeyError for kinds that the demo does not serve."""
    return _BY_KIND[document.get("apiVersion", ""), document.get("kind", "")]


def _versions() -> dict[str, list[str]]:
    versions: dict[str, list[str]] = {}
    for group, version in [(r.group, r.version) for r in RESOURCES] + [key[:2] for key in REVIEWS]:
        if group and version not in versions.setdefault(group, []):
            versions[group].append(version)
    return versions


def _group(name: str, versions: list[str]) -> Json:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def api_groups() -> Json:
    """The document of `/apis`."""
    groups = [_group(name, versions) for name, versions in sorted(_versions().items())]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def api_group(name: str) -> Json | None:
    """The document of `/apis/<group>`, or None for a group that is not served."""
    versions = _versions().get(name)
    return {"kind": "APIGroup", "apiVersion": "v1"} | _group(name, versions) if versions else None


def api_resources(group: str, version: str) -> Json | None:
    """The document of `/api/v1` or `/apis/<group>/<version>`, or None."""
    rows: list[Json] = []
    for resource in RESOURCES:
        if (resource.group, resource.version) != (group, version):
            continue
        row: Json = {
            "name": resource.plural,
            "singularName": resource.kind.lower(),
            "namespaced": resource.namespaced,
            "kind": resource.kind,
        }
        rows.append(row | {"verbs": list(_VERBS)} | ({"shortNames": list(resource.short)} if resource.short else {}))
        rows += [
            row | {"name": f"{resource.plural}/{sub}", "singularName": "", "verbs": ["get", "patch", "update"]}
            for sub in resource.subresources
        ]
    for key, kind in REVIEWS.items():
        if key[:2] == (group, version):
            rows.append(
                {"name": key[2], "singularName": kind.lower(), "namespaced": False, "kind": kind, "verbs": ["create"]}
            )
    if not rows:
        return None
    group_version = f"{group}/{version}" if group else version
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": sorted(rows, key=lambda r: str(r["name"])),
    }
