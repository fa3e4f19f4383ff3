"""Clusters in the settings: a real one is added, changed and removed, and every refusal says what to do."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Page, expect

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Visits
from tests.browser.layout import misplaced
from tests.browser.product import ROOT
from tests.rig import binaries
from tests.rig.apiserver import KubeApiServer
from tests.rig.process import free_port

NAME = "prod-eu"
CLUSTERS = "/settings/clusters/"
ADD = f"{CLUSTERS}add/"
TOKEN = "canary-5b1e4a77-of-a-kubeconfig"


@pytest.fixture(name="config")
def _config(apiserver: KubeApiServer, tmp_path: Path) -> dict[str, Any]:
    """The kubeconfig of who may do anything in the real API server."""
    parsed: dict[str, Any] = yaml.safe_load(apiserver.kubeconfig(tmp_path / "kubeconfig").read_text(encoding="utf-8"))
    return parsed


@pytest.fixture(name="team")
def _team(apiserver: KubeApiServer) -> str:
    """A Namespace that only the real cluster has: the one that is scanned."""
    return apiserver.create_namespace()


@pytest.fixture(name="added")
def _added(visit: Visits, config: dict[str, Any], team: str) -> Page:
    """The list of clusters, after the real one was added."""
    page = visit()
    page.goto(ADD)
    fill(page, config, only=team)
    page.get_by_role("button", name="Test and save").click()
    expect(page.get_by_role("status").filter(has_text=f"{NAME} is saved.")).to_be_visible()
    return page


@pytest.fixture(autouse=True)
def _removed(visit: Visits) -> Iterator[None]:
    """The product is the same for all tests, and no test leaves a cluster behind."""
    yield
    page = visit()
    page.goto(CLUSTERS)
    if page.get_by_role("link", name=NAME, exact=True).count():
        remove(page)


def fill(page: Page, config: dict[str, Any], *, only: str = "", paste: str = "Paste the kubeconfig") -> None:
    page.get_by_label("Name", exact=True).fill(NAME)
    page.get_by_label(paste).fill(yaml.safe_dump(config))
    page.get_by_label("Seconds between scans").fill("3600")
    page.get_by_label("Only these Namespaces").fill(only)


def row(page: Page, name: str = NAME) -> Any:
    return page.get_by_role("region", name=name, exact=True)


def remove(page: Page) -> None:
    row(page).get_by_role("link", name="Remove…").click()
    page.get_by_label("Its name, to be sure").fill(NAME)
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("status").filter(has_text=f"{NAME} is removed")).to_be_visible()


def refused(page: Page, label: str) -> Any:
    """What is said beside the field of `label`."""
    field = page.get_by_label(label)
    expect(field).to_have_attribute("aria-invalid", "true")
    return page.locator(".input", has=field).locator(".errorlist")


def test_a_cluster_is_tried_then_added_scanned_changed_and_removed(
    visit: Visits, config: dict[str, Any], team: str
) -> None:
    secret = config["users"][0]["user"]["token"]
    page = visit()
    page.goto(CLUSTERS)
    page.get_by_role("link", name="Add a cluster").click()
    fill(page, config, only=team)
    page.get_by_role("button", name="Test only").click()
    expect(page.get_by_role("alert")).to_contain_text(re.compile(r"It answers as it should\s*Nothing is saved yet\."))
    expect(page.locator("#trial-new")).to_contain_text(re.compile(r"It answers \(v1\..*1 of \d+ Namespaces match"))
    expect(page.get_by_label("Paste the kubeconfig")).to_have_value("")
    assert secret not in page.content()

    # What was tested is kept, sealed: it need not be pasted again.
    page.get_by_role("button", name="Test and save").click()
    expect(page.get_by_role("status").filter(has_text=f"{NAME} is saved.")).to_be_visible()
    expect(row(page)).to_contain_text("stored here, encrypted")
    page.goto(f"/?cluster={NAME}")
    expect(page.locator(".matrix tbody th.name a")).to_have_text([team])

    page.goto(CLUSTERS)
    row(page).get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Name", exact=True)).to_be_disabled()
    expect(page.get_by_label("As it is")).to_be_checked()
    for unused in ("Paste the kubeconfig", "Context"):
        expect(page.get_by_label(unused)).not_to_be_visible()
    page.get_by_label("Seconds between scans").fill("7200")
    page.get_by_role("button", name="Test and save").click()
    expect(row(page)).to_contain_text(f"1 Namespace · every 7200 s · only {team}")

    row(page).get_by_role("link", name="Remove…").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Remove {NAME}?")
    visit.expects("422")
    page.get_by_label("Its name, to be sure").fill("demo")
    page.get_by_role("button", name="Remove").click()
    expect(refused(page, "Its name, to be sure")).to_have_text(f"That is not its name. Type {NAME} to remove it.")
    page.get_by_label("Its name, to be sure").fill(NAME)
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("status").filter(has_text=f"{NAME} is removed")).to_be_visible()
    expect(row(page)).to_have_count(0)
    expect(row(page, "demo")).to_be_visible()

    page.goto("/audit/")
    expect(page.locator("table.entries")).to_contain_text(NAME)
    assert secret not in page.content()


def test_of_several_contexts_one_is_chosen_without_pasting_again(
    visit: Visits, config: dict[str, Any], team: str
) -> None:
    visit.expects("422")
    other = {"name": "staging", "context": {"cluster": "test", "user": "admin"}}
    config["contexts"].append(other)
    page = visit()
    page.goto(ADD)
    fill(page, config, only=team)
    page.get_by_role("button", name="Test and save").click()

    expect(refused(page, "Context")).to_contain_text("It has several contexts: choose one.")
    expect(page.get_by_text("The kubeconfig that you gave is kept for an hour.")).to_be_visible()
    assert config["users"][0]["user"]["token"] not in page.content()
    page.get_by_label("Context").select_option("staging")
    page.get_by_role("button", name="Test and save").click()
    expect(row(page)).to_contain_text("(context staging)")


def test_a_wrong_token_and_a_server_that_is_not_there_are_told_apart(visit: Visits, config: dict[str, Any]) -> None:
    visit.expects("422")
    page = visit()
    page.goto(ADD)
    config["users"][0]["user"]["token"] = TOKEN
    fill(page, config)
    page.get_by_role("button", name="Test and save").click()
    expect(page.get_by_role("alert")).to_contain_text("Not saved yet")
    expect(page.locator("#trial-new .verdict")).to_contain_text("does not accept Credboard's credentials")
    assert TOKEN not in page.content()

    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{free_port()}"
    page.get_by_label("Paste the kubeconfig").fill(yaml.safe_dump(config))
    page.get_by_role("button", name="Test and save").click()
    expect(page.locator("#trial-new .verdict")).to_contain_text("Nothing accepts connections")
    assert TOKEN not in page.content()

    # A cluster that is down today may be added for tomorrow, once its state was seen.
    page.get_by_label("Save it all the same").check()
    page.get_by_role("button", name="Test and save").click()
    expect(page.get_by_role("status").filter(has_text=f"{NAME} is saved.")).to_be_visible()
    row(page).get_by_role("button", name="Test").click()
    expect(row(page).get_by_role("status")).to_contain_text("Nothing accepts connections")


def test_a_kubeconfig_that_names_files_or_programs_is_refused_and_says_what_to_give(
    visit: Visits, config: dict[str, Any]
) -> None:
    visit.expects("422")
    page = visit()
    page.goto(ADD)
    for user, told in (
        ({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "aws"}}, "running a command (exec)"),
        ({"auth-provider": {"name": "oidc"}}, "auth-provider, which runs programs"),
        ({"tokenFile": "credboard.token"}, "refers to a file (tokenFile), which is not here"),
    ):
        config["users"][0]["user"] = user
        fill(page, config)
        page.get_by_role("button", name="Test and save").click()
        expect(refused(page, "Paste the kubeconfig")).to_contain_text(told)
        expect(refused(page, "Paste the kubeconfig")).to_contain_text(re.compile("kubectl (create token|config view)"))
        expect(page.get_by_label("Paste the kubeconfig")).to_have_value("")
        expect(page.get_by_label("Seconds between scans")).to_have_value("3600")


def test_the_keyboard_alone_adds_and_removes_a_cluster(visit: Visits, config: dict[str, Any], team: str) -> None:
    page = visit()
    page.goto(ADD)
    typed = {"id_name": NAME, "id_kubeconfig": yaml.safe_dump(config), "id_include": team}
    order: list[str] = []
    while (here := page.evaluate("document.activeElement.id")) != "id_label_selector":
        assert len(order) < 60, order
        order.append(here)
        if here in typed:
            page.keyboard.insert_text(typed[here])
        page.keyboard.press("Tab")
    fields = [one for one in order if one.startswith("id_")]
    assert fields == [
        "id_name", "id_kubeconfig", "id_upload", "id_context", "id_scan_interval", "id_include", "id_exclude"
    ]  # fmt: skip
    page.keyboard.press("Enter")
    expect(row(page)).to_be_visible()

    row(page).get_by_role("link", name="Remove…").press("Enter")
    page.get_by_label("Its name, to be sure").press_sequentially(NAME)
    page.keyboard.press("Enter")
    expect(row(page)).to_have_count(0)


def test_the_commands_on_the_page_make_a_kubeconfig_that_it_takes(
    visit: Visits, apiserver: KubeApiServer, team: str, tmp_path: Path
) -> None:
    page = visit()
    page.goto(ADD)
    shown = "\n".join(page.locator(".card .code pre").all_inner_texts())
    # The API server is shared by the whole run, so the names are of this test alone.
    script = re.sub(r"clusterrolebinding credboard-reader|\bcredboard\b(?!-)", rf"\g<0>-{team}", shown)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={
            "PATH": f"{binaries.find_or_build('kubectl').parent}{os.pathsep}{os.environ['PATH']}",
            "KUBECONFIG": str(apiserver.kubeconfig(tmp_path / "admin")),
            "HOME": str(tmp_path),
        },
        check=True,
        capture_output=True,
        timeout=60,
    )
    page.get_by_label("Name", exact=True).fill(NAME)
    page.get_by_label("Or upload it").set_input_files(tmp_path / "reader.kubeconfig")
    page.get_by_label("Only these Namespaces").fill(team)
    page.get_by_role("button", name="Test and save").click()
    expect(row(page)).to_contain_text("Signs in asreader")
    # A year is what was asked for; the warning comes two weeks before.
    expect(row(page)).to_contain_text(re.compile(r"Gets in until\s*\d+ \w+ 20\d\d"))


def test_an_owner_never_sees_a_page_of_clusters(visit: Visits, added: Page) -> None:
    edit = row(added).get_by_role("link", name="Edit").get_attribute("href")
    visit.expects("403")
    page = visit("user@example.com")
    page.goto("/settings/report/")
    expect(page.get_by_role("navigation", name="Settings").get_by_role("link", name="Clusters")).to_have_count(0)
    for path in (CLUSTERS, ADD, edit, f"{edit}remove/"):
        response = page.goto(path or "")
        assert response is not None
        assert response.status == 403
        expect(page.get_by_text("This is for operators of Credboard.")).to_be_visible()
        assert NAME not in page.content()


def test_on_a_phone_nothing_is_outside_or_cut_and_axe_finds_nothing(
    visit: Visits, added: Page, config: dict[str, Any]
) -> None:
    """The list with what a test found, all forms, and each of them with its complaints; light and dark."""
    visit.expects("422")
    page = visit(width=390, height=844)

    def look(place: str) -> None:
        for width in (390, 1440):
            page.set_viewport_size({"width": width, "height": 844})
            assert (place, width, misplaced(page)) == (place, width, [])
        assert_accessible(page)
        page.emulate_media(color_scheme="light")

    page.goto(CLUSTERS)
    row(page).get_by_role("button", name="Test").click()
    expect(row(page).get_by_role("status")).to_contain_text("It answers")
    look("list")
    row(page).get_by_role("link", name="Edit").click()
    page.get_by_label("Another one, pasted or uploaded").check()
    look("edit")
    page.goto(ADD)
    look("add")
    config["clusters"][0]["cluster"] = {
        "server": config["clusters"][0]["cluster"]["server"],
        "insecure-skip-tls-verify": True,
    }
    fill(page, config, only="nothing-is-called-so")
    page.get_by_role("button", name="Test and save").click()
    expect(page.get_by_role("alert")).to_contain_text("Not saved")
    look("errors")
    page.get_by_label("Believe whoever answers at this address").check()
    page.get_by_label("Name", exact=True).fill("prod-us")
    page.get_by_role("button", name="Test and save").click()
    expect(page.locator("#trial-new")).to_contain_text("These filters leave nothing")
    look("warnings")
    page.goto(CLUSTERS)
    row(page).get_by_role("link", name="Remove…").click()
    look("remove")
