"""Secrets as a stranger could make them: valid ones of every kind, broken at random, through the whole core.

`python -m tests.bench.mutated COUNT [SEED]`. Nothing may raise, whatever they hold. Prints one line of JSON: seconds of
CPU in the core (making the Secrets is not counted), peak MB of the process, the slowest namespace, and what came out.
The first Secret that raises is written to standard error, as Python, with the seed that makes it again.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from scanner import raw
from scanner.check import Context
from scanner.credential import Fingerprint
from scanner.policy import Policy
from scanner.policy_file import read_policy
from scanner.snapshot import build_snapshot
from scanner.verdict import judge
from tests.checks.test_cases import CASES as CHECK_CASES
from tests.credentials.test_cases import CASES as KIND_CASES
from tests.objects import namespace_objects

NOW = datetime(2026, 9, 1, tzinfo=UTC)
PER_NAMESPACE = 25
#: One value in so many becomes a megabyte, which is what the API server lets a Secret hold.
HUGE_EVERY = 2_000
MEGABYTE = 1_000_000
POLICY = """
requirements: [{name: pull, credential: registry/harbor.example.com, service_accounts: [default]}]
enabled: [HY02]
"""

Mutation = Callable[[random.Random, bytes], bytes]


def valid_secrets() -> list[raw.Secret]:
    """The Secrets of all cases of credential kinds and checks."""
    documents = [
        {"kind": "Secret", "metadata": {"name": "s"}, **case["secret"]}
        for cases in KIND_CASES.values()
        for case in cases.values()
    ]
    for checks in CHECK_CASES.values():
        documents += [one for case in checks.values() for one in case["objects"] if one["kind"] == "Secret"]
    return namespace_objects(documents).secrets


def _flip(chance: random.Random, value: bytes) -> bytes:
    changed = bytearray(value)
    for _ in range(min(len(changed), chance.choice((1, 1, 2, 5, 20)))):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _truncate(chance: random.Random, value: bytes) -> bytes:
    return value[: chance.randrange(len(value) + 1)]


def _cut_out(chance: random.Random, value: bytes) -> bytes:
    first, last = sorted((chance.randrange(len(value) + 1), chance.randrange(len(value) + 1)))
    return value[:first] + value[last:]


def _duplicate(chance: random.Random, value: bytes) -> bytes:
    first, last = sorted((chance.randrange(len(value) + 1), chance.randrange(len(value) + 1)))
    return value[:last] + value[first:last] * chance.choice((1, 1, 3, 50)) + value[last:]


def _insert(chance: random.Random, value: bytes) -> bytes:
    words = (b"\x00", b"\xff\xfe", b'"', b"\\u0000", b"\xed\xa0\x80", b"NaN", b"1e999", b"-1", b"null", b"[]", b"{}")
    at = chance.randrange(len(value) + 1)
    return (
        value[:at] + chance.choice((*words, b"9" * 5000, b"=", b"\r\n", b"=\n=", b"https://", b"@", b"*[")) + value[at:]
    )


def _deep(chance: random.Random, value: bytes) -> bytes:
    depth = chance.choice((50, 500, 20_000))
    opening, closing = chance.choice(((b"[", b"]"), (b'{"auths":', b"}"), (b'{"a":', b"}")))
    core = value if chance.random() < 0.5 else b"1"
    return opening * depth + core + (closing * depth if chance.random() < 0.8 else b"")


def _encode(chance: random.Random, value: bytes) -> bytes:
    import base64

    return base64.b64encode(value) if chance.random() < 0.5 else value.decode("latin-1").encode("utf-16")


MUTATIONS: tuple[Mutation, ...] = (_flip, _flip, _truncate, _cut_out, _duplicate, _insert, _insert, _deep, _encode)


def mutated(chance: random.Random, secret: raw.Secret, others: list[raw.Secret], name: str) -> raw.Secret:
    """`secret` with one to three things broken: its values, their keys, its type, its annotations."""
    data = dict(secret.data or {"token": b"eyJ"})
    for _ in range(chance.choice((1, 1, 2, 3))):
        key = chance.choice(list(data) or ["x"])
        value = chance.choice(MUTATIONS)(chance, data.get(key, b"")[:MEGABYTE])
        if not chance.randrange(HUGE_EVERY):
            value = (value or b"a") * (MEGABYTE // max(1, len(value)))
        data[key] = value[:MEGABYTE]
    if chance.random() < 0.05:
        data[chance.choice(("tls.crt", ".dockerconfigjson", "token", "\x00\n", "a" * 253))] = data.popitem()[1]
    secret_type = chance.choice(others).type if chance.random() < 0.1 else secret.type
    annotations = dict(secret.metadata.annotations or {})
    if chance.random() < 0.1:
        annotations["credboard.dev/expires-at"] = _insert(chance, b"2026-09-02T00:00:00Z").decode("latin-1")
    metadata = msgspec.structs.replace(
        secret.metadata, name=name, annotations=annotations, creation_timestamp=datetime(2026, 1, 1, tzinfo=UTC)
    )
    return msgspec.structs.replace(secret, metadata=metadata, type=secret_type, data=data)


def namespace_of(secrets: list[raw.Secret], name: str) -> raw.NamespaceObjects:
    """A namespace whose ServiceAccount and Pods name all of `secrets`, with a Pod that fails for want of a login."""
    names = [{"name": secret.metadata.name} for secret in secrets]
    message = "failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized"
    waiting = {"name": "main", "state": {"waiting": {"reason": "ErrImagePull", "message": message}}}
    objects = namespace_objects(
        [
            {"kind": "ServiceAccount", "metadata": {"name": "default"}, "imagePullSecrets": names},
            {
                "kind": "Pod",
                "metadata": {"name": "app", "creationTimestamp": "2026-06-01T00:00:00Z"},
                "spec": {
                    "imagePullSecrets": names,
                    "containers": [{"name": "main", "image": "harbor.example.com/team/app:1"}],
                    "volumes": [{"name": s["name"], "secret": {"secretName": s["name"]}} for s in names],
                },
                "status": {"phase": "Pending", "containerStatuses": [waiting]},
            },
            {
                "kind": "Pod",
                "metadata": {"name": "bare", "creationTimestamp": "2026-06-01T00:00:00Z"},
                "spec": {"containers": [{"name": "main", "image": "quay.io/team/app:1"}]},
                "status": {"phase": "Pending", "containerStatuses": [waiting]},
            },
        ],
        name=name,
    )
    return msgspec.structs.replace(objects, secrets=secrets)


def run(count: int, seed: int) -> dict[str, object]:
    """Judge `count` mutated Secrets. Raises whatever the core raises, after telling how to make it again."""
    chance, valid = random.Random(seed), valid_secrets()
    policy, fingerprint = read_policy(POLICY, name="bench"), Fingerprint(b"bench")
    seconds = slowest = 0.0
    found: Counter[str] = Counter()
    for start in range(0, count, PER_NAMESPACE):
        secrets = [
            mutated(chance, valid[(start + n) % len(valid)], valid, f"s-{n}")
            for n in range(min(PER_NAMESPACE, count - start))
        ]
        objects = namespace_of(secrets, f"team-{start}")
        began = time.process_time()
        try:
            found.update(_judge(objects, policy, fingerprint))
        except BaseException:  # a panic of Rust code is no Exception
            _tell(secrets, policy, fingerprint, seed)
            raise
        took = time.process_time() - began
        seconds, slowest = seconds + took, max(slowest, took)
    return {
        "secrets": count,
        "seconds": round(seconds, 2),
        "slowest_namespace": round(slowest, 3),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        **found,
    }


def _judge(objects: raw.NamespaceObjects, policy: Policy, fingerprint: Fingerprint) -> Counter[str]:
    snapshot = build_snapshot(objects, fingerprint=fingerprint)
    verdict = judge(Context(snapshot=snapshot, policy=policy, now=NOW), strict=True)
    return Counter(
        findings=len(verdict.findings),
        malformed=sum(1 for one in snapshot.secrets.values() if one.malformed or one.unparsable),
        still_read=sum(1 for one in snapshot.secrets.values() if one.credentials),
    )


def _tell(secrets: list[raw.Secret], policy: Policy, fingerprint: Fingerprint, seed: int) -> None:
    for secret in secrets:
        try:
            _judge(namespace_of([secret], "team"), policy, fingerprint)
        except BaseException:  # a panic of Rust code is no Exception
            values = {key: (value[:2000], len(value)) for key, value in (secret.data or {}).items()}
            print(f"seed {seed}: {secret.type} {secret.metadata.annotations} {values}", file=sys.stderr)
            traceback.print_exc()
            return


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)))
