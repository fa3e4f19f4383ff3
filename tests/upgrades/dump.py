"""A database as JSON, and back: by the models that its migrations describe, so it is the same on every database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.apps.registry import Apps
from django.core.management.color import no_style
from django.db import connection, models, transaction
from django.db.migrations.executor import MigrationExecutor

#: Django fills these by itself, or nothing of ours uses them.
_DJANGOS_OWN: Final = frozenset(
    {
        "contenttypes.contenttype",
        "sessions.session",
        "auth.permission",
        "auth.group_permissions",
        "auth.user_user_permissions",
    }
)


def applied() -> list[tuple[str, str]]:
    """The newest migration of each app, as it was applied."""
    loader = MigrationExecutor(connection).loader
    return sorted(loader.graph.leaf_nodes())


def every() -> list[tuple[str, str]]:
    """All migrations that were applied."""
    return sorted(MigrationExecutor(connection).loader.applied_migrations)


def models_at(targets: list[tuple[str, str]]) -> Apps:
    """The models as those migrations describe them."""
    return MigrationExecutor(connection).loader.project_state(targets).apps


def tables(apps: Apps) -> Iterator[type[models.Model]]:
    for model in apps.get_models(include_auto_created=True):
        if model._meta.label_lower not in _DJANGOS_OWN:
            yield model


def dump(version: str) -> dict[str, Any]:
    """The whole database."""
    targets = applied()
    rows = {
        model._meta.label_lower: [
            {field.attname: _plain(field, one) for field in model._meta.concrete_fields}
            for one in model._default_manager.order_by("pk")
        ]
        for model in tables(models_at(targets))
    }
    return {"version": version, "leaves": targets, "migrations": every(), "rows": rows}


def _plain(field: models.Field[Any, Any], one: models.Model) -> Any:
    value = field.value_from_object(one)
    if value is None or isinstance(value, bool | int | float | str | list | dict):
        return value
    return field.value_to_string(one)


def load(told: dict[str, Any]) -> None:
    """Into an empty database, which has exactly the migrations of `told` afterwards."""
    targets = [tuple(pair) for pair in told["leaves"]]
    MigrationExecutor(connection).migrate(targets)
    apps = models_at(targets)
    filled = [model for model in tables(apps) if told["rows"].get(model._meta.label_lower)]
    # Both databases look at foreign keys when the transaction ends.
    with transaction.atomic():
        for model in filled:
            fields = {field.attname: field for field in model._meta.concrete_fields}
            rows = told["rows"][model._meta.label_lower]
            model._default_manager.all().delete()
            model._default_manager.bulk_create(
                model(**{name: _value(fields[name], value) for name, value in row.items()}) for row in rows
            )
        with connection.cursor() as cursor:
            for statement in connection.ops.sequence_reset_sql(no_style(), filled):
                cursor.execute(statement)


def _value(field: models.Field[Any, Any], value: Any) -> Any:
    target = field.target_field if field.is_relation else field
    return target.to_python(value)


def lost(told: dict[str, Any]) -> list[str]:
    """What of `told` is not in the database any more, of models and fields that there still are."""
    found = []
    for model in tables(models_at(applied())):
        label = model._meta.label_lower
        fields = {field.attname: field for field in model._meta.concrete_fields}
        for row in told["rows"].get(label, []):
            key = row[model._meta.pk.attname]
            one = model._default_manager.filter(pk=_value(model._meta.pk, key)).first()
            if one is None:
                found.append(f"{label} {key}")
                continue
            found += [
                f"{label} {key}: {name}"
                for name, value in row.items()
                if name in fields and _plain(fields[name], one) != value
            ]
    return found
