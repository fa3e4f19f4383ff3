"""Verdicts as a scan gives them, with only what a test is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.apps import apps

from scanner.check import Result, Status, worst
from scanner.models import Cluster
from scanner.recording import record
from scanner.snapshot import Owner, PullEntry, Secret, ServiceAccount, Snapshot
from scanner.verdict import Cell, Verdict

NOON = datetime(2024, 11, 20, 12, 0, tzinfo=UTC)
QUAY = "registry/quay.io"


def result(code: str = "PS01", object: str = "Pod/web", status: str = "critical", **fields: Any) -> Result:
    values = {"reason": "missing", "message": "Pod web names a Secret that is not here.", "credential": QUAY} | fields
    return Result(code=code, object=object, status=Status(status), **values)


def cell(credential: str = QUAY, told: str = "critical missing", **fields: Any) -> Cell:
    status, reason = told.split()
    return Cell(credential=credential, status=Status(status), reason=reason, **fields)


def verdict(
    name: str = "team-vision",
    *,
    cells: Iterable[Cell] = (),
    findings: Iterable[Result] = (),
    unasked: Mapping[str, str] | None = None,
    unreadable: Mapping[str, str] | None = None,
    owners: tuple[Owner, ...] = (),
    labels: Mapping[str, str] | None = None,
    uid: str = "uid-1",
) -> Verdict:
    cells, findings = tuple(cells), tuple(findings)
    entry = PullEntry("quay.io", "robot", "quay.io")
    secret = Secret(
        name="regcred", type="kubernetes.io/dockerconfigjson", keys=frozenset({".dockerconfigjson"}), entries=(entry,)
    )
    unreadable = unreadable or {}
    snapshot = Snapshot(
        name=name,
        uid=uid,
        labels=labels or {},
        owners=owners,
        secrets={} if "secrets" in unreadable else {"regcred": secret},
        service_accounts={"default": ServiceAccount(name="default")},
        unreadable=unreadable,
    )
    status = worst([one.status for one in (*cells, *findings)] + ([Status.UNKNOWN] if unasked or unreadable else []))
    return Verdict(
        snapshot=snapshot,
        status=status,
        reason="" if status is Status.OK else "missing",
        cells=cells,
        findings=findings,
        unasked=unasked or {},
    )


def user(name: str, source: Any = "profile") -> Owner:
    return Owner(kind="user", name=name, source=source)


def scanned(cluster: Cluster, *verdicts: Verdict, now: datetime = NOON) -> None:
    """Store `verdicts` as a scan that began at `now`."""
    for _ in record(cluster, verdicts, now=now):
        pass


def dump(*leave_out: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of the scanner but for the columns in `leave_out`."""
    return {
        model.__name__: [
            {name: value for name, value in row.items() if name not in leave_out}
            for row in model._default_manager.order_by("pk").values()
        ]
        for model in apps.get_app_config("scanner").get_models()
    }
