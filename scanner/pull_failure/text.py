"""Take the text of a failing Pod apart: wrappers, aggregates, image names, URLs.

Only the image reference tells the registry: a URL in the text may belong to a mirror, a token server or a CDN.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from scanner.image import InvalidImage, parse_image

_HEAD = 12_288
_TAIL = 4_096


_BARE_QUOTE = re.compile(r'(?<!\\)"')


def bounded(message: str) -> str:
    """The text to read: at most 16,384 characters, the head and the tail of what is longer."""
    text = message if len(message) <= _HEAD + _TAIL else f"{message[:_HEAD]} ... {message[-_TAIL:]}"
    if '\\"' in text and not _BARE_QUOTE.search(text):
        # Copied out of JSON or a log, where every quote is escaped.
        text = text.replace('\\"', '"')
    return text.replace("\x00", " ").strip()


_WRAPPERS = re.compile(
    r"""\s*(?:
        \(combined\ from\ similar\ events\): | spec\.\w{1,40}\{[^}]{0,253}\}:
      | Failed\ to\ pull\ image\ "(?:[^"\\]|\\.){0,1024}":?
      | Back-off\ pulling\ image\ "(?:[^"\\]|\\.){0,1024}":?
      | Error:?\ (?=[A-Z]\w{3,40}:)
      | (?:Err)?Image(?:Pull|PullBackOff|InspectError):
      | ErrImagePull: | ImagePullBackOff: | Error\ response\ from\ daemon:
      | image\ pull\ failed\ for\ .{1,512}?details:
      | rpc\ error:\ code\ =\ \w{1,40}\ desc\ =
      | unable\ to\ pull\ image(?:\ or\ OCI\ artifact:\ pull\ image\ err)?: | pulling\ image(?:\ failed)?:
    )\s*""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
CODE = re.compile(r"rpc error: code = (\w{1,40}) desc =", re.IGNORECASE)


def unwrapped(text: str) -> str:
    """Without what kubelet and gRPC put before an error; the wrappers may be nested twice, and more."""
    position = 0
    for _ in range(12):
        wrapper = _WRAPPERS.match(text, position)
        if wrapper is None or wrapper.end() == position:
            break
        position = wrapper.end()
    # CRI-O asks for an OCI artifact where it got no image; that second failure says less than the first.
    return (text[position:].partition("; artifact err: ")[0] or text[position:]).strip()


# An element of an aggregate begins with one of these. A comma alone is no border: messages hold commas.
_BEGINNING = r"""(?=
        rpc\ error:\ code\ = | failed\ to\ (?:pull|resolve|authorize|copy|do) | Error\ response\ from
      | initializing\ source | (?:error\ )?reading\ (?:manifest|blob) | (?:error\ )?pinging
      | unable\ to\ (?:retrieve|pull)
      | requesting\ bearer | trying\ to | copying\ (?:system|config) | writing\ blob | choosing\ | parsing\ image
      | \(Mirrors\ also | SignatureValidation | RegistryUnavailable | (?:unauthorized|denied|toomanyrequests|unknown):\s
      | (?:get|head)\ "?https?:// | received\ unexpected | manifest\ (?:for|unknown) | pull\ access | no\ basic
      | secrets?\ " | configmaps?\ " | references\ non-existent | object\ "
    )"""
_BORDER = re.compile(r",\ " + _BEGINNING, re.VERBOSE | re.IGNORECASE)
_OPENING = re.compile(r"(?:^|(?<=[\s\"(]))\[" + _BEGINNING, re.VERBOSE | re.IGNORECASE)
_MIRRORS = re.compile(r"\(mirrors also failed: ", re.IGNORECASE)


def elements(text: str) -> list[str]:
    """The errors of an aggregate, or the text itself; an event may be cut short and miss the closing bracket."""
    opening = _OPENING.search(text)
    if opening is None:
        return [text]
    parts = _BORDER.split(text[opening.end() :].rstrip('")').removesuffix("]"))
    return parts[:32]


def split_mirrors(text: str) -> tuple[str, str] | None:
    """What the mirrors said and what the registry, asked last, said (containers/image); None without mirrors."""
    found = _MIRRORS.search(text)
    mirrors, closed, last = text[found.end() :].rpartition("]): ") if found else ("", "", "")
    if not closed:
        return None
    return mirrors, last.partition(": ")[2]


# --- Images and registries -------------------------------------------------------------------------------------------

_QUOTED = r'\\?"(?P<{0}>(?:[^"\\]|\\[^"]){{1,1024}})\\*"'
_IMAGE = re.compile(
    r"\b(?:image|reference|ref|(?:image|short)[ -]name|image tag) "
    + _QUOTED.format("a")
    + r"|docker://(?P<b>[^\s\"]{1,512}?)(?=:\s|[\s\"]|:?$)"
    + r"|reading manifest (?P<tag>\S{1,256}) in (?P<c>\S{1,512}?)(?=:\s|[\s,]|:?$)"
    + r"|manifest for (?P<d>[^\s\"]{1,512}?),? not found"
    + r"|repository (?P<h>[^\s\":]{1,512}) not found"
    + r"|pull access denied for (?P<e>[^\s\",]{1,512})"
    + r"|trying to pull repository (?P<f>\S{1,512}?)(?=:\s|\s|:?$)"
    + r"|image pull failed for (?P<g>[^\s,]{1,512})",
    re.IGNORECASE,
)


def images_in(text: str) -> Iterator[str]:
    """Every image reference that the text names, in its order."""
    seen: set[str] = set()
    for match in _IMAGE.finditer(text):
        groups = match.groupdict()
        name = next((groups[group] for group in "abcdefgh" if groups[group]), None)
        if name is None or (groups["f"] and not re.match(r"[^/]{1,253}[.:]|localhost/", name)):
            # The first registry protocol named repositories without their host.
            continue
        tag = groups["tag"]
        if tag is not None:
            name += f"@{tag}" if ":" in tag else f":{tag}"
        name = _USER_INFO.sub("//", name)[:512]
        if name not in seen:
            seen.add(name)
            yield name


# A person may have pasted "https://user:password@host/..." into the image field.
_USER_INFO = re.compile(r"//[^/@\s]{1,256}@")
ALIASES = {"registry-1.docker.io": "docker.io", "index.docker.io": "docker.io", "auth.docker.io": "docker.io"}


def registry_of(images: tuple[str, ...], text: str) -> str | None:
    """The registry of the image that the text is about, in its normal form."""
    for image in images:
        try:
            # A message that was cut short may hold half a digest; the name before it is whole.
            return parse_image(image.partition("@")[0]).registry or None
        except InvalidImage:
            continue
    if images:
        return None
    # No reference at all: Docker's daemon names none. Its requests for a manifest go to the image's registry, unless
    # ?ns= says which registry a mirror stood in for.
    for url in urls_in(text):
        if url.namespace:
            return ALIASES.get(url.namespace, url.namespace)
    for url in urls_in(text):
        if url.kind in ("manifest", "ping"):
            return ALIASES.get(url.host, url.host)
    pinged = _PINGED.search(text)
    return ALIASES.get(pinged["host"], pinged["host"]) if pinged else None


_PINGED = re.compile(
    r"pinging (?:container|docker) registry (?P<host>[\w.\-]{1,253}(?::\d{1,5})?)(?=:\s|\s|:?$)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Url:
    """What a URL in the text tells."""

    host: str
    kind: str  # manifest, blob, token, ping or ""
    namespace: str  # what ``?ns=`` says: the registry that a mirror stood in for
    is_api: bool  # of the registry protocol, not a CDN's or a token server's


_URL = re.compile(r"https?://[^\s\"'<>\\]{1,4096}", re.IGNORECASE)
_NAMESPACE = re.compile(r"[?&]ns=([^&]{1,253})")


def read_url(text: str) -> Url:
    """Read one URL by hand: the standard library's parser raises on some of what strangers write."""
    rest = text.partition("://")[2]
    host, slash, tail = rest.partition("/")
    path, _, query = tail.partition("?")
    host = host.rpartition("@")[2].lower()
    found = _NAMESPACE.search(text)
    namespace = found[1].lower().rstrip(":") if found else ""
    if "scope=" in query or "service=" in query or path.rstrip("/").endswith(("token", "/auth")):
        kind = "token"
    elif "/manifests/" in path:
        kind = "manifest"
    elif "/blobs/" in path or path.startswith("registry-v2/"):
        kind = "blob"
    elif slash and path.rstrip("/:") in ("v1", "v2", "v1/_ping"):
        kind = "ping"
    else:
        kind = ""
    return Url(host, kind, namespace, path.startswith(("v1/", "v2/")) or path in ("v1", "v2"))


def urls_in(text: str) -> list[Url]:
    """Every URL of the text, in its order."""
    return [read_url(match[0]) for match in _URL.finditer(text)]


_DIGEST = re.compile(r"\b(?:sha256|sha512):[0-9a-f]{2,128}", re.IGNORECASE)
_VOLUME = re.compile(r'\b(volume|pod|container) "[^"]{0,512}"', re.IGNORECASE)


def prepared_text(text: str, images: Iterable[str]) -> str:
    """Lower case, and markers for what people named: a name must not be read as an error."""

    def mark(match: re.Match[str]) -> str:
        url = match[0]
        tail = url[len(url.rstrip(":,.;)]")) :]
        kind = read_url(url).kind
        return f"<{kind}-url>{tail}" if kind else f"<url>{tail}"

    text = _URL.sub(mark, text)
    text = _IMAGE.sub(_marked_image, text)
    for image in images:
        # A bare "app" may be a part of any word; the quoted places are marked already.
        if "/" in image or ":" in image:
            text = text.replace(image, "<image>")
    text = _DIGEST.sub("<digest>", text)
    text = _VOLUME.sub(r"\1 <name>", text)
    return _BOILERPLATE.sub("", CODE.sub("", text.lower())).strip()


# Docker and containerd put this before every refusal; where the registry said something itself, that counts.
_BOILERPLATE = re.compile(
    r"pull access denied(?: for [^,]{1,512})?, repository does not exist or may require "
    r"(?:'docker login'|authorization): (?=\S)(?!authorization failed\W*$)"
)


def _marked_image(match: re.Match[str]) -> str:
    name = next(group for group in "abcdefgh" if match[group])
    return match[0].replace(match[name], "<image>", 1) if match["tag"] is None else "reading manifest in <image>"
