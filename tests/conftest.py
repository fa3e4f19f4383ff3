"""The real parts come from tests/rig/plugin.py, which pyproject.toml loads."""
