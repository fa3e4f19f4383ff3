"""The form as a browser sends and shows it, and what stands in the cluster afterwards."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from django.http import HttpResponse
from django.test import Client

from scanner import scan
from scanner.cluster import Cluster as Api

NS = "kubeflow-user-example-com"
GITLAB = "registry/gitlab.example.com:4567"
URL = f"/n/demo/{NS}/create/{GITLAB}/"
CREATED = f"/n/demo/{NS}/created/{GITLAB}/"
PASSWORD = 's3cret<&>"pass'
HTMX = {"HX-Request": "true", "HX-Target": "cell"}


class Inputs(HTMLParser):
    """The inputs of a page: name -> values, and which of them are ticked."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__()
        self.values: dict[str, list[str]] = {}
        self.ticked: dict[str, list[str]] = {}
        self.text = response.content.decode()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in ("input", "textarea") and (name := found.get("name")):
            self.values.setdefault(name, []).append(found.get("value") or "")
            if "checked" in found:
                self.ticked.setdefault(name, []).append(found.get("value") or "")


def form(**changes: Any) -> dict[str, Any]:
    filled = {
        "how": "login",
        "name": "regcred-pipeline",
        "server": "gitlab.example.com:4567",
        "username": "gitlab+deploy-token",
        "password": PASSWORD,
        "service_accounts": ["default-editor"],
    }
    return {name: value for name, value in {**filled, **changes}.items() if value is not None}


def secret(api: Api, namespace: str = NS, name: str = "regcred-pipeline") -> dict[str, bytes] | None:
    return next((dict(one.data or {}) for one in api.namespace(namespace).secrets if one.metadata.name == name), None)


def linked(api: Api, namespace: str = NS, account: str = "default-editor") -> list[str]:
    (found,) = [one for one in api.service_accounts(namespace) if one.metadata.name == account]
    return [reference.name for reference in found.image_pull_secrets or ()]


class Poll:
    """What the page does by itself after the creation."""

    def __init__(self, client: Client, response: HttpResponse) -> None:
        self.client = client
        self.response = response
        self.again()

    @property
    def text(self) -> str:
        return self.response.content.decode()

    @property
    def url(self) -> str:
        _, _, rest = self.text.partition('id="created-status"')
        _, found, rest = rest.partition('hx-post="')
        return rest.partition('"')[0].replace("&amp;", "&") if found else ""

    def again(self) -> None:
        self.response = self.client.post(self.url, headers={"HX-Request": "true"})


TELL = scan.tell_dispatcher
