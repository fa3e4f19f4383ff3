"""`python -m dashboard.demo [--port N]`: run the demo cluster in the foreground."""

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
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: any free one)")
    parser.add_argument("--open", action="store_true", help="let the default token read every Secret")
    options = parser.parse_args()
    # Blocked before any thread starts, so that they wait for sigwait below.
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    cluster = DemoCluster(port=options.port, closed=() if options.open else None)
    with tempfile.TemporaryDirectory(prefix="credboard-demo-") as folder:
        try:
            with cluster:
                path = cluster.kubeconfig(Path(folder) / "kubeconfig")
                sys.stdout.write(f"{cluster.url}\nexport KUBECONFIG={path}\n")
                sys.stdout.flush()
                signal.sigwait(ends)
        except PortTaken as error:
            sys.stderr.write(f"{error.strerror}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
