from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from dashboard.demo.server import DemoCluster
from scanner.models import AuditEntry, Cluster, Namespace
from scanner.scan import choosing

pytestmark = pytest.mark.django_db

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {token: s3cr3t-token}}]
contexts: [{name: prod, context: {cluster: c, user: u}}, {name: test, context: {cluster: c, user: u}}]
current-context: prod
"""


@pytest.fixture(name="kubeconfig")
def _kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG, encoding="utf-8")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return path


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("cluster", *arguments, stdout=out)
    return out.getvalue()


def test_a_cluster_is_added_and_due_at_once(kubeconfig: Path) -> None:
    said = run("prod-eu", "--kubeconfig", str(kubeconfig), "--interval", "120", "--include", "team-*", "--exclude", "x")
    assert said == "prod-eu is scanned every 120 s, starting now.\n"
    cluster = Cluster.objects.get()
    assert (cluster.kubeconfig, cluster.include, cluster.exclude) == (str(kubeconfig), ["team-*"], ["x"])
    assert cluster.next_scan_at is not None


def test_only_what_is_named_is_changed(kubeconfig: Path) -> None:
    run("prod-eu", "--kubeconfig", str(kubeconfig), "--include", "a", "--include", "b", "--interval", "90")
    run("prod-eu", "--context", "test", "--selector", "team=vision")
    cluster = Cluster.objects.get()
    assert (cluster.include, cluster.scan_interval, cluster.kubeconfig) == (["a", "b"], 90, str(kubeconfig))
    assert (cluster.context, cluster.label_selector) == ("test", "team=vision")


def test_a_relative_path_is_the_same_file_for_a_worker_elsewhere(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(kubeconfig.parent)
    run("one", "--kubeconfig", "kubeconfig")
    run("two", "--kubeconfig", "~/kubeconfig")
    assert {cluster.kubeconfig for cluster in Cluster.objects.all()} == {str(kubeconfig)}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--kubeconfig", "nowhere"], "There is no kubeconfig at"),
        (["--context", "nope"], "no context 'nope'. Its contexts are: prod, test."),
        (["--interval", "4"], "--interval: It must be between 5 and 86400 seconds."),
        (["--interval", "86401"], "--interval: It must be between 5 and 86400 seconds."),
        (["--selector", "x" * 501], "at most 500 characters"),
        (
            ["--selector", "a in ("],
            "label selector 'a in (' cannot be used: the values of 'a' must stand in parentheses",
        ),
    ],
)
def test_what_cannot_work_is_not_saved(kubeconfig: Path, arguments: list[str], words: str) -> None:
    first = ["--kubeconfig", str(kubeconfig)] if "--kubeconfig" not in arguments else []
    with pytest.raises(CommandError) as refused:
        run("prod-eu", *first, *arguments)
    assert words in str(refused.value)
    assert "s3cr3t" not in str(refused.value)
    assert not Cluster.objects.exists()


def test_a_name_that_no_address_can_hold_is_not_saved(kubeconfig: Path) -> None:
    for name in ("a/b", "a\nb"):
        with pytest.raises(CommandError, match="no slash and no control character"):
            run(name, "--kubeconfig", str(kubeconfig))


def test_a_name_that_is_too_long_is_not_saved(kubeconfig: Path) -> None:
    with pytest.raises(CommandError, match="at most 100 characters"):
        run("x" * 101, "--kubeconfig", str(kubeconfig))


def test_clusters_are_listed(kubeconfig: Path) -> None:
    assert run() == ""
    run("b", "--kubeconfig", str(kubeconfig), "--context", "test", "--interval", "60")
    run("a", "--kubeconfig", str(kubeconfig), "--interval", "90")
    assert run().splitlines() == ["a\t(current context)\tevery 90 s", "b\ttest\tevery 60 s"]


def test_a_removed_cluster_takes_what_was_found_in_it_along(kubeconfig: Path) -> None:
    run("prod-eu", "--kubeconfig", str(kubeconfig))
    Namespace.objects.create(cluster=Cluster.objects.get(), name="team-a")
    assert run("prod-eu", "--remove") == "prod-eu is no longer scanned.\n"
    assert (Cluster.objects.count(), Namespace.objects.count()) == (0, 0)
    with pytest.raises(CommandError, match="no cluster called 'prod-eu'"):
        run("prod-eu", "--remove")


def test_an_empty_value_clears_a_filter(kubeconfig: Path) -> None:
    run("prod-eu", "--kubeconfig", str(kubeconfig), "--include", "a", "--exclude", "b", "--selector", "team=x")
    run("prod-eu", "--include", "", "--exclude", " ", "--selector", "")
    cluster = Cluster.objects.get()
    assert (cluster.include, cluster.exclude, cluster.label_selector) == ([], [], "")
    run("prod-eu", "--include", "", "--include", "c")
    assert Cluster.objects.get().include == ["c"]


@pytest.fixture(name="demo")
def _demo(tmp_path: Path) -> Iterator[Path]:
    """The kubeconfig of a cluster that answers, with three Namespaces besides its own."""
    made = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"team-{one}"}} for one in "abc"]
    with DemoCluster(objects=made, kubelet=False) as demo:
        yield demo.kubeconfig(tmp_path / "demo")


def test_how_many_namespaces_match_is_said(demo: Path) -> None:
    assert run("prod-eu", "--kubeconfig", str(demo)).startswith("7 of 7 Namespaces match.\n")
    assert run("prod-eu", "--include", "team-*").startswith("3 of 7 Namespaces match.\n")
    selector = "kubernetes.io/metadata.name=team-a"
    assert run("prod-eu", "--selector", selector).startswith("1 of 7 Namespaces matches.\n")


def test_filters_that_leave_nothing_are_warned_of(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("prod-eu", "--kubeconfig", str(demo), "--include", "nobody").startswith("0 of 7 Namespaces match.\n")
    assert "closes whatever is known" in capsys.readouterr().err


def test_a_cluster_that_cannot_be_asked_is_saved_and_it_is_said(
    kubeconfig: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("prod-eu", "--kubeconfig", str(kubeconfig))
    assert "It is not known how many Namespaces match: Nothing accepts connections" in capsys.readouterr().err


def test_a_selector_that_the_api_server_refuses_is_not_saved(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "parse_label_selector", lambda text: None)
    with pytest.raises(CommandError, match="label selector 'a in \\(' cannot be used"):
        run("prod-eu", "--kubeconfig", str(demo), "--selector", "a in (")
    assert not Cluster.objects.exists()


def test_what_was_changed_is_written_down(kubeconfig: Path) -> None:
    run("prod-eu", "--kubeconfig", str(kubeconfig))
    run("prod-eu", "--interval", "90")
    run("prod-eu", "--remove")
    told = AuditEntry.objects.order_by("pk").values_list("actor", "action", "cluster")
    assert list(told) == [
        ("manage.py", action, "prod-eu") for action in ("add-cluster", "change-cluster", "remove-cluster")
    ]


@pytest.mark.parametrize(
    ("include", "is_told"),
    [
        (["team-a", "team-b"], False),
        (["team-a", "closed"], True),  # of one that is named the Secrets may not be read
        (["team-*"], True),
    ],
)
def test_rights_to_the_whole_cluster_are_not_asked_for_where_all_that_is_named_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], include: list[str], is_told: bool
) -> None:
    named = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": one}} for one in ("team-a", "team-b", "closed")
    ]
    with DemoCluster(objects=named, closed=("closed",), kubelet=False) as demo:
        path = str(demo.kubeconfig(tmp_path / "narrow"))
        run("prod-eu", "--kubeconfig", path, *(word for one in include for word in ("--include", one)))

    assert ("may not list secrets in the whole cluster" in capsys.readouterr().err) is is_told
