"""Databases of released versions, and whether this version goes on with them.

`python -m tests.upgrades make 0.1.0` writes the database of this version, with a row of each model at the least, into
`0.1.0.json`, once, when it is released. `test_upgrades.py` loads each of these files into an empty database at the
migrations of then, migrates it to those of now, and looks whether all rows are there and pages open.
"""
