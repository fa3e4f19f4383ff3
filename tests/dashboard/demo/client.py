"""A plain HTTP client for the tests of the demo cluster."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import urllib3

from dashboard.demo.server import DemoCluster

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"


@dataclass
class Client:
    """Requests to a demo cluster with a token. Every method gives (HTTP status, decoded JSON or text)."""

    cluster: DemoCluster
    token: str = ""

    def send(
        self, method: str, path: str, body: Any = None, *, media_type: str = "application/json"
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token or self.cluster.token}"}
        data = None
        if body is not None:
            headers["Content-Type"] = media_type
            data = json.dumps(body)
        with urllib3.PoolManager(retries=False) as pool:
            response = pool.request(method, self.cluster.url + path, body=data, headers=headers)
        text = response.data.decode()
        return response.status, json.loads(text) if text.startswith("{") and "watch=true" not in path else text

    def get(self, path: str) -> tuple[int, Any]:
        return self.send("GET", path)

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        return self.send("POST", path, body)

    def names(self, path: str) -> list[str]:
        code, body = self.get(path)
        assert code == 200, body
        return [item["metadata"]["name"] for item in body["items"]]


def secret(name: str, namespace: str = "shop", **content: Any) -> dict[str, Any]:
    return {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": name, "namespace": namespace}, **content}


def namespace(name: str) -> dict[str, Any]:
    return {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}}
