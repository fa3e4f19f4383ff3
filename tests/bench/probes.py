"""One measured way of reading the whole cluster each; run as `python -m tests.bench.probes NAME KUBECONFIG`.

Each runs in a process of its own, so that its peak memory is its own. Prints one line of JSON with what it counted.
"""

from __future__ import annotations

import json
import os
import sys
import time

PAGE = 500
RAW_PATHS = (
    "/api/v1/namespaces",
    "/api/v1/secrets?fieldSelector=type!=helm.sh/release.v1",
    "/api/v1/serviceaccounts",
    "/api/v1/pods",
    "/api/v1/events?fieldSelector=type=Warning,involvedObject.kind=Pod",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings",
)


def raw(kubeconfig: str) -> dict[str, int]:
    """The floor: the bytes of every page of every list a scan reads, one list after the other, thrown away."""
    from kubernetes import client, config

    config.load_kube_config(kubeconfig)
    api = client.ApiClient()
    found = {"bytes": 0, "pages": 0}
    for path in RAW_PATHS:
        token = ""
        while True:
            join = "&" if "?" in path else "?"
            url = f"{path}{join}limit={PAGE}" + (f"&continue={token}" if token else "")
            response = api.call_api(
                "GET",
                api.configuration.host + url,
                header_params=_headers(api),
            )
            body = response.read() or response.data
            found["bytes"] += len(body)
            found["pages"] += 1
            # The token stands in the list's metadata, at the start of the page.
            head = body[: body.find(b'"items"')]
            token = json.loads(head.rstrip().rstrip(b",") + b"}")["metadata"].get("continue", "")
            if not token:
                break
    return found


def _headers(api: object) -> dict[str, str]:
    headers: dict[str, str] = {"Accept": "application/json"}
    api.update_params_for_auth(headers, [], ["BearerToken"])  # type: ignore[attr-defined]
    return headers


def typed(kubeconfig: str) -> dict[str, int]:
    """The official client's typed models, in pages."""
    from kubernetes import client, config

    config.load_kube_config(kubeconfig)
    core = client.CoreV1Api()
    found = {}
    lists = {
        "pods": core.list_pod_for_all_namespaces,
        "secrets": core.list_secret_for_all_namespaces,
        "serviceaccounts": core.list_service_account_for_all_namespaces,
    }
    for name, read in lists.items():
        items, token = [], None
        while True:
            page = read(limit=PAGE, _continue=token)
            items += page.items
            token = page.metadata._continue
            if not token:
                break
        found[name] = len(items)
    return found


def merged(kubeconfig: str) -> dict[str, int]:
    """Reading alone: `Cluster.namespaces()`, complete namespaces one by one."""
    from scanner.cluster import Cluster

    with Cluster.from_kubeconfig(kubeconfig, None) as cluster:
        found = {"namespaces": 0, "pods": 0}
        for objects in cluster.namespaces():
            found["namespaces"] += 1
            found["pods"] += len(objects.pods)
    return found


def core(kubeconfig: str) -> dict[str, float]:
    """The core alone: build_snapshot, every check, the verdict; from objects already in memory."""
    from datetime import UTC, datetime

    from scanner.cluster import Cluster
    from scanner.credential import Fingerprint
    from scanner.policy import Policy
    from scanner.verdict import judge_all

    with Cluster.from_kubeconfig(kubeconfig, None) as cluster:
        objects = list(cluster.namespaces())
    began = time.perf_counter()
    verdicts = list(judge_all(objects, policy=Policy(), now=datetime.now(UTC), fingerprint=Fingerprint(b"bench")))
    seconds = time.perf_counter() - began
    return {"namespaces": len(verdicts), "core_seconds": round(seconds, 3)}


def stored(kubeconfig: str) -> dict[str, float]:
    """What a worker does: read, judge and store in the database of DATABASE_URL."""
    import django

    django.setup()
    from scanner.models import Cluster
    from scanner.scan import scan_cluster

    cluster, _ = Cluster.objects.get_or_create(name="bench", defaults={"kubeconfig": kubeconfig})
    began = time.perf_counter()
    scan = scan_cluster(cluster)
    seconds = time.perf_counter() - began
    if scan is None or scan.state != scan.State.DONE:
        raise SystemExit(f"The scan failed: {scan and scan.error}")
    return {"namespaces": scan.namespaces_done, "critical": scan.critical, "scan_seconds": round(seconds, 3)}


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    name, kubeconfig = sys.argv[1:]
    probe = {"raw": raw, "typed": typed, "merged": merged, "core": core, "stored": stored}[name]
    began = time.perf_counter()
    result = probe(kubeconfig)
    print(json.dumps({**result, "seconds": round(time.perf_counter() - began, 3)}))
