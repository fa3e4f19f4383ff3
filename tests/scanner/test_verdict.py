"""From the objects of a Namespace to its cells and status."""

from __future__ import annotations

import pytest

from scanner.check import Status
from scanner.elsewhere import Elsewhere
from tests.objects import namespace_objects
from tests.scanner.judging import account, cells, only_cell, steps, verdict, verdicts
from tests.scanner.test_coverage import ANONYMOUS, JUST_NOW, REFUSED, pod, pull_secret


def test_an_empty_namespace_is_well_and_has_no_cell() -> None:
    found = verdict()

    assert (found.status, found.reason, found.cells, found.findings) == (Status.OK, "", (), ())


def test_a_public_image_that_runs_has_no_cell() -> None:
    assert verdict(pod("web", "nginx", running=True)).cells == ()


def test_a_pull_secret_that_nothing_names_has_no_cell() -> None:
    assert verdict(pull_secret("a", "quay.io")).cells == ()


def test_a_pod_younger_than_the_secret_proves_that_it_works() -> None:
    cell = only_cell(pull_secret("a", "quay.io"), pod("app", "quay.io/x", "a", running=True))

    assert (cell.credential, cell.status, cell.reason) == ("registry/quay.io", Status.OK, "covered")
    assert (cell.verified, cell.secret, cell.pods, cell.pod_count) == ("pod", "a", ("app",), 1)
    assert steps(cell) == [(s, "ok") for s in ("image", "pod", "pull-secrets", "secret", "key", "registry")]


def test_a_pod_older_than_the_secret_proves_nothing() -> None:
    secret = pull_secret("a", "quay.io", created="2026-08-01T00:00:00Z")

    cell = only_cell(secret, pod("app", "quay.io/x", "a", running=True))

    assert (cell.status, cell.verified) == (Status.OK, "")


def test_a_pod_older_than_what_is_in_the_secret_proves_nothing() -> None:
    written, running = "2026-08-01T00:00:00Z", pod("app", "quay.io/x", "a", running=True)

    assert only_cell(pull_secret("a", "quay.io"), running).verified == "pod"
    assert only_cell(pull_secret("a", "quay.io", written=written), running).verified == ""


def test_a_link_of_a_service_account_makes_a_registry_needed() -> None:
    cell = only_cell(pull_secret("a", "https://index.docker.io/v1/"), account("a"))

    assert (cell.credential, cell.status, cell.reason, cell.secret) == ("registry/docker.io", Status.OK, "covered", "a")
    assert steps(cell) == [
        ("image", "unknown"),
        ("pull-secrets", "ok"),
        ("secret", "ok"),
        ("key", "ok"),
        ("registry", "unknown"),
    ]


def test_a_pattern_is_shown_by_the_registries_that_it_is_used_for() -> None:
    secret = pull_secret("a", "*.example.com")

    assert cells(verdict(secret, account("a"))) == {"registry/*.example.com": ("ok", "covered")}
    used = verdict(secret, account("a"), pod("app", "harbor.example.com/x", "a", running=True))
    assert cells(used) == {"registry/harbor.example.com": ("ok", "covered")}


def test_a_failure_older_than_the_secret_does_not_redden_the_cell() -> None:
    secret = pull_secret("a", "quay.io", created=JUST_NOW)
    found = verdict(secret, *(pod(name, "quay.io/x", "a", message=ANONYMOUS) for name in ("app", "other")))
    (cell,) = found.cells

    assert (cell.credential, cell.status, cell.reason) == ("registry/quay.io", Status.OK, "covered")
    assert (cell.verified, cell.details) == ("", {"awaiting": 2})
    assert [step.state for step in cell.chain][-1] == "unknown"
    assert found.status is Status.WARNING


def test_a_failure_that_is_too_old_to_be_waited_for_reddens_the_cell() -> None:
    cell = only_cell(pull_secret("a", "quay.io"), pod("app", "quay.io/x", "a", message=ANONYMOUS))

    assert (cell.status, cell.reason, cell.details["code"]) == (Status.CRITICAL, "failing", "PO01")
    assert "awaiting" not in cell.details
    assert steps(cell)[-1] == ("registry", "broken")


@pytest.mark.parametrize("auth", ['"username":"u"', '"auth":"dTo="'])
def test_an_entry_without_a_password_is_no_green_cell(auth: str) -> None:
    secret = pull_secret("a")
    secret["stringData"] = {".dockerconfigjson": f'{{"auths":{{"quay.io":{{{auth}}}}}}}'}
    failing = only_cell(secret, pod("app", "quay.io/x", "a", message=ANONYMOUS))
    waiting = only_cell(secret, pod("app", "quay.io/x", "a"))
    running = only_cell(secret, pod("app", "quay.io/x", "a", running=True))

    assert (failing.status, failing.reason) == (Status.CRITICAL, "malformed")
    assert (waiting.status, waiting.reason) == (Status.WARNING, "malformed")
    assert (running.status, running.reason, running.verified) == (Status.WARNING, "malformed", "")
    assert waiting.details["flaw"] == "it holds no password, so the node pulls anonymously"


def test_a_secret_that_would_do_with_a_link_explains_a_failure_before_a_name_without_a_secret() -> None:
    there = namespace_objects([pull_secret("gone", "quay.io")], name="kubeflow")
    here = namespace_objects(
        [pull_secret("other", "quay.io"), account("gone"), pod("app", "quay.io/x", "gone", message=ANONYMOUS)]
    )

    (_, found) = verdicts([there, here])
    (cell,) = found.cells

    assert (cell.status, cell.reason, cell.details["code"]) == (Status.CRITICAL, "unlinked", "PS04")
    assert steps(cell)[2] == ("pull-secrets", "broken")
    assert {(one.code, one.status) for one in found.findings} == {
        ("PO01", Status.CRITICAL),
        ("PS01", Status.WARNING),
        ("PS04", Status.CRITICAL),
    }


def test_a_pod_that_is_being_deleted_reddens_nothing() -> None:
    leaving = pod("app", "quay.io/x", "gone", message=ANONYMOUS)
    leaving["metadata"]["deletionTimestamp"] = "2026-08-31T00:00:00Z"

    found = verdict(leaving)

    assert (found.status, found.cells, found.findings) == (Status.OK, (), ())


def test_an_image_that_may_be_misspelt_is_told_by_its_pod() -> None:
    told = "pull access denied, repository does not exist or may require authorization: authorization failed"
    found = verdict(pod("app", "acme/app:1", message=told))
    (cell,) = found.cells

    assert (cell.status, cell.reason, cell.details["code"]) == (Status.CRITICAL, "failing", "PO01")
    assert {one.code: one.status for one in found.findings} == {"PO01": Status.CRITICAL, "PS03": Status.WARNING}


def test_a_debug_container_that_fails_is_a_warning() -> None:
    debugged = pod("app", "nginx", running=True)
    debugged["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "quay.io/tools"}]
    waiting = {"reason": "ErrImagePull", "message": ANONYMOUS}
    debugged["status"]["ephemeralContainerStatuses"] = [{"name": "debug", "state": {"waiting": waiting}}]

    found = verdict(debugged, account())

    assert cells(found) == {"registry/quay.io": ("warning", "missing")}
    assert [one.code for one in found.findings] == ["PO01"]


def test_what_a_name_stands_for_in_a_hidden_namespace_is_in_no_column() -> None:
    hidden = namespace_objects([pull_secret("regcred", "harbor.hidden.example.com")], name="hidden")
    here = namespace_objects([account("regcred")])

    (_, found) = verdicts([hidden, here])

    assert cells(found) == {"secrets": ("critical", "missing")}
    for finding in found.findings:
        told = {key: value for key, value in finding.details.items() if not key.startswith("elsewhere")}
        assert "hidden" not in repr((finding.message, finding.credential, told))


def test_namespaces_whose_images_are_covered_wait_for_no_other() -> None:
    mine = [pull_secret("a", "quay.io", "registry.example.com"), account("a")]
    pods = [pod(f"app-{n}", image, "a", running=True) for n, image in enumerate(("registry.example.com/x", "nginx"))]
    names = [f"team-{number}" for number in range(5)]

    found = verdicts([namespace_objects([*mine, *pods], name=name) for name in names])

    assert [one.snapshot.name for one in found] == names
    assert {one.status for one in found} == {Status.OK}


def test_a_declared_end_shows_in_the_cell_and_breaks_the_key_when_it_is_over() -> None:
    secret = pull_secret("a", "quay.io")
    secret["metadata"]["annotations"] = {"credboard.dev/expires-at": "2026-08-01"}

    cell = only_cell(secret, pod("app", "quay.io/x", "a", running=True))

    assert (cell.status, cell.reason, cell.expiry_source) == (Status.CRITICAL, "expired", "declared")
    assert steps(cell)[4] == ("key", "broken")


def test_the_check_that_explains_more_gives_the_reason() -> None:
    found = verdict(pod("app", "quay.io/x", "gone", message=REFUSED))

    assert [f.code for f in found.findings] == ["PO01", "PS01"]
    assert cells(found)["registry/quay.io"] == ("critical", "missing")


def test_a_certificate_that_cannot_be_read_is_a_cell() -> None:
    secret = {"kind": "Secret", "metadata": {"name": "web"}, "type": "kubernetes.io/tls", "stringData": {"tls.crt": ""}}

    cell = only_cell(secret)

    assert (cell.credential, cell.status, cell.reason, cell.secret) == ("tls", Status.WARNING, "malformed", "web")
    assert cell.details["flaw"] == "tls.crt is empty"


def test_an_entry_without_a_user_name_is_no_green_cell() -> None:
    cell = only_cell(pull_secret("a", "quay.io", username=""), account("a"))

    assert (cell.status, cell.reason) == (Status.WARNING, "malformed")


def test_with_everything_refused_nothing_is_known() -> None:
    found = verdict(secrets="forbidden", pods="forbidden", serviceaccounts="forbidden")

    assert (found.status, found.reason, found.cells) == (Status.UNKNOWN, "not-checked", ())
    assert found.findings == ()
    assert set(found.unasked) >= {"PS01", "TK01", "PO01"}


@pytest.mark.parametrize("resource", ["secrets", "pods", "serviceaccounts"])
def test_a_namespace_of_which_something_was_refused_is_never_well(resource: str) -> None:
    objects = [pull_secret("a", "quay.io"), account("a"), pod("app", "quay.io/x", "a", running=True)]

    found = verdict(*objects, **{resource: "forbidden"})

    assert (found.status, found.reason) == (Status.UNKNOWN, "not-checked")


def test_without_events_a_namespace_can_be_well_and_old_findings_stand() -> None:
    objects = [pull_secret("a", "quay.io"), account("a"), pod("app", "quay.io/x", "a", running=True)]

    found = verdict(*objects, events="forbidden")

    assert found.status is Status.OK
    assert found.unasked["PO04"] == "events: forbidden"


def test_cells_that_rest_on_what_was_refused_are_unknown() -> None:
    objects = [pull_secret("a", "quay.io"), account("a"), pod("app", "quay.io/x", "a", running=True)]

    assert cells(verdict(*objects, secrets="forbidden")) == {"registry/quay.io": ("unknown", "not-checked")}
    assert cells(verdict(*objects, pods="forbidden")) == {"registry/quay.io": ("unknown", "not-checked")}
    assert cells(verdict(*objects, serviceaccounts="forbidden")) == {"registry/quay.io": ("ok", "covered")}


def test_a_pod_that_fails_is_critical_even_where_secrets_are_refused() -> None:
    found = verdict(pod("app", "quay.io/x", "a", message=REFUSED), secrets="forbidden")

    assert found.status is Status.CRITICAL
    assert cells(found) == {"registry/quay.io": ("critical", "rejected")}
    assert steps(found.cells[0])[3] == ("secret", "unknown")


def test_only_namespaces_that_ask_what_lies_elsewhere_wait_for_the_end() -> None:
    asking = namespace_objects([account("gone")], name="a")
    others = [namespace_objects([pull_secret("x", "quay.io")], name=name) for name in ("b", "c")]

    assert [found.snapshot.name for found in verdicts([asking, *others])] == ["b", "c", "a"]


def test_who_shares_a_credential_is_asked_and_waited_for_only_where_the_policy_wants_it() -> None:
    login = pull_secret("x", "quay.io")
    objects = [namespace_objects([login], name=name) for name in "abcdef"]
    objects.insert(1, namespace_objects([], name="none"))

    by_default, on_request = verdicts(objects), verdicts(objects, enabled=frozenset({"HY03"}))

    assert [one.snapshot.name for one in by_default] == ["a", "none", *"bcdef"]
    assert not any(one.findings for one in by_default)
    assert [one.snapshot.name for one in on_request] == ["none", *"abcdef"]
    assert {(one.code, one.details["count"]) for found in on_request for one in found.findings} == {("HY03", 5)}


def test_what_is_told_for_information_makes_no_cell_and_changes_none() -> None:
    login = pull_secret("x", "quay.io")
    used = [login, pod("app", "quay.io/x", "x", running=True)]
    objects = [namespace_objects([login], name=name) for name in "abcde"] + [namespace_objects(used, name="used")]

    found = verdicts(objects, enabled=frozenset({"HY03"}))

    assert [one.findings[0].credential for one in found] == ["registry/quay.io"] * 6
    assert {(one.status, one.reason) for one in found} == {(Status.OK, "")}
    assert [cells(one) for one in found] == [{}] * 5 + [{"registry/quay.io": ("ok", "covered")}]


def test_with_a_given_index_no_namespace_waits() -> None:
    elsewhere = Elsewhere()
    elsewhere.add("kubeflow", {"gone": ["quay.io"]})
    objects = [namespace_objects([account("gone")], name=name) for name in ("a", "b")]

    found = verdicts(objects, elsewhere)

    assert [one.snapshot.name for one in found] == ["a", "b"]
    assert cells(found[0]) == {"secrets": ("critical", "missing")}


def test_many_pods_are_counted_and_fifty_named() -> None:
    pods = [pod(f"app-{number}", "quay.io/x", "gone", message=ANONYMOUS) for number in range(80)]

    cell = only_cell(*pods)

    assert (len(cell.pods), cell.pod_count) == (50, 80)


def test_of_more_cells_than_a_namespace_may_have_the_worst_are_shown_and_the_others_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scanner.verdict.MOST_CELLS", 2)
    linked = [pull_secret(f"s{number}", f"r{number}.example.com") for number in range(3)]
    objects = [*linked, account("s0", "s1", "s2"), pod("app", "z.example.com/x", message=REFUSED)]

    shown = verdict(*objects).cells

    assert [cell.status for cell in shown] == [Status.CRITICAL, Status.OK, Status.UNKNOWN]
    assert shown[-1].reason == "too-many"
    assert shown[-1].details["cells"] == 3


def test_a_namespace_that_is_well_but_for_what_is_not_shown_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.verdict.MOST_CELLS", 1)
    linked = [pull_secret(f"s{number}", f"r{number}.example.com") for number in range(2)]

    found = verdict(*linked, account("s0", "s1"))

    assert (found.status, found.reason) == (Status.UNKNOWN, "too-many")


def test_of_more_findings_than_a_namespace_may_have_the_worst_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [account(*(f"gone-{number}" for number in range(4)))]
    every = verdict(*objects).findings
    assert len(every) == 4

    monkeypatch.setattr("scanner.verdict.MOST_FINDINGS", 3)
    found = verdict(*objects)

    assert len(found.findings) == 3
    assert all(one in every for one in found.findings)
    assert cells(found)["others"] == ("unknown", "too-many")
