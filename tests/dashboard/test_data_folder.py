"""The folder of the SQLite file, which SQLite does not make."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from dashboard import apps


def make(monkeypatch: pytest.MonkeyPatch, *, data: Path, file: Path, engine: str = "sqlite3") -> None:
    database = {"ENGINE": f"django.db.backends.{engine}", "NAME": str(file)}
    monkeypatch.setattr(apps, "settings", SimpleNamespace(DATA_DIR=data, DATABASES={"default": database}))
    apps._make_data_folder()


@pytest.mark.parametrize(
    ("engine", "folder", "made"),
    [("sqlite3", "data", True), ("sqlite3", "elsewhere", False), ("postgresql", "data", False)]
)  # fmt: skip
def test_only_the_folder_of_our_own_sqlite_file_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, folder: str, made: bool
) -> None:
    var = tmp_path / "var"
    make(monkeypatch, data=var / "data", file=var / folder / "credboard.sqlite3", engine=engine)
    assert (var / folder).exists() is made


def test_a_folder_that_may_not_be_made_does_not_stop_commands_that_need_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    data = tmp_path / "file" / "data"
    make(monkeypatch, data=data, file=data / "credboard.sqlite3")
    assert not data.exists()
