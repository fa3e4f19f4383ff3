"""Objects that one person made so that a scan of everybody's takes for ever, or shows nothing else."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from scanner import blame, raw
from scanner.check import Status
from scanner.credential import Fingerprint
from scanner.policy import Policy
from scanner.verdict import MOST_LINKED, Verdict, judge_all

ENTRY = {"auth": base64.b64encode(b"robot:secret").decode()}


def judged(hosts: list[str], images: list[str]) -> Verdict:
    config = base64.b64encode(json.dumps({"auths": dict.fromkeys(hosts, ENTRY)}).encode()).decode()
    secret = {
        "metadata": {"name": "flood", "namespace": "team-a"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": config},
    }
    objects = raw.NamespaceObjects(
        namespace=raw.Namespace(metadata=raw.ObjectMeta(name="team-a")),
        secrets=[msgspec.convert(secret, raw.Secret)],
        pods=[msgspec.convert(pod(number, image), raw.Pod) for number, image in enumerate(images)],
        service_accounts=[],
        events=[],
        role_bindings=[],
    )
    stream = judge_all([objects], policy=Policy(), now=datetime.now(UTC), fingerprint=Fingerprint(b"key"))
    (told,) = stream
    return told


def pod(number: int, image: str) -> dict[str, Any]:
    waiting = {"reason": "ImagePullBackOff", "message": "unauthorized"}
    return {
        "metadata": {"name": f"pod-{number}", "namespace": "team-a"},
        "spec": {"imagePullSecrets": [{"name": "flood"}], "containers": [{"name": "c", "image": image}]},
        "status": {"phase": "Pending", "containerStatuses": [{"name": "c", "state": {"waiting": waiting}}]},
    }


def test_one_secret_for_thousands_of_registries_does_not_become_as_many_columns() -> None:
    told = judged(
        [f"h{number}.example.com" for number in range(1_000)], ["h999.example.com/app:1", "z.example.org/app:1"]
    )

    assert len(told.cells) <= MOST_LINKED + 2
    assert {cell.credential for cell in told.cells} >= {"registry/h999.example.com", "registry/z.example.org"}


def test_keys_are_compared_with_images_letter_by_letter_so_often_and_then_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []
    compare = blame.near_miss
    monkeypatch.setattr(blame, "near_miss", lambda *given: calls.append(given[0]) or compare(*given))
    monkeypatch.setattr(blame, "_MOST_COMPARISONS", 100)

    told = judged(
        [f"h{number}.example.com" for number in range(30)], [f"r{number}.example.org/app:1" for number in range(20)]
    )

    assert len(calls) <= 100
    missed = [finding for finding in told.findings if finding.code == "PS03"]
    assert {finding.status for finding in missed} == {Status.CRITICAL}
    assert len(missed) == 20
