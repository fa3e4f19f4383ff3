"""`python -m dashboard.demo`: run the demo cluster in the foreground."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from dashboard.demo.server import DemoCluster, PortTaken


def main() -> int:
    """Serve until Ctrl-C; 1 where the port is taken."""
    parser = argparse.ArgumentParser(
        prog="python -m dashboard.demo", description="The embedded demo cluster, by itself."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port (default: any free one)")
    parser.add_argument("--server", default="", help="URL in the kubeconfig, where others reach it by another one")
    parser.add_argument("--kubeconfig", type=Path, help="where to write the kubeconfig (default: a temporary file)")
    parser.add_argument("--open", action="store_true", help="let the default token read every Secret")
    options = parser.parse_args()
    # Blocked before any thread starts, so that they wait for sigwait below.
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    cluster = DemoCluster(host=options.host, port=options.port, closed=() if options.open else None)
    with tempfile.TemporaryDirectory(prefix="credboard-demo-") as folder:
        try:
            with cluster:
                path = cluster.kubeconfig(options.kubeconfig or Path(folder) / "kubeconfig", server=options.server)
                sys.stdout.write(f"{cluster.url}\nexport KUBECONFIG={path}\n")
                sys.stdout.flush()
                signal.sigwait(ends)
        except PortTaken as error:
            sys.stderr.write(f"{error.strerror}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
