"""`manage.py cluster`: which clusters are scanned, and how."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management import BaseCommand, CommandError
from django.utils import timezone

from scanner.cluster import BadConfiguration, ClusterError, Invalid
from scanner.cluster import Cluster as Api
from scanner.label_selector import InvalidSelector, parse_label_selector
from scanner.models import Cluster
from scanner.scan import connect, invalid_selector, is_selected

#: Seconds that the cluster may take to say which Namespaces it has, before it is saved without.
ASK_TIMEOUT: Final = 5


class Command(BaseCommand):
    help = "Add or change a cluster to scan; without a name, list them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", help="name shown in Credboard")
        parser.add_argument("--kubeconfig", help="path of a kubeconfig (default: the usual places, or in-cluster)")
        parser.add_argument("--context", help="context of the kubeconfig (default: its current one)")
        parser.add_argument("--interval", type=int, help="seconds between scans (default CREDBOARD_SCAN_INTERVAL)")
        parser.add_argument(
            "--include", action="append", metavar="GLOB", help="only these Namespaces; repeatable; '' for all again"
        )
        parser.add_argument(
            "--exclude", action="append", metavar="GLOB", help="never these Namespaces; repeatable; '' for none again"
        )
        parser.add_argument(
            "--selector", help="only Namespaces with these labels, as kubectl -l takes it; '' for all again"
        )
        parser.add_argument("--demo", action="store_true", help="pages say that its workloads are an example")
        parser.add_argument("--remove", action="store_true", help="forget the cluster and what was found in it")

    def handle(self, *, name: str | None, remove: bool, **options: Any) -> None:
        if name is None:
            for cluster in Cluster.objects.order_by("name"):
                context = cluster.context or "(current context)"
                self.stdout.write(f"{cluster.name}\t{context}\tevery {cluster.scan_interval} s")
            return
        if remove:
            deleted, _ = Cluster.objects.filter(name=name).delete()
            if not deleted:
                raise CommandError(f"There is no cluster called {name!r}.")
            self.stdout.write(f"{name} is no longer scanned.")
            return
        self._save(name, options)

    def _save(self, name: str, options: dict[str, Any]) -> None:
        cluster = Cluster.objects.filter(name=name).first() or Cluster(name=name, scan_interval=settings.SCAN_INTERVAL)
        given = {
            "kubeconfig": _absolute(options["kubeconfig"]),
            "context": options["context"],
            "scan_interval": options["interval"],
            "include": _globs(options["include"]),
            "exclude": _globs(options["exclude"]),
            "label_selector": options["selector"] if options["selector"] is None else options["selector"].strip(),
        }
        for attribute, value in given.items():
            if value is not None:
                setattr(cluster, attribute, value)
        if not 5 <= cluster.scan_interval <= 86_400:
            raise CommandError("--interval must be between 5 and 86400 seconds.")
        if "/" in name or not name.isprintable():
            raise CommandError("A cluster's name stands in addresses of pages: no slash and no control character.")
        try:
            cluster.full_clean()
            parse_label_selector(cluster.label_selector)
            with connect(cluster, connect_timeout=ASK_TIMEOUT, read_timeout=ASK_TIMEOUT) as connection:
                self._tell_matching(cluster, connection)
        except ValidationError as error:
            raise CommandError(f"{name} was not saved: {' '.join(error.messages)}") from error
        except InvalidSelector as error:
            wrong = invalid_selector(cluster.label_selector, str(error))
            raise CommandError(f"{name} was not saved: {wrong}") from error
        except BadConfiguration as error:
            raise CommandError(f"{name} was not saved: {error} {error.remedy}".strip()) from error
        cluster.is_demo = cluster.is_demo or options["demo"]
        cluster.next_scan_at = timezone.now()
        cluster.save()
        self.stdout.write(f"{name} is scanned every {cluster.scan_interval} s, starting now.")

    def _tell_matching(self, cluster: Cluster, connection: Api) -> None:
        """Say what a scan would read. Raises BadConfiguration, and CommandError for a selector that is refused; a
        cluster that cannot be asked now may be saved all the same."""
        try:
            names = connection.namespace_names()
            labelled = connection.namespace_names(label_selector=cluster.label_selector)
        except BadConfiguration:
            raise
        except Invalid as error:
            wrong = invalid_selector(cluster.label_selector, str(error))
            raise CommandError(f"{cluster.name} was not saved: {wrong}") from error
        except ClusterError as error:
            self.stderr.write(f"It is not known how many Namespaces match: {error}")
            return
        matching = sum(is_selected(one, cluster.include, cluster.exclude) for one in labelled)
        verb = "matches" if matching == 1 else "match"
        self.stdout.write(f"{matching} of {len(names)} Namespaces {verb}.")
        if names and not matching:
            self.stderr.write("So the next scan closes whatever is known of the others.")


def _globs(given: list[str] | None) -> list[str] | None:
    """An empty glob matches nothing, and clears the list when it stands alone."""
    return given if given is None else [one for one in (glob.strip() for glob in given) if one]


def _absolute(kubeconfig: str | None) -> str | None:
    """The same file for a worker that runs in another folder."""
    if not kubeconfig:
        return kubeconfig
    return os.pathsep.join(str(Path(part).expanduser().absolute()) for part in kubeconfig.split(os.pathsep) if part)
