"""Every credential kind against its cases in `<slug>.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import scanner.credentials
from scanner.credential import Fingerprint, Unparsable, credential_kinds
from tests.objects import namespace_objects
from tests.tables import table

FOLDER = Path(__file__).parent
CASES: dict[str, dict[str, dict[str, Any]]] = {
    file.stem: table(file)["cases"] for file in sorted(FOLDER.glob("*.yaml"))
}


@pytest.mark.parametrize(
    ("slug", "name"), [pytest.param(slug, name, id=f"{slug}-{name}") for slug, cases in CASES.items() for name in cases]
)
def test_a_kind_reads_what_its_case_says(slug: str, name: str) -> None:
    case = CASES[slug][name]
    secret = namespace_objects([{"kind": "Secret", "metadata": {"name": "s"}, **case["secret"]}]).secrets[0]
    read = credential_kinds()[slug].read

    if "unparsable" in case:
        with pytest.raises(Unparsable, match=case["unparsable"]):
            list(read(secret, Fingerprint(b"test")))
        return
    found = list(read(secret, Fingerprint(b"test")))

    assert [
        {key: getattr(one, key) for key in wanted} for one, wanted in zip(found, case["credentials"], strict=True)
    ] == (case["credentials"])
    assert all(one.kind == slug and len(one.fingerprint) == 16 for one in found)


@pytest.mark.parametrize("slug", credential_kinds())
def test_every_kind_has_a_case_that_finds_one_and_one_that_does_not(slug: str) -> None:
    found = [bool(case.get("credentials")) for case in CASES.get(slug, {}).values()]

    assert True in found
    assert False in found


def test_every_kind_stands_in_the_file_that_bears_its_slug() -> None:
    files = {file.stem for file in Path(scanner.credentials.__path__[0]).glob("[!_]*.py")}

    assert files == {slug.replace("-", "_") for slug in credential_kinds()}
    assert set(CASES) == set(credential_kinds())


def test_a_kind_that_can_build_says_which_type_it_creates_and_asks_for_its_fields() -> None:
    for kind in credential_kinds().values():
        assert (kind.build is None) == (kind.creates == "") == (kind.fields == ())
        assert all(field.secret for field in kind.fields if field.name in ("password", "key", "config_json"))
