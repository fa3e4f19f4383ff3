"""What a scan says of a namespace: cells, chains, and what is not known."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner import raw
from scanner.check import Status
from scanner.credential import Fingerprint
from scanner.elsewhere import Elsewhere
from scanner.policy import Policy
from scanner.verdict import Cell, Verdict, judge_all
from tests.objects import namespace_objects
from tests.scanner.test_coverage import ANONYMOUS, JUST_NOW, REFUSED, pod, pull_secret

NOW = datetime(2026, 9, 1, tzinfo=UTC)


def verdicts(
    objects: list[raw.NamespaceObjects], elsewhere: Elsewhere | None = None, *, enabled: frozenset[str] = frozenset()
) -> list[Verdict]:
    policy = Policy(enabled=enabled)
    found = judge_all(objects, policy=policy, now=NOW, fingerprint=Fingerprint(b"test"), elsewhere=elsewhere)
    return list(found)


def verdict(*objects: dict[str, Any], **unreadable: str) -> Verdict:
    (found,) = verdicts([namespace_objects(list(objects), unreadable=unreadable)])
    return found


def cells(found: Verdict) -> dict[str, tuple[str, str]]:
    return {cell.credential: (str(cell.status), cell.reason) for cell in found.cells}


def only_cell(*objects: dict[str, Any], **unreadable: str) -> Cell:
    (cell,) = verdict(*objects, **unreadable).cells
    return cell


def steps(cell: Cell) -> list[tuple[str, str]]:
    return [(step.step, step.state) for step in cell.chain]


def account(*names: str) -> dict[str, Any]:
    secrets = [{"name": name} for name in names]
    return {"kind": "ServiceAccount", "metadata": {"name": "default"}, "imagePullSecrets": secrets}


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


def test_the_right_secret_in_the_wrong_namespace_tells_its_whole_story() -> None:
    failing = pod("iris", "gitlab.example.com:4567/ml/iris", "regcred", message=ANONYMOUS)
    here = namespace_objects([failing, account()], name="team")
    there = namespace_objects([pull_secret("regcred", "gitlab.example.com:4567")], name="kubeflow")

    (_, found) = verdicts([here, there])
    (cell,) = found.cells

    assert (cell.status, cell.reason) == (Status.CRITICAL, "missing")
    assert cell.details["code"] == "PS01"
    assert cell.details["elsewhere"] == [["kubeflow", "regcred"]]
    assert [(s.step, s.state, s.title) for s in cell.chain] == [
        ("image", "ok", "gitlab.example.com:4567/ml/iris"),
        ("pod", "ok", "iris"),
        ("pull-secrets", "ok", "names regcred"),
        ("secret", "broken", "regcred is not in this Namespace"),
        ("key", "after", "would be gitlab.example.com:4567"),
        ("registry", "after", "answered an anonymous pull with 401"),
    ]
    assert cell.chain[2].note == "set in the Pod; the ServiceAccount's are not added"
    assert "kubeflow" not in repr(cell.chain)
    assert all("kubeflow" not in finding.message for finding in found.findings)


def test_a_refused_credential_breaks_the_last_step() -> None:
    cell = only_cell(pull_secret("a", "quay.io"), pod("app", "quay.io/x", "a", message=REFUSED))

    assert (cell.status, cell.reason, cell.secret, cell.verified) == (Status.CRITICAL, "rejected", "a", "")
    assert steps(cell)[-2:] == [("key", "ok"), ("registry", "broken")]


def test_an_unlinked_secret_breaks_the_step_that_should_name_it() -> None:
    cell = only_cell(pull_secret("a", "quay.io"), pod("app", "quay.io/x", message=ANONYMOUS), account())

    assert (cell.status, cell.reason) == (Status.CRITICAL, "unlinked")
    assert steps(cell)[2] == ("pull-secrets", "broken")


def test_a_key_that_just_misses_breaks_the_step_of_the_key_and_has_no_column_of_its_own() -> None:
    cell = only_cell(pull_secret("a", "quay.io:443"), account("a"), pod("app", "quay.io/x", "a", message=ANONYMOUS))

    assert (cell.credential, cell.status, cell.reason) == ("registry/quay.io", Status.CRITICAL, "wrong-host")
    assert steps(cell)[3:] == [("secret", "ok"), ("key", "broken"), ("registry", "after")]
    assert cell.chain[4].title == "quay.io:443 should read quay.io"
    assert cell.chain[4].note == "it has the port 443, the images name none; no port is a default"


def test_a_key_for_another_registry_breaks_the_step_of_the_key() -> None:
    found = verdict(pull_secret("a", "ghcr.io"), pod("app", "quay.io/x", "a", message=ANONYMOUS))
    cell = next(cell for cell in found.cells if cell.credential == "registry/quay.io")

    assert (cell.status, cell.reason) == (Status.CRITICAL, "missing")
    assert [(s.state, s.title, s.note) for s in cell.chain[4:5]] == [("broken", "would be quay.io", "there is ghcr.io")]


def test_a_pod_older_than_the_link_is_told_so_by_its_pull_secrets() -> None:
    cell = only_cell(pull_secret("a", "quay.io"), account("a"), pod("app", "quay.io/x", message=ANONYMOUS))

    assert (cell.status, cell.reason, cell.details["code"]) == (Status.CRITICAL, "unlinked", "PS09")
    assert (cell.chain[2].state, cell.chain[2].note) == (
        "broken",
        "ServiceAccount default links a now, the Pod is older",
    )


def test_a_hidden_login_is_told_at_the_key_that_hides_it() -> None:
    hub, old = pull_secret("hub", "https://index.docker.io/v1/", username="new"), pull_secret("old", "docker.io")

    well = only_cell(hub, old, pod("app", "acme/x", "hub", "old", running=True))
    failing = only_cell(hub, old, pod("app", "acme/x", "hub", "old", message=REFUSED))

    assert (well.status, well.reason, failing.status) == (Status.WARNING, "shadowed", Status.CRITICAL)
    assert well.chain[4].note == "hides the login under index.docker.io in Secret hub"
    assert (well.chain[4].state, failing.chain[4].state) == ("ok", "broken")


def test_a_running_pod_that_could_not_pull_again_breaks_where_it_would_fail() -> None:
    elsewhere = Elsewhere()
    elsewhere.add("other", {"quay": ["harbor.example.com"]})
    objects = [pod("app", "harbor.example.com/x", running=True)]

    (found,) = verdicts([namespace_objects(objects)], elsewhere)
    (cell,) = found.cells

    assert (cell.status, cell.reason) == (Status.WARNING, "latent")
    assert [(step, state) for step, state in steps(cell) if state == "broken"] == [("pull-secrets", "broken")]


def test_a_failing_pod_has_one_explanation_beside_its_own_message() -> None:
    opaque = {"kind": "Secret", "metadata": {"name": "opaque"}, "type": "Opaque"}
    broken = {**pull_secret("broken"), "stringData": {".dockerconfigjson": '{"auths":{"x":"oops"}}'}}
    secrets = [pull_secret("near", "quay.io:443"), pull_secret("far", "ghcr.io"), pull_secret("right", "quay.io")]

    def codes(*named: str, without: str = "right") -> set[str]:
        there = [one for one in (*secrets, opaque, broken) if one["metadata"]["name"] != without]
        found = verdict(*there, account(), pod("app", "quay.io/x", *named, message=ANONYMOUS)).findings
        return {finding.code for finding in found if finding.status is Status.CRITICAL and "app" in finding.message}

    assert codes("near") == {"PO01", "PS06"}
    assert codes("opaque") == {"PO01", "PS08"}
    assert codes("near", "opaque") == {"PO01", "PS06"}
    assert codes("near", "gone") == {"PO01", "PS01"}
    assert codes("far") == {"PO01", "PS03"}
    assert codes("near", without="") == {"PO01", "PS04"}
    assert codes("near", "broken") == {"PO01"}


def test_a_secret_of_another_type_breaks_the_step_of_the_secret() -> None:
    opaque = {"kind": "Secret", "metadata": {"name": "a"}, "type": "Opaque"}

    cell = only_cell(opaque, pod("app", "quay.io/x", "a", message=ANONYMOUS))

    assert cell.status is Status.CRITICAL
    assert steps(cell)[3] == ("secret", "broken")


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


TYPES = [
    "Opaque",
    "kubernetes.io/dockerconfigjson",
    "kubernetes.io/dockercfg",
    "kubernetes.io/tls",
    "kubernetes.io/service-account-token",
]
CANARY = "canary-d41d8cd98f00b204"
hostile_text = st.text(max_size=30) | st.sampled_from(["quay.io/x", "a" * 5000, "\x00\n\u202e", CANARY])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(TYPES), st.binary(max_size=120), st.text(max_size=30)), max_size=4),
    hostile_text,
    hostile_text,
)
def test_whatever_a_cluster_holds_is_judged_without_an_error(
    secrets: list[tuple[str, bytes, str]], image: str, message: str
) -> None:
    keys = (".dockerconfigjson", ".dockercfg", "tls.crt", "token", "x")
    objects = namespace_objects([pod("app", image, "s0", "gone", message=message), account("s0", "s1")])
    objects = msgspec.structs.replace(
        objects,
        secrets=[
            raw.Secret(
                metadata=raw.ObjectMeta(name=f"s{number}", annotations={"credboard.dev/expires-at": declared}),
                type=secret_type,
                data=dict.fromkeys(keys, value),
            )
            for number, (secret_type, value, declared) in enumerate(secrets)
        ],
    )

    (found,) = verdicts([objects])

    for finding in found.findings:
        assert len(finding.message) < 1500
        assert finding.message.isprintable()


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(TYPES),
    st.sampled_from(
        [
            '{"auths":{"quay.io":{"username":"u","password":"%s"}}}',
            '{"auths":{"https://u:%s@quay.io":{"username":"u","password":"p"}}}',
            '{"auths":{"quay.io":{"auth":"%s"}}}',
            '{"auths":{"quay.io":"%s"}}',
            '{"auths":{"quay.io":{"username":"u","password":"p","identitytoken":"%s"}},"credsStore":1}',
            '{"quay.io":{"username":"u","password":"%s"}}',
            "-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----",
            "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3NTcxNDcyOTl9.%s",
            "%s",
        ]
    ),
    st.text(alphabet=' \n{}[]",:=.x', max_size=3),
)
def test_no_value_of_a_secret_reaches_the_verdict(secret_type: str, form: str, tail: str) -> None:
    value = form.replace("%s", CANARY) + tail
    secret = {
        "kind": "Secret",
        "metadata": {"name": "s", "annotations": {"credboard.dev/expires-at": "2026-09-02"}},
        "type": secret_type,
        "stringData": dict.fromkeys((".dockerconfigjson", ".dockercfg", "tls.crt", "token", "x"), value),
    }

    found = verdict(secret, account("s"), pod("app", "quay.io/x", "s", message=REFUSED))

    encoded = msgspec.json.encode((found.cells, found.findings), enc_hook=dict).decode()
    assert CANARY not in encoded
    assert CANARY not in repr(found)
