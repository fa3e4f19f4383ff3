"""What passwords, tokens and keys are, against the table of facts and the rules of JWTs."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.expiry import MILLISECONDS, read_token
from scanner.password import NEVER, identify
from tests import oracles


def jwt(**claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJSUzI1NiJ9.{body}.c2ln"


@pytest.mark.parametrize("row", oracles.rows("08-expiry.yaml", "decode_cases"))
def test_a_value_is_what_the_table_says(row: dict[str, Any]) -> None:
    found = identify(row["value"], row.get("username", ""), row.get("host", ""))

    expires = int(found.expires.timestamp()) if isinstance(found.expires, datetime) else found.expires
    assert (found.kind, expires) == (row["kind"], row["expires"])
    if "intended" in row:
        token = read_token(row["value"].encode())
        assert token is not None
        assert token.intended_end == datetime.fromtimestamp(row["intended"], UTC)


@pytest.mark.parametrize(
    ("value", "username", "host", "kind"),
    [
        ("p", "AWS", "public.ecr.aws", "ecr_public"),
        ("p", "AWS", "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "ecr_private"),
        ("p", "AWS", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "ecr_private"),
        ("p", "AWS", "quay.io", "opaque"),
        ("p", "oauth2accesstoken", "gcr.io", "gcr_gar_access_token"),
        ('{"type": "service_account"}', "_json_key", "eu.gcr.io", "gcp_sa_key"),
        ("eyJ0eXBlIjoic2VydmljZV9hY2NvdW50In0=", "_json_key_base64", "gcr.io", "gcp_sa_key"),
        ('{"type": "service_account"}', "", "", "gcp_sa_key"),
        ("A" * 42 + "+ACRabc123", "myreg", "myreg.azurecr.io", "acr_admin_or_repo_token_password"),
        ("abc8Q~" + "a" * 34, "0f0e0d0c-0000-4000-8000-0123456789ab", "myreg.azurecr.io", "azure_service_principal"),
        ("gldt-abcdefghijklmnop", "any", "registry.gitlab.com", "gitlab_deploy_token"),
        ("abcdefghijklmnopqrst", "gitlab+deploy-token-7", "gitlab.example.com:5050", "gitlab_deploy_token"),
        ("glrt-abcdefghijklmnop", "", "", "gitlab_other_prefixes"),
        ("GR1348941abcdefghijklmnop", "", "", "gitlab_other_prefixes"),
        ("x", "gitlab-ci-token", "registry.gitlab.com", "gitlab_ci_job_token"),
        ("p", "robot$team+puller", "harbor.example.com", "harbor_robot"),
        ("p", "robot$", "harbor.example.com", "suspect_harbor_robot_shell_eaten"),
        ("p", "robot+puller", "harbor.example.com", "suspect_harbor_robot_shell_eaten"),
        ("p", "robot+puller", "quay.io", "quay_robot"),
        ("p", "robot", "docker.io", "opaque"),
        ("dckr_pat_abcdefghijklmnopqrstuvwxyz0", "u", "index.docker.io", "docker_hub_pat"),
        ("dckr_oat_abcdefghijklmnopqrstuvwxyz012345", "org", "docker.io", "docker_hub_oat"),
        ("0f0e0d0c-0000-4000-8000-0123456789ab", "u", "index.docker.io", "docker_hub_pat"),
        ("p", "$oauthtoken", "quay.io", "quay_oauth_or_federated"),
        ("p", "$oauthtoken", "nvcr.io", "ngc_api_key"),
        (jwt(exp=1), "acme+puller", "quay.io", "quay_oauth_or_federated"),
        ("github_pat_" + "a" * 82, "u", "ghcr.io", "github_fine_grained_pat"),
        ("ghs_123456_" + jwt(exp=1), "u", "ghcr.io", "github_app_or_actions"),
        ("gho_" + "a" * 36, "u", "ghcr.io", "github_app_or_actions"),
        ("AKIAXXXXXXXXXXXXXXXX", "", "", "aws_long_lived"),
        ("hf_" + "a" * 34, "", "", "huggingface"),
        ("api_org_" + "a" * 34, "", "", "huggingface"),
        ("AKCp" + "a" * 69, "u", "jfrog.example.com", "artifactory"),
        ("cmVmd" + "a" * 59, "u", "jfrog.example.com", "artifactory"),
        ("sha256~" + "a" * 43, "u", "registry.example.com", "openshift_oauth"),
        ("a.b.c", "u", "registry.example.com", "opaque"),
    ],
)
def test_forms_and_user_names_tell_a_kind(value: str, username: str, host: str, kind: str) -> None:
    assert identify(value, username, host).kind == kind


@pytest.mark.parametrize(
    ("claims", "expires"),
    [
        ({"exp": 1757147299.5}, datetime(2025, 9, 6, 8, 28, 19, tzinfo=UTC)),
        ({"exp": "1757147299"}, None),
        ({"exp": 1757147299000}, None),
        ({"exp": True}, None),
        ({}, NEVER),
    ],
)
def test_an_end_is_a_number_of_seconds(claims: dict[str, Any], expires: object) -> None:
    assert identify(jwt(**claims)).expires == expires


def test_an_end_in_milliseconds_is_flagged() -> None:
    token = read_token(jwt(exp=1757147299000).encode())

    assert token is not None
    assert token.flaw == MILLISECONDS


def test_a_token_without_iat_was_issued_when_it_begins_to_be_valid() -> None:
    token = read_token(jwt(nbf=1757147299, exp=1757150899).encode())

    assert token is not None
    assert token.issued_at == datetime.fromtimestamp(1757147299, UTC)


@given(st.text(max_size=300), st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_something(value: str, username: str, host: str) -> None:
    assert identify(value, username, host).kind


@given(st.sampled_from(["eyJ", "ASIA", "glpat-", "ya29.", "ghs_", "{", "abc8Q~", "a."]), st.integers(1, 2_000_000))
def test_long_values_take_no_time(start: str, length: int) -> None:
    assert identify(start + "A" * length, "u", "h").kind
    assert identify(start * (length // 8 + 1), "", "").kind
