"""While an upgrade goes on, processes of the former version still write: nothing that they use may go in the same step.

A migration that takes something away, or asks for more than the former version writes, must be listed in `SINCE` with
the release that stopped using it. See docs/upgrading.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import models
from django.db.migrations import operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

#: "app.migration" ─▶ the release that stopped using what it takes away.
SINCE: dict[str, str] = {}
OURS = ("scanner", "dashboard")
TAKES_AWAY = (
    operations.RemoveField,
    operations.DeleteModel,
    operations.RenameField,
    operations.RenameModel,
    operations.AlterModelTable,
    operations.AlterUniqueTogether,
    operations.RunSQL,
)


def released() -> dict[str, set[tuple[str, str]]]:
    """By version, the migrations that it had."""
    files = Path(__file__).parent.glob("*.json")
    told = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    return {one["version"]: {(app, name) for app, name in one["migrations"]} for one in told}


def new_migrations() -> Iterator[tuple[Migration, ProjectState]]:
    """Those that no release has, each with the state before it. Before the first release there are none."""
    versions = released()
    known = set().union(*versions.values())
    loader = MigrationLoader(None)
    for key, migration in sorted(loader.graph.nodes.items()):
        if versions and key[0] in OURS and key not in known:
            yield migration, loader.project_state(key, at_end=False)


def objections(migration: Migration, state: ProjectState) -> list[str]:
    """What in `migration` breaks processes of the former version."""
    found = []
    made = {one.name.lower() for one in migration.operations if isinstance(one, operations.CreateModel)}
    for operation in migration.operations:
        if getattr(operation, "model_name", "").lower() not in made and (why := objection(operation, migration, state)):
            found.append(f"{migration}: {operation.describe()} {why}")
        operation.state_forwards(migration.app_label, state)
    return found


def objection(operation: Operation, migration: Migration, state: ProjectState) -> str:
    if isinstance(operation, TAKES_AWAY):
        return "takes away what the former version may use"
    if isinstance(operation, operations.AddConstraint):
        return "refuses rows that the former version may write"
    if isinstance(operation, operations.AddField):
        return "" if fills_itself(operation.field) else "has no db_default, so the former version cannot add rows"
    if isinstance(operation, operations.AlterField):
        before = state.models[migration.app_label, operation.model_name.lower()].fields[operation.name]
        return "narrows the column" if narrows(before, operation.field) else ""
    return ""


def fills_itself(field: models.Field[Any, Any]) -> bool:
    return bool(field.null or field.many_to_many or field.has_db_default())


def narrows(before: models.Field[Any, Any], after: models.Field[Any, Any]) -> bool:
    shorter = (after.max_length or 10**9) < (before.max_length or 10**9)
    other = before.get_internal_type() != after.get_internal_type()
    return shorter or other or (before.null and not after.null) or (after.unique and not before.unique)


def test_new_migrations_only_add() -> None:
    found = [
        words
        for migration, state in new_migrations()
        if f"{migration.app_label}.{migration.name}" not in SINCE
        for words in objections(migration, state)
    ]
    assert not found


def test_what_is_listed_as_unused_was_so_in_a_release() -> None:
    assert set(SINCE.values()) <= set(released())


def test_a_released_migration_is_still_there() -> None:
    loader = MigrationLoader(None)
    squashed = {pair for migration in loader.disk_migrations.values() for pair in migration.replaces}
    known = {*loader.disk_migrations, *squashed}
    for version, migrations in released().items():
        assert {pair for pair in migrations if pair[0] in OURS} <= known, version


TEXT = models.CharField(max_length=10)


@pytest.mark.parametrize(
    ("operation", "is_fine"),
    [
        (operations.RemoveField("thing", "text"), False),
        (operations.DeleteModel("Thing"), False),
        (operations.RenameField("thing", "text", "words"), False),
        (operations.AlterField("thing", "text", models.CharField(max_length=9)), False),
        (operations.AlterField("thing", "text", models.CharField(max_length=11)), True),
        (operations.AlterField("thing", "text", models.CharField(max_length=10, unique=True)), False),
        (operations.AlterField("thing", "text", models.IntegerField()), False),
        (operations.AddField("thing", "more", models.CharField(max_length=5, default="")), False),
        (operations.AddField("thing", "more", models.CharField(max_length=5, default="", db_default="")), True),
        (operations.AddField("thing", "more", models.DateTimeField(null=True)), True),
        (operations.AddIndex("thing", models.Index(fields=["text"], name="thing_text")), True),
        (
            operations.AddConstraint("thing", models.UniqueConstraint(fields=["text"], name="thing_one_text")),
            False,
        ),
    ],
    ids=[f"case {number}" for number in range(12)],
)
def test_what_the_former_version_could_not_live_with_is_found(operation: Operation, is_fine: bool) -> None:
    state = ProjectState()
    created = operations.CreateModel("Thing", [("id", models.BigAutoField(primary_key=True)), ("text", TEXT)])
    created.state_forwards("scanner", state)
    migration = Migration("0099_example", "scanner")
    migration.operations = [operation]
    assert (objections(migration, state) == []) is is_fine
