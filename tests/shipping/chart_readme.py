"""`python -m tests.shipping.chart_readme` writes helm/README.md from values.yaml: its keys, defaults and comments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).parent.parent.parent / "helm"

#: What a key of this name means wherever it has no comment of its own.
COMMON: Final = {
    "nodeSelector": "Nodes that its Pods may run on.",
    "tolerations": "Taints of nodes that its Pods put up with.",
    "affinity": "As in a Pod.",
    "podAnnotations": "More annotations of its Pods.",
    "podLabels": "More labels of its Pods.",
    "serviceAccountAnnotations": "Annotations of its ServiceAccount, such as a role of a cloud.",
    "annotations": "Its annotations.",
    "port": "Its port.",
    "minReplicas": "Fewest Pods.",
    "maxReplicas": "Most Pods.",
    "targetCPUUtilizationPercentage": "CPU that Pods are to use, of what they request.",
    "interval": "How often it is scraped.",
    "runAsUser": "User id; `null` lets the cluster choose (OpenShift).",
    "runAsGroup": "Group id; `null` likewise.",
    "fsGroup": "Group that volumes belong to; `null` likewise.",
}

INTRO: Final = """\
# Credboard's chart

Written by `python -m tests.shipping.chart_readme` from values.yaml; do not edit it by hand. How to install, upgrade
and remove it, on small and large clusters, behind Kubeflow's gateway and without the internet, stands in
docs/install-kubernetes.md. For a trial, with a database of its own:

```sh
helm install credboard ./helm --namespace credboard --create-namespace --set postgresql.enabled=true
```

Values are checked against values.schema.json: a wrong or misspelt one stops `helm install` with its path.
values-large.yaml is for some thousand Namespaces.
"""


@dataclass(frozen=True, slots=True)
class Value:
    """One value that is no map of others: `path` with dots, `default` as JSON."""

    path: str
    default: str
    about: str


def described(text: str) -> Iterator[Value]:
    """Every value of a values.yaml in its order, with its `# --` comment.

    Raises KeyError for one that nothing explains.
    """
    values = yaml.safe_load(text)
    about: list[str] = []
    path: list[tuple[int, str]] = []
    for line in text.splitlines():
        if comment := re.match(r"\s*# -- (.*)", line):
            about = [comment[1]]
        elif about and (more := re.match(r"\s*# (.*)", line)):
            about.append(more[1])
        elif key := re.match(r"(\s*)([A-Za-z]\w*):", line):
            depth = len(key[1])
            path = [*((at, name) for at, name in path if at < depth), (depth, key[2])]
            names = [name for _, name in path]
            value: Any = values
            for name in names:
                value = value[name]
            # A map of ours has its keys on lines of their own; `{}` and `{a: b}` are values.
            is_leaf = names[-1] == "resources" or not line.rstrip().endswith(":")
            if is_leaf and not any(name == "resources" for name in names[:-1]):
                yield Value(
                    ".".join(names), json.dumps(value, ensure_ascii=False), " ".join(about) or COMMON[names[-1]]
                )
            about = []


def readme(text: str) -> str:
    rows = [f"| `{v.path}` | `{v.default}` | {v.about.replace('|', chr(92) + '|')} |" for v in described(text)]
    return "\n".join([INTRO, "| Value | Default | What it is |", "| --- | --- | --- |", *rows]) + "\n"


if __name__ == "__main__":
    (CHART / "README.md").write_text(readme((CHART / "values.yaml").read_text(encoding="utf-8")), encoding="utf-8")
