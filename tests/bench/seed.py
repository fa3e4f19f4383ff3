"""Fills an API server with a cluster of a given size, as a platform team's would look: mostly well, a little broken."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Json = dict[str, Any]
IN_FLIGHT = 64
FAILING_EVERY = 50  # one namespace in so many lacks its pull Secret


@dataclass(frozen=True)
class Size:
    """Per namespace: 10 Pods, 6 Secrets, 3 ServiceAccounts (2,000 namespaces: 20,000, 12,000 and 6,000)."""

    namespaces: int
    pods: int = 10
    secrets: int = 6
    service_accounts: int = 3


async def seed(url: str, token: str, ca_file: str, size: Size) -> None:
    """Create the namespaces with all that is in them, `IN_FLIGHT` requests at a time. Raises on any refusal."""
    async with _session(url, token, ca_file) as session:
        queue = asyncio.Semaphore(IN_FLIGHT // 8)

        async def one(index: int) -> None:
            async with queue:
                await _seed_namespace(session, index, size)

        async with asyncio.TaskGroup() as group:
            for index in range(size.namespaces):
                group.create_task(one(index))


@asynccontextmanager
async def _session(url: str, token: str, ca_file: str) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT, ssl=ssl.create_default_context(cafile=ca_file))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(url, connector=connector, headers=headers) as session:
        yield session


async def _seed_namespace(session: aiohttp.ClientSession, index: int, size: Size) -> None:
    name = f"team-{index:05}"
    await _send(session, "POST", "/api/v1/namespaces", namespace(name))
    base = f"/api/v1/namespaces/{name}"
    # Pods come after the ServiceAccounts they name; the rest in any order.
    await asyncio.gather(
        *(_send(session, "POST", f"{base}/serviceaccounts", account) for account in service_accounts(size)),
        *(_send(session, "POST", f"{base}/secrets", secret) for secret in secrets(index, size)),
    )
    await asyncio.gather(*(_create_pod(session, base, pod) for pod in pods(index, size)))


async def _create_pod(session: aiohttp.ClientSession, base: str, pod: Json) -> None:
    created = await _send(session, "POST", f"{base}/pods", pod)
    created["status"] = pod["status"]
    await _send(session, "PUT", f"{base}/pods/{pod['metadata']['name']}/status", created)


async def _send(session: aiohttp.ClientSession, method: str, path: str, body: Json) -> Json:
    async with session.request(method, path, data=json.dumps(body)) as response:
        answer: Json = await response.json()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {answer.get('message')}")
        return answer


def namespace(name: str) -> Json:
    labels = {"app.kubernetes.io/part-of": "kubeflow-profile"}
    return {"metadata": {"name": name, "labels": labels, "annotations": {"owner": f"{name}@example.com"}}}


def service_accounts(size: Size) -> Iterator[Json]:
    names = ("default", "default-editor", "default-viewer", *(f"job-{n}" for n in range(size.service_accounts)))
    for name in names[: size.service_accounts]:
        yield {"metadata": {"name": name}, "imagePullSecrets": [{"name": "harbor"}, {"name": "gitlab"}]}


def secrets(index: int, size: Size) -> Iterator[Json]:
    if index % FAILING_EVERY:
        yield _pull_secret("harbor", "harbor.example.com", f"robot$team-{index}")
    else:
        yield _opaque("unrelated")
    yield _pull_secret("gitlab", "gitlab.example.com:4567", "gitlab+deploy-token-7")
    certificate, key = _certificate()
    tls = {"tls.crt": certificate, "tls.key": key}
    yield {"metadata": {"name": "ingress-tls"}, "type": "kubernetes.io/tls", "data": tls}
    for number in range(size.secrets - 3):
        yield _opaque(f"settings-{number}")


def _opaque(name: str) -> Json:
    return {"metadata": {"name": name}, "data": {f"key-{n}": _base64(f"value {n} of {name}" * 8) for n in range(4)}}


def _pull_secret(name: str, server: str, user: str) -> Json:
    entry = {"username": user, "password": "not-a-real-password", "auth": _base64(f"{user}:not-a-real-password")}
    data = {".dockerconfigjson": _base64(json.dumps({"auths": {server: entry}}))}
    return {"metadata": {"name": name}, "type": "kubernetes.io/dockerconfigjson", "data": data}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@cache
def _certificate() -> tuple[str, str]:
    """A self-signed certificate of 90 days and its key, base64 of PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ingress.example.com")])
    now = datetime.now(UTC)
    end = now + timedelta(days=90)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, end)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return _base64(certificate.decode()), _base64(private.decode())


def pods(index: int, size: Size) -> Iterator[Json]:
    registries = ("harbor.example.com/ml", "gitlab.example.com:4567/ml", "docker.io/library")
    for number in range(size.pods):
        failing = not index % FAILING_EVERY and number % 3 == 0
        image = f"{registries[number % 3]}/app-{number}:1.{index}"
        name = f"app-{number}-7d9f8b6c5d-{index:05}"
        containers = [_container("app", image, number), _container("proxy", "docker.io/istio/proxyv2:1.27.0", number)]
        spec = {"serviceAccountName": "default", "containers": containers, "volumes": _volumes()}
        status = _failing_status(image) if failing else _running_status(containers)
        yield {"metadata": {"name": name, "labels": {"app": f"app-{number}"}}, "spec": spec, "status": status}


def _container(name: str, image: str, number: int) -> Json:
    env = [{"name": f"SETTING_{n}", "value": f"value {number} {n}"} for n in range(8)]
    env.append({"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "settings-0", "key": "key-1"}}})
    resources = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}}
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10}
    mounts = [{"name": "tls", "mountPath": "/tls"}, {"name": "work", "mountPath": "/work"}]
    return {
        "name": name,
        "image": image,
        "env": env,
        "resources": resources,
        "readinessProbe": probe,
        "volumeMounts": mounts,
    }


def _volumes() -> list[Json]:
    return [{"name": "tls", "secret": {"secretName": "ingress-tls"}}, {"name": "work", "emptyDir": {}}]


_STARTED = "2026-01-01T00:00:00Z"


def _running_status(containers: list[Json]) -> Json:
    statuses = [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": f"{container['image'].partition(':')[0]}@sha256:{'0' * 64}",
            "ready": True,
            "started": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": _STARTED}},
        }
        for container in containers
    ]
    return {"phase": "Running", "containerStatuses": statuses}


def _failing_status(image: str) -> Json:
    message = (
        f'Back-off pulling image "{image}": ErrImagePull: failed to pull and unpack image "{image}": failed to '
        f'resolve reference "{image}": failed to authorize: failed to fetch anonymous token: unexpected status from '
        "GET request to https://harbor.example.com/service/token?scope=repository%3Aml%3Apull: 401 Unauthorized"
    )
    waiting = {"reason": "ImagePullBackOff", "message": message}
    status = {"name": "app", "image": image, "imageID": "", "ready": False, "restartCount": 0}
    return {"phase": "Pending", "containerStatuses": [{**status, "state": {"waiting": waiting}}]}
