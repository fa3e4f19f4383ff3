"""`make bench`: what Credboard costs, beside what one would run instead, on one API server in one run.

Seeds a real kube-apiserver itself, then measures each way of reading the cluster in a process of its own (wall clock,
and peak memory as the kernel counted it), the least of `--repeat` runs. Figures depend on the machine; the ratios less.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.bench.seed import Size, seed
from tests.rig import binaries
from tests.rig.apiserver import KubeApiServer

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Measure:
    """One way of reading: wall seconds, peak MB of its process, and what it said it found."""

    name: str
    seconds: float
    megabytes: float
    found: Mapping[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--namespaces", type=int, default=2000, help="with 10 Pods, 6 Secrets, 3 ServiceAccounts each")
    parser.add_argument("--repeat", type=int, default=2, help="runs of each way of reading; the least counts")
    parser.add_argument("--grow", action="store_true", help="also a tenth of the size, to see how the cost grows")
    parser.add_argument("--skip-cluster", action="store_true", help="only what needs no API server")
    parser.add_argument("--mutations", type=int, default=100_000, help="broken Secrets to read; 0 for none")
    parser.add_argument("--reports", type=int, default=2000, help="owners who get a report by mail; 0 for none")
    parser.add_argument("--watch", type=int, default=200, help="Namespaces to watch changes in; 0 for none")
    options = parser.parse_args()
    if not options.skip_cluster:
        whole = bench_cluster(Size(options.namespaces), options.repeat)
        if options.grow:
            _print_growth(bench_cluster(Size(options.namespaces // 10), options.repeat), whole)
    if options.mutations:
        bench_mutations(options.mutations)
    with tempfile.TemporaryDirectory(prefix="credboard-bench-") as folder:
        run("pages", [sys.executable, "-m", "tests.bench.pages"], _environment(Path(folder)), echo=True)
    with tempfile.TemporaryDirectory(prefix="credboard-bench-") as folder:
        run("API", [sys.executable, "-m", "tests.bench.api"], _environment(Path(folder)), echo=True)
    if options.reports:
        with tempfile.TemporaryDirectory(prefix="credboard-bench-") as folder:
            command = [sys.executable, "-m", "tests.bench.reports", str(options.reports)]
            run("reports", command, _environment(Path(folder)), echo=True)
    if options.watch and not options.skip_cluster:
        with tempfile.TemporaryDirectory(prefix="credboard-bench-") as folder:
            command = [sys.executable, "-m", "tests.bench.watch", str(options.watch)]
            run("watching", command, _environment(Path(folder)), echo=True)
    with tempfile.TemporaryDirectory(prefix="credboard-bench-") as folder:
        run("metrics", [sys.executable, "-m", "tests.bench.metrics"], _environment(Path(folder)), echo=True)


def bench_mutations(count: int) -> None:
    """Read `count` Secrets that were broken at random; what raises ends the bench and is told."""
    with tempfile.TemporaryDirectory(prefix="credboard-bench-") as folder:
        command = [sys.executable, "-m", "tests.bench.mutated", str(count)]
        measure = run("mutated Secrets", command, _environment(Path(folder)))
    print(f"\nMutated Secrets: {count:,} read and judged without an exception")
    print(f"  {measure.seconds:.1f} s of CPU, {measure.megabytes:.0f} MB at the most   {_facts(measure.found)}")


def bench_cluster(size: Size, repeat: int) -> dict[str, Measure]:
    """Seed an API server with `size` and measure every way of reading it, by name."""
    with KubeApiServer() as server, tempfile.TemporaryDirectory(prefix="credboard-bench-") as folder:
        kubeconfig = server.kubeconfig(Path(folder) / "kubeconfig")
        began = time.perf_counter()
        asyncio.run(seed(server.url, server.token("admin"), str(server.ca_file), size))
        print(
            f"\nSeeded {size.namespaces:,} namespaces, {size.namespaces * size.pods:,} Pods, "
            f"{size.namespaces * size.secrets:,} Secrets in {time.perf_counter() - began:.0f} s",
            flush=True,
        )
        measures = _measure_all(server, kubeconfig, Path(folder), repeat)
    _print_cluster(measures)
    return measures


def _measure_all(server: KubeApiServer, kubeconfig: Path, folder: Path, repeat: int) -> dict[str, Measure]:
    environment = _environment(folder)

    def once(name: str, label: str) -> Measure:
        before = _work_of(server)
        measure = run(label, [sys.executable, "-m", "tests.bench.probes", name, str(kubeconfig)], environment)
        work = {fact: round(done - before[fact], 2) for fact, done in _work_of(server).items()}
        return replace(measure, found={**measure.found, **work})

    def probe(name: str, *, label: str, times: int = repeat) -> Measure:
        return min((once(name, label) for _ in range(times)), key=lambda measure: measure.seconds)

    kubectl = binaries.find_or_build("kubectl")
    get = [str(kubectl), "--kubeconfig", str(kubeconfig), "get", "pods,secrets,serviceaccounts", "-A", "-o", "json"]
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
    probe("raw", label="warm-up", times=1)
    found = [
        probe("raw", label="raw paged reads (the floor)"),
        probe("stored", label="Credboard, first scan, stored", times=1),
        probe("stored", label="Credboard, scan, nothing changed"),
        run("kubectl get -A -o json", get, environment),
        probe("typed", label="typed models of the client", times=1),
        probe("merged", label="reading and merging alone"),
        probe("core", label="the core alone"),
    ]
    return {measure.name: measure for measure in found}


def _work_of(server: KubeApiServer) -> dict[str, float]:
    """What the API server says it did since it started: seconds of CPU, and objects it went through to fill lists."""
    _, metrics = server.request("GET", "/metrics")
    work = {"server_cpu": 0.0, "server_visits": 0.0}
    names = {"process_cpu_seconds_total": "server_cpu", "apiserver_storage_list_fetched_objects_total": "server_visits"}
    for line in metrics.splitlines():
        fact = names.get(line.partition(" ")[0].partition("{")[0])
        if fact:
            work[fact] += float(line.rpartition(" ")[2])
    return work


def run(name: str, command: Sequence[str], environment: Mapping[str, str], *, echo: bool = False) -> Measure:
    """Run `command` to its end and measure it. Raises SystemExit with its output when it fails."""
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=None if echo else output
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        output.seek(0, os.SEEK_END)
        size = output.tell()
        output.seek(max(0, size - 4096))
        tail = output.read()
    if process.returncode:
        raise SystemExit(f"{name} failed with {process.returncode}: {tail.decode(errors='replace')}")
    last = tail.strip().splitlines()[-1] if tail.strip() else b"{}"
    found = json.loads(last) if last.startswith(b"{") and size < 4096 else {"bytes": size}
    return Measure(name, found.get("seconds") or seconds, usage.ru_maxrss / 1024, found)


def _environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "CREDBOARD_DATA_DIR": str(folder),
        "CREDBOARD_LOG_LEVEL": "WARNING",
        "CREDBOARD_FINGERPRINT_KEY": "a key for the benchmark",
    }


def _print_cluster(measures: Mapping[str, Measure]) -> None:
    raw = measures["raw paged reads (the floor)"]
    first = measures["Credboard, first scan, stored"]
    again = measures["Credboard, scan, nothing changed"]
    print(f"\n{'':40}{'seconds':>9}{'× raw':>8}{'peak MB':>9}")
    for measure in measures.values():
        print(
            f"{measure.name:40}{measure.seconds:9.2f}{measure.seconds / raw.seconds:8.1f}{measure.megabytes:9.0f}"
            f"   {_facts(measure.found)}"
        )
    core = measures["the core alone"]
    print(f"\n  the core alone: {core.seconds * 1000 / core.found['namespaces']:.2f} ms a Namespace")
    _bound("scan, nothing changed: ≤ 2 × raw", again.seconds / raw.seconds, at_most=2)
    _bound("first scan: ≤ 3 × raw", first.seconds / raw.seconds, at_most=3)
    _bound("faster than kubectl: ≥ 6 ×", measures["kubectl get -A -o json"].seconds / again.seconds, at_least=6)
    _bound(
        "faster than typed models: ≥ 5 ×", measures["typed models of the client"].seconds / again.seconds, at_least=5
    )
    _bound("peak memory of the scan: ≤ 250 MB", max(again.megabytes, first.megabytes), at_most=250)


def _facts(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value:,.12g}" for key, value in found.items() if key != "seconds")


def _print_growth(small: Mapping[str, Measure], large: Mapping[str, Measure]) -> None:
    """The bounds, and beside them what grew: the work of our process, and that of the API server for the floor."""
    print("\nTen times the namespaces")
    for name, fact in (
        ("raw paged reads (the floor)", "seconds"),
        ("raw paged reads (the floor)", "server_cpu"),
        ("raw paged reads (the floor)", "server_visits"),
        ("Credboard, first scan, stored", "cpu"),
        ("Credboard, scan, nothing changed", "cpu"),
    ):
        grown = large[name].found[fact] / (small[name].found[fact] or 1)
        print(f"           {f'{name}: × {fact}':55} {grown:8.2f}")
    for name in ("Credboard, first scan, stored", "Credboard, scan, nothing changed"):
        _bound(f"{name}: ≤ 11 × the time", large[name].seconds / small[name].seconds, at_most=11)
        memory = large[name].megabytes / small[name].megabytes
        _bound(f"{name}: memory ± 20 %", memory, at_least=0.8, at_most=1.2)


def _bound(text: str, value: float, *, at_most: float | None = None, at_least: float | None = None) -> None:
    met = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
    print(f"  {'met    ' if met else 'NOT MET'}  {text:55} {value:8.2f}")


if __name__ == "__main__":
    main()
