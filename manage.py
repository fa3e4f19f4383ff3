#!/usr/bin/env python
"""Credboard's command line; `manage.py help` lists the commands."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import DatabaseError

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # It says which setting to mend, and how: where we noticed helps nobody who starts this.
        sys.exit(f"A setting is wrong. {error}")
    except (DatabaseError, OSError) as error:
        from dashboard import full_disk, unmigrated

        # Whoever runs a command first met a table that is not there; any other trouble keeps its traceback.
        words = full_disk.advice(error) or (isinstance(error, DatabaseError) and unmigrated.advice())
        if not words:
            raise
        sys.exit(words)
