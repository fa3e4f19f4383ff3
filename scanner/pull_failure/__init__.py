"""Read the message of a Pod that cannot start: what went wrong, what else it may be, and for which registry.

The text is taken apart before any rule is asked: wrappers of the kubelet and of gRPC are removed, an aggregate
``[error, error]`` (one error for each credential that the kubelet tried) is split, names and addresses are replaced by
markers. Then ordered tables of patterns say what each part means, and the attempt that got furthest is reported.
"""

from __future__ import annotations

from scanner.pull_failure.cause import Cause
from scanner.pull_failure.reading import PullFailure, explain

__all__ = ["Cause", "PullFailure", "explain"]
