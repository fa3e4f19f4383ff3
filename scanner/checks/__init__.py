"""The checks, one file each; see `scanner.check`."""
