"""Who renews a Secret, when it was written, and the ends that follow from that."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from scanner import raw
from scanner.credential import Fingerprint, ParsedCredential
from scanner.renewal import ONE_PULL, completed, renewer, written_at
from scanner.snapshot import build_snapshot
from tests.objects import namespace_objects
from tests.scanner.test_password import jwt

CREATED = datetime(2026, 8, 1, tzinfo=UTC)
WRITTEN = datetime(2026, 8, 31, tzinfo=UTC)


def metadata(**fields: Any) -> raw.ObjectMeta:
    return msgspec.convert({"name": "s", "creationTimestamp": CREATED.isoformat(), **fields}, raw.ObjectMeta)


def managed(time: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {"manager": "m", "operation": "Update", "time": time, "fieldsType": "FieldsV1", "fieldsV1": fields}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"annotations": {"cert-manager.io/certificate-name": "web"}}, "cert-manager"),
        ({"annotations": {"reconcile.external-secrets.io/data-hash": "x"}}, "External Secrets"),
        ({"annotations": {"openshift.io/internal-registry-auth-token.service-account": "default"}}, "OpenShift"),
        ({"labels": {"reconcile.external-secrets.io/managed": "true"}}, "External Secrets"),
        ({"ownerReferences": [{"kind": "ExternalSecret", "name": "a"}]}, "External Secrets"),
        ({"ownerReferences": [{"kind": "CronJob", "name": "ecr"}]}, "CronJob ecr"),
        ({"annotations": {"credboard.dev/renewed-by": " CronJob/ecr\n"}}, "CronJob/ecr"),
        ({"ownerReferences": [{"kind": "Workflow", "name": "a"}], "labels": {"app": "x"}}, ""),
        ({}, ""),
    ],
)
def test_what_renews_a_secret_is_told_by_its_metadata(fields: dict[str, Any], words: str) -> None:
    assert renewer(metadata(**fields)) == words


def test_a_secret_was_written_when_its_data_last_changed() -> None:
    fields = [
        managed("2026-08-30T00:00:00Z", {"f:data": {".": {}, "f:x": {}}}),
        managed("2026-08-31T00:00:00Z", {"f:data": {"f:y": {}}, "f:type": {}}),
        managed("2026-09-01T00:00:00Z", {"f:metadata": {"f:labels": {}}}),
    ]

    assert written_at(metadata(managedFields=fields)) == WRITTEN
    assert written_at(metadata()) is None


def login(identity: str, **fields: Any) -> ParsedCredential:
    return ParsedCredential(kind="docker-registry", credential="registry/x", identity=identity, **fields)


@pytest.mark.parametrize(
    ("identity", "lifetime"),
    [
        ("ecr_private", timedelta(hours=12)),
        ("ecr_public", timedelta(hours=12)),
        ("gcr_gar_access_token", timedelta(hours=1)),
    ],
)
def test_a_login_without_a_date_ends_a_lifetime_after_it_was_written(identity: str, lifetime: timedelta) -> None:
    known = completed(login(identity), metadata(managedFields=[managed(WRITTEN.isoformat(), {"f:data": {}})]))
    unknown = completed(login(identity), metadata())

    assert (known.expires_at, known.expiry_source, known.confidence) == (WRITTEN + lifetime, "derived", "derived")
    assert (unknown.expires_at, unknown.expiry_source, unknown.confidence) == (CREATED + lifetime, "derived", "guess")
    assert known.is_short_lived


def test_a_declared_end_is_not_replaced() -> None:
    declared = login("ecr_private", expires_at=WRITTEN, expiry_source="declared")

    assert completed(declared, metadata()) == declared
    assert declared.confidence == "declared"


def test_no_end_known_is_not_the_same_as_none() -> None:
    unknown, never = login("harbor_robot"), login("jwt", never_expires=True)

    assert completed(unknown, metadata()).confidence == ""
    assert completed(never, metadata()).never_expires
    assert not unknown.never_expires


def test_an_azure_login_without_iat_is_one_of_hours() -> None:
    found = completed(login("acr_refresh_token", expires_at=WRITTEN, expiry_source="jwt"), metadata())

    assert found.issued_at == WRITTEN - timedelta(hours=3)
    assert found.is_short_lived


def test_a_token_for_one_pull_is_odd_unless_something_renews_it() -> None:
    minutes = login("jwt", expires_at=WRITTEN, issued_at=WRITTEN - timedelta(minutes=5), expiry_source="jwt")
    managed_secret = metadata(labels={"reconcile.external-secrets.io/managed": "true"})

    assert completed(minutes, metadata()).flaw == ONE_PULL
    assert completed(minutes, managed_secret).flaw == ""


def test_the_same_login_in_two_secrets_ends_at_two_times() -> None:
    config = json.dumps({"auths": {"gcr.io": {"username": "oauth2accesstoken", "password": "ya29.hunter2"}}})
    secrets = [
        {
            "kind": "Secret",
            "metadata": {"name": name, "creationTimestamp": f"2026-08-0{day}T00:00:00Z"},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": config},
        }
        for name, day in (("a", 1), ("b", 2))
    ]
    snapshot = build_snapshot(namespace_objects(secrets), fingerprint=Fingerprint(b"test"))

    ends = [snapshot.secrets[name].credentials[0].expires_at for name in "ab"]
    assert ends == [datetime(2026, 8, day, 1, tzinfo=UTC) for day in (1, 2)]
    assert "hunter2" not in repr(snapshot)


def test_a_docker_token_keeps_what_it_is() -> None:
    config = json.dumps({"auths": {"quay.io": {"username": "u", "password": jwt()}}})
    secret = {
        "kind": "Secret",
        "metadata": {"name": "a"},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": config},
    }

    (found,) = build_snapshot(namespace_objects([secret]), fingerprint=Fingerprint(b"test")).secrets["a"].credentials

    assert (found.identity, found.never_expires, found.is_long_lived) == ("jwt", True, True)
