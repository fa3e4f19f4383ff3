"""Which Secret the kubelet would use for the images of a namespace."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from scanner.coverage import Coverage, ImageUse
from scanner.credential import Fingerprint
from scanner.pull_failure import Cause
from scanner.snapshot import build_snapshot
from tests.objects import namespace_objects

NOW = datetime(2026, 9, 1, tzinfo=UTC)
JUST_NOW = "2026-08-31T23:58:00Z"
ANONYMOUS = "failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized"
REFUSED = "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized"


def pull_secret(
    name: str,
    *keys: str,
    created: str = "2026-01-01T00:00:00Z",
    written: str = "",
    username: str = "u",
    password: str = "hunter2",
) -> dict[str, Any]:
    auths = ",".join(f'"{key}":{{"username":"{username}","password":"{password}"}}' for key in keys)
    managed = [{"operation": "Update", "time": written, "fieldsV1": {"f:data": {}}}] if written else []
    return {
        "kind": "Secret",
        "metadata": {"name": name, "creationTimestamp": created, "managedFields": managed},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": f'{{"auths":{{{auths}}}}}'},
    }


def pod(
    name: str,
    image: str,
    *secrets: str,
    message: str = "",
    running: bool = False,
    created: str = "2026-06-01T00:00:00Z",
    account: str = "default",
    **status: Any,
) -> dict[str, Any]:
    state: dict[str, Any] = {"waiting": {"reason": "ErrImagePull", "message": message}} if message else {}
    if running:
        state = {"running": {"startedAt": created}}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "creationTimestamp": created},
        "spec": {
            "serviceAccountName": account,
            "imagePullSecrets": [{"name": secret} for secret in secrets],
            "containers": [{"name": "main", "image": image}],
        },
        "status": {"phase": "Pending", "containerStatuses": [{"name": "main", "state": state}], **status},
    }


def event(message: str, at: str, *, name: str = "app") -> dict[str, Any]:
    return {
        "kind": "Event",
        "metadata": {"name": f"{name}.1"},
        "involvedObject": {"kind": "Pod", "name": name},
        "reason": "Failed",
        "message": message,
        "lastTimestamp": at,
    }


def coverage(*objects: dict[str, Any], **unreadable: str) -> Coverage:
    return Coverage(
        build_snapshot(namespace_objects(list(objects), unreadable=unreadable), fingerprint=Fingerprint(b"test")),
        now=NOW,
    )


def only_use(*objects: dict[str, Any], **unreadable: str) -> ImageUse:
    (use,) = coverage(*objects, **unreadable).uses
    return use


def test_a_longer_path_is_tried_before_the_order_of_the_secrets() -> None:
    use = only_use(
        pull_secret("a", "quay.io"), pull_secret("b", "quay.io/team"), pod("app", "quay.io/team/x", "a", "b")
    )

    assert [(m.secret, m.key) for m in use.matches] == [("b", "quay.io/team"), ("a", "quay.io")]


def test_docker_hub_credentials_cover_short_names() -> None:
    use = only_use(pull_secret("hub", "https://index.docker.io/v1/"), pod("app", "nginx", "hub"))

    assert use.credential == "registry/docker.io"
    assert [m.key for m in use.matches] == ["index.docker.io"]


def test_a_short_name_that_looks_like_a_host_is_an_image_of_docker_hub() -> None:
    secrets = (pull_secret("hub", "https://index.docker.io/v1/"), pull_secret("host", "my.image"))

    use = only_use(*secrets, pod("app", "my.image:1", "host", "hub"))

    assert use.credential == "registry/docker.io"
    assert [m.secret for m in use.matches] == ["hub"]


def test_the_same_keys_give_each_namespace_its_own_logins() -> None:
    uses = [only_use(pull_secret("r", "quay.io", username=name), pod("app", "quay.io/x:1", "r")) for name in "ab"]

    assert [use.login and use.login.username for use in uses] == ["a", "b"]


def test_what_became_of_each_named_secret_is_told() -> None:
    broken = {**pull_secret("broken"), "stringData": {".dockerconfigjson": '{"auths":{"x":"oops"}}'}}
    opaque = {"kind": "Secret", "metadata": {"name": "opaque"}, "type": "Opaque"}

    use = only_use(broken, opaque, pod("app", "quay.io/x", "gone", "broken", "opaque"))

    assert use.pull_secrets.named == ("gone", "broken", "opaque")
    assert use.pull_secrets.missing == ("gone",)
    assert use.pull_secrets.malformed == ("broken",)
    assert use.pull_secrets.wrong_type == ("opaque",)


def test_a_secret_that_could_not_be_looked_for_is_not_missing() -> None:
    use = only_use(pod("app", "quay.io/x", "gone"), secrets="forbidden")

    assert use.pull_secrets.missing == ()


def test_an_invalid_reference_has_no_image_and_no_column() -> None:
    use = only_use(pod("app", "None:None"))

    assert use.image is None
    assert use.credential == ""


def test_finished_pods_use_nothing() -> None:
    assert coverage(pod("app", "quay.io/x", phase="Succeeded")).uses == ()


def test_service_accounts_and_unfinished_pods_refer_to_a_secret() -> None:
    account = {"kind": "ServiceAccount", "metadata": {"name": "default"}, "imagePullSecrets": [{"name": "a"}]}

    found = coverage(account, pod("app", "x", "a", "b"), pod("done", "x", "a", phase="Failed")).referring

    assert found == {"a": ("ServiceAccount/default", "Pod/app"), "b": ("Pod/app",)}


def finished(one: dict[str, Any]) -> dict[str, Any]:
    return {**one, "metadata": {**one["metadata"], "deletionTimestamp": "2026-08-31T00:00:00Z", "finalizers": ["x"]}}


def test_pods_that_are_being_deleted_use_nothing() -> None:
    found = coverage(finished(pod("app", "quay.io/x", "a", message=ANONYMOUS)))

    assert found.uses == ()
    assert found.referring == {}


def test_an_anonymous_failure_just_after_the_secret_was_written_waits_for_the_next_try() -> None:
    failing = pod("app", "quay.io/x", "a", message=ANONYMOUS)

    assert only_use(pull_secret("a", "quay.io", created=JUST_NOW), failing).awaits_retry
    assert only_use(pull_secret("a", "quay.io", written=JUST_NOW), failing).awaits_retry


@pytest.mark.parametrize(
    ("written", "awaits"),
    [("2026-08-31T23:50:00Z", True), ("2026-08-31T23:49:59Z", False), ("2026-09-01T00:00:03Z", True)],
)
def test_a_failure_waits_for_the_next_try_no_longer_than_the_kubelet_backs_off(written: str, awaits: bool) -> None:
    failing = pod("app", "quay.io/x", "a", message=ANONYMOUS)

    assert only_use(pull_secret("a", "quay.io", created=written), failing).awaits_retry is awaits


def test_a_failure_beside_a_login_that_was_there_all_along_waits_for_nothing() -> None:
    old, new = pull_secret("old", "quay.io"), pull_secret("new", "quay.io", created=JUST_NOW)

    assert not only_use(old, new, pod("app", "quay.io/x", "old", "new", message=ANONYMOUS)).awaits_retry


def test_a_secret_of_unknown_age_awaits_no_retry() -> None:
    secret = pull_secret("a", "quay.io")
    del secret["metadata"]["creationTimestamp"]

    assert not only_use(secret, pod("app", "quay.io/x", "a", message=ANONYMOUS)).awaits_retry


def test_beside_a_broken_secret_the_next_try_ends_nothing() -> None:
    broken = {**pull_secret("broken"), "stringData": {".dockerconfigjson": '{"auths":{"x":"oops"}}'}}
    right = pull_secret("a", "quay.io", created=JUST_NOW)

    assert not only_use(broken, right, pod("app", "quay.io/x", "broken", "a", message=ANONYMOUS)).awaits_retry


@pytest.mark.parametrize(("username", "password"), [("", "p"), ("u", ""), ("", "")])
def test_an_entry_without_a_user_name_or_password_is_tried_and_ends_as_an_anonymous_pull(
    username: str, password: str
) -> None:
    secret = pull_secret("a", "quay.io", created=JUST_NOW, username=username, password=password)
    use = only_use(secret, pod("app", "quay.io/x", "a", message=ANONYMOUS))

    assert use.matches
    assert use.login is None
    assert use.was_anonymous
    assert not use.awaits_retry


def test_an_auth_with_an_empty_password_is_no_login() -> None:
    secret = pull_secret("a")
    secret["stringData"] = {".dockerconfigjson": '{"auths":{"quay.io":{"auth":"dTo="}}}'}
    (match,) = only_use(secret, pod("app", "quay.io/x", "a")).matches

    assert (match.username, match.has_password, match.logs_in) == ("u", False, False)


def test_a_refusal_of_a_pull_without_a_login_was_one_of_an_anonymous_pull() -> None:
    told = "unexpected status from HEAD request to https://quay.io/v2/x/manifests/1: 403 Forbidden"

    assert only_use(pod("app", "quay.io/x", message=told)).was_anonymous
    assert only_use(pod("app", "quay.io/x", message=told), secrets="forbidden").was_anonymous
    assert not only_use(pod("app", "quay.io/x", "a", message=told), secrets="forbidden").was_anonymous
    assert not only_use(pull_secret("a", "quay.io"), pod("app", "quay.io/x", "a", message=told)).was_anonymous
    assert not only_use(pod("app", "quay.io/x", message=REFUSED)).was_anonymous


def test_a_debug_container_wants_no_credential() -> None:
    debugged = pod("app", "quay.io/x")
    debugged["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "quay.io/private"}]
    waiting = {"reason": "ErrImagePull", "message": ANONYMOUS}
    debugged["status"]["ephemeralContainerStatuses"] = [{"name": "debug", "state": {"waiting": waiting}}]

    (use,) = coverage(debugged).failing

    assert use.is_debugging
    assert not use.wants_credential


def test_a_refusal_before_the_secret_was_written_waits_for_the_next_try() -> None:
    told = f'Failed to pull image "quay.io/x": {REFUSED}'
    late, early = "2026-08-31T23:59:00Z", "2026-08-31T23:57:00Z"
    secret = pull_secret("a", "quay.io", written=JUST_NOW)
    failing = pod("app", "quay.io/x", "a", message=REFUSED)
    backing_off = {**event('Back-off pulling image "quay.io/x"', late), "reason": "BackOff"}

    assert only_use(secret, failing, event(told, early)).awaits_retry
    assert only_use(secret, failing, event(told, early), backing_off).awaits_retry
    assert not only_use(secret, failing, event(told, late)).awaits_retry
    assert not only_use(secret, failing).awaits_retry


def test_an_old_kubelets_cause_is_read_from_the_event_of_the_same_image() -> None:
    silent = pod("app", "quay.io/x", message='Back-off pulling image "quay.io/x"')
    other = event(f'Failed to pull image "quay.io/other": {REFUSED}', "2026-06-01T00:00:02Z")
    mine = event(f'Failed to pull image "quay.io/x": {ANONYMOUS}', "2026-06-01T00:00:01Z")

    use = only_use(silent, other, mine)

    assert use.failure is not None
    assert use.failure.cause is Cause.AUTH_MISSING
    assert use.told == mine["message"]


def test_a_broken_secret_leaves_open_what_a_pod_wants() -> None:
    broken = {**pull_secret("broken"), "stringData": {".dockerconfigjson": '{"auths":{"x":"oops"}}'}}

    assert only_use(pod("app", "quay.io/x", message=ANONYMOUS)).wants_credential
    assert not only_use(broken, pod("app", "quay.io/x", "broken", message=ANONYMOUS)).wants_credential
