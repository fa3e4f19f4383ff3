"""Keys that only just miss an image, and those that do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.image import parse_image
from scanner.keyring import Mismatch, normalise_key, why_not
from scanner.near_miss import Miss, NearMiss, near_miss

HARBOR = "harbor.example.com/team/app:1"


def missed(key: str, image: str = HARBOR) -> NearMiss | None:
    return near_miss(key, normalise_key(key), parse_image(image))


@pytest.mark.parametrize(
    ("key", "image", "kind", "should_be"),
    [
        (" https://harbor.example.com\n", HARBOR, Miss.SPELLING, "https://harbor.example.com"),
        ('"harbor.example.com"', HARBOR, Miss.SPELLING, "harbor.example.com"),
        ("Https://Harbor.Example.Com/V2", HARBOR, Miss.SPELLING, "harbor.example.com"),
        ("oci://harbor.example.com", HARBOR, Miss.SPELLING, "harbor.example.com"),
        ("harbor.example.com.", HARBOR, Miss.SPELLING, "harbor.example.com"),
        ("harbor.example.com/team/app/", HARBOR, Miss.SPELLING, "harbor.example.com/team/app"),
        ("harbor.example.com/team/app@sha256:0123", HARBOR, Miss.SPELLING, "harbor.example.com/team/app"),
        ("harbor.example.com:80/team", HARBOR, Miss.PORT, "harbor.example.com"),
        ("*.example.com:5000", HARBOR, Miss.PORT, "harbor.example.com"),
        ("HARBOR.example.com:443", HARBOR, Miss.PORT, "harbor.example.com"),
        ("harbor.example.com/team/app/x", HARBOR, Miss.PATH, "harbor.example.com/team"),
        ("docker.io/other", "acme/app", Miss.PATH, "docker.io/acme"),
        ("docker.io/other", "nginx", Miss.PATH, "docker.io/library"),
        ("https://index.docker.io/v1/acme", "acme/app", Miss.DOCKER_HUB, "https://index.docker.io/v1/"),
        ("*.docker.io", "acme/app", Miss.DOCKER_HUB, "https://index.docker.io/v1/"),
        ("*.*.example.com", HARBOR, Miss.GLOB, "harbor.example.com"),
        ("example.com", HARBOR, Miss.SUBDOMAIN, "harbor.example.com"),
        ("eu.harbor.example.com", HARBOR, Miss.SUBDOMAIN, "harbor.example.com"),
        ("harbour.example.com", HARBOR, Miss.TYPO, "harbor.example.com"),
        ("harbor.exmaple.com", HARBOR, Miss.TYPO, "harbor.example.com"),
        ("registry.example.com", HARBOR, Miss.NEIGHBOUR, "harbor.example.com"),
        (
            "123456789012.dkr.ecr.us-east-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app",
            Miss.NEIGHBOUR,
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        ),
    ],
)
def test_the_key_that_was_meant_is_named(key: str, image: str, kind: Miss, should_be: str) -> None:
    found = missed(key, image)

    assert found is not None
    assert (found.kind, found.should_be) == (kind, should_be)
    assert found.words
    assert not found.words.endswith(".")


@pytest.mark.parametrize(
    ("key", "image"),
    [
        ("harbor.example.com", HARBOR),
        ("https://index.docker.io/v1/", "nginx"),
        ("quay.io", HARBOR),
        ("", HARBOR),
        ("*", HARBOR),
        ("ghcr.io", "gcr.io/team/app"),
        ("alpha.azurecr.io", "beta.azurecr.io/app"),
        ("111111111111.dkr.ecr.eu-west-1.amazonaws.com", "222222222222.dkr.ecr.eu-west-1.amazonaws.com/app"),
        ("alpha.co.uk", "beta.co.uk/app"),
        ("registry.alpha.com", "registry.beta.com/app"),
        ("registry[0-9.example.com", "registry1.other.com/app"),
    ],
)
def test_a_key_that_covers_or_is_for_something_else_misses_by_nothing(key: str, image: str) -> None:
    assert missed(key, image) is None


def test_several_slips_are_all_told() -> None:
    found = missed(" HTTPS://Harbor.example.com:443 ")

    assert found is not None
    assert found.words.count(",") >= 3
    assert found.kind is Miss.PORT


@given(st.text(max_size=60), st.sampled_from([HARBOR, "nginx", "localhost:5000/x", "gitlab.example.com:4567/a/b/c"]))
def test_no_key_raises_and_none_that_covers_is_a_miss(key: str, image: str) -> None:
    parsed = parse_image(image)
    normalised = normalise_key(key)

    found = near_miss(key, normalised, parsed)

    if normalised is not None and why_not(normalised, parsed.name) in (None, Mismatch.ONLY_FALLBACK):
        assert found is None


@given(st.sampled_from(["harbor.example.com", "gitlab.example.com:4567", "quay.io"]), st.data())
def test_a_slip_of_the_hand_leads_to_a_key_that_covers(registry: str, data: st.DataObject) -> None:
    image = parse_image(f"{registry}/team/app")
    slip = data.draw(
        st.sampled_from([" {}", "{}\t", "HTTPS://{}", "oci://{}", "{}/v1", "{}/team/app/", "{}/team/app:1"])
    )

    found = missed(slip.format(registry), f"{registry}/team/app")

    assert found is not None
    assert why_not(normalise_key(found.should_be), image.name) is None


def test_a_hostile_key_costs_no_time() -> None:

    for key in ("a" * 1_000_000, "a." * 150, "*" * 300, "[" * 300, "?" * 300, "/" * 300, ":" * 300):
        missed(key)
        missed(key, "a" * 120 + ".example.com/x")
