"""One error in the words of every runtime that can print it: the cause is the error's, not the wrapper's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scanner.pull_failure import explain
from tests.tables import table

TABLE = table(Path(__file__).with_name("pull_failure_messages.yaml"))

HOST = "reg.example.com"
IMAGE = f"{HOST}/team/app:1"
MANIFEST = f"https://{HOST}/v2/team/app/manifests/1"
PING = f"https://{HOST}/v2/"

# How a request that got no answer is printed; sources: containerd resolver.go and authorizer.go, containers/image
# docker_client.go, CRI-O internal/storage/image.go, moby registry.
NO_ANSWER = {
    "containerd": (
        f'Failed to pull image "{IMAGE}": rpc error: code = Unknown desc = failed to pull and unpack image "{IMAGE}": '
        f'failed to resolve reference "{IMAGE}": failed to do request: Head "{MANIFEST}": {{}}'
    ),
    "containerd's transfer service": (
        f'Back-off pulling image "{IMAGE}": ErrImagePull: failed to pull and unpack image "{IMAGE}": '
        f'failed to resolve image: failed to do request: Head "{MANIFEST}": {{}}'
    ),
    "CRI-O": (
        f'Failed to pull image "{IMAGE}": initializing source docker://{IMAGE}: '
        f'pinging container registry {HOST}: Get "{PING}": {{}}'
    ),
    "CRI-O that asked for an artifact too": (
        f'Failed to pull image "{IMAGE}": unable to pull image or OCI artifact: pull image err: '
        f"initializing source docker://{IMAGE}: pinging container registry {HOST}: "
        f'Get "{PING}": {{0}}; artifact err: get manifest: build image source: '
        f'pinging container registry {HOST}: Get "{PING}": {{0}}'
    ),
    "Docker": f'rpc error: code = Unknown desc = Error response from daemon: Get "{PING}": {{}}',
    "a repeated event": (
        f'(combined from similar events): Failed to pull image "{IMAGE}": failed to pull and unpack image "{IMAGE}": '
        f'failed to resolve reference "{IMAGE}": failed to do request: Head "{MANIFEST}": {{}}'
    ),
}


def _id(row: Any) -> str:
    return str(row.get("text", row)) if isinstance(row, dict) else str(row)


@pytest.mark.parametrize("runtime", NO_ANSWER)
@pytest.mark.parametrize("row", TABLE["network_errors"], ids=_id)
def test_a_request_without_an_answer_means_the_same_in_every_runtime(row: dict[str, Any], runtime: str) -> None:
    failure = explain(NO_ANSWER[runtime].format(row["text"]))

    assert failure.cause == row["cause"]
    assert failure.credentials_used is None
    assert failure.registry == HOST


@pytest.mark.parametrize(("word", "used"), [("oauth", True), ("anonymous", False)])
@pytest.mark.parametrize("row", TABLE["network_errors"], ids=_id)
def test_a_token_that_could_not_be_asked_for_still_tells_whether_a_credential_was_there(
    row: dict[str, Any], word: str, used: bool
) -> None:
    failure = explain(
        f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": failed to authorize: '
        f'failed to fetch {word} token: Get "https://sso.example.net/token?service=reg": {row["text"]}'
    )

    assert failure.cause == row["cause"]
    assert failure.credentials_used is used


# How an answer is printed; ``{host}`` is where the registry's API is, ``{name}`` the registry as the image names it.
ANSWERED = {
    "Docker": (
        'Failed to pull image "{name}/team/app:1": rpc error: code = Unknown desc = '
        'Error response from daemon: Head "https://{host}/v2/team/app/manifests/1": {text}'
    ),
    "Docker's containerd store": (
        'Failed to pull image "{name}/team/app:1": Error response from daemon: error from registry: {text}\n{text}'
    ),
    "CRI-O": (
        'Failed to pull image "{name}/team/app:1": initializing source docker://{name}/team/app:1: '
        "reading manifest 1 in {name}/team/app: {text}"
    ),
}
REFUSED = {
    "containerd": (
        'Back-off pulling image "{name}/team/app:1": ErrImagePull: failed to pull and unpack image '
        '"{name}/team/app:1": failed to resolve image: unexpected status from GET request to '
        "https://{host}/v2/team/app/manifests/1: {status}\n{text}"
    ),
    "containerd 1.7": (
        'Failed to pull image "{name}/team/app:1": failed to pull and unpack image "{name}/team/app:1": failed to '
        "copy: httpReadSeeker: failed open: unexpected status code https://{host}/v2/team/app/manifests/1: {status} "
        "- Server message: {text}"
    ),
}
STATUS = {"unauthorized": "401 Unauthorized", "denied": "403 Forbidden", "toomanyrequests": "429 Too Many Requests"}
API = {"docker.io": "registry-1.docker.io"}


def _assert_read(row: dict[str, Any], message: str) -> None:
    name = row["registry"]
    status = STATUS.get(row["text"].partition(":")[0], "")
    failure = explain(message.format(name=name, host=API.get(name, name), text=row["text"], status=status))

    assert failure.cause == row["cause"]
    assert failure.credentials_used is row["used"]
    assert failure.registry == name
    assert set(row.get("alt", ())) <= set(failure.alternatives)


@pytest.mark.parametrize("runtime", ANSWERED)
@pytest.mark.parametrize("row", TABLE["registry_answers"], ids=_id)
def test_an_answer_of_a_registry_means_the_same_in_every_runtime(row: dict[str, Any], runtime: str) -> None:
    _assert_read(row, ANSWERED[runtime])


@pytest.mark.parametrize("runtime", REFUSED)
@pytest.mark.parametrize(
    "row", [row for row in TABLE["registry_answers"] if row["text"].partition(":")[0] in STATUS], ids=_id
)
def test_a_refusal_is_read_by_its_words_before_its_status(row: dict[str, Any], runtime: str) -> None:
    _assert_read(row, REFUSED[runtime])


@pytest.mark.parametrize("row", TABLE["messages"], ids=lambda row: str(row["id"]))
def test_where_a_text_was_copied_from_does_not_change_its_meaning(row: dict[str, Any]) -> None:
    message, reason = row["message"], row.get("reason", "")
    failure = explain(message, reason)

    for copied in (
        f"(combined from similar events): {message}",
        f"spec.containers{{web}}: {message}",
        message.replace('"', '\\"'),
        f"{message}\n",
    ):
        again = explain(copied, reason)
        assert again.cause is failure.cause
        assert again.credentials_used is failure.credentials_used
