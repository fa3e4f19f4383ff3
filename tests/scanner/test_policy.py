"""The policy file: what it means, and how a mistake in it is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from dashboard import env
from scanner.check import Check, Context, Problem, Status, run_checks
from scanner.policy import Policy, Thresholds
from scanner.policy_file import BadPolicy, read_policy
from scanner.policy_words import policy_words
from scanner.snapshot import Snapshot

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[2] / "docs" / "policy.md"


def example() -> str:
    return EXAMPLE.read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]


def mistakes(text: str) -> list[str]:
    with pytest.raises(BadPolicy) as refused:
        read_policy(text, name="policy.yaml")
    return refused.value.problems


def finds_one(context: Context) -> Iterator[Problem]:
    yield Problem(object="Secret/a", status=Status.CRITICAL, reason="missing", message="It is gone.", details={"a": 1})


def ask(policy: Policy, *, code: str = "PS01", on_request: bool = False, namespace: str = "team") -> list[Status]:
    one = Check(code=code, name="made-up", needs=frozenset(), on_request=on_request, ask=finds_one)
    found = run_checks(Context(snapshot=Snapshot(name=namespace), policy=policy, now=NOW), [one]).found
    return [result.status for result in found]


def test_an_empty_file_states_nothing() -> None:
    assert read_policy("", name="x") == read_policy("# later\n", name="x") == Policy()


def test_the_documented_example_means_what_it_says() -> None:
    policy = read_policy(example(), name="policy.yaml")
    (requirement,) = policy.requirements
    profile = {"app.kubernetes.io/part-of": "kubeflow-profile", "stage": "prod"}

    assert requirement.namespaces.include("team-vision", profile)
    assert not requirement.namespaces.include("team-sandbox", profile)
    assert not requirement.namespaces.include("team-vision", {**profile, "exempt": ""})
    assert policy.thresholds_of("tls") == Thresholds(timedelta(days=21), timedelta(days=3))
    assert policy.thresholds_of("docker-registry") == Thresholds(timedelta(days=30), timedelta(days=7))
    assert list(policy_words(policy, now=NOW)) == [
        "Required",
        (
            "  pipelines-pull: Namespaces named team-* but team-sandbox whose labels say "
            "app.kubernetes.io/part-of=kubeflow-profile, stage in (prod, test) and !exempt must have "
            "registry/harbor.example.com in a Secret called harbor-credential, linked by ServiceAccount default-editor"
        ),
        "Required of every Pod that pulls from it",
        "  docker.io",
        "Counted otherwise",
        "  PO05 latent-pull-failure counts as critical: Nodes are replaced every night.",
        "Ignored",
        "  PS05 pull-secret-elsewhere in Namespaces named sandbox-* until 2030-01-31: Sandboxes borrow nothing.",
        "Asked on request",
        "  HY02 unused-secret",
        "An end is near",
        "  tls: warning 21 days before, critical 3 days before",
        "  all others: warning 30 days before, critical 7 days before",
    ]


def test_an_override_is_shown_with_the_finding() -> None:
    text = "statuses: [{code: missing-pull-secret, status: warning, reason: Being moved.}]"
    one = Check(code="PS01", name="made-up", needs=frozenset(), ask=finds_one)
    policy = read_policy(text, name="x")

    (result,) = run_checks(Context(snapshot=Snapshot(name="team"), policy=policy, now=NOW), [one]).found

    assert result.status is Status.WARNING
    assert result.details == {"a": 1, "overridden": {"from": "critical", "to": "warning", "reason": "Being moved."}}


def test_a_code_is_ignored_where_and_as_long_as_the_file_says() -> None:
    text = "ignored: [{{code: PS01, namespaces: [sandbox-*], until: {until}, reason: Nobody minds.}}]"

    assert ask(read_policy(text.format(until="2026-09-01"), name="x"), namespace="sandbox-1") == []
    assert ask(read_policy(text.format(until="2026-09-01"), name="x")) == [Status.CRITICAL]
    assert ask(read_policy(text.format(until="2026-08-31"), name="x"), namespace="sandbox-1") == [Status.CRITICAL]


def test_a_check_on_request_is_asked_where_it_is_enabled() -> None:
    assert ask(Policy(), code="HY02", on_request=True) == []
    assert ask(read_policy("enabled: [unused-secret]", name="x"), code="HY02", on_request=True) == [Status.CRITICAL]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "policy.yaml, line 1: this is not YAML"),
        ("- a", "policy.yaml, line 1: this should be fields"),
        ("\nrequirement: []", "line 2: 'requirement' is nothing that can stand here; did you mean requirements?"),
        ("enabled: []\nenabled: []", "line 2: 'enabled' is there twice"),
        ("requirements: {}", "line 1, requirements: this should be a list"),
        ("requirements:\n- name: a", "line 2, requirements[0]: 'credential' is missing"),
        ("requirements:\n- {name: a b, credential: tls}", "line 2, requirements[0]: a name is letters"),
        ("requirements:\n- {name: a, credential: https://x.example.com}", "write the column of the matrix"),
        ("requirements:\n- {name: a, credential: registry/x.example.com/team}", "as in registry/x.example.com."),
        ("requirements:\n- {name: a, credential: registry/harbor}", "a registry is its host"),
        ("requirements:\n- {name: a, credential: tls, service_accounts: [x]}", "links pull Secrets only"),
        ("requirements:\n- {name: a, credential: tls, secret: A_B}", "'A_B' is no name of a Kubernetes object"),
        (
            "requirements:\n- {name: a, credential: tls, namespaces: {selector: 'a=b,,c'}}",
            "this is no label selector: ',' cannot be the key of a label",
        ),
        ("requirements:\n- {name: a, credential: tls, namespaces: [Team]}", "'Team' matches no Namespace"),
        ("requirements:\n- {name: a, credential: tls}\n- {name: a, credential: tls}", "a is there more than once"),
        ("statuses: [{code: PS01, status: ok, reason: x}]", "a status is warning or critical"),
        ("statuses: [{code: PS01, status: warning}]", "'reason' is missing"),
        ("statuses: [{code: PS01, status: warning, reason: }]", "this is empty"),
        ("ignored: [{code: PS1, reason: x}]", "there is no check 'PS1'; did you mean PS"),
        ("ignored: [{code: whatever it is, reason: x}]", "see docs/checks.md"),
        ("ignored: [{code: PS01, reason: x, until: soon}]", "write the last day as a date, for example 2030-01-31."),
        ("enabled: [PS01]", "PS01 is always asked; only these wait to be enabled: HY02, HY03"),
        ("thresholds: {tls: {warning: 3, critical: 7}}", "the number must not be larger"),
        ("thresholds: {tls: {warning: 1d, critical: 7}}", "thresholds.tls: write whole days"),
        ("thresholds: {tsl: {warning: 7, critical: 7}}", "did you mean tls?"),
        ("required_registries: [https://x.example.com]", "a registry is its host"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_write(text: str, told: str) -> None:
    assert told in mistakes(text)[0]


def test_all_mistakes_are_told_at_once() -> None:
    found = mistakes("enabled: [PS01]\nignored:\n- {code: nope-nope}\n- {code: PS01, reason: x, until: soon}\n")

    assert [one.split(":")[0] for one in found] == [
        "policy.yaml, line 3, ignored[0]",
        "policy.yaml, line 4, ignored[1]",
        "policy.yaml, line 1, enabled[0]",
    ]


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(BadPolicy):
        read_policy(text, name="policy.yaml")


def test_the_command_prints_what_a_file_means(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("enabled: [HY02]")

    call_command("policy", str(file))

    assert "Asked on request\n  HY02 unused-secret\n" in capsys.readouterr().out


def test_the_command_refuses_a_file_it_cannot_use(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("enabled: [PS01]")

    with pytest.raises(CommandError, match="line 1, enabled"):
        call_command("policy", str(file))
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        call_command("policy", str(tmp_path / "gone.yaml"))


def test_a_mistake_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "policy.yaml"
    monkeypatch.setenv("CREDBOARD_POLICY_FILE", str(file))

    with pytest.raises(ImproperlyConfigured, match="cannot be read"):
        env.policy("CREDBOARD_POLICY_FILE")
    file.write_text("enabled: [PS01]")
    with pytest.raises(ImproperlyConfigured, match=r"cannot be used.\n.*line 1, enabled"):
        env.policy("CREDBOARD_POLICY_FILE")
    file.write_text("enabled: [HY02]")
    assert env.policy("CREDBOARD_POLICY_FILE").enabled == {"HY02"}
