"""The alerts and the dashboard of the chart: of metrics that are served, and the same as on the page about them."""

from __future__ import annotations

import json
import re

import yaml

from tests.shipping import chart
from tests.shipping.chart import EVERYTHING
from tests.shipping.chart_readme import CHART

METRICS_PAGE = CHART.parent / "docs" / "metrics.md"
OUR_METRIC = re.compile(r"\bcredboard_[a-z_]+\b")


def known_metrics() -> set[str]:
    """Those that docs/metrics.md lists, which a test of its own compares with what is served."""
    return set(re.findall(r"^\| `(credboard_[a-z_]+)`", METRICS_PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def test_rules_and_dashboard_ask_only_for_metrics_that_are_served() -> None:
    known = known_metrics()
    rules = (CHART / "rules.yaml").read_text(encoding="utf-8")
    panels = json.loads((CHART / "dashboards" / "credboard.json").read_text(encoding="utf-8"))["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    asked += [rule["expr"] for group in yaml.safe_load(rules)["groups"] for rule in group["rules"]]
    for expression in asked:
        names = set(OUR_METRIC.findall(expression))
        assert names, expression
        assert names <= known, expression


def test_that_nothing_is_told_is_an_alert_of_its_own() -> None:
    """All others ask for metrics, which a web or a database that is down does not tell."""
    rules = yaml.safe_load((CHART / "rules.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    assert [rule["expr"] for rule in rules if "absent" in rule["expr"]] == ["absent(credboard_broker_up)"]


def test_the_rules_are_those_of_the_page_about_metrics() -> None:
    text = METRICS_PAGE.read_text(encoding="utf-8")
    page = next(block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if block.startswith("groups:"))
    assert yaml.safe_load((CHART / "rules.yaml").read_text(encoding="utf-8")) == yaml.safe_load(page)


def test_rules_and_dashboard_reach_the_objects_unchanged() -> None:
    documents = chart.render(EVERYTHING)
    assert chart.named(documents, "PrometheusRule")["spec"] == yaml.safe_load((CHART / "rules.yaml").read_text())
    held = chart.named(documents, "ConfigMap", "-dashboard")["data"]["credboard.json"]
    assert json.loads(held) == json.loads((CHART / "dashboards" / "credboard.json").read_text())


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in json.loads((CHART / "dashboards" / "credboard.json").read_text())["panels"]:
        at = panel["gridPos"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert x < 24
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
