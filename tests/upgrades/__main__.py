"""`python -m tests.upgrades make VERSION`, when a version is released; `check FILE` for an empty database."""

# ruff: noqa: T201 (this is a command: printing is its work)

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
#: Known to everybody: what is encrypted in these files is a canary, and must be read again.
KEY = "the key of the databases in tests/upgrades, and of nothing else"
PAGES = ("/", "/findings/", "/expiry/", "/reports/", "/audit/", "/settings/clusters/", "/settings/alerts/")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.upgrades", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make_parser = commands.add_parser("make", help="write the database of this version, filled")
    make_parser.add_argument("version")
    make_parser.add_argument("--into", type=Path, default=FOLDER)
    commands.add_parser(
        "check", help="load a file into the empty database of DATABASE_URL, migrate, look"
    ).add_argument("file", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="credboard-upgrade-") as folder:
        os.environ["CREDBOARD_SECRET_KEY"] = KEY
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        if options.command == "make":
            os.environ["DATABASE_URL"] = f"sqlite:///{folder}/database"
        else:
            os.environ.setdefault("DATABASE_URL", f"sqlite:///{folder}/database")
        import django

        django.setup()
        return make(options.version, options.into) if options.command == "make" else check(options.file)


def make(version: str, into: Path) -> int:
    from django.core.management import call_command

    from tests.upgrades.dump import dump
    from tests.upgrades.rows import fill

    path = into / f"{version}.json"
    if path.exists():
        print(f"{path} is there already: what was released does not change.", file=sys.stderr)
        return 1
    call_command("migrate", verbosity=0)
    fill()
    path.write_text(json.dumps(dump(version), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(path)
    return 0


def check(path: Path) -> int:
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.test import Client

    from dashboard.encryption import decrypt, encrypted_columns
    from tests.upgrades.dump import load, lost

    told = json.loads(path.read_text(encoding="utf-8"))
    load(told)
    call_command("migrate", verbosity=0)
    problems = [f"lost: {one}" for one in lost(told)]
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(User.objects.get(username="ada"))
    for page in PAGES:
        status = client.get(page).status_code
        problems += [f"{page} answers {status}"] if status != 200 else []
    for model, column in encrypted_columns():
        for value in model._default_manager.exclude(**{column: b""}).values_list(column, flat=True):
            problems += [] if decrypt(value) == "canary" else [f"{model._meta.label}.{column} is another"]
    print("\n".join(problems) or f"{path.name}: all of its rows are there.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
