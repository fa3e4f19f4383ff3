"""The credential kinds, one file each; see `scanner.credential`."""
