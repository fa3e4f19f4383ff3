"""A row of every model, whichever there are."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any, Final

from django.apps import apps
from django.db import models

from dashboard.encryption import EncryptedField, encrypt
from tests import factories

NOW: Final = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
OURS: Final = ("scanner", "dashboard", "auth")
#: Where the values of `value_of` make no sense to the code that reads them.
SPECIAL: Final[dict[str, Any]] = {"time_zone": "UTC", "status": "ok", "severity": "ok", "state": "sent"}
_PLAIN: Final[tuple[tuple[type[models.Field[Any, Any]], Any], ...]] = (
    (models.BooleanField, True),
    (models.DateTimeField, NOW),
    (models.TimeField, time(9, 0)),
    (models.EmailField, "ada@example.com"),
    (models.IntegerField, 1),
    (models.FloatField, 1.0),
    (models.CharField, "x"),
    (models.TextField, "x"),
    (models.BinaryField, b"x"),
)


def fill() -> None:
    """At least one row of each of our models, those that pages show filled as scans would."""
    ada = factories.operator()
    factories.owner()
    cluster = factories.cluster("prod-eu", scanned_at=NOW, next_scan_at=None)
    team = factories.namespace(
        cluster, "team-vision", owners=("grace",), cells={"registry/quay.io": "critical missing", "tls": "ok covered"}
    )
    factories.finding(team)
    for model in apps.get_models(include_auto_created=True):
        if model._meta.app_label in OURS and not model._default_manager.exists():
            row(model, user=ada)


def row(model: type[models.Model], **known: Any) -> models.Model:
    """One row, with rows that are there for what it refers to, or new ones."""
    values = {}
    for field in model._meta.concrete_fields:
        if isinstance(field, models.AutoField) or (field.null and not field.is_relation):
            continue
        if field.is_relation:
            target = field.related_model
            found = known.get(field.name) or target._default_manager.first()
            values[field.name] = found or (None if field.null else row(target, **known))
        elif not field.has_default():
            values[field.name] = value_of(field)
    return model._default_manager.create(**values)


def value_of(field: models.Field[Any, Any]) -> Any:
    if field.choices:
        return next(value for value, _ in field.flatchoices)
    if isinstance(field, EncryptedField):
        return encrypt("canary")
    if field.name in SPECIAL and isinstance(field, models.CharField):
        return SPECIAL[field.name]
    return next((value for kind, value in _PLAIN if isinstance(field, kind)), {})
