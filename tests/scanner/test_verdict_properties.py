"""Whatever a cluster holds is judged, and no value of a Secret reaches the verdict."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner import raw
from tests.objects import namespace_objects
from tests.scanner.judging import account, verdict, verdicts
from tests.scanner.test_coverage import REFUSED, pod

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
