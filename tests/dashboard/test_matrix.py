"""The matrix as values: what every cell says, and in which order the columns stand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashboard.matrix import (
    CellRow,
    ColumnCount,
    Matrix,
    NamespaceRow,
    build_columns,
    build_matrix,
    kind_of,
    sparkline,
    words,
)
from scanner.check import Status

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
QUAY = "registry/quay.io"


def a_namespace(**fields: Any) -> NamespaceRow:
    return NamespaceRow(**{"pk": 1, "name": "team", "status": "ok", "reason": "", "scanned_at": NOW, **fields})


def a_cell(**fields: Any) -> CellRow:
    return CellRow(**{"namespace": 1, "credential": QUAY, "status": "ok", "reason": "covered", **fields})


def a_matrix(*cells: CellRow, namespace: NamespaceRow | None = None) -> Matrix:
    columns = build_columns([ColumnCount(credential=QUAY, status="ok", reason="covered", cells=1)])
    return build_matrix(columns, [namespace or a_namespace()], cells, now=NOW, stale_after=timedelta(minutes=2))


def the_cell(matrix: Matrix) -> Any:
    return matrix.rows[0].cells[0]


def count(credential: str, status: str, cells: int = 1) -> ColumnCount:
    return ColumnCount(credential=credential, status=status, reason="any", cells=cells)


def test_columns_with_most_critical_cells_come_first_then_by_kind_and_name() -> None:
    columns = build_columns(
        [
            count("tls", "ok"),
            count("registry/z.example.com", "warning", 9),
            count("registry/b.example.com", "critical", 2),
            count("token/api", "critical", 3),
            count("registry/a.example.com", "ok"),
        ]
    )

    assert [column.credential for column in columns] == [
        "token/api",
        "registry/b.example.com",
        "registry/a.example.com",
        "registry/z.example.com",
        "tls",
    ]


def test_a_column_counts_the_cells_of_its_worst_status() -> None:
    (column,) = build_columns([count(QUAY, "critical", 2), count(QUAY, "critical", 1), count(QUAY, "warning", 9)])

    assert (column.worst, column.hurt) == (Status.CRITICAL, 3)


def test_a_column_without_problems_hurts_nobody() -> None:
    (column,) = build_columns([count("tls", "ok", 40)])

    assert (column.kind, column.label, column.worst, column.hurt) == ("Certificate", "TLS", Status.OK, 0)


def test_unknown_outweighs_warning_in_a_column() -> None:
    (column,) = build_columns([count(QUAY, "warning", 9), count(QUAY, "unknown", 1)])

    assert (column.worst, column.hurt) == (Status.UNKNOWN, 1)


def test_a_kind_that_nobody_listed_is_shown_as_words() -> None:
    assert kind_of("object-store/s3") == "Object store"


def test_what_nothing_needs_is_an_empty_cell() -> None:
    cell = the_cell(a_matrix())

    assert (cell.status, cell.is_stored, cell.spoken) == (None, False, "not needed here")


@pytest.mark.parametrize("resource", ["secrets", "pods", "serviceaccounts"])
def test_an_empty_cell_is_not_checked_where_something_essential_could_not_be_read(resource: str) -> None:
    cell = the_cell(a_matrix(namespace=a_namespace(unreadable=frozenset({resource}))))

    assert (cell.status, cell.text, cell.is_stored) == (Status.UNKNOWN, "not checked", False)


def test_an_empty_cell_stays_empty_where_only_events_could_not_be_read() -> None:
    assert the_cell(a_matrix(namespace=a_namespace(unreadable=frozenset({"events"})))).status is None


def test_a_namespace_that_was_never_scanned_is_not_checked_all_over() -> None:
    matrix = a_matrix(namespace=a_namespace(scanned_at=None))

    assert (matrix.rows[0].status, matrix.rows[0].text) == (Status.UNKNOWN, "not checked")
    assert the_cell(matrix).text == "not checked"


def test_what_was_seen_too_long_ago_is_unknown_and_says_what_it_was() -> None:
    old = a_namespace(scanned_at=NOW - timedelta(minutes=2, seconds=1), status="critical")

    matrix = a_matrix(a_cell(status="critical", reason="wrong-host"), namespace=old)

    assert matrix.rows[0].status is Status.UNKNOWN
    cell = the_cell(matrix)
    assert (cell.status, cell.text, cell.note) == (Status.UNKNOWN, "stale", "was wrong host")


def test_what_was_well_and_is_stale_is_not_well() -> None:
    old = a_namespace(scanned_at=NOW - timedelta(hours=1))

    assert the_cell(a_matrix(a_cell(), namespace=old)).note == "was well"


def test_a_scan_exactly_at_the_limit_is_still_believed() -> None:
    matrix = a_matrix(a_cell(), namespace=a_namespace(scanned_at=NOW - timedelta(minutes=2)))

    assert the_cell(matrix).status is Status.OK


@pytest.mark.parametrize(
    ("cell", "text", "note"),
    [
        ({}, "", ""),
        ({"expires_at": NOW + timedelta(days=34, hours=1)}, "", "34 d"),
        ({"status": "warning", "reason": "expiring", "expires_at": NOW + timedelta(days=3)}, "expiring", "3 d"),
        ({"status": "critical", "reason": "expired", "expires_at": NOW - timedelta(days=2)}, "expired", "2 d ago"),
        ({"status": "critical", "reason": "missing", "pod_count": 4}, "missing", "4 Pods"),
        ({"status": "critical", "reason": "wrong-host", "pod_count": 1}, "wrong host", "1 Pod"),
        ({"pod_count": 7}, "", ""),
    ],
)
def test_a_cell_says_its_reason_and_what_to_know_beside_it(cell: dict[str, Any], text: str, note: str) -> None:
    shown = the_cell(a_matrix(a_cell(**cell)))

    assert (shown.text, shown.note) == (text, note)


def test_a_cell_is_spoken_with_its_status() -> None:
    shown = the_cell(a_matrix(a_cell(status="critical", reason="missing", pod_count=2)))

    assert shown.spoken == "critical, missing, 2 Pods"


def test_rows_keep_the_order_that_the_database_gave_them() -> None:
    rows = [a_namespace(pk=pk, name=name) for pk, name in ((3, "c"), (1, "a"), (2, "b"))]

    matrix = build_matrix((), rows, (), now=NOW, stale_after=timedelta(minutes=2))

    assert [row.name for row in matrix.rows] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s ago"),
        (-59, "59 s ago"),
        (-60, "1 min ago"),
        (48, "in 48 s"),
        (7200, "in 2 h"),
        (-172_799, "47 h ago"),
        (172_800, "in 2 d"),
    ],
)
def test_a_length_of_time_is_told_as_people_say_it(seconds: int, text: str) -> None:
    assert words(timedelta(seconds=seconds)) == text


def test_a_trend_needs_three_days() -> None:
    assert sparkline([1, 2]) == ""
    assert sparkline([0, 1, 2]) == "M0,34.0 L90,18.0 L180,2.0"


def test_a_trend_of_nothing_is_a_line_along_the_ground() -> None:
    assert sparkline([0, 0, 0], height=36) == "M0,34.0 L90,34.0 L180,34.0"
