"""One measured way of reading the whole cluster each; run as `python -m tests.bench.probes NAME KUBECONFIG`.

Each runs in a process of its own, so that its peak memory is its own. A probe imports and connects first and returns
what is then timed: a worker does that once, not at every scan. Prints one line of JSON: `seconds`, the CPU time of this
process in them (`cpu`), and what it counted.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

PAGE = 500
Found = dict[str, Any]
RAW_PATHS = (
    "/api/v1/namespaces",
    "/api/v1/secrets?fieldSelector=type!=helm.sh/release.v1",
    "/api/v1/serviceaccounts",
    "/api/v1/pods",
    "/api/v1/events?fieldSelector=type=Warning,involvedObject.kind=Pod",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings",
)


def raw(kubeconfig: str) -> Callable[[], Found]:
    """The floor: the bytes of every page of every list a scan reads, one list after the other, thrown away."""
    from kubernetes import client, config

    config.load_kube_config(kubeconfig)
    api = client.ApiClient()

    def read() -> Found:
        found = {"bytes": 0, "pages": 0}
        for path in RAW_PATHS:
            token = ""
            while True:
                join = "&" if "?" in path else "?"
                url = f"{api.configuration.host}{path}{join}limit={PAGE}" + (f"&continue={token}" if token else "")
                headers = {"Accept": "application/json"}
                api.update_params_for_auth(headers, [], ["BearerToken"], url, "GET", None)
                body = api.call_api("GET", url, header_params=headers).read()
                found["bytes"] += len(body)
                found["pages"] += 1
                # The token stands in the list's metadata, at the start of the page.
                head = body[: body.find(b'"items"')]
                token = json.loads(head.rstrip().rstrip(b",") + b"}")["metadata"].get("continue", "")
                if not token:
                    break
        return found

    return read


def typed(kubeconfig: str) -> Callable[[], Found]:
    """The official client's typed models, in pages."""
    from kubernetes import client, config

    config.load_kube_config(kubeconfig)
    core = client.CoreV1Api()
    lists = {
        "pods": core.list_pod_for_all_namespaces,
        "secrets": core.list_secret_for_all_namespaces,
        "serviceaccounts": core.list_service_account_for_all_namespaces,
    }

    def read() -> Found:
        kept = {}
        for name, one in lists.items():
            items, token = [], None
            while True:
                page = one(limit=PAGE, _continue=token)
                items += page.items
                token = page.metadata._continue
                if not token:
                    break
            kept[name] = items
        return {name: len(items) for name, items in kept.items()}

    return read


def merged(kubeconfig: str) -> Callable[[], Found]:
    """Reading alone: `Cluster.namespaces()`, complete namespaces one by one."""
    from scanner.cluster import Cluster

    def read() -> Found:
        with Cluster.from_kubeconfig(kubeconfig, None) as cluster:
            found = {"namespaces": 0, "pods": 0}
            for objects in cluster.namespaces():
                found["namespaces"] += 1
                found["pods"] += len(objects.pods)
            return found

    return read


def core(kubeconfig: str) -> Callable[[], Found]:
    """The core alone: build_snapshot, every check, the verdict; from objects already in memory."""
    from datetime import UTC, datetime

    from scanner.cluster import Cluster
    from scanner.collecting import fewer_collections
    from scanner.credential import Fingerprint
    from scanner.policy import Policy
    from scanner.verdict import judge_all

    with Cluster.from_kubeconfig(kubeconfig, None) as cluster:
        objects = list(cluster.namespaces())

    def judge() -> Found:
        with fewer_collections():
            verdicts = judge_all(objects, policy=Policy(), now=datetime.now(UTC), fingerprint=Fingerprint(b"bench"))
            return {"namespaces": sum(1 for _ in verdicts)}

    return judge


def stored(kubeconfig: str) -> Callable[[], Found]:
    """What a worker does: read, judge and store in the database of DATABASE_URL."""
    import django

    django.setup()
    from scanner.models import Cluster
    from scanner.scan import scan_cluster

    cluster, _ = Cluster.objects.get_or_create(name="bench", defaults={"kubeconfig": kubeconfig})

    def scan() -> Found:
        done = scan_cluster(cluster)
        if done is None or done.state != done.State.DONE:
            raise SystemExit(f"The scan failed: {done and done.error}")
        return {"namespaces": done.namespaces_done, "critical": done.critical}

    return scan


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    name, kubeconfig = sys.argv[1:]
    probe = {"raw": raw, "typed": typed, "merged": merged, "core": core, "stored": stored}[name](kubeconfig)
    began, worked = time.perf_counter(), time.process_time()
    result = probe()
    seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    print(json.dumps({**result, "seconds": round(seconds, 3), "cpu": round(cpu, 2)}))
