"""Credentials that are written out in a Pod: found by the names they stand beside and by the forms of known tokens.

The values are looked at and not kept: what comes out says where something stands and what it looks like. Better a
credential missed than a harmless value reported: references (`$(VAR)`, templates, vault paths), file paths, names of
Secrets and words that stand in for a value ("changeme") are none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import chain
from typing import Final

from scanner import raw
from scanner.words import shown

#: Places told of one Pod, and characters looked at in one value or argument.
MAX_PLACES: Final = 20
MAX_TEXT: Final = 65_536


@dataclass(frozen=True, slots=True, order=True)
class LiteralCredential:
    """`where` is "env NAME", "args[2]", "command[0]" or "annotation KEY" (then `container` is ""); `shape` a few words
    such as "GitHub token" or "password"."""

    container: str
    where: str
    shape: str


_SHAPES: Final = {
    "gitlab": "GitLab token",
    "github": "GitHub token",
    "hugging_face": "Hugging Face token",
    "docker_hub": "Docker Hub token",
    "slack": "Slack token",
    "google": "Google API key",
    "npm": "npm token",
    "pypi": "PyPI token",
    "llm": "API key",
    "jwt": "JWT",
    "docker_config": "docker config",
    "pem": "private key",
    "url": "password in a URL",
    "header": "Authorization header",
}
_AWS: Final = "AWS secret access key"
_SHAPE: Final = re.compile(
    r"""(?<![\w-])(?:
      (?P<gitlab>gl(?:dt|pat|ptt|rtr?|cbt|oas|soat|ft|imt|agent|ffct|wt)-[\w.-]{15,})
    | (?P<github>gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,})
    | (?P<hugging_face>hf_[A-Za-z0-9]{30,}|api_org_[A-Za-z0-9]{30,})
    | (?P<docker_hub>dckr_[po]at_[\w-]{20,})
    | (?P<slack>xox[abeoprs]-[\w-]{10,})
    | (?P<google>AIza[\w-]{35})
    | (?P<npm>npm_[A-Za-z0-9]{36})
    | (?P<pypi>pypi-AgE[\w-]{40,})
    | (?P<llm>sk-(?:ant|proj|svcacct)-[\w-]{20,})
    | (?P<jwt>ey[JIw][\w-]{8,4096}\.ey[JIw][\w-]{8,16384}\.[\w-]{10,})
    | (?P<header>(?:[Bb]earer|[Bb]asic)\ +(?=[a-z+/_.~-]{0,200}[A-Z0-9=])[A-Za-z0-9+/_.=~-]{16,})
    )
    | (?P<docker_config>"auth"\s?:\s?"[A-Za-z0-9+/]{8,4096}={0,2}")
    | (?P<pem>-----BEGIN\ (?:[A-Z0-9]{1,20}\ ){0,3}PRIVATE\ KEY(?:\ BLOCK)?-----)
    | (?P<url>[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@"'?]{0,256}:(?P<word>[^\s/@"']{1,1024})@[^\s/@"'])
    """,
    re.VERBOSE | re.ASCII,
)
#: One of these stands in every text that `_SHAPE` finds something in.
_NEEDLES: Final = (
    *("glpat-", "gldt-", "glptt-", "glrt", "glcbt-", "gloas-", "glsoat-", "glft-", "glimt-", "glagent-", "glffct-"),
    *(
        "glwt-",
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
        "hf_",
        "api_org_",
        "dckr_",
        "xox",
        "AIza",
        "npm_",
    ),
    *("pypi-", "sk-", ".ey", "earer ", "asic ", '"auth"', "PRIVATE KEY"),
)
_AWS_ID: Final = re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])")
_AWS_SECRET: Final = re.compile(
    r"(?<![A-Za-z0-9/+=_-])(?=[^a-z]{0,39}[a-z])(?=[^A-Z]{0,39}[A-Z])(?=[^0-9]{0,39}[0-9])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=_-])"
)

_PASSWORD: Final = ("password", "passwd", "passphrase", "_pwd", "-pwd", ".pwd", "_pass", "-pass", ".pass")
_TOKEN: Final = (
    *("token", "secret", "apikey", "api_key", "api-key", "secret_key", "secretkey", "secret-key", "secret_access_key"),
    *("secretaccesskey", "private_key", "privatekey", "encryption_key", "signing_key", "master_key", "auth_key"),
    *("account_key", "accountkey", "storage_key"),
)
_NAMES: Final = _PASSWORD + _TOKEN
_NAME_WORDS: Final = ("pass", "pwd", "token", "secret", "key")
_WORTH_A_LOOK: Final = (*_NAME_WORDS, "akia", "asia")

#: In a connection string or a command line that a variable holds.
_ASSIGNED: Final = ("assword=", "ASSWORD=", "Pwd=", "pwd=", "oken=", "TOKEN=", "ecret=", "SECRET=", "Key=", "_KEY=")

_REFERENCE: Final = re.compile(
    r"\$[({]|\A\$[A-Za-z_]\w*\Z|\{\{|\{%|\{[A-Za-z_][\w.]{0,60}\}|%\(|%s|<[^<>]{1,100}>|\[\[|__[A-Z_]+__"
    r"|\A(?:vault|ref\+|arn|op|env|file|secret|secretref|gcp|gcpsm|awssm|aws|azurekeyvault|sops|doppler|https?):"
    r"|\A@",
)
_PATH: Final = re.compile(r"(?:/|\.{1,2}/|~/|[A-Za-z]:[\\/])[\w.@%+~\\/ -]*")
_STAND_IN: Final = re.compile(
    r"(?:change[-_ ]?(?:me|it|this)|replace[-_ ]?(?:me|this|with\b.*)|(?:insert|put|use|set)[-_ ]?(?:your|the)\b.*"
    r"|your?[-_ ].*|my[-_ ]?(?:password|token|secret|pass|key)|dummy.*|fake.*|sample.*|placeholder.*"
    r"|redacted|todo|tbd|fixme"
    r"|example.*|\.{3,}|none|null|nil|undefined|unset|default|empty|true|false|yes|no|on|off|enabled?|disabled?|n/?a"
    r"|password|passwd|passphrase|pass|pwd|token|secret|key|api[-_]?key|credentials?|string|str|optional)"
    r"[!.]?",
    re.IGNORECASE,
)
#: Names of objects, settings and words: what a token is not.
_WORDS: Final = re.compile(r"[a-z]++(?:[-._/:][a-z]++|[-._]?v?\d{1,3}+(?!\d))*+|[A-Z]++(?:[_-][A-Z]++)*+|[\d.,:]++")
_FLAG: Final = re.compile(r"--?(?P<name>[A-Za-z][\w.-]{0,80})(?:=(?P<value>.*))?", re.DOTALL)
_QUOTED: Final = re.compile(
    r"""(?<![\w$.{\[-])(?:--?)?(?P<name>[A-Za-z][\w.-]{0,80})["']?(?:[ ]?[=:][ ]?|[ ])(?P<quote>["'])"""
    r"""(?P<value>[^"'\s),][^"'\n]{2,1024})(?P=quote)"""
)
_BARE: Final = re.compile(
    r"""(?:(?<=[\s;&|"'])|\A)(?:(?:--?)(?P<flag>[A-Za-z][\w.-]{0,80})[= ]|(?P<name>[A-Za-z][\w.-]{0,80})=)"""
    r"""(?!-)(?P<value>[^\s"'$()`;&|<>{}\[\],]{3,1024}+)(?=[\s;&|"']|\Z)"""
)


# The same containers come back at every scan, so what was found clean is not searched again. Kept is Python's hash of
# a text: 64 bits, under a key of this process.
_clean: Final[set[int]] = set()
_CLEAN_SIZE: Final = 65_536


def literal_credentials(pod: raw.Pod, secret_names: Set[str]) -> tuple[LiteralCredential, ...]:
    """What is written out in the containers and annotations of `pod`, in order and each place once, at most
    `MAX_PLACES`. `secret_names`: Secrets of the namespace, whose names are no secrets."""
    spec, annotations = pod.spec, pod.metadata.annotations
    containers = spec.containers or []
    if spec.init_containers or spec.ephemeral_containers:
        containers = [*(spec.init_containers or ()), *containers, *(spec.ephemeral_containers or ())]
    found: list[LiteralCredential] = []
    if everything := "\n".join(_texts(containers)):
        found += _unless_clean(everything, lambda names: _in_containers(containers, names), secret_names)
    if annotations:
        everything = "\n".join(annotations.values())
        found += _unless_clean(everything, lambda _: _in_annotations(annotations), secret_names)
    return tuple(found[:MAX_PLACES]) if found else ()


def _texts(containers: Iterable[raw.Container]) -> list[str]:
    texts: list[str] = []
    for container in containers:
        for variable in container.env or ():
            if variable.value:
                texts.append(variable.name)
                texts.append(variable.value)
        if container.command:
            texts += container.command
        if container.args:
            texts += container.args
    return texts


def _unless_clean(
    everything: str, search: Callable[[Set[str]], list[LiteralCredential]], secret_names: Set[str]
) -> list[LiteralCredential]:
    mark = hash(everything)
    if mark in _clean:
        return []
    folded = everything.lower()
    is_suspect = _may_have_shape(everything) or any(word in folded for word in _WORTH_A_LOOK)
    # What is clean only because a value is the name of a Secret here need not be so in another namespace.
    if is_suspect and search(frozenset()):
        return search(secret_names)
    if len(_clean) >= _CLEAN_SIZE:
        _clean.clear()
    _clean.add(mark)
    return []


def _in_annotations(annotations: Mapping[str, str]) -> list[LiteralCredential]:
    return [
        LiteralCredential("", f"annotation {shown(key)}", shape)
        for key, text in annotations.items()
        # kubectl's copy of the manifest says again what the containers say.
        if key != "kubectl.kubernetes.io/last-applied-configuration" and (shape := _shape(text[:MAX_TEXT]))
    ]


def _in_containers(containers: Iterable[raw.Container], secret_names: Set[str]) -> list[LiteralCredential]:
    found: dict[tuple[str, str], LiteralCredential] = {}
    for container in containers:
        for where, shape in _of_container(container, secret_names):
            found.setdefault((container.name, where), LiteralCredential(shown(container.name), where, shape))
    return list(found.values())


def _of_container(container: raw.Container, secret_names: Set[str]) -> Iterator[tuple[str, str]]:
    texts = [variable.value for variable in container.env or () if variable.value]
    arguments = _arguments(container) if container.args or container.command else []
    texts += [text for _, text in arguments]
    if not texts:
        return
    everything = "\n".join(texts)
    if _may_have_shape(everything):
        for where, text in _places(container, arguments):
            if shape := _shape(text):
                yield where, shape
    for variable in container.env or ():
        value, name = variable.value, variable.name
        if value and name.lower().endswith(_NAMES) and (shape := _named(name, value, secret_names)):
            yield f"env {shown(name)}", shape
    if "AKIA" in everything or "ASIA" in everything:
        yield from _aws(container, arguments, everything)
    if arguments:
        yield from _of_arguments(arguments, secret_names)
    if any(needle in everything for needle in _ASSIGNED):
        for variable in container.env or ():
            if "=" in variable.value and (shape := _in_script(variable.value[:MAX_TEXT], secret_names)):
                yield f"env {shown(variable.name)}", shape


def _arguments(container: raw.Container) -> list[tuple[str, str]]:
    return [
        (f"{field}[{number}]", text[:MAX_TEXT])
        for field, texts in (("command", container.command), ("args", container.args))
        for number, text in enumerate(texts or ())
    ]


def _places(container: raw.Container, arguments: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for variable in container.env or ():
        if variable.value:
            yield f"env {shown(variable.name)}", variable.value[:MAX_TEXT]
    yield from arguments


def _may_have_shape(text: str) -> bool:
    return ("@" in text and "://" in text) or any(needle in text for needle in _NEEDLES)


def _shape(text: str) -> str:
    if not _may_have_shape(text):
        return ""
    for match in _SHAPE.finditer(text):
        kind = match.lastgroup if match.lastgroup != "word" else "url"
        if kind == "url":
            if not _stands_in(match["word"]) and not _REFERENCE.search(match["word"]):
                return _shape(match["word"]) or _SHAPES["url"]
        # "ghp_xxxxxxxx" in an example has the form and no content.
        elif kind and (kind == "pem" or len(set(match[0][4:])) > 6):
            return _SHAPES[kind]
    return ""


def _aws(container: raw.Container, arguments: Iterable[tuple[str, str]], everything: str) -> Iterator[tuple[str, str]]:
    """An access key's id is no secret; what stands beside it may be."""
    if _AWS_ID.search(everything):
        for where, text in _places(container, arguments):
            if _AWS_SECRET.search(text):
                yield where, _AWS


def _named(name: str, value: str, secret_names: Set[str]) -> str:
    """The shape of `value` by the `name` that it stands beside, "" when it is nothing."""
    folded = name.lower()
    is_password = folded.endswith(_PASSWORD)
    if not is_password and not folded.endswith(_TOKEN):
        return ""
    text = value[:MAX_TEXT].strip().strip("\"'")
    if len(text) < (3 if is_password else 8) or text in secret_names or _REFERENCE.search(text) or _stands_in(text):
        return ""
    if _PATH.fullmatch(text) or (" " in text and not folded.endswith("passphrase")):
        return ""
    if not is_password and (_WORDS.fullmatch(text) or "\n" in text):
        return ""
    if folded.endswith("secret_access_key"):
        return _AWS
    return "password" if is_password else "token or key"


def _stands_in(text: str) -> bool:
    """True for what somebody wrote in place of a value: "changeme", "xxxx", "***"."""
    return len(set(text)) < 2 or _STAND_IN.fullmatch(text[:200]) is not None


def _of_arguments(arguments: list[tuple[str, str]], secret_names: Set[str]) -> Iterator[tuple[str, str]]:
    for number, (where, text) in enumerate(arguments):
        folded = text.lower()
        if not any(word in folded for word in _NAME_WORDS):
            continue
        flag = _FLAG.fullmatch(text)
        if flag:
            name, value, place = flag["name"], flag["value"], where
            if value is None and number + 1 < len(arguments) and not arguments[number + 1][1].startswith("-"):
                place, value = arguments[number + 1]
            shape = _named(name, value, secret_names) if value else ""
            if shape:
                yield place, shape
        elif shape := _in_script(text, secret_names):
            yield where, shape


def _in_script(text: str, secret_names: Set[str]) -> str:
    """The first assignment of a literal in a shell line, in code or in JSON."""
    for match in chain(_QUOTED.finditer(text), _BARE.finditer(text)):
        groups: Mapping[str, str | None] = match.groupdict()
        name, value = groups["name"] or groups.get("flag") or "", match["value"]
        # Without quotes it may be a variable of some language: `password=settings.password`.
        is_assigned = "quote" not in groups and groups["name"] is not None
        if is_assigned and (not re.search(r"\d", value) or re.fullmatch(r"\w+\.\w+", value)):
            continue
        if shape := _named(name, value, secret_names):
            return shape
    return ""
