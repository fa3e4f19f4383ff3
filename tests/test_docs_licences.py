"""docs/licences.md, and that no package comes in under a licence that nobody has read."""

from __future__ import annotations

import pytest

from tests import licences


def test_the_page_is_what_is_installed() -> None:
    assert licences.PAGE.read_text(encoding="utf-8") == licences.page(licences.locked()), "run make licences"


def test_a_licence_that_nobody_has_read_is_refused() -> None:
    with pytest.raises(licences.NotAllowed, match=r"thing is under 'AGPL-3\.0-only'"):
        licences.normalised("thing", "AGPL-3.0-only")
    with pytest.raises(licences.NotAllowed):
        licences.normalised("thing", "UNKNOWN")


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("MIT License", "MIT"),
        ("Apache-2.0 OR BSD-3-Clause", "Apache-2.0 or BSD-3-Clause"),
        ("MIT AND PSF-2.0", "MIT and PSF-2.0"),
        ("Apache Software License; BSD License", "Apache-2.0 and BSD"),
    ],
)
def test_licences_are_named_as_spdx_does(told: str, shown: str) -> None:
    assert licences.normalised("thing", told) == shown


def test_one_part_that_is_not_allowed_is_enough_to_refuse() -> None:
    with pytest.raises(licences.NotAllowed):
        licences.normalised("thing", "MIT AND GPL-3.0-only")


def test_a_package_that_is_not_installed_is_named() -> None:
    with pytest.raises(LookupError, match="no-such-package"):
        licences.page(["django", "no-such-package"])


def test_every_package_of_the_lock_file_is_listed() -> None:
    assert {"django", "kubernetes", "psycopg"} <= set(licences.locked())
    assert "async-timeout" not in licences.locked()
