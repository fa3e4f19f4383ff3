# One image for web, worker and beat. Every step is a script in docker/, which the tests run without Docker.
#   docker build --build-arg VERSION=… --build-arg REVISION=… -t credboard .
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
# The wheels change with the lock file only, so that a change of the source fetches nothing.
COPY requirements/run.txt requirements/
COPY docker/wheelhouse.sh docker/
RUN docker/wheelhouse.sh /wheels
COPY manage.py pyproject.toml ./
COPY docker/install.sh docker/
COPY static static
COPY templates templates
COPY scanner scanner
COPY dashboard dashboard
RUN docker/install.sh /wheels /opt/credboard

# What is installed, told by a tool that is not: `docker build --target sbom --output sbom .` writes it to a folder, and the image
# holds it as /usr/share/credboard/sbom.cdx.json.
FROM ${PYTHON_IMAGE} AS sbom-writer
WORKDIR /src
# Before anything of the source, as the wheels are.
COPY requirements/dev.txt requirements/
RUN python -m venv /sbom \
    && /sbom/bin/python -m pip install --no-cache-dir --quiet --require-hashes --requirement requirements/dev.txt
COPY pyproject.toml ./
COPY docker/sbom.sh docker/
COPY --from=build /opt/credboard /opt/credboard
RUN CYCLONEDX=/sbom/bin/cyclonedx-py docker/sbom.sh /opt/credboard > /sbom.cdx.json

FROM scratch AS sbom
COPY --from=sbom-writer /sbom.cdx.json /

FROM ${PYTHON_IMAGE}
# A new volume takes owner and mode of the folder: /keys lets PostgreSQL, which is another user, through to its password.
# tini passes signals on and reaps what tasks leave behind. pip goes: nothing is installed in a container that runs.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && python -m pip uninstall --yes --quiet --root-user-action ignore setuptools wheel pip \
    && groupadd --gid 10001 credboard \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin credboard \
    && install --directory --owner 10001 --group 10001 --mode 0750 /data /demo \
    && install --directory --owner 10001 --group 10001 --mode 0711 /keys
COPY --from=build /opt/credboard /opt/credboard
COPY --from=sbom-writer /sbom.cdx.json /usr/share/credboard/sbom.cdx.json

ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Credboard" \
      org.opencontainers.image.description="Credential health across Kubernetes namespaces" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# The root file system may be read-only. Written to are /data (SQLite, beat's schedule) and /tmp.
ENV PATH=/opt/credboard/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CREDBOARD_DATA_DIR=/data
WORKDIR /opt/credboard
USER 10001:10001
EXPOSE 8000
# After SIGTERM gunicorn answers what it has begun, and a worker ends the tasks that it has begun: give it time.
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--", "python", "manage.py"]
CMD ["start", "web", "--bind", "0.0.0.0:8000"]
# Of the web; compose and the chart have others for worker and beat (python -m dashboard.alive).
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
