"""`manage.py cluster`: which clusters are scanned, and how."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from scanner.cluster.kubeconfig import usual_places
from scanner.models import AuditEntry, Cluster, ClusterAccess
from scanner.scan.access import stored_kubeconfig
from scanner.scan.choosing import Trial, problems_of, try_cluster
from scanner.scan.removing import remove_cluster


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
            known = Cluster.objects.filter(name=name).first()
            if known is None:
                raise CommandError(f"There is no cluster called {name!r}.")
            remove_cluster(known, also=partial(_note, name, "remove-cluster"))
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
        is_new = cluster.pk is None
        if (is_new or options["context"]) and not (cluster.kubeconfig or stored_kubeconfig(cluster)):
            # A cluster without files of its own is one that `up` chose for a time, and puts aside when it starts again.
            cluster.kubeconfig = usual_places()
        self._refuse(cluster, problems_of(cluster))
        self._tell(cluster, try_cluster(cluster))
        cluster.is_demo = cluster.is_demo or options["demo"]
        cluster.next_scan_at = timezone.now()
        with transaction.atomic():
            if cluster.kubeconfig and not is_new:
                # Of the two places of a kubeconfig the one that was named last counts.
                ClusterAccess.objects.filter(cluster=cluster).delete()
            cluster.save()
            _note(name, "add-cluster" if is_new else "change-cluster")
        self.stdout.write(f"{name} is scanned every {cluster.scan_interval} s, starting now.")

    def _refuse(self, cluster: Cluster, problems: dict[str, list[str]]) -> None:
        """Raises CommandError when there are any."""
        options = {"scan_interval": "--interval: ", "label_selector": "", "name": ""}
        told = [
            f"{options.get(field, f'{field}: ')}{words}" for field, several in problems.items() for words in several
        ]
        if told:
            raise CommandError(f"{cluster.name} was not saved: {' '.join(told)}")

    def _tell(self, cluster: Cluster, trial: Trial) -> None:
        """Say what a scan would read. Raises CommandError for what no scan can use; a cluster that cannot be asked now
        may be saved all the same."""
        if trial.is_unusable:
            raise CommandError(f"{cluster.name} was not saved: {trial.error} {trial.remedy}".strip())
        if trial.error:
            self.stderr.write(f"It is not known how many Namespaces match: {trial.error}")
            return
        if trial.missing:
            self.stderr.write(f"Credboard may not list {', '.join(trial.missing)} in the whole cluster. To grant it:")
            self.stderr.write("\n".join(trial.grants))
        if trial.matching is None:
            return
        verb = "matches" if trial.matching == 1 else "match"
        self.stdout.write(f"{trial.matching} of {trial.namespaces} Namespaces {verb}.")
        if trial.leaves_nothing:
            self.stderr.write("So the next scan closes whatever is known of the others.")


def _note(name: str, action: str) -> None:
    """Whoever has a shell on this machine is not known by name."""
    AuditEntry.objects.create(
        actor="manage.py", action=action, cluster=name, object=f"Cluster/{name}", outcome=AuditEntry.Outcome.DONE
    )


def _globs(given: list[str] | None) -> list[str] | None:
    """An empty glob matches nothing, and clears the list when it stands alone."""
    return given if given is None else [one for one in (glob.strip() for glob in given) if one]


def _absolute(kubeconfig: str | None) -> str | None:
    """The same file for a worker that runs in another folder."""
    if not kubeconfig:
        return kubeconfig
    return os.pathsep.join(str(Path(part).expanduser().absolute()) for part in kubeconfig.split(os.pathsep) if part)
