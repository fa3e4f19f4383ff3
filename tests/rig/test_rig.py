"""The real parts are what they claim to be: whatever else is tested stands on this."""

from __future__ import annotations

import base64
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from django.db import connection as django_connection
from playwright.sync_api import Browser
from pytest_socket import SocketConnectBlockedError

from tests.rig import binaries, parts, process
from tests.rig.apiserver import KubeApiServer
from tests.rig.kube_api import ApiError
from tests.rig.postgres import PostgresServer
from tests.rig.process import ServerProcess, StartFailed, accepts_connections, free_port
from tests.rig.valkey import ValkeyServer


def _pod(namespace: str, name: str = "web", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [{"name": "app", "image": "quay.io/team/app:1"}], **spec},
    }


def _secret(namespace: str, name: str) -> dict[str, Any]:
    data = {"password": base64.b64encode(b"x").decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "data": data}


def _eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


# -- kube-apiserver ----------------------------------------------------------------------------------------------------


def test_the_server_says_which_release_it_is(apiserver: KubeApiServer) -> None:
    status, version = apiserver.request("GET", "/version")

    assert status == 200
    if not os.environ.get("KUBEBUILDER_ASSETS"):
        assert version["gitVersion"] == binaries.TOOLS["kube-apiserver"].version


def test_a_user_without_a_grant_is_forbidden(apiserver: KubeApiServer) -> None:
    namespace = apiserver.create_namespace()

    status, answer = apiserver.request("GET", f"/api/v1/namespaces/{namespace}/secrets", user="scanner")

    assert status == 403
    assert answer["reason"] == "Forbidden"


def test_a_grant_in_one_namespace_counts_there_only(apiserver: KubeApiServer) -> None:
    here, elsewhere = apiserver.create_namespace(), apiserver.create_namespace()
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]

    apiserver.grant("scanner", rules, namespace=here)

    assert apiserver.request("GET", f"/api/v1/namespaces/{here}/secrets", user="scanner")[0] == 200
    assert apiserver.request("GET", f"/api/v1/namespaces/{elsewhere}/secrets", user="scanner")[0] == 403


def test_a_wrong_token_is_unauthorised(apiserver: KubeApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(apiserver._tokens, "nobody", "made-up")

    assert apiserver.request("GET", "/api/v1/namespaces", user="nobody")[0] == 401


def test_a_certificate_carries_user_and_groups(apiserver: KubeApiServer) -> None:
    apiserver.add_user("user:with/odd@signs", ["team-a", "team-b"])

    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    status, answer = apiserver.request(
        "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review, user="user:with/odd@signs"
    )

    assert status == 201
    assert answer["status"]["userInfo"]["username"] == "user:with/odd@signs"
    assert {"team-a", "team-b"} <= set(answer["status"]["userInfo"]["groups"])


def test_a_pod_inherits_the_pull_secrets_of_its_service_account(apiserver: KubeApiServer) -> None:
    namespace = apiserver.create_namespace(service_account=False)
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "default", "namespace": namespace},
        "imagePullSecrets": [{"name": "regcred"}],
    }

    _, pod = apiserver.apply([account, _pod(namespace)])

    assert pod["spec"]["imagePullSecrets"] == [{"name": "regcred"}]
    assert pod["spec"]["serviceAccountName"] == "default"


def test_a_pod_without_its_service_account_is_refused(apiserver: KubeApiServer) -> None:
    namespace = apiserver.create_namespace()

    with pytest.raises(ApiError, match='serviceaccount "robot" not found'):
        apiserver.apply([_pod(namespace, serviceAccountName="robot")])


def test_the_status_of_a_pod_is_stored_and_replaced(apiserver: KubeApiServer) -> None:
    namespace = apiserver.create_namespace()
    for phase in ("Pending", "Running"):
        apiserver.apply([_pod(namespace) | {"status": {"phase": phase}}])
        _, pod = apiserver.request("GET", f"/api/v1/namespaces/{namespace}/pods/web")

        assert pod["status"]["phase"] == phase


def test_a_pod_can_be_applied_again_with_another_image(apiserver: KubeApiServer) -> None:
    namespace = apiserver.create_namespace()
    apiserver.apply([_pod(namespace, nodeName="node-1")])

    (pod,) = apiserver.apply([_pod(namespace, containers=[{"name": "other", "image": "quay.io/team/other:2"}])])

    assert [container["name"] for container in pod["spec"]["containers"]] == ["other"]


def test_an_object_applied_twice_is_replaced(apiserver: KubeApiServer) -> None:
    namespace = apiserver.create_namespace()
    secret = _secret(namespace, "twice")
    apiserver.apply([secret])

    (stored,) = apiserver.apply([secret | {"data": {"token": "eA=="}}])

    assert stored["data"] == {"token": "eA=="}


def test_a_custom_resource_is_served_once_its_definition_is_applied(apiserver: KubeApiServer) -> None:
    namespace = apiserver.create_namespace()
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.rig.example.com"},
        "spec": {
            "group": "rig.example.com",
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
    widget = {"apiVersion": "rig.example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": namespace}}

    _, stored = apiserver.apply([definition, widget])

    assert stored["metadata"]["uid"]


def test_an_unknown_kind_is_refused_by_name(apiserver: KubeApiServer) -> None:
    with pytest.raises(ApiError, match="does not serve Gadget in v1"):
        apiserver.apply([{"apiVersion": "v1", "kind": "Gadget", "metadata": {"name": "g"}}])


def test_a_long_list_comes_in_pages(apiserver: KubeApiServer) -> None:
    namespace = apiserver.create_namespace()
    apiserver.apply(_secret(namespace, f"s{number}") for number in range(5))
    names, pages, token = [], 0, ""
    while token or not pages:
        _, page = apiserver.request("GET", f"/api/v1/namespaces/{namespace}/secrets?limit=2&continue={token}")
        names += [item["metadata"]["name"] for item in page["items"]]
        token = page["metadata"].get("continue", "")
        pages += 1

    assert (names, pages) == (["s0", "s1", "s2", "s3", "s4"], 3)


def test_kubectl_works_with_the_kubeconfig_of_a_certificate_user(apiserver: KubeApiServer, tmp_path: Path) -> None:
    kubectl = binaries.find("kubectl")
    if kubectl is None:
        parts.missing("kubectl", "run `make binaries`")
    apiserver.add_user("carla", ["system:masters"])
    namespace = apiserver.create_namespace()
    kubeconfig = apiserver.kubeconfig(tmp_path / "kubeconfig", user="carla", namespace=namespace)

    command = [str(kubectl), "--kubeconfig", str(kubeconfig), "get", "serviceaccounts", "-o", "json"]
    listed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)

    assert [item["metadata"]["name"] for item in listed["items"]] == ["default"]


def test_namespaces_get_names_of_their_own(apiserver: KubeApiServer) -> None:
    labels = {"team": "a"}
    first, second = apiserver.create_namespace(labels=labels), apiserver.create_namespace(annotations=labels)

    assert first != second
    assert apiserver.request("GET", f"/api/v1/namespaces/{first}")[1]["metadata"]["labels"]["team"] == "a"


def test_a_server_that_cannot_start_shows_the_end_of_its_log(apiserver: KubeApiServer) -> None:
    server = KubeApiServer(flags=["--no-such-flag"])

    with pytest.raises(StartFailed, match="unknown flag: --no-such-flag"):
        server.start()

    assert not server.directory.exists()


# -- databases ---------------------------------------------------------------------------------------------------------


def test_postgres_answers_as_its_own_user(postgres: PostgresServer) -> None:
    with psycopg.connect(postgres.url) as connection:
        row = connection.execute("SELECT version(), current_user").fetchone()

    assert row is not None
    assert row[0].startswith("PostgreSQL")
    assert row[1] == "credboard"


def test_postgres_wants_its_password(postgres: PostgresServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://credboard:wrong@127.0.0.1:{postgres.port}/credboard")


@pytest.mark.django_db
def test_the_run_is_on_the_database_it_was_started_for(pytestconfig: pytest.Config) -> None:
    wanted = {"postgres": "postgresql", "sqlite": "sqlite", None: django_connection.vendor}

    assert django_connection.vendor == wanted[pytestconfig.getoption("database")]


def test_a_run_has_neither_the_data_nor_the_broker_of_this_machine(pytestconfig: pytest.Config, settings: Any) -> None:
    assert not settings.DATA_DIR.is_relative_to(pytestconfig.rootpath)
    assert not accepts_connections(int(settings.REDIS_URL.rpartition(":")[2].partition("/")[0]))


def test_valkey_comes_back_on_its_port(valkey: ValkeyServer) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        assert client.ping()
        valkey.stop()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        valkey.start()
        assert client.ping()


def test_a_test_finds_nothing_of_another_in_valkey_however_that_left_it(valkey: ValkeyServer) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        client.rpush("celery", "a task that nobody took")
        client.config_set("maxmemory", 1)
    valkey.empty()
    with redis.Redis.from_url(valkey.url) as client:
        assert client.dbsize() == 0
        assert client.set("there is", "room")
    valkey.stop()
    valkey.empty()
    with redis.Redis.from_url(valkey.url) as client:
        assert client.dbsize() == 0


# -- browser and network -----------------------------------------------------------------------------------------------


def test_chromium_runs_the_scripts_of_a_page(chromium: Browser) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        page.set_content("<title>before</title><script>document.title = 'after'</script>")

        assert page.title() == "after"


def test_nothing_but_loopback_is_reached() -> None:
    # The warning that goes with the error is raised first where warnings are errors.
    with pytest.raises((SocketConnectBlockedError, UserWarning), match=r"192\.0\.2\.1"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)


# -- processes and programs --------------------------------------------------------------------------------------------


def test_a_free_port_is_told_once_and_to_one_worker_and_the_kernel_gives_it_to_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ports = [free_port() for _ in range(100)]
    with socket.create_server(("127.0.0.1", 0)) as server:
        anybodys: int = server.getsockname()[1]
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "2")
    of_workers = []
    for worker in ("gw0", "gw1"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        of_workers.append(set(itertools.islice(process._quiet_ports(), 20_000)))

    assert len(set(ports)) == 100
    assert max(ports) < anybodys
    assert not set.intersection(*of_workers)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_servers_die_with_a_run_that_is_killed() -> None:
    program = textwrap.dedent(
        """
        import sys, time
        from tests.rig.postgres import PostgresServer
        from tests.rig.valkey import ValkeyServer
        valkey, postgres = ValkeyServer().start(), PostgresServer().start()
        print(valkey.port, postgres.port, flush=True)
        time.sleep(60)
        """
    )
    # Not in tmp_path, which the user that PostgreSQL runs as cannot enter.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        environment = {**os.environ, "TMPDIR": folder}
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment) as run:
            assert run.stdout is not None
            ports = [int(port) for port in run.stdout.readline().split()]
            run.kill()

        assert len(ports) == 2
        assert _eventually(lambda: not any(accepts_connections(port) for port in ports))


def test_a_server_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    program = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    )
    log = tmp_path / "log"
    server = ServerProcess([sys.executable, "-c", program], log=log, cwd=tmp_path)
    server.wait_until_ready(lambda: log.read_text().startswith("on"))

    server.stop(seconds=0.2)

    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)


def test_a_program_is_taken_from_kubebuilder_assets_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "etcd"
    own.touch(mode=0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    monkeypatch.setenv("CREDBOARD_CACHE", str(tmp_path / "empty"))

    assert binaries.find("etcd") == own
    assert binaries.find("kubectl") is None


def test_without_go_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("CREDBOARD_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    assert binaries.main(["etcd"]) == 1
    assert "Install Go (1.26" in capsys.readouterr().err


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_a_missing_part_skips_here_and_fails_in_ci(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)

    with pytest.raises(outcome, match="real part missing: dex: no Go"):
        parts.missing("dex", "no Go")
