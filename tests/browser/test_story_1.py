"""Right Secret, wrong Namespace: from the red cell to running Pods, through a real worker, on one and the same page."""

from __future__ import annotations

import base64
import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visits
from tests.browser.pages import (
    GITLAB,
    cell_url,
    create_url,
    drawer,
    matrix_cell,
    namespace_url,
    open_drawer,
    step,
)
from tests.browser.product import OPERATOR, DemoApi, Product
from tests.rig.process import wait_until

HERE = "kubeflow-user-example-com"
OWNER = "user@example.com"
SECRET = "regcred-pipeline"
PASSWORD = "canary-3f7c1d9e-typed"


@pytest.fixture
def broken(product: Product, visit: Visits) -> DemoApi:
    """The story's beginning: no Secret, Pods that cannot pull, and a scan that has seen it."""
    cluster = product.cluster
    if cluster.secret(HERE, SECRET) is None:
        return cluster
    cluster.ask("DELETE", f"namespaces/{HERE}/secrets/{SECRET}")
    left = [name for name in cluster.pull_secrets(HERE, "default-editor") if name != SECRET]
    cluster.link(HERE, "default-editor", left)
    for pod in cluster.pods(HERE, "iris-pipeline-"):
        cluster.ask("DELETE", f"namespaces/{HERE}/pods/{pod['metadata']['name']}")
    wait_until(lambda: _waiting(cluster) == 4, "new Pods wait for their image")
    page = visit()
    page.goto(namespace_url(HERE))
    page.get_by_role("button", name="Scan now").click()
    wait_until(lambda: _reads_missing(page), "a scan has seen that the Secret is gone")
    return cluster


def _waiting(cluster: DemoApi) -> int:
    pods = cluster.pods(HERE, "iris-pipeline-")
    statuses = [status for pod in pods for status in pod["status"].get("containerStatuses") or ()]
    return sum("ImagePull" in str(status["state"].get("waiting")) for status in statuses if status["name"] == "main")


def _reads_missing(page: Page) -> bool:
    page.goto(cell_url(HERE, GITLAB))
    # A scan between the end of the old Pods and the new ones sees nothing that needs it, and there is no cell.
    return any("Missing here" in told for told in page.locator(".verdict").all_inner_texts())


@pytest.mark.parametrize("user", [OPERATOR, OWNER])
def test_a_red_cell_turns_green_on_the_same_page(broken: DemoApi, product: Product, visit: Visits, user: str) -> None:
    page = visit(user)
    page.goto("/")
    page.evaluate("window.marker = 'the same page'")
    expect(matrix_cell(page, HERE, GITLAB)).to_contain_text("missing")

    shown = open_drawer(page, HERE, GITLAB)
    expect(shown.locator(".verdict")).to_contain_text("Missing here")
    expect(step(shown, "Secret")).to_contain_text(f"{SECRET} is not in this Namespace")
    broken_steps = shown.locator(".chain .broken")
    expect(broken_steps).to_have_count(1)
    expect(broken_steps).to_contain_text("Secret")
    expect(step(shown, "Registry")).to_contain_text("403")

    shown.get_by_role("link", name="Create it here").click()
    expect(shown.get_by_label("Registry", exact=True)).to_have_value("gitlab.example.com:4567")
    expect(shown.get_by_role("heading", level=1)).to_be_focused()
    expect(shown.get_by_label("Name of the Secret")).to_have_value(SECRET)
    expect(shown.get_by_label("default-editor")).to_be_checked()
    shown.get_by_label("User name", exact=True).fill("gitlab+deploy-token-1042")
    shown.get_by_label("Password or token").fill(PASSWORD)
    shown.get_by_role("button", name="Create").click()

    expect(shown.get_by_role("heading", level=1)).to_have_text(f"Created {SECRET}")
    expect(shown.get_by_role("heading", level=1)).to_be_focused()
    expect(shown.locator("#created-status")).to_contain_text("Covered now")
    assert PASSWORD not in page.content()
    shown.get_by_role("link", name="Show the cell").click()
    expect(shown.locator(".verdict.is-ok")).to_be_visible()
    page.keyboard.press("Escape")
    expect(matrix_cell(page, HERE, GITLAB)).to_have_class("cell is-ok")
    assert page.evaluate("window.marker") == "the same page"
    assert PASSWORD not in page.content()

    wait_until(lambda: broken.phases(HERE, "iris-pipeline-") == ["Running"] * 4, "the Pods run")
    assert SECRET in broken.pull_secrets(HERE, "default-editor")
    written = json.loads(base64.b64decode(broken.secret(HERE, SECRET)["data"][".dockerconfigjson"]))
    assert written["auths"]["gitlab.example.com:4567"]["password"] == PASSWORD
    assert PASSWORD.encode() not in product.stored()
    assert base64.b64encode(PASSWORD.encode()).rstrip(b"=") not in product.stored()

    page.goto("/audit/")
    newest = page.locator("table.entries tbody tr").first
    for words in (user, SECRET, HERE, "default-editor", "done"):
        expect(newest).to_contain_text(words)


def test_an_operator_reads_where_the_secret_is_and_its_owner_does_not(broken: DemoApi, visit: Visits) -> None:
    """The owner of this Namespace may not know the others."""
    for user, headline in ((OPERATOR, "Missing here, exists in kubeflow"), (OWNER, "Missing here")):
        page = visit(user)
        page.goto(cell_url(HERE, GITLAB))
        expect(page.locator(".verdict b")).to_have_text(headline)
        expect(page.get_by_text("Exists elsewhere")).to_be_visible()
    expect(page.get_by_text("In another Namespace.")).to_be_visible()


def test_an_owner_sees_only_their_namespace(visit: Visits) -> None:
    page = visit(OWNER)
    page.goto("/")

    expect(page.locator(".matrix tbody th.name a")).to_have_text([HERE])
    visit.expects("404")
    assert page.goto(namespace_url("team-vision")).status == 404  # type: ignore[union-attr]
    assert page.goto(create_url("team-vision", GITLAB)).status == 404  # type: ignore[union-attr]


def test_a_stranger_is_told_how_a_namespace_becomes_theirs(visit: Visits) -> None:
    page = visit("stranger@example.com")
    page.goto("/")

    expect(page.get_by_role("heading", level=1)).to_have_text("None of the Namespaces is yours yet")
    expect(page.locator("pre")).to_contain_text("kubectl annotate namespace")


def test_an_owner_repairs_with_a_pasted_config_json(product: Product, visit: Visits) -> None:
    page = visit("nlp@example.com")
    page.goto("/")
    pasted = {"auths": {"https://gitlab.example.com:4567": {"username": "nlp", "password": PASSWORD}}}
    shown = open_drawer(page, "team-nlp", GITLAB)
    shown.get_by_role("link", name="Create it here").click()

    shown.get_by_text(re.compile("^Paste .*config.json")).click()
    shown.get_by_role("textbox", name="config.json").fill(json.dumps(pasted))
    shown.get_by_role("button", name="Create").click()

    expect(shown.locator("#created-status")).to_contain_text("Covered now")
    assert PASSWORD not in page.content()
    wait_until(lambda: product.cluster.phases("team-nlp", "summaries-") == ["Running"], "the Pod runs")


def test_wrong_input_is_answered_beside_the_field_and_nothing_secret_comes_back(broken: DemoApi, visit: Visits) -> None:
    visit.expects("422")
    page = visit()
    page.goto("/")
    open_drawer(page, HERE, GITLAB).get_by_role("link", name="Create it here").click()
    shown = drawer(page)
    shown.get_by_label("Name of the Secret").fill("Not A Name")
    shown.get_by_label("Password or token").fill(PASSWORD)
    shown.get_by_role("button", name="Create").click()

    name = shown.locator(".input", has=page.get_by_label("Name of the Secret"))
    expect(name.locator(".errorlist")).to_contain_text("lower-case letters")
    expect(shown.get_by_label("Name of the Secret")).to_have_attribute("aria-invalid", "true")
    expect(shown.get_by_label("Password or token")).to_have_value("")
    assert PASSWORD not in page.content()

    shown.get_by_label("Name of the Secret").fill(SECRET)
    shown.get_by_role("button", name="Create").click()
    for label in ("User name", "Password or token"):
        expect(shown.get_by_label(label, exact=True)).to_have_attribute("aria-invalid", "true")
    assert broken.secret(HERE, SECRET) is None


def test_a_config_json_that_is_none_is_refused_with_the_reason(broken: DemoApi, visit: Visits) -> None:
    visit.expects("422")
    page = visit()
    page.goto("/")
    open_drawer(page, HERE, GITLAB).get_by_role("link", name="Create it here").click()
    shown = drawer(page)
    shown.get_by_text(re.compile("^Paste .*config.json")).click()
    shown.get_by_role("textbox", name="config.json").fill('{"auths": {' + PASSWORD)
    shown.get_by_role("button", name="Create").click()

    expect(shown.locator(".panel-paste .errorlist")).to_be_visible()
    expect(shown.get_by_role("textbox", name="config.json")).to_have_value("")
    assert PASSWORD not in page.content()
    assert broken.secret(HERE, SECRET) is None
