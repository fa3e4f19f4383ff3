from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.image import Image, InvalidImage, parse_image
from tests.oracles import rows

TABLE = "02-image-reference.yaml"
EXPECTED_TEXT = {
    "ErrReferenceInvalidFormat": "invalid reference format",
    "ErrNameEmpty": "invalid reference format",
    "ErrNameContainsUppercase": "must be lowercase",
    "ErrNameTooLong": "must not be more than 255 characters",
    "ErrDigestUnsupported": "unsupported digest algorithm",
}


def latest(image: Image) -> str:
    """Spell an image as containerd pulls it: the digest hides the tag, no tag means latest."""
    return f"{image.name}@{image.digest}" if image.digest else f"{image.name}:{image.tag or 'latest'}"


@pytest.mark.parametrize("reference", rows(TABLE, "valid_normalized_names"))
def test_a_legal_name_is_read(reference: str) -> None:
    assert parse_image(reference).name.endswith(reference.removeprefix("index.docker.io/").removeprefix("docker.io/"))


@pytest.mark.parametrize("reference", rows(TABLE, "invalid_normalized_names"))
def test_an_illegal_name_is_refused(reference: str) -> None:
    with pytest.raises(InvalidImage):
        parse_image(reference)


@pytest.mark.parametrize("row", rows(TABLE, "repository_info"))
def test_every_spelling_of_a_repository_means_the_same(row: dict[str, Any]) -> None:
    for spelling in row["spellings"]:
        image = parse_image(spelling)
        assert (image.registry, image.repository, image.name) == (row["domain"], row["path"], row["canonical"])
    assert parse_image(row["familiar"]) == parse_image(row["canonical"])


@pytest.mark.parametrize("row", rows(TABLE, "split_normalized"))
def test_domain_and_path_are_told_apart(row: dict[str, Any]) -> None:
    image = parse_image(row["input"])
    assert (image.registry, image.repository) == (row["domain"], row["path"])


@pytest.mark.parametrize("row", rows(TABLE, "parse_docker_ref"))
def test_the_reference_that_a_runtime_pulls_can_be_spelt(row: dict[str, Any]) -> None:
    assert latest(parse_image(row["input"])) == row["expected"]


@pytest.mark.parametrize(
    "row", [row for row in rows(TABLE, "parse_any_reference") if not str(row).startswith("{'input': 'sha256:")]
)
def test_a_normalised_reference_stays_as_it_is(row: dict[str, Any]) -> None:
    assert latest(parse_image(row["input"])) == row["expected"]


@pytest.mark.parametrize("row", rows(TABLE, "parse_strict"))
def test_tag_and_digest_are_read_as_the_grammar_says(row: dict[str, Any]) -> None:
    if "err" in row:
        with pytest.raises(InvalidImage, match=EXPECTED_TEXT[row["err"]]):
            parse_image(row["input"])
        return
    if row["repository"].startswith("a/a/a"):
        # 255 characters by themselves, but Docker Hub's domain is not counted and nothing is put in front
        assert parse_image(row["input"]).registry == "docker.io"
    image = parse_image(row["input"])
    assert (image.tag or "", image.digest or "") == (row["tag"], row["digest"])
    assert image.name in (row["repository"], f"docker.io/{row['repository']}", f"docker.io/library/{row['repository']}")


@pytest.mark.parametrize(
    "row", [row for row in rows(TABLE, "with_name_failure") if "'example.com/repo:tag'" not in str(row)]
)
def test_a_bad_name_is_refused(row: dict[str, Any]) -> None:
    # the digest algorithm is looked at only when a whole reference is parsed, so that row has another error here
    expected = "unsupported digest algorithm" if "@invaliddigest" in row["input"] else EXPECTED_TEXT[row["err"]]
    with pytest.raises(InvalidImage, match=expected):
        parse_image(row["input"])


@pytest.mark.parametrize("row", rows(TABLE, "parse_named_canonical_only"))
def test_a_name_is_canonical_if_reading_it_changes_nothing(row: dict[str, Any]) -> None:
    image = parse_image(row["input"])
    if row["err"]:
        assert image.name != row["input"]
    else:
        assert (image.registry, image.repository, image.name) == (row["domain"], row["path"], row["input"])


@pytest.mark.parametrize("row", rows(TABLE, "kubelet_parse_image_name"))
def test_the_kubelet_reads_the_same(row: dict[str, Any]) -> None:
    if row["err_contains"]:
        with pytest.raises(InvalidImage, match=row["err_contains"]):
            parse_image(row["input"])
        return
    image = parse_image(row["input"])
    tag = image.tag or ("" if image.digest else "latest")
    assert (image.name, tag, image.digest or "") == (row["repo"], row["tag"], row["digest"])


@pytest.mark.parametrize("row", rows(TABLE, "derived"))
def test_references_people_write_are_read(row: dict[str, Any]) -> None:
    if "kubelet/containerd link crypto/sha512" in row.get("note", ""):
        assert parse_image(row["input"]).digest is not None
    elif "invalid" in row:
        with pytest.raises(InvalidImage, match=EXPECTED_TEXT.get(row["invalid"], row["invalid"])):
            parse_image(row["input"])
    else:
        image = parse_image(row["input"])
        assert (image.registry, image.repository) == (row["domain"], row["path"])
        assert (image.tag or "", image.digest or "") == (row["tag"], row["digest"])


def test_a_bare_image_id_is_refused_but_legal_behind_a_registry() -> None:
    with pytest.raises(InvalidImage, match="64-byte hexadecimal"):
        parse_image("a" * 64)
    assert parse_image(f"docker.io/{'a' * 64}").repository == f"library/{'a' * 64}"


@pytest.mark.parametrize(
    ("digest", "reason"),
    [
        ("sha256:" + "a" * 63, "invalid checksum digest length"),
        ("sha256:" + "A" * 64, "invalid checksum digest format"),
        ("SHA256:" + "a" * 64, "invalid checksum digest format"),
        ("md5:" + "a" * 32, "unsupported digest algorithm"),
        ("sha256:" + "a" * 31, "invalid reference format"),
    ],
)
def test_a_wrong_digest_is_refused_with_its_reason(digest: str, reason: str) -> None:
    with pytest.raises(InvalidImage) as caught:
        parse_image(f"quay.io/team/app:1@{digest}")
    assert caught.value.reason == reason


def test_the_limit_counts_the_path_only() -> None:
    assert parse_image(f"registry.example.com/{'a' * 255}").repository == "a" * 255
    with pytest.raises(InvalidImage, match="255"):
        parse_image(f"registry.example.com/{'a' * 256}")


def test_a_first_segment_that_is_no_domain_becomes_part_of_the_repository() -> None:
    image = parse_image("my_registry.example.com/app:1")
    assert (image.registry, image.repository, image.name) == (
        "",
        "my_registry.example.com/app",
        "my_registry.example.com/app",
    )
    with pytest.raises(InvalidImage, match="must be lowercase"):
        parse_image("My_registry.example.com/app")


@pytest.mark.parametrize("reference", ["nginx\n", "nginx:1\n", "quay.io/a\x00", "quay.io/ä", "quay.io/a:１"])
def test_characters_outside_the_grammar_are_refused(reference: str) -> None:
    with pytest.raises(InvalidImage):
        parse_image(reference)


@pytest.mark.parametrize("piece", ["a", "a-", "a.", "a_", "/", ":", "@", "a/", "[", "A-", "@a+"])
def test_a_reference_of_a_megabyte_is_refused_in_few_words(piece: str) -> None:
    # Were the grammar backtracked into, this would not end.
    with pytest.raises(InvalidImage) as caught:
        parse_image(piece * 1_000_000)
    assert len(str(caught.value)) < 200


@given(st.text(alphabet="aA0.-_/:@[]é \n", max_size=40) | st.text(max_size=30))
def test_any_text_is_either_an_image_or_refused(reference: str) -> None:
    try:
        image = parse_image(reference)
    except InvalidImage:
        return
    assert parse_image(latest(image)).name == image.name


_NAMED = st.sampled_from(
    (
        "app",
        "quay.io/team/app",
        "quay.io",
        "my.image",
        "localhost:5000",
        "localhost:5000/app",
        "My_Reg.io/app",
        "0" * 64,
    )
) | st.text("aA0./:@_-", max_size=12)


@given(
    _NAMED, st.text("aA0._-", max_size=6) | st.sampled_from(("x" * 128, "x" * 129, "5000/app", "1@sha256:" + "0" * 64))
)
def test_a_tag_changes_nothing_but_the_tag(named: str, tag: str) -> None:
    def parsed(reference: str) -> Image | str:
        try:
            return parse_image(reference)
        except InvalidImage as error:
            return error.reason

    first = parsed(f"{named}:{tag}")
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", tag) and "@" not in named:
        other = parsed(f"{named}:other")
        if isinstance(first, Image):
            assert isinstance(other, Image)
            assert (first.name, first.digest, first.tag) == (other.name, other.digest, tag)
        else:
            assert first == other
