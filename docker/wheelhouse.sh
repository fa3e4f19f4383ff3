#!/bin/sh
# Fetch every wheel of the lock file into a folder: the only build step that needs a network.
#   docker/wheelhouse.sh WHEELS
# Only wheels: nothing is compiled, so no compiler is needed here nor later. A hash that differs ends it.
set -eu
wheels=${1:?usage: docker/wheelhouse.sh WHEELS}
cd "$(dirname "$0")/.."
exec "${PYTHON:-python3}" -m pip download --disable-pip-version-check --no-input --quiet \
	--require-hashes --only-binary :all: --dest "$wheels" --requirement requirements/run.txt
