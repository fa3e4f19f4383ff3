"""A real kube-apiserver and its etcd on free loopback ports, and the few calls that tests need to fill it.

`python -m tests.rig.apiserver` runs one in the foreground and prints the path of its kubeconfig.

What differs from a whole cluster, since no controller-manager, scheduler or kubelet runs: Pods never start (set their
status, `apply` does), deleted namespaces stay Terminating (use `unique_namespace`), ServiceAccounts are not made by
themselves (`create_namespace` makes `default`), and the aggregated ClusterRoles view, edit and admin have no rules.
"""

# ruff: noqa: T201 (printing is what the command at the end does)

from __future__ import annotations

import argparse
import base64
import http.client
import json
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn, Self

from cryptography.hazmat.primitives.asymmetric import ec

from tests.rig import binaries
from tests.rig.certificates import CertificateAuthority, KeyPair, write_key
from tests.rig.kube_api import KubeApi
from tests.rig.process import ServerProcess, StartFailed, free_port


class KubeApiServer(KubeApi):
    """A kube-apiserver with RBAC, ServiceAccount admission, token users and certificate users.

    Users: `admin` (system:masters), `scanner` (who may do nothing until a test grants it), those passed in, as
    {name: groups}, and any that `add_user` makes later, who sign in with a certificate.
    """

    def __init__(self, *, users: Mapping[str, Sequence[str]] | None = None, flags: Sequence[str] = ()) -> None:
        """Nothing starts before `start()`. `flags` are added to the API server's command line."""
        self._users = {"admin": ["system:masters"], "scanner": [], **(users or {})}
        super().__init__({user: secrets.token_urlsafe(24) for user in self._users})
        self._flags = flags
        self._servers: list[ServerProcess] = []

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- life ----------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start both servers and wait until the API answers /readyz. Raises StartFailed with the end of the log."""
        etcd, kube_apiserver = binaries.find("etcd"), binaries.find("kube-apiserver")
        if etcd is None or kube_apiserver is None:
            raise binaries.NotBuilt("kube-apiserver and etcd are not built yet: run `make binaries` (minutes, once)")
        self.directory = Path(tempfile.mkdtemp(prefix="credboard-apiserver-"))
        try:
            self._authority = CertificateAuthority(self.directory)
            self.ca_file = self._authority.ca_file
            self._start_etcd(etcd)
            self._start_kube_apiserver(kube_apiserver)
            self.must("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop both servers and forget everything they held."""
        self.close()
        for server in reversed(self._servers):
            server.stop()
        self._servers.clear()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _start_etcd(self, binary: Path) -> None:
        port = free_port()
        self._etcd_url = f"http://127.0.0.1:{port}"
        etcd = ServerProcess(
            [
                binary,
                f"--data-dir={self.directory / 'etcd'}",
                f"--listen-client-urls={self._etcd_url}",
                f"--advertise-client-urls={self._etcd_url}",
                "--listen-peer-urls=http://127.0.0.1:0",
                "--unsafe-no-fsync",
                "--log-level=warn",
                f"--quota-backend-bytes={8 * 1024**3}",  # the biggest benchmark does not fit into the usual 2 GiB
            ],
            log=self.directory / "etcd.log",
            cwd=self.directory,
        )
        self._servers.append(etcd)
        etcd.wait_until_ready(lambda: _etcd_is_healthy(port))

    def _start_kube_apiserver(self, binary: Path) -> None:
        serving = self._authority.server("apiserver")
        service_account_key = self.directory / "service-account.key"
        write_key(ec.generate_private_key(ec.SECP256R1()), service_account_key)
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        server = ServerProcess(
            [
                binary,
                f"--etcd-servers={self._etcd_url}",
                "--bind-address=127.0.0.1",
                f"--secure-port={self.port}",
                # Both would look for a network interface that a machine without a network does not have.
                "--advertise-address=127.0.0.1",
                "--endpoint-reconciler-type=none",
                f"--cert-dir={self.directory}",
                f"--tls-cert-file={serving.certificate}",
                f"--tls-private-key-file={serving.key}",
                f"--client-ca-file={self.ca_file}",
                f"--token-auth-file={self._write_tokens()}",
                "--authorization-mode=RBAC",
                "--allow-privileged=true",
                "--service-cluster-ip-range=10.0.0.0/24",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-signing-key-file={service_account_key}",
                f"--service-account-key-file={service_account_key}",
                *self._flags,
            ],
            log=self.directory / "kube-apiserver.log",
            cwd=self.directory,
        )
        self._servers.append(server)
        server.wait_until_ready(self._is_ready)

    def _is_ready(self) -> bool:
        try:
            # The "default" namespace is made a moment after /readyz turns green.
            return (
                self.request("GET", "/readyz")[0] == 200 and self.request("GET", "/api/v1/namespaces/default")[0] == 200
            )
        except OSError:
            return False

    def _write_tokens(self) -> Path:
        path = self.directory / "tokens.csv"
        path.touch(mode=0o600)
        lines = [f'{self._tokens[user]},{user},{user},"{",".join(groups)}"' for user, groups in self._users.items()]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    # -- users ---------------------------------------------------------------------------------------------------------

    def token(self, user: str = "admin") -> str:
        """The bearer token of a user known since the start. Raises KeyError for one made by `add_user`."""
        return self._tokens[user]

    def add_user(self, user: str, groups: Sequence[str] = ()) -> KeyPair:
        """A user who signs in with a client certificate, from now on. Returns its files."""
        pair = self._authority.client(user, groups)
        self._certificates[user] = pair
        return pair

    def kubeconfig(self, path: Path, *, user: str = "admin", namespace: str | None = None) -> Path:
        """Write a kubeconfig for this user to `path`, self-contained, and return `path`."""
        if user in self._certificates:
            pair = self._certificates[user]
            signs_in = {"client-certificate-data": _base64(pair.certificate), "client-key-data": _base64(pair.key)}
        else:
            signs_in = {"token": self._tokens[user]}
        context = {"cluster": "test", "user": user, **({"namespace": namespace} if namespace else {})}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "test", "cluster": {"server": self.url, "certificate-authority-data": _base64(self.ca_file)}}
            ],
            "users": [{"name": user, "user": signs_in}],
            "contexts": [{"name": "test", "context": context}],
            "current-context": "test",
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(document, indent=2), encoding="utf-8")  # JSON is YAML
        return path


def _etcd_is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.rig.apiserver", description="Run an API server to try things on."
    )
    parser.add_argument("--kubeconfig", type=Path, help="where to write it (default: beside the server's own files)")
    options = parser.parse_args(arguments)

    def end(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    for name in ("etcd", "kube-apiserver"):
        binaries.find_or_build(name)
    try:
        with KubeApiServer() as server:
            path = server.kubeconfig(options.kubeconfig or server.directory / "kubeconfig")
            print(
                f"{server.url} is ready. Its administrator's kubeconfig:\n{path.resolve()}\nCtrl-C stops it.",
                flush=True,
            )
            signal.pause()
    except StartFailed as error:
        print(error, file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
