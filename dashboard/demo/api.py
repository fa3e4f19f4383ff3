"""The demo API itself: one function from a request to an answer. No network and no waiting in here."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Final

from dashboard.demo import wire
from dashboard.demo.admission import admit_pod, fresh_metadata, timestamp
from dashboard.demo.parameters import (
    BODIES,
    check_accept,
    decoded,
    is_dry_run,
    page_not_found,
    selection,
    wants_metadata_only,
)
from dashboard.demo.patch import json_patch, merge_patch, strategic_merge_patch
from dashboard.demo.rbac import Attributes, Authorizer, User
from dashboard.demo.resources import (
    RESOURCES,
    REVIEWS,
    Resource,
    api_group,
    api_groups,
    api_resources,
    find,
    named,
    of_object,
)
from dashboard.demo.reviews import answer_review
from dashboard.demo.status import ApiError, Json, go_type, success
from dashboard.demo.store import Store, etcd_key
from dashboard.demo.validation import validate, validate_update
from dashboard.demo.wire import Answer, Request, Target, WatchCall, answer_error, answer_json

__all__ = ["Api"]

_VERSION: Final = {
    "major": "1", "minor": "37", "gitVersion": "v1.37.0+demo", "gitCommit": "", "gitTreeState": "clean",
    "buildDate": "2026-09-01T00:00:00Z", "goVersion": "", "compiler": "gc", "platform": "linux/amd64",
    "emulationMajor": "1", "emulationMinor": "37", "minCompatibilityMajor": "1", "minCompatibilityMinor": "36",
}  # fmt: skip
_JSON_PATCH, _MERGE, _STRATEGIC = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
_PATCHES: Final = (_JSON_PATCH, _MERGE, _STRATEGIC)
_PROPAGATION: Final = ("Foreground", "Background", "Orphan", "nil")
# Lists that a strategic merge patch replaces: `listType=atomic` without a patchStrategy (core/v1 types.go).
_ATOMIC: Final = {"ServiceAccount": ("imagePullSecrets",)}


class Api:
    """`clock` gives the present; the API never looks at the machine's clock itself."""

    def __init__(self, store: Store, *, clock: Callable[[], datetime], closed: Collection[str] = ()) -> None:
        self.store = store
        self.authorizer = Authorizer(store, closed=closed)
        self.clock = clock
        self._tokens: dict[str, User] = {}

    def add_token(self, user: User, token: str = "") -> str:
        """Register a bearer token for a user, a random one unless given."""
        token = token or secrets.token_urlsafe(24)
        self._tokens[token] = user
        return token

    def user_of(self, token: str) -> User | None:
        """Who holds this bearer token."""
        return self._tokens.get(token)

    def respond(self, request: Request) -> Answer | WatchCall:
        """Answer one request. Errors of the API become Status bodies."""
        try:
            with self.store.lock:
                return self._respond(request)
        except ApiError as error:
            return answer_error(error)

    def _respond(self, request: Request) -> Answer | WatchCall:
        path = request.path.rstrip("/") or "/"
        if path.partition("/")[2].partition("/")[0] in {"readyz", "healthz", "livez"} and request.method == "GET":
            return Answer(200, b"ok", content_type="text/plain")
        user = self._authenticate(request)
        target = wire.parse_target(path)
        asked = wire.attributes_of(request, target)
        user = self._impersonate(user, request)
        self._demand(user, asked)
        if target is None or not target.resource:
            return self._discovery(request, path, target)
        key = (target.group, target.version, target.resource)
        if key in REVIEWS and not target.name:
            if request.method != "POST":
                raise ApiError.method_not_allowed()
            return answer_json(answer_review(self, REVIEWS[key], key, wire.read_body(request), user), 201)
        resource = find(*key)
        if resource is None or (target.subresource and target.subresource not in resource.subresources):
            if api_resources(target.group, target.version) is None:
                return page_not_found()
            raise ApiError.no_such_resource()
        return self._serve(request, resource, target, asked.verb)

    # Who, and may they

    def _authenticate(self, request: Request) -> User:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        user = self.user_of(token.strip()) if scheme.lower() == "bearer" else None
        if user is None:
            raise ApiError.unauthorized()
        return user

    def _impersonate(self, user: User, request: Request) -> User:
        name = request.headers.get("impersonate-user", "")
        if not name:
            return user
        groups = tuple(filter(None, request.headers.get("impersonate-group", "").split("\n")))
        if name.startswith("system:serviceaccount:"):
            _, _, namespace, account = name.split(":", 3)
            self._demand(user, Attributes("impersonate", "", "serviceaccounts", "", namespace, account))
        else:
            self._demand(user, Attributes("impersonate", "", "users", name=name))
        for group in groups:
            self._demand(user, Attributes("impersonate", "", "groups", name=group))
        return User.of(name, groups)

    def _demand(self, user: User, asked: Attributes) -> None:
        decision = self.authorizer.authorize(user, asked)
        if not decision.allowed:
            raise wire.forbidden(user.name, asked, decision.reason)

    # Documents about the API

    def _discovery(self, request: Request, path: str, target: Target | None) -> Answer:
        if request.method != "GET":
            return page_not_found()
        document: Json | None = None
        if path == "/version":
            document = _VERSION
        elif path == "/api":
            document = {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        elif path == "/apis":
            document = api_groups()
        elif path == "/":
            document = {"paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/readyz", "/version"]}
        elif target is not None:
            document = api_resources(target.group, target.version)
        elif path.startswith("/apis/"):
            document = api_group(path.removeprefix("/apis/"))
        return answer_json(document) if document is not None else page_not_found()

    # Resources

    def _serve(self, request: Request, resource: Resource, target: Target, verb: str) -> Answer | WatchCall:
        in_namespace = bool(target.namespace) and not (resource.kind == "Namespace" and target.name)
        if (in_namespace and not resource.namespaced) or (resource.namespaced and target.name and not in_namespace):
            raise ApiError.no_such_resource()
        check_accept(request)
        if target.subresource and verb not in {"get", "update", "patch"}:
            raise ApiError.method_not_allowed()
        if verb == "watch":
            return WatchCall(target, request.query, wants_metadata_only(request))
        if verb == "list":
            return self._list(request, resource, target)
        namespace = target.namespace if resource.namespaced else ""
        if verb == "create":
            if target.name or (resource.namespaced and not namespace):
                raise ApiError.method_not_allowed()
            return self._create(request, resource, namespace)
        if verb == "deletecollection":
            if resource.namespaced and not namespace:
                raise ApiError.method_not_allowed()
            return self._delete_collection(request, resource, target)
        if verb not in {"get", "update", "patch", "delete"} or not target.name:
            raise ApiError.method_not_allowed()
        stored = self.store.get(resource, namespace, target.name)
        if stored is None:
            raise ApiError.not_found(resource.plural, resource.group, target.name)
        if verb == "get":
            return answer_json(stored)
        if verb == "delete":
            return self._delete(request, resource, stored)
        changed = (
            self._patched(request, resource, stored)
            if verb == "patch"
            else self._replacement(request, resource, target)
        )
        return self._update(request, resource, stored, changed, target.subresource)

    def _list(self, request: Request, resource: Resource, target: Target) -> Answer:
        matches = selection(request, resource)
        limit, token = request.query.get("limit", "0"), request.query.get("continue", "")
        if not limit.lstrip("-").isdecimal():
            raise ApiError.bad_request(f'strconv.ParseInt: parsing "{limit[:40]}": invalid syntax')
        version = request.query.get("resourceVersion", "")
        if version and not version.isdecimal():
            shown = f'"{version[:40]}"'
            why = f"resourceVersion: Invalid value: {shown}: strconv.ParseUint: parsing {shown}: invalid syntax"
            raise ApiError.bad_request(f"invalid resource version: {why}")
        if token and request.query.get("resourceVersion", "0") not in {"", "0"}:
            raise ApiError.bad_request("specifying resource version is not allowed when using continue")
        namespace = target.namespace if resource.namespaced else ""
        page = self.store.page(resource, namespace, matches=matches, limit=max(int(limit), 0), continue_token=token)
        metadata: Json = {"resourceVersion": str(page.revision)}
        if page.continue_token:
            metadata["continue"] = page.continue_token
            if page.remaining is not None:
                metadata["remainingItemCount"] = page.remaining
        # As on a real server, the items of a built-in list carry neither kind nor apiVersion; those of a custom
        # resource do.
        items = (
            page.items
            if resource.custom
            else [{k: v for k, v in item.items() if k not in {"kind", "apiVersion"}} for item in page.items]
        )
        return answer_json(
            {"kind": f"{resource.kind}List", "apiVersion": resource.group_version, "metadata": metadata, "items": items}
        )

    def _create(self, request: Request, resource: Resource, namespace: str) -> Answer:
        if request.media_type not in {"application/json", "application/yaml", ""}:
            raise ApiError.unsupported_media_type(BODIES)
        dry_run = is_dry_run(request)
        document, warnings = decoded(request, resource, wire.read_body(request))
        metadata = document["metadata"]
        if resource.namespaced and metadata.setdefault("namespace", namespace) != namespace:
            raise ApiError.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        if metadata.get("resourceVersion"):
            raise ApiError(500, "", "resourceVersion should not be set on objects to be created")
        if resource.namespaced and self.store.get(named("namespaces"), "", namespace) is None:
            raise ApiError.not_found("namespaces", "", namespace)
        document["metadata"] = fresh_metadata(resource, metadata, self.clock())
        document.pop("status", None)
        if resource.kind == "Pod":
            validate(resource, document)
            document = admit_pod(self.store, named("serviceaccounts"), document)
        elif resource.kind == "Namespace":
            document |= {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
        validate(resource, document)
        name = document["metadata"]["name"]
        if self.store.get(resource, namespace, name) is not None:
            raise ApiError.already_exists(resource.plural, resource.group, name)
        if not dry_run:
            document = self.store.put(resource, document)
            if resource.kind == "Namespace":
                self._default_account(name)
        return answer_json(document, 201, warnings)

    def _default_account(self, namespace: str) -> None:
        """What the ServiceAccount controller does a moment after a Namespace appears."""
        accounts = named("serviceaccounts")
        if self.store.get(accounts, namespace, "default") is None:
            metadata = fresh_metadata(accounts, {"name": "default", "namespace": namespace}, self.clock())
            self.store.put(accounts, {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": metadata})

    def _replacement(self, request: Request, resource: Resource, target: Target) -> Any:
        if request.media_type not in {"application/json", "application/yaml", ""}:
            raise ApiError.unsupported_media_type(BODIES)
        document = wire.read_body(request)
        name = (document.get("metadata") or {}).get("name", "") if isinstance(document, dict) else ""
        if name != target.name:
            raise ApiError.bad_request(
                f"the name of the object ({name}) does not match the name on the URL ({target.name})"
            )
        return document

    def _patched(self, request: Request, resource: Resource, stored: Json) -> Any:
        kind = request.media_type
        if kind not in _PATCHES or (kind == _STRATEGIC and resource.custom):
            raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
        patch = wire.read_body(request)
        if kind == _JSON_PATCH:
            return json_patch(stored, patch)
        if not isinstance(patch, dict):
            raise ApiError.bad_request(
                f"error decoding patch: json: cannot unmarshal {go_type(patch)} into Go value of type "
                f"map[string]interface {{}}"
            )
        if kind == _MERGE:
            return merge_patch(stored, patch)
        return strategic_merge_patch(stored, patch, atomic=_ATOMIC.get(resource.kind, ()))

    def _update(self, request: Request, resource: Resource, stored: Json, changed: Any, subresource: str) -> Answer:
        dry_run = is_dry_run(request)
        document, warnings = decoded(request, resource, changed)
        before, metadata = stored["metadata"], document["metadata"]
        name = before["name"]
        if metadata.setdefault("name", name) != name or metadata.setdefault(
            "namespace", before.get("namespace", "")
        ) != before.get("namespace", ""):
            raise ApiError.bad_request("the name or the namespace of the object does not match the URL")
        if not metadata["namespace"]:
            del metadata["namespace"]
        if metadata.get("uid", before["uid"]) != before["uid"]:
            why = (
                f"StorageError: invalid object, Code: 4, Key: /registry/{resource.plural}/{etcd_key(stored)}, "
                "ResourceVersion: 0, "
                f"AdditionalErrorMsg: Precondition failed: UID in precondition: {metadata['uid']}, "
                f"UID in object meta: {before['uid']}"
            )
            raise ApiError.conflict(resource.plural, resource.group, name, why)
        if metadata.get("resourceVersion", before["resourceVersion"]) != before["resourceVersion"]:
            raise ApiError.conflict(resource.plural, resource.group, name)
        kept = {
            key: before[key] for key in ("uid", "creationTimestamp", "generation", "resourceVersion") if key in before
        }
        document["metadata"] = metadata | kept
        if subresource == "status":
            document = stored | {"status": document.get("status") or {}}
        elif "status" in resource.subresources:
            document = {key: value for key, value in document.items() if key != "status"} | {
                "status": stored.get("status") or {}
            }
        validate(resource, document)
        validate_update(resource, stored, document)
        # A write that changes nothing gets no new resourceVersion, as on a real server.
        if not dry_run and document != stored:
            document = self.store.put(resource, document)
        return answer_json(document, 200, warnings)

    def _delete(self, request: Request, resource: Resource, stored: Json) -> Answer:
        options, metadata = wire.options_of(request), stored["metadata"]
        dry_run = is_dry_run(request, options)
        policy = options.get("propagationPolicy") or request.query.get("propagationPolicy")
        if policy and policy not in _PROPAGATION:
            raise ApiError.unknown_option("DeleteOptions", "propagationPolicy", policy, _PROPAGATION)
        wanted = options.get("preconditions") or {}
        if wanted.get("uid") and wanted["uid"] != metadata["uid"]:
            why = (
                f"the UID in the precondition ({wanted['uid']}) does not match the UID in record ({metadata['uid']}). "
                "The object might have been deleted and then recreated"
            )
            raise ApiError.conflict(resource.kind, resource.group, metadata["name"], why)
        if wanted.get("resourceVersion") and wanted["resourceVersion"] != metadata["resourceVersion"]:
            why = (
                f"the ResourceVersion in the precondition ({wanted['resourceVersion']}) does not match the "
                "ResourceVersion in record "
                f"({metadata['resourceVersion']}). The object might have been modified"
            )
            raise ApiError.conflict(resource.kind, resource.group, metadata["name"], why)
        last = stored if dry_run else self.remove(resource, stored)
        return answer_json(
            last
            if resource.returns_deleted
            else success(resource.plural, resource.group, metadata["name"], metadata["uid"])
        )

    def _delete_collection(self, request: Request, resource: Resource, target: Target) -> Answer:
        matches = selection(request, resource)
        dry_run = is_dry_run(request, wire.options_of(request))
        namespace = target.namespace if resource.namespaced else ""
        gone = [document for document in self.store.all(resource, namespace) if matches is None or matches(document)]
        if not dry_run:
            gone = [self.remove(resource, document) for document in gone]
        metadata = {"resourceVersion": str(self.store.revision)}
        return answer_json(
            {"kind": f"{resource.kind}List", "apiVersion": resource.group_version, "metadata": metadata, "items": gone}
        )

    def remove(self, resource: Resource, document: Json) -> Json:
        """Delete an object; with a Namespace goes all that is in it (at once: the demo has no Terminating)."""
        if resource.kind == "Namespace":
            name = document["metadata"]["name"]
            last = self.store.remove(resource, document)
            for inner in (resource for resource in RESOURCES if resource.namespaced):
                for leftover in self.store.all(inner, name):
                    self.store.remove(inner, leftover)
            return last | {"status": {"phase": "Terminating"}}
        return self.store.remove(resource, document)

    def load(self, document: Json) -> None:
        """Store an object as it is, status and all, past validation and admission: how the demo's own picture gets in.

        Raises KeyError for a kind that is not served.
        """
        resource = of_object(document)
        metadata = fresh_metadata(resource, document["metadata"], self.clock())
        given = document["metadata"]
        metadata |= {key: given[key] for key in ("uid", "creationTimestamp") if key in given}
        defaults: Json = {}
        if resource.kind == "Namespace":
            defaults = {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
        if resource.kind == "Secret":
            defaults = {"type": "Opaque"}
        with self.store.lock:
            stored = self.store.put(resource, defaults | document | {"metadata": metadata})
            if resource.kind == "Namespace":
                self._default_account(etcd_key(stored))

    def now(self) -> str:
        """The present as objects print it."""
        return timestamp(self.clock())
