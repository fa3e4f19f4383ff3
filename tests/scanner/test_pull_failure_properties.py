"""What holds for any text that a stranger can put into a Pod's status."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.pull_failure import Cause, PullFailure, explain

# Pieces of real messages, so that the generated text gets past the first rules.
PIECES = st.sampled_from(
    [
        "rpc error: code = Unknown desc = ",
        "rpc error: code = NotFound desc = ",
        'Failed to pull image "',
        '"',
        '\\"',
        ": ",
        ", ",
        "[",
        "]",
        "(Mirrors also failed: [",
        "]): a: ",
        "docker://",
        "reading manifest 1 in ",
        "https://[::1",
        "https://a@b@c/v2/x/manifests/1?ns=docker.io",
        "registry.example.com/a:1",
        "failed to pull and unpack image ",
        "failed to fetch oauth token: unexpected status: 401",
        "not found",
        "{",
        "}",
        "{registry}",
        'secrets "{key}" not found',
        "couldn't find key {0} in Secret {secret}/{1}",
        "\x00",
        "\ud800",
        "İ",
    ]
)
MESSAGES = st.one_of(st.text(), st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=60).map("".join))
REASONS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["FailedMount", "ErrImagePull", "FailedCreatePodSandBox", "ImageInspectError"]),
)


def _is_sound(failure: PullFailure) -> bool:
    names = (failure.registry, failure.image, failure.secret, failure.key)
    return (
        isinstance(failure.cause, Cause)
        and failure.cause not in failure.alternatives
        and Cause.UNKNOWN not in failure.alternatives
        and len(set(failure.alternatives)) == len(failure.alternatives)
        and failure.credentials_used in (True, False, None)
        and all(name is None or len(name) <= 1100 for name in names)
        and 0 < len(failure.detail) <= 600
    )


@given(MESSAGES, REASONS)
def test_any_text_is_explained_and_never_raises(message: str, reason: str) -> None:
    assert _is_sound(explain(message, reason))


@given(MESSAGES)
def test_the_same_text_is_always_explained_the_same(message: str) -> None:
    assert explain(message) == explain(message)


@given(
    st.sampled_from(["auth-failed", "x509", "no-such-host", "429", "not-found"]),
    st.sampled_from(["401 Unauthorized", "403", "401 "]),
)
def test_the_name_of_an_image_never_decides(name: str, status: str) -> None:
    def message(image: str) -> str:
        error = f"unexpected status from HEAD request to https://registry.example.com/v2/{image}/manifests/1: {status}"
        reference = f"registry.example.com/{image}:1"
        return f'Failed to pull image "{reference}": failed to resolve reference "{reference}": {error}'

    assert explain(message(name)).cause is explain(message("app")).cause


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        '"',
        "\\",
        "[",
        "(Mirrors also failed: [x: ",
        "]): a: ",
        "docker://",
        "reading manifest a in ",
        "https://",
        'image "',
        "lookup a on ",
        "content descriptor (",
        "failed to fetch oauth token ",
        "secret ",
        "couldn't find key ",
        ", rpc error: code = Unknown desc = ",
        "permission denied ",
        "sha256:",
        "unauthorized ip ",
        "signature ",
        "\n",
    ],
)
def test_megabytes_of_anything_take_no_longer_than_the_bound(piece: str) -> None:
    message = piece * (4_000_000 // len(piece))

    failure = explain("[" + message, "ErrImagePull")

    assert _is_sound(failure)
    # Tens of milliseconds where nothing else runs; a pattern that goes back and forth would take minutes.
