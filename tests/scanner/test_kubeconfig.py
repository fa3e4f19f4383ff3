"""Which kubeconfig counts, how several are one, and that none of it is ever quoted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from scanner.cluster import BadConfiguration, Cluster

CANARY = "canary-token-value"


def document(name: str = "x", **user: Any) -> dict[str, Any]:
    return {
        "clusters": [{"name": name, "cluster": {"server": f"http://{name}.example.com/"}}],
        "users": [{"name": name, "user": user or {"token": CANARY}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def failure(content: object, context: str | None = None) -> BadConfiguration:
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    with pytest.raises(BadConfiguration) as error:
        Cluster.from_kubeconfig_text(text, context)
    assert CANARY not in f"{error.value!r} {error.value.remedy}"
    assert error.value.__cause__ is None
    return error.value


def test_the_current_context_names_the_cluster_and_its_server(tmp_path: Path) -> None:
    with Cluster.from_kubeconfig(str(write(tmp_path / "a", document()))) as cluster:
        assert (cluster.name, cluster.server) == ("x", "http://x.example.com")


def test_of_several_files_the_first_to_name_a_thing_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = document("a"), document("b")
    second["clusters"].append({"name": "a", "cluster": {"server": "http://wrong.example.com"}})
    paths = [write(tmp_path / "1", first), tmp_path / "missing", write(tmp_path / "2", second)]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, paths)))

    assert Cluster.from_kubeconfig().name == "a"
    assert Cluster.from_kubeconfig(context="b").server == "http://b.example.com"
    assert Cluster.from_kubeconfig(context="a").server == "http://a.example.com"


def test_without_the_variable_the_home_folder_counts(tmp_path: Path) -> None:
    (tmp_path / "home/.kube").mkdir(parents=True)
    write(tmp_path / "home/.kube/config", document("home"))

    assert Cluster.from_kubeconfig().name == "home"


def test_relative_paths_are_relative_to_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf").mkdir()
    write(tmp_path / "conf/token", CANARY)
    path = write(tmp_path / "conf/config", document(tokenFile="token"))
    monkeypatch.chdir("/")

    Cluster.from_kubeconfig(str(path))

    with pytest.raises(BadConfiguration, match="other/token does not exist"):
        Cluster.from_kubeconfig_text(yaml.safe_dump(document(tokenFile="other/token")))


def test_without_any_kubeconfig_outside_a_cluster_the_remedy_names_the_option() -> None:
    with pytest.raises(BadConfiguration, match="no kubeconfig") as error:
        Cluster.from_kubeconfig()

    assert "--kubeconfig" in error.value.remedy


def test_in_a_pod_without_its_token_the_remedy_names_the_automount(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")

    with pytest.raises(BadConfiguration) as error:
        Cluster.from_kubeconfig()

    assert "automountServiceAccountToken" in error.value.remedy


def test_an_unknown_context_lists_those_there_are() -> None:
    assert "x" in failure(document(), "nope").remedy


def test_without_a_current_context_one_must_be_named() -> None:
    assert "--context" in failure({**document(), "current-context": ""}).remedy


def test_a_sign_in_command_that_is_missing_tells_how_to_get_it() -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin", "installHint": "Get it."}

    error = failure(document(exec=plugin))

    assert ("no-such-plugin" in str(error), error.remedy) == (True, "Get it.")


def test_a_sign_in_command_that_fails_is_not_followed_by_anonymous_requests(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script = write(tmp_path / "plugin", f"#!/bin/sh\necho {CANARY} >&2\nexit 1\n")
    script.chmod(0o755)

    error = failure(document(exec={"apiVersion": "client.authentication.k8s.io/v1", "command": str(script)}))

    assert "gave no credentials" in str(error)
    assert CANARY not in caplog.text


def test_a_sign_in_command_gives_the_token(tmp_path: Path) -> None:
    version = "client.authentication.k8s.io/v1"
    answer = f'{{"apiVersion":"{version}","kind":"ExecCredential","status":{{"token":"{CANARY}"}}}}'
    script = write(tmp_path / "plugin", f"#!/bin/sh\necho '{answer}'\n")
    script.chmod(0o755)
    path = write(tmp_path / "config", document(exec={"apiVersion": version, "command": "./plugin"}))

    with Cluster.from_kubeconfig(str(path)) as cluster:
        assert CANARY not in repr(cluster)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        f"token: {CANARY}\n\t- x",
        "&a [*a]",
        {**document(), "users": 7},
        {**document(), "users": [7]},
        {**document(), "users": [{"user": {"token": CANARY}}]},
        {**document(), "users": [{"name": "x", "user": CANARY}]},
        {**document(), "users": []},
        {**document(), "clusters": []},
        document(**{"client-certificate-data": "!", "token": CANARY, "exec": 7}) | {"clusters": [{"name": "x"}]},
        document(exec=CANARY),
        document(**{"auth-provider": {"name": "oidc", "config": {"refresh-token": CANARY}}}),
    ],
)
def test_what_is_no_kubeconfig_is_refused_without_being_quoted(content: object) -> None:
    failure(content)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path, tmp_path / "binary", tmp_path / "missing"):
        with pytest.raises(BadConfiguration, match=str(path)):
            Cluster.from_kubeconfig(str(path))
