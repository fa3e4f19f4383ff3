"""`manage.py scan`: what a scan finds, printed. Needs no database and no worker."""

from __future__ import annotations

import os
import secrets
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from scanner import raw
from scanner.cluster import Cluster, ClusterError, ClusterWideForbidden, Forbidden, NotFound
from scanner.collecting import fewer_collections
from scanner.credential import Fingerprint
from scanner.management.commands.policy import load
from scanner.render import FORMATS, Report, any_critical, as_table
from scanner.verdict import judge_all


class Command(BaseCommand):
    help = (
        "Scan a cluster once and print what its Namespaces lack. "
        "Exit status: 0 nothing critical, 1 something critical, 2 the scan failed."
    )
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--kubeconfig", help="file; default: $KUBECONFIG, ~/.kube/config, or the cluster we run in")
        parser.add_argument("--context", help="context of the kubeconfig; default: its current one")
        parser.add_argument(
            "--namespace", "-n", action="append", default=[], help="read only this Namespace; may be repeated"
        )
        parser.add_argument("--policy", metavar="FILE", help="policy file; default: $CREDBOARD_POLICY_FILE, if any")
        parser.add_argument("--format", choices=sorted(FORMATS), default="table")

    def handle(self, **options: Any) -> None:
        now = datetime.now(UTC)
        policy = load(options["policy"]) if options["policy"] else settings.POLICY
        # Nothing is stored, so equal values need to be told apart only within this run.
        fingerprint = Fingerprint(secrets.token_bytes(32))
        try:
            with Cluster.from_kubeconfig(options["kubeconfig"], options["context"]) as cluster:
                objects = read(cluster, options["namespace"])
                with fewer_collections():
                    verdicts = list(judge_all(objects, policy=policy, now=now, fingerprint=fingerprint))
                name = cluster.name
        except ClusterError as error:
            raise CommandError("\n".join(filter(None, (str(error), error.remedy))), returncode=2) from None
        verdicts.sort(key=lambda verdict: verdict.snapshot.name)
        report = Report(cluster=name, scanned_at=now, verdicts=verdicts)
        if options["format"] == "table":
            self.stdout.write(as_table(report, colour=self._is_colourful(options)))
        else:
            self.stdout.write(FORMATS[options["format"]](report))
        if any_critical(verdicts):
            raise SystemExit(1)

    def _is_colourful(self, options: dict[str, Any]) -> bool:
        # https://no-color.org: the variable counts when it is set and not empty.
        if options["no_color"] or os.environ.get("NO_COLOR"):
            return False
        return bool(options["force_color"] or self.stdout.isatty())


def read(cluster: Cluster, names: list[str]) -> Iterator[raw.NamespaceObjects]:
    """The Namespaces `names`, or all; one by one where lists over all of them are forbidden.

    Raises ClusterError, NotFound for one of `names` that is not there.
    """
    if names:
        for name in sorted(set(names)):
            yield cluster.namespace(name)
        return
    everything = cluster.namespaces()
    try:
        first = next(everything, None)
    except ClusterWideForbidden:
        yield from _one_by_one(cluster)
        return
    if first is not None:
        yield first
        yield from everything


def _one_by_one(cluster: Cluster) -> Iterator[raw.NamespaceObjects]:
    try:
        names = cluster.namespace_names()
    except Forbidden as error:
        error.remedy = f"Name the Namespaces to read with --namespace, or run:\n{error.remedy}"
        raise
    for name in names:
        try:
            yield cluster.namespace(name)
        except NotFound:
            continue  # deleted since it was listed
