#!/bin/sh
# Install Credboard into an empty folder, offline, from a wheelhouse: a virtual environment without pip, the source, and the
# static files.
#   docker/install.sh WHEELS TARGET
# TARGET/venv/bin/python TARGET/manage.py is what runs then. Nothing in TARGET is written to afterwards.
set -eu
wheels=${1:?usage: docker/install.sh WHEELS TARGET}
target=${2:?usage: docker/install.sh WHEELS TARGET}
python=${PYTHON:-python3}
cd "$(dirname "$0")/.."

mkdir -p "$target"
"$python" -m venv --without-pip "$target/venv"
"$python" -m pip --python "$target/venv/bin/python" install --disable-pip-version-check --no-input --quiet \
	--no-index --find-links "$wheels" --require-hashes --no-compile --requirement requirements/run.txt
# The client's second half, for asyncio, is a fifth of everything here, and nothing imports it.
rm -rf "$target"/venv/lib/python*/site-packages/kubernetes/aio
cp -R manage.py dashboard scanner templates static "$target"
find "$target" -name __pycache__ -type d -prune -exec rm -rf {} +
# Settings are read without a database or a broker; the key lasts for this one command.
DATABASE_URL=sqlite://:memory: "$target/venv/bin/python" "$target/manage.py" collectstatic --no-input --verbosity 0
# Where the file system is read-only nobody could write them later. Hashes, not times: the same build twice is the same.
"$target/venv/bin/python" -m compileall -q --invalidation-mode unchecked-hash "$target"
