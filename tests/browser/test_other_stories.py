"""The other stories, as far as cells and drawers tell them: each cause by its name, on the broken step."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visits
from tests.browser.pages import GITLAB, HARBOR, cell_url, matrix_cell, namespace_url, open_drawer, step

RESULTS = "token/results.example.com"
PIPELINES = "token/pipelines.kubeflow.org"


@pytest.mark.parametrize(
    ("namespace", "word", "headline", "answer"),
    [
        ("team-vision", "rejected", "The registry rejects it", "401"),
        ("team-forecast", "denied", "Not allowed to pull this", ""),
        ("team-genomics", "", "", "certificate not trusted"),
        ("edge-registry-mirror", "unreachable", "", "no answer in time"),
    ],
    ids=["rejected", "denied", "certificate", "unreachable"],
)
def test_the_four_causes_of_a_refused_pull_are_told_apart(
    visit: Visits, namespace: str, word: str, headline: str, answer: str
) -> None:
    """Story 2: Harbor and a model. In all four the Secret is there and the kubelet uses it."""
    page = visit()
    page.goto("/")
    expect(matrix_cell(page, namespace, HARBOR)).to_contain_text(word)

    shown = open_drawer(page, namespace, HARBOR)
    expect(shown.locator(".verdict.is-critical b")).to_contain_text(headline)
    expect(step(shown, "Secret")).to_have_class("ok")
    expect(step(shown, "Registry")).to_have_class("broken")
    expect(step(shown, "Registry")).to_contain_text(answer)


def test_a_pod_shows_what_the_runtime_said(visit: Visits) -> None:
    page = visit()
    page.goto(cell_url("team-genomics", HARBOR))
    page.locator(".pods summary").first.click()

    expect(page.locator(".pods pre").first).to_contain_text("x509: certificate signed by unknown authority")


def test_a_key_for_another_host_breaks_the_chain_at_the_key(visit: Visits) -> None:
    page = visit()
    page.goto(cell_url("serving-prod", HARBOR))

    expect(step(page.locator("main"), "Key")).to_have_class("broken")
    expect(step(page.locator("main"), "Key")).to_contain_text("registry.example.com")


def test_a_secret_that_nothing_names_breaks_the_chain_at_the_pull_secrets(visit: Visits) -> None:
    page = visit()
    page.goto(cell_url("team-recsys", HARBOR))

    expect(page.locator(".verdict")).to_contain_text("nothing refers to it")
    expect(step(page.locator("main"), "Pull Secrets")).to_have_class("broken")


def test_a_malformed_secret_is_named_with_what_is_wrong_in_it(visit: Visits) -> None:
    page = visit()
    page.goto(cell_url("team-fraud", HARBOR))

    expect(page.locator(".verdict")).to_contain_text("cannot be read")
    expect(step(page.locator("main"), "Secret")).to_contain_text("not valid base64")


def test_secrets_named_by_parameters_are_told_with_pod_and_key(visit: Visits) -> None:
    """Story 5, as far as a run that has begun tells it."""
    page = visit("batch@example.com")
    page.goto("/")
    shown = open_drawer(page, "batch-scoring", "secrets")

    expect(shown.locator(".verdict.is-critical")).to_contain_text("3 Pods are affected")
    for words in ("warehouse-creds-prod", "the key api-token of Secret feature-store", "model-signing-key"):
        expect(shown.locator(".findings")).to_contain_text(words)
    for pod in ("extract", "features", "sign"):
        expect(shown.locator(".pods")).to_contain_text(f"churn-params-4zq8p-{pod}")


@pytest.mark.parametrize(
    ("namespace", "credential", "status", "word"),
    [
        ("team-maps", GITLAB, "critical", "wrong host"),
        ("data-science-sandbox", HARBOR, "warning", "latent"),
        ("data-science-sandbox", "registry/docker.io", "warning", "shadowed"),
        ("team-translate", "registry/docker.io", "warning", "wrong type"),
    ],
)
def test_what_is_nearly_right_has_a_word_of_its_own(
    visit: Visits, namespace: str, credential: str, status: str, word: str
) -> None:
    page = visit()
    page.goto("/")
    cell = matrix_cell(page, namespace, credential)

    expect(cell).to_contain_class(f"is-{status}")
    expect(cell).to_contain_text(word)


@pytest.mark.parametrize(
    ("namespace", "credential", "status", "words", "source"),
    [
        ("batch-scoring", RESULTS, "critical", "expired", "the token itself"),
        ("kubeflow-user-example-com", PIPELINES, "critical", "expiring", "the token itself"),
        ("team-energy", "token/grid.example.com", "warning", "expiring", "the token itself"),
        ("serving-prod", "tls", "critical", "expired", "the certificate itself"),
        ("istio-system", "tls", "warning", "expiring", "the certificate itself"),
        ("team-speech", HARBOR, "warning", "expiring", "an annotation of the Secret"),
    ],
)
def test_what_ends_is_told_with_when_and_who_says_so(
    visit: Visits, *, namespace: str, credential: str, status: str, words: str, source: str
) -> None:
    page = visit()
    page.goto("/")
    cell = matrix_cell(page, namespace, credential)
    expect(cell).to_contain_class(f"is-{status}")
    expect(cell).to_contain_text(words)

    shown = open_drawer(page, namespace, credential)
    expect(shown.locator(".facts")).to_contain_text(source)


def test_what_may_not_be_read_is_unknown_and_says_who_grants_it(visit: Visits) -> None:
    page = visit()
    page.goto("/")
    expect(matrix_cell(page, "restricted", HARBOR)).to_contain_text("not checked")
    page.get_by_role("link", name="Show it").click()
    expect(page.locator(".matrix tbody th.name a")).to_have_text(["restricted"])

    page.goto(namespace_url("restricted"))
    expect(page.locator("#unreadable")).to_contain_text("forbidden")
    expect(page.locator("#unreadable pre")).to_contain_text("kubectl create role")
