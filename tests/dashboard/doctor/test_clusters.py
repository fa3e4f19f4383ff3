"""The doctor on clusters: reached, readable, with access that lasts."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from dashboard.doctor import Advice, Level, clusters
from scanner.cluster import ServerInfo
from scanner.models import Cluster, ClusterAccess
from tests import factories
from tests.dashboard.doctor.told import PASSWORD, levels, words
from tests.rig.apiserver import KubeApiServer
from tests.rig.certificates import CertificateAuthority
from tests.rig.process import free_port

READER = [
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["secrets", "serviceaccounts", "pods", "events"], "verbs": ["list"]},
    {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings"], "verbs": ["list"]},
]


def kubeconfig(folder: Path, cluster: dict[str, str], user: dict[str, str]) -> Path:
    """A file with one context, of `cluster` and `user`."""
    path = folder / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "clusters": [{"name": "x", "cluster": cluster}],
                "users": [{"name": "x", "user": user}],
                "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
                "current-context": "x",
            }
        )
    )
    return path


pytestmark = pytest.mark.django_db


@pytest.mark.usefixtures("broker")
class TestClusters:
    @pytest.fixture
    def cluster(self, apiserver: KubeApiServer, tmp_path: Path) -> Callable[..., Cluster]:
        def make(user: str = "admin", **fields: Any) -> Cluster:
            path = apiserver.kubeconfig(tmp_path / f"{user}.kubeconfig", user=user)
            return factories.cluster(kubeconfig=str(path), scanned_at=timezone.now(), **fields)

        return make

    def test_one_that_may_be_read_is_well(self, cluster: Callable[..., Cluster]) -> None:
        cluster()

        assert levels("cluster prod-eu") == {Level.OK}
        assert "It answers (v1." in words("cluster prod-eu")
        assert "It may be read as a whole." in words("cluster prod-eu")

    def test_one_that_may_not_be_read_says_what_to_grant(
        self, cluster: Callable[..., Cluster], apiserver: KubeApiServer
    ) -> None:
        apiserver.add_user("stranger")
        cluster("stranger")

        assert Level.PROBLEM in levels("cluster prod-eu")
        assert "namespaces, secrets, serviceaccounts, pods" in words("cluster prod-eu")
        assert "docs/rbac/cluster-reader.yaml" in words("cluster prod-eu")

    def test_the_documented_rights_are_enough(self, cluster: Callable[..., Cluster], apiserver: KubeApiServer) -> None:
        apiserver.add_user("doctor-reader")
        apiserver.grant("doctor-reader", READER)
        cluster("doctor-reader")

        assert levels("cluster prod-eu") == {Level.OK}

    def test_what_only_tells_owners_may_be_missing(
        self, cluster: Callable[..., Cluster], apiserver: KubeApiServer
    ) -> None:
        apiserver.add_user("half-reader")
        apiserver.grant("half-reader", READER[:2])
        cluster("half-reader")

        assert levels("cluster prod-eu") == {Level.OK, Level.WARNING}
        assert "but for rolebindings" in words("cluster prod-eu")

    def test_namespaces_that_are_named_are_asked_about_one_by_one(
        self, cluster: Callable[..., Cluster], apiserver: KubeApiServer
    ) -> None:
        apiserver.add_user("owner-reader")
        mine, other = apiserver.create_namespace(), apiserver.create_namespace()
        apiserver.grant("owner-reader", READER[1:], namespace=mine)
        cluster("owner-reader", include=[mine, other])

        assert f"The Namespace {mine} may be read." in words("cluster prod-eu")
        assert f"may not be listed in {other}" in words("cluster prod-eu")

    def test_one_that_does_not_answer_says_where_it_was_looked_for(self, tmp_path: Path) -> None:
        port = free_port()
        path = kubeconfig(tmp_path, {"server": f"https://127.0.0.1:{port}"}, {"token": PASSWORD})
        factories.cluster(kubeconfig=str(path), scanned_at=timezone.now())

        assert Level.PROBLEM in levels("cluster prod-eu")
        assert f"127.0.0.1:{port}" in words("cluster prod-eu")

    @pytest.mark.parametrize(
        ("user", "authority", "told"),
        [
            ({"token": PASSWORD}, None, "does not accept Credboard's credentials"),
            ({"token": PASSWORD}, "another", "No trusted connection to"),
        ],
        ids=["token", "authority"],
    )
    def test_an_access_that_is_not_taken_is_told_as_such(
        self, apiserver: KubeApiServer, tmp_path: Path, user: dict[str, str], authority: str | None, told: str
    ) -> None:
        file = CertificateAuthority(tmp_path).ca_file if authority else apiserver.ca_file
        path = kubeconfig(tmp_path, {"server": apiserver.url, "certificate-authority": str(file)}, user)
        factories.cluster(kubeconfig=str(path), scanned_at=timezone.now())

        assert Level.PROBLEM in levels("cluster prod-eu")
        assert told in words("cluster prod-eu")

    def test_a_kubeconfig_that_is_not_there_is_told(self) -> None:
        factories.cluster(kubeconfig="/nowhere/kubeconfig", scanned_at=timezone.now())

        assert Level.PROBLEM in levels("cluster prod-eu")

    def test_several_that_hang_are_waited_for_as_long_as_one(
        self, cluster: Callable[..., Cluster], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        both = threading.Barrier(2)

        def hangs(api: Any, row: Cluster, about: str) -> Iterator[Advice]:
            both.wait(60)  # which would break if the first were asked to its end before the second
            yield Advice.ok(about, "It answers.")

        monkeypatch.setattr(clusters, "_ask", hangs)
        first = cluster()
        factories.cluster("prod-us", kubeconfig=first.kubeconfig, scanned_at=timezone.now())

        assert levels("cluster prod-eu") == {Level.OK}

    @pytest.mark.parametrize(("days", "told"), [(-1, Level.PROBLEM), (10, Level.WARNING), (30, Level.OK)])
    def test_when_our_own_access_ends_is_told(self, cluster: Callable[..., Cluster], days: int, told: Level) -> None:
        ends = timezone.now() + timedelta(days=days)
        ClusterAccess.objects.create(cluster=cluster(), expires_at=ends)

        assert levels("cluster prod-eu") == {Level.OK, told}
        assert (f"{ends:%Y-%m-%d %H:%M} UTC" in words("cluster prod-eu")) is (told is not Level.OK)

    def test_one_that_is_set_aside_is_not_asked(self) -> None:
        factories.cluster(kubeconfig="/nowhere/kubeconfig", next_scan_at=None)

        assert levels("cluster prod-eu") == {Level.OK}

    @pytest.mark.parametrize(("minutes", "level"), [(1, Level.OK), (30, Level.PROBLEM), (None, Level.WARNING)])
    def test_old_scans_are_told(
        self, cluster: Callable[..., Cluster], monkeypatch: pytest.MonkeyPatch, minutes: int | None, level: Level
    ) -> None:
        monkeypatch.setattr(clusters, "connect", lambda *_, **__: nullcontext())
        monkeypatch.setattr(clusters, "_ask", lambda *_: iter(()))
        at = None if minutes is None else timezone.now() - timedelta(minutes=minutes)
        factories.cluster(scanned_at=at)

        assert levels("cluster prod-eu") == {level}

    @pytest.mark.parametrize(
        ("version", "minor", "minutes", "level"),
        [
            ("v1.34.1", 34, 0, {Level.OK}),
            ("v1.19.0", 19, None, {Level.WARNING}),
            ("", None, None, {Level.WARNING}),
            ("v1.34.1", 34, 5, {Level.OK, Level.WARNING}),
        ],
    )
    def test_old_versions_and_clocks_that_go_wrong_are_told(
        self, version: str, minor: int | None, minutes: int | None, level: set[Level]
    ) -> None:
        clock = None if minutes is None else datetime.now(tz=UTC) - timedelta(minutes=minutes)
        info = ServerInfo(version=version, minor=minor, clock=clock)

        assert {one.level for one in clusters._server(info, "x")} == level
