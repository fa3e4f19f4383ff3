#!/bin/sh
# Write what is installed in TARGET as a CycloneDX software bill of materials.
#   docker/sbom.sh TARGET > sbom.cdx.json
# Needs cyclonedx-py (requirements/dev.txt) on the PATH, or its path in CYCLONEDX.
set -eu
target=${1:?usage: docker/sbom.sh TARGET}
cd "$(dirname "$0")/.."
exec "${CYCLONEDX:-cyclonedx-py}" environment --output-reproducible --pyproject pyproject.toml "$target/venv/bin/python"
