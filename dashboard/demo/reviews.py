"""Access and token reviews: questions that the API answers and forgets."""

from __future__ import annotations

from typing import Any, Final, Protocol

from dashboard.demo.rbac import Attributes, Authorizer, User
from dashboard.demo.status import ApiError, FieldError, Json

__all__ = ["answer_review"]


# system:basic-user and system:discovery, which every authenticated user has.
_EVERYBODY: Final[list[Json]] = [
    {
        "verbs": ["create"],
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    },
    {"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]},
    {
        "verbs": ["get"],
        "nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/readyz", "/version"],
    },
]


class _Asked(Protocol):
    authorizer: Authorizer

    def user_of(self, token: str) -> User | None: ...


def answer_review(api: _Asked, kind: str, key: tuple[str, str, str], body: Any, user: User) -> Json:
    """The review with its status filled in. Raises ApiError 400 for one that asks nothing."""
    if not isinstance(body, dict) or not isinstance(body.get("spec", {}), dict):
        raise ApiError.bad_request(f"the object provided is unrecognized (must be of type {kind})")
    spec: Json = body.get("spec") or {}
    review: Json = {"kind": kind, "apiVersion": f"{key[0]}/{key[1]}", "metadata": {}, "spec": spec}
    if kind == "SelfSubjectReview":
        del review["spec"]
        return review | {"status": {"userInfo": _user_info(user)}}
    if kind == "TokenReview":
        found = api.user_of(str(spec.get("token") or ""))
        if found is None:
            return review | {"status": {"user": {}, "error": "invalid bearer token"}}
        return review | {
            "status": {"authenticated": True, "user": _user_info(found), "audiences": spec.get("audiences") or []}
        }
    if kind == "SelfSubjectRulesReview":
        return review | {"spec": {}, "status": _rules(api, user, str(spec.get("namespace") or ""))}
    if bool(spec.get("resourceAttributes")) is bool(spec.get("nonResourceAttributes")):
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise ApiError.invalid("", key[0], "", [FieldError.invalid("spec", None, why)])
    if kind == "SubjectAccessReview":
        user = User(str(spec.get("user") or ""), tuple(spec.get("groups") or ()))
    decision = api.authorizer.authorize(user, Attributes.from_spec(spec))
    status: Json = {"allowed": decision.allowed}
    if decision.denied:
        status["denied"] = True
    if decision.reason:
        status["reason"] = decision.reason
    return review | {"status": status}


def _user_info(user: User) -> Json:
    return {"username": user.name, "groups": list(user.groups)} | ({"uid": user.uid} if user.uid else {})


def _rules(api: _Asked, user: User, namespace: str) -> Json:
    rules = [*_EVERYBODY, *api.authorizer.rules_of(user, namespace)]
    return {
        "resourceRules": [rule for rule in rules if "resources" in rule],
        "nonResourceRules": [rule for rule in rules if "nonResourceURLs" in rule],
        "incomplete": False,
    }
