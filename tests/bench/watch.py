"""With a watch: how long a change takes to reach its cell, and what watching costs beside reading everything again.

A real API server with some Namespaces, a worker and a watch as processes, and an interval so long that only the watch
can be the reason for a scan. Prints; asserts nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.bench.seed import Size, seed
from tests.rig.apiserver import KubeApiServer
from tests.rig.postgres import PostgresServer
from tests.rig.process import ServerProcess
from tests.rig.valkey import ValkeyServer

ROOT = Path(__file__).resolve().parents[2]
CHANGES, WARM_UP = 50, 5
#: Changes a second of the steady traffic, and for how many seconds it is measured.
STEADY, SECONDS = 1, 60
TYPE = "kubernetes.io/dockerconfigjson"


def main() -> None:
    size = Size(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="credboard-bench-")))
        server = stack.enter_context(KubeApiServer())
        kubeconfig = server.kubeconfig(folder / "kubeconfig")
        asyncio.run(seed(server.url, server.token("admin"), str(server.ca_file), size))
        database = PostgresServer().start()
        stack.callback(database.stop)
        valkey = stack.enter_context(ValkeyServer())
        os.environ |= {
            "DATABASE_URL": database.new_database(),
            "REDIS_URL": valkey.url,
            "CREDBOARD_RUN_DIR": str(folder),
            "DJANGO_SETTINGS_MODULE": "dashboard.settings",
            "CREDBOARD_SECRET_KEY": "for one run and for every process of it, fifty letters",
            "CREDBOARD_DATA_DIR": str(folder),
        }
        latencies = _measure(server, kubeconfig, folder, size)
        print(f"\nWatching {size.namespaces:,} Namespaces, change to cell, {CHANGES} changes")
        ordered = sorted(latencies)
        p95 = ordered[max(0, round(len(ordered) * 0.95) - 1)]
        print(f"  p50 {statistics.median(ordered):.2f} s, p95 {p95:.2f} s, most {ordered[-1]:.2f} s   (bound: p95 2 s)")
        _print_traffic(server, kubeconfig)


def _measure(server: KubeApiServer, kubeconfig: Path, folder: Path, size: Size) -> list[float]:
    import django

    django.setup()
    from django.core.management import call_command
    from django.utils import timezone

    from scanner.models import Cell, Cluster, Namespace, Scan

    call_command("migrate", verbosity=0)
    later = timezone.now() + timedelta(hours=1)
    Cluster.objects.create(name="bench", kubeconfig=str(kubeconfig), scan_interval=3600, next_scan_at=later)
    with _role("worker", "--concurrency=2", folder=folder), _role("watch", folder=folder):
        _until(lambda: Scan.objects.filter(state="done", namespace="").exists(), "scan")
        _until(lambda: not Scan.objects.filter(state="running").exists(), "end of all scans")
        names = list(Namespace.objects.exclude(name__startswith="kube-").values_list("name", flat=True))
        latencies = []
        for number in range(CHANGES + WARM_UP):
            name = names[number % len(names)]
            host = f"registry-{number}.example.com"
            _write(server, name, host)
            began = time.perf_counter()
            cells = Cell.objects.filter(namespace__name=name, credential__slug=f"registry/{host}")
            _until(cells.exists, f"cell of {host} in {name}")
            latencies.append(time.perf_counter() - began)
    return latencies[WARM_UP:]


def _write(server: KubeApiServer, namespace: str, host: str) -> None:
    """A Pod whose image needs a credential that nothing has yet: a new cell."""
    pod = {
        "metadata": {"generateName": "web-"},
        "spec": {
            "containers": [{"name": "c", "image": f"{host}/team/app:1"}],
            "imagePullSecrets": [{"name": "bench-none"}],
        },
    }
    server.must("POST", f"/api/v1/namespaces/{namespace}/pods", pod)


@contextmanager
def _role(*role: str, folder: Path) -> Iterator[ServerProcess]:
    log = folder / f"{role[0]}.log"
    process = ServerProcess([sys.executable, "manage.py", "start", *role], log=log, cwd=ROOT, environment=os.environ)
    try:
        yield process
    finally:
        process.stop()


def _until(what: Any, name: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            raise SystemExit(f"after {seconds:g} s: no {name}")
        time.sleep(0.01)


def _print_traffic(server: KubeApiServer, kubeconfig: Path) -> None:
    from scanner import cluster as api
    from scanner.cluster.listing import NAMESPACED, NAMESPACES

    received = {}
    with api.Cluster.from_kubeconfig(str(kubeconfig)) as connection:
        relist = sum(
            len(connection._transport.send(resource.ask(), query={"fieldSelector": resource.field_selector}))
            for resource in (NAMESPACES, *NAMESPACED.values())
        )
        threads = []
        for resource in api.WATCHED:
            if resource == "profiles":
                continue
            since = connection.version_now(resource)
            changes = connection.watch(resource, since=since, seconds=SECONDS + 5, silence=SECONDS + 5)
            received[resource] = changes
            threads.append(threading.Thread(target=_drain, args=(changes,)))
            threads[-1].start()
        data = {".dockerconfigjson": b64encode(json.dumps({"auths": {}}).encode()).decode()}
        began, made = time.monotonic(), 0
        while time.monotonic() - began < SECONDS:
            secret = {"metadata": {"name": f"steady-{made}"}, "type": TYPE, "data": data}
            server.must("POST", "/api/v1/namespaces/default/secrets", secret)
            made += 1
            time.sleep(1 / STEADY)
        for changes in received.values():
            changes.close()
        for thread in threads:
            thread.join()
    steady = sum(changes.received for changes in received.values()) * 60 / SECONDS
    print(
        f"  steady traffic with {made * 60 / SECONDS:.0f} changes a minute: {steady / 1024:.0f} KiB a minute,", end=" "
    )
    print(f"{100 * steady / relist:.2f} % of one relist ({relist / 1024:,.0f} KiB)   (bound: 1 %)")


def _drain(changes: Any) -> None:
    with changes:
        for _ in changes:
            pass


if __name__ == "__main__":
    main()
