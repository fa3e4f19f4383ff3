"""What ``explain`` makes of real messages, row by row, and of the traps between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scanner.image import parse_image
from scanner.pull_failure import Cause, explain
from tests.oracles import rows
from tests.tables import table

ORACLE = rows("03-pull-and-mount-messages.yaml", "messages")
OURS = table(Path(__file__).with_name("pull_failure_messages.yaml"))["messages"]
VALUES = {cause.value for cause in Cause}


def _id(row: Any) -> str:
    return str(row["id"]) if isinstance(row, dict) else "absent"


@pytest.mark.parametrize("row", ORACLE, ids=_id)
def test_a_message_of_the_table_of_facts_has_its_cause_and_its_alternatives(row: dict[str, Any]) -> None:
    failure = explain(row["message"])

    assert failure.cause == row["cause"]
    # One row names a cause that is not in the list of causes (the node's clock); the others are all expected.
    assert {alt for alt in row.get("alt", ()) if alt in VALUES} <= set(failure.alternatives)


@pytest.mark.parametrize("row", OURS, ids=_id)
def test_a_message_of_our_own_table_has_its_cause_and_its_names(row: dict[str, Any]) -> None:
    failure = explain(row["message"], row.get("reason", ""))

    assert failure.cause == row["cause"]
    assert set(row.get("alt", ())) <= set(failure.alternatives)
    for field, attribute in (
        ("registry", "registry"),
        ("secret", "secret"),
        ("key", "key"),
        ("used", "credentials_used"),
    ):
        if field in row:
            assert getattr(failure, attribute) == row[field]


def _containerd(error: str, *, image: str = "registry.example.com/team/app:1") -> str:
    return f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": {error}'


REFUSED = "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized"
NOT_THERE = "registry.example.com/team/app:1: not found"


@pytest.mark.parametrize(
    "wrap",
    [
        "{}",
        'Failed to pull image "registry.example.com/team/app:1": {}',
        'Failed to pull image "registry.example.com/team/app:1": rpc error: code = Unknown desc = {}',
        "rpc error: code = Unknown desc = rpc error: code = Unknown desc = {}",
        'Back-off pulling image "registry.example.com/team/app:1": ErrImagePull: {}',
        'Back-off pulling image "registry.example.com/team/app:1": ErrImagePull: rpc error: code = NotFound desc = {}',
    ],
)
def test_the_wrapper_of_an_error_does_not_change_its_meaning(wrap: str) -> None:
    failure = explain(wrap.format(_containerd(REFUSED)))

    assert failure.cause is Cause.AUTH_DENIED
    assert failure.credentials_used is True
    assert failure.registry == "registry.example.com"


@pytest.mark.parametrize("prefix", ["", "rpc error: code = Unknown desc = "])
@pytest.mark.parametrize("order", [(REFUSED, NOT_THERE), (NOT_THERE, REFUSED)])
def test_of_several_credentials_the_one_that_got_furthest_counts(prefix: str, order: tuple[str, str]) -> None:
    failure = explain("[" + ", ".join(prefix + _containerd(error) for error in order) + "]")

    assert failure.cause is Cause.NOT_FOUND
    assert Cause.AUTH_DENIED in failure.alternatives
    assert failure.credentials_used is True


def test_an_aggregate_that_the_event_cut_short_is_still_split() -> None:
    failure = explain(f"[{_containerd(REFUSED)}, {_containerd(NOT_THERE)}"[:-1] + "d, failed to pull and unp")

    assert failure.cause is Cause.NOT_FOUND


@pytest.mark.parametrize(
    "word", ["unauthorized", "no-such-host", "timeout", "x509", "toomanyrequests", "denied", "short-name"]
)
def test_a_word_in_the_name_of_an_image_is_no_error(word: str) -> None:
    image = f"registry.example.com/{word}/{word}:{word}"

    failure = explain(f'Failed to pull image "{image}": ' + _containerd(f"{image}: not found", image=image))

    assert failure.cause is Cause.NOT_FOUND
    assert failure.image == image
    assert explain(f'Back-off pulling image "{image}"', "ImagePullBackOff").cause is Cause.UNKNOWN


def test_digits_of_a_digest_or_a_port_are_no_status() -> None:
    assert (
        explain('Back-off pulling image "registry.example.com:5000/a@sha256:' + "429" * 21 + 'a"').cause
        is Cause.UNKNOWN
    )
    assert explain("dial tcp 192.0.2.1:503: connect: connection refused").cause is Cause.CONN_REFUSED


@pytest.mark.parametrize("status", ["401 Unauthorized", "401 ", "401"])
def test_a_status_without_its_text_is_read_by_its_number(status: str) -> None:
    url = "https://registry.example.com/token?scope=x"
    error = (
        f"failed to authorize: failed to fetch anonymous token: unexpected status from GET request to {url}: {status}"
    )

    failure = explain(_containerd(error))

    assert failure.cause is Cause.AUTH_MISSING
    assert failure.credentials_used is False


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ('failed to do request: Head "https://a/v2/": dial tcp: lookup a on 10.0.0.1:53: i/o timeout', Cause.DNS),
        ('failed to do request: Head "https://a/v2/": proxyconnect tcp: dial tcp: lookup p: no such host', Cause.PROXY),
        (
            'do request: Head "https://a/v2/": proxyconnect tcp: x509: certificate signed by unknown authority',
            Cause.PROXY,
        ),
        (
            "failed to authorize: failed to fetch oauth token: x509: certificate signed by unknown authority",
            Cause.TLS_UNTRUSTED,
        ),
        (
            "failed to authorize: failed to fetch oauth token: unexpected status: 429 Too Many Requests",
            Cause.RATE_LIMIT,
        ),
        (
            "failed to authorize: failed to fetch oauth token: unexpected status: 504 Gateway Timeout",
            Cause.REGISTRY_ERROR,
        ),
        ("no match for platform in manifest: not found", Cause.PLATFORM),
        ("toomanyrequests: unauthenticated pull rate limit reached: unauthorized", Cause.RATE_LIMIT),
    ],
)
def test_what_broke_first_is_told_from_what_it_led_to(error: str, cause: Cause) -> None:
    assert explain(_containerd(error)).cause is cause


@pytest.mark.parametrize(
    "image",
    [
        "nginx",
        "docker.io/library/nginx:1",
        "index.docker.io/acme/app",
        "quay.io/acme/app:1",
        "registry.example.com:5000/a/b@sha256:" + "a" * 64,
    ],
)
def test_the_registry_is_the_images_own_in_its_normal_form(image: str) -> None:
    error = 'Get "https://mirror.example.net/v2/": dial tcp: i/o timeout'
    message = f'Failed to pull image "{image}": Error response from daemon: {error}'

    assert explain(message).registry == parse_image(image).registry


def test_a_refusal_by_a_mirror_is_not_blamed_on_the_registry() -> None:
    url = "https://mirror.example.net/v2/library/nginx/manifests/1?ns=docker.io"

    failure = explain(
        _containerd(f"unexpected status from HEAD request to {url}: 403 Forbidden", image="docker.io/library/nginx:1")
    )

    assert failure.cause is Cause.MIRROR_REFUSED
    assert failure.registry == "docker.io"
    assert Cause.AUTH_DENIED in failure.alternatives


@pytest.mark.parametrize(
    "host",
    [
        "docker.io",
        "quay.io",
        "ghcr.io",
        "gcr.io",
        "europe-docker.pkg.dev",
        "acme.azurecr.io",
        "registry.gitlab.com",
        "acme.jfrog.io",
        "harbor.example.com",
    ],
)
def test_a_registry_that_hides_what_is_absent_leaves_not_found_open(host: str) -> None:
    image = f"{host}/acme/app:1"

    error = "failed to authorize: failed to fetch anonymous token: unexpected status: 401"
    failure = explain(_containerd(error, image=image))

    assert failure.cause is Cause.AUTH_MISSING
    assert Cause.NOT_FOUND in failure.alternatives


def test_the_sandbox_image_is_the_nodes_matter() -> None:
    error = f'failed to get sandbox image "r.example.com/pause:3": {_containerd(REFUSED)}'
    message = f"Failed to create pod sandbox: rpc error: code = Unknown desc = {error}"

    failure = explain(message, "FailedCreatePodSandBox")

    assert failure.cause is Cause.NODE_AUTH
    assert failure.cause.is_credential is False


def test_the_same_words_mean_a_volume_or_a_variable_by_where_they_stand() -> None:
    words = 'secret "db" not found'

    assert explain(words, "CreateContainerConfigError").cause is Cause.ENV_SECRET_MISSING
    assert explain(f"Error: {words}", "Failed").cause is Cause.ENV_SECRET_MISSING
    assert explain(words, "FailedMount").cause is Cause.MOUNT_SECRET_MISSING
    assert explain(f'MountVolume.SetUp failed for volume "v" : {words}').cause is Cause.MOUNT_SECRET_MISSING


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("InvalidImageName", Cause.INVALID_REFERENCE),
        ("ErrImageNeverPull", Cause.NEVER_POLICY),
        ("RegistryUnavailable", Cause.CONN_REFUSED),
        ("SignatureValidationFailed", Cause.NODE_CONFIG),
        ("FailedToRetrieveImagePullSecret", Cause.PULL_SECRET_MISSING),
        ("ErrImagePull", Cause.UNKNOWN),
        ("", Cause.UNKNOWN),
    ],
)
def test_a_reason_alone_is_used_where_the_message_says_nothing(reason: str, cause: Cause) -> None:
    assert explain("", reason).cause is cause


def test_what_a_person_pasted_into_the_image_field_is_not_repeated() -> None:
    pasted = "https://robot:hunter2@r.example.com/a"
    error = f'couldn\'t parse image name "{pasted}": invalid reference format'

    failure = explain(f'Failed to apply default image tag "{pasted}": {error}')

    assert failure.cause is Cause.INVALID_REFERENCE
    assert "hunter2" not in repr(failure)


def test_the_list_of_causes_is_the_agreed_one() -> None:
    assert len(VALUES) == 36
    assert {row["cause"] for row in OURS} <= VALUES


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_words_for_people(cause: Cause) -> None:
    assert 0 < len(cause.label) <= 40
    assert not cause.label.endswith(".")
    assert cause.advice.endswith(".")
    assert cause.sentence.endswith(".")
    assert cause.is_credential in (True, False, None)


def test_a_detail_names_the_registry_the_secret_and_the_key() -> None:
    assert "registry.example.com" in explain(_containerd(REFUSED)).detail
    detail = explain("couldn't find key TOKEN in Secret team/api", "CreateContainerConfigError").detail
    assert "TOKEN" in detail
    assert "api" in detail
