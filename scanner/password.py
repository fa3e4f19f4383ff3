"""What a password, token or key is, judged by its form and by the user name and host it stands beside.

Nothing is asked of anybody: see the issuers' own documentation for the forms. A value is looked at and not kept.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, Literal, NamedTuple

from scanner.expiry import MAX_TOKEN_BYTES, read_ecr_password, read_token

Never = Literal["never"]
NEVER: Final[Never] = "never"

AZURE_USER: Final = "00000000-0000-0000-0000-000000000000"
#: As the kubelet's own plugin knows them (`ecr-credential-provider`), and with a * for account or region, as in a key.
ECR_HOST: Final = re.compile(
    r"((\d{12}|\*)\.dkr[.-]ecr(-fips)?\.([a-z0-9-]+|\*)\.(amazonaws\.com(\.cn)?|on\.(aws|amazonwebservices\.com\.cn)"
    r"|sc2s\.sgov\.gov|c2s\.ic\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)|public\.ecr\.aws)(:\d+)?",
    re.ASCII,
)
_AZURE_HOST: Final = re.compile(r"[a-z0-9-]+\.azurecr\.(io|cn|us)(:\d+)?", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_ROBOT: Final = re.compile(r"[a-z0-9_.-]+\+[a-z0-9_-]+", re.ASCII)
_DOCKER_HUB: Final = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})

#: Forms that say by themselves what they are, the more special ones first.
_FORMS: Final = tuple(
    (re.compile(pattern, re.ASCII), kind)
    for pattern, kind in (
        (r"ya29\..+", "gcr_gar_access_token"),
        (r"gldt-[\w.-]{8,}", "gitlab_deploy_token"),
        (r"glpat-[\w.-]{8,}", "gitlab_pat"),
        (r"glcbt-[\w.-]{8,}", "gitlab_ci_job_token"),
        (r"(gloas|glrt|glrtr|glptt|glft|glimt|glagent|glsoat|glffct|glwt)-[\w.-]{8,}", "gitlab_other_prefixes"),
        (r"GR1348941[\w.-]{8,}", "gitlab_other_prefixes"),
        (r"dckr_pat_[\w-]{8,}", "docker_hub_pat"),
        (r"dckr_oat_[\w-]{8,}", "docker_hub_oat"),
        (r"github_pat_\w{8,}", "github_fine_grained_pat"),
        (r"ghp_[A-Za-z0-9]{8,}", "github_classic_pat"),
        (r"gh[suor]_[\w.-]{8,}", "github_app_or_actions"),
        (r"ASIA[A-Z0-9]{12,124}", "aws_temporary"),
        (r"AKIA[A-Z0-9]{12,124}", "aws_long_lived"),
        (r"hf_[A-Za-z0-9]{30,}|api_org_[A-Za-z0-9]{30,}", "huggingface"),
        (r"AKCp[A-Za-z0-9]{69}|cmVmd[A-Za-z0-9]{59}", "artifactory"),
        (r"sha256~[\w-]{43}", "openshift_oauth"),
        (r"[A-Za-z0-9+/]{42}\+ACR[A-Za-z0-9]{6}", "acr_admin_or_repo_token_password"),
        (r"[\w.~-]{3}\dQ~[\w.~-]{28,36}", "azure_service_principal"),
    )
)


class Identified(NamedTuple):
    """`kind` is a word of our own such as "harbor_robot", "jwt" or "opaque"; `expires` None: no expiry known."""

    kind: str
    expires: datetime | Never | None


def identify(value: str, username: str = "", host: str = "") -> Identified:
    """What `value` is and what it says itself of its end. `host` is a registry's as an auths key begins."""
    if len(value) > MAX_TOKEN_BYTES:
        return Identified("opaque", None)
    value = value.strip()
    if username == "AWS" and ECR_HOST.fullmatch(host):
        return Identified("ecr_public" if host.startswith("public.") else "ecr_private", read_ecr_password(value))
    if username in ("_json_key", "_json_key_base64") or _is_service_account(value):
        return Identified("gcp_sa_key", None)
    if (found := _token(value, username, host)) is not None:
        return found
    for form, kind in _FORMS:
        if form.fullmatch(value):
            return Identified(kind, None)
    kind = _by_user(username, host) or ("docker_hub_pat" if host in _DOCKER_HUB and _UUID.fullmatch(value) else "")
    if kind:
        return Identified(kind, None)
    # What is made like a token and is none; only where nothing says that it is an ordinary password.
    dots = 0 if username else value.count(".")
    return Identified({2: "not_a_jwt", 4: "jwe_or_other"}.get(dots, "opaque"), None)


def _is_service_account(value: str) -> bool:
    return value.startswith("{") and re.search(r'"type"\s*:\s*"service_account"', value) is not None


def _token(value: str, username: str, host: str) -> Identified | None:
    """A JWT, by who issued it and for what it is used."""
    token = read_token(value.encode("utf-8", "replace")) if value.startswith("e") else None
    if token is None:
        return None
    expires: datetime | Never | None = token.expires_at or (None if token.flaw else NEVER)
    if token.is_legacy:
        return Identified("k8s_legacy_sa_secret", expires)
    if token.is_bound:
        return Identified("k8s_bound_sa_token", expires)
    if token.issuer == "Azure Container Registry" or username == AZURE_USER:
        return Identified("acr_refresh_token", expires)
    if username == "gitlab-ci-token":
        return Identified("gitlab_ci_job_token", expires)
    if username == "$oauthtoken" or (_is_quay(host) and _ROBOT.fullmatch(username)):
        return Identified("quay_oauth_or_federated", expires)
    return Identified("jwt", expires)


def _by_user(username: str, host: str) -> str:
    """What the user name alone tells, which is the registry's own naming of robots and tokens."""
    if username == "oauth2accesstoken":
        return "gcr_gar_access_token"
    if username == AZURE_USER and _AZURE_HOST.fullmatch(host):
        return "acr_refresh_token"
    if username == "gitlab-ci-token":
        return "gitlab_ci_job_token"
    if username.startswith("gitlab+deploy-token-"):
        return "gitlab_deploy_token"
    if username.startswith("robot$"):
        # robot$ alone has lost its name as well
        return "harbor_robot" if len(username) > len("robot$") else "suspect_harbor_robot_shell_eaten"
    if username == "$oauthtoken":
        return "ngc_api_key" if host.partition(":")[0].endswith("nvcr.io") else "quay_oauth_or_federated"
    if host not in _DOCKER_HUB and (username == "robot" or (username.startswith("robot+") and not _is_quay(host))):
        # "robot$team+puller" in double quotes: the shell puts the variable team there, which is empty
        return "suspect_harbor_robot_shell_eaten"
    if host not in _DOCKER_HUB and _ROBOT.fullmatch(username):
        return "quay_robot"
    return ""


def _is_quay(host: str) -> bool:
    name = host.partition(":")[0]
    return name == "quay.io" or name.startswith("quay.")
