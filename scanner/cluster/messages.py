"""What is sent to an API server and read of its answers, besides lists."""

from __future__ import annotations

from typing import Any, Final

from scanner import raw

FIELD_MANAGER: Final = "credboard"


class HasMetadata(raw.Raw, frozen=True, kw_only=True):
    metadata: raw.ObjectMeta


class Version(raw.Raw, frozen=True, kw_only=True):
    resource_version: str = ""


class Linked(raw.Raw, frozen=True, kw_only=True):
    metadata: Version
    image_pull_secrets: list[raw.LocalObjectReference] | None = None


class ReviewStatus(raw.Raw, frozen=True, kw_only=True):
    allowed: bool


class Review(raw.Raw, frozen=True, kw_only=True):
    status: ReviewStatus


def write_query(dry_run: bool) -> dict[str, str]:
    query = {"fieldManager": FIELD_MANAGER}
    return {**query, "dryRun": "All"} if dry_run else query


def delete_options(uid: str) -> dict[str, Any]:
    options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
    return {**options, "preconditions": {"uid": uid}} if uid else options


def attributes(verb: str, resource: str, namespace: str, group: str) -> dict[str, str]:
    resource, _, subresource = resource.partition("/")
    return {"verb": verb, "resource": resource, "subresource": subresource, "namespace": namespace, "group": group}
