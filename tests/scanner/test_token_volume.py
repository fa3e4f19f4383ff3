"""Projected ServiceAccount tokens, against the table of facts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from scanner.token_volume import InvalidLifetime, token_volume
from tests import oracles


@pytest.mark.parametrize("row", oracles.rows("08-expiry.yaml", "sa_token_volume_cases"))
def test_a_token_volume_is_what_the_table_says(row: dict[str, Any]) -> None:
    if row.get("effective") == "rejected":
        with pytest.raises(InvalidLifetime):
            token_volume(row["expirationSeconds"])
        return
    found = token_volume(row["expirationSeconds"])

    assert found.lifetime.total_seconds() == row.get("effective", row.get("warnafter"))
    if "rotates_at" in row:
        assert found.rotates_after.total_seconds() == row["rotates_at"]
    if "token_exp" in row:
        assert found.accepted_for == timedelta(days=365)


def test_only_the_api_servers_own_audience_is_extended_to_a_year() -> None:
    assert token_volume(3607, audience="pipelines.kubeflow.org").accepted_for == timedelta(seconds=3607)
    assert token_volume(3608).accepted_for == timedelta(seconds=3608)


def test_the_longest_lifetime_is_taken() -> None:
    assert token_volume(1 << 32).rotates_after == timedelta(hours=24)
