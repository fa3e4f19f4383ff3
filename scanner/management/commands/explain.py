"""`manage.py explain`: which pull Secret the kubelet would use for one image. Needs no database and no worker."""

from __future__ import annotations

import secrets
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scanner.check import Context
from scanner.cluster import Cluster, ClusterError
from scanner.credential import Fingerprint
from scanner.explaining import NotThere, as_json, as_text, explain_image
from scanner.image import InvalidImage
from scanner.policy import Policy
from scanner.snapshot import build_snapshot


class Command(BaseCommand):
    help = (
        "Show, entry by entry, which pull Secret the kubelet would use for an image, and why not the others. "
        "Exit status: 0 covered, 1 not covered, 2 could not look."
    )
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("image", help="as it stands in a Pod, for example harbor.example.com/team/app:1")
        parser.add_argument("--namespace", "-n", required=True)
        whose = parser.add_mutually_exclusive_group()
        whose.add_argument("--pod", help="a Pod as it is; default: one that is yet to be made")
        whose.add_argument("--service-account", default="default", help="of the Pod to be made; default: %(default)s")
        parser.add_argument("--kubeconfig", help="file; default: $KUBECONFIG, ~/.kube/config, or the cluster we run in")
        parser.add_argument("--context", help="context of the kubeconfig; default: its current one")
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, **options: Any) -> None:
        now = datetime.now(UTC)
        try:
            with Cluster.from_kubeconfig(options["kubeconfig"], options["context"]) as cluster:
                objects = cluster.namespace(options["namespace"])
            # Nothing is stored, so equal values need to be told apart only within this run.
            snapshot = build_snapshot(objects, fingerprint=Fingerprint(secrets.token_bytes(32)))
            explanation = explain_image(
                Context(snapshot=snapshot, policy=Policy(), now=now),
                options["image"],
                pod=options["pod"],
                service_account=options["service_account"],
            )
        except ClusterError as error:
            raise CommandError("\n".join(filter(None, (str(error), error.remedy))), returncode=2) from None
        except InvalidImage as error:
            raise CommandError(f"That is no image reference: {error.reason}.", returncode=2) from None
        except NotThere as error:
            raise CommandError(str(error), returncode=2) from None
        self.stdout.write(as_json(explanation) if options["format"] == "json" else as_text(explanation))
        if not explanation.is_covered:
            raise SystemExit(1)
