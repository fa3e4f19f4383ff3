"""Find, or build once with Go, the programs that tests and benchmarks run for real.

`python -m tests.rig.binaries` builds what is missing and prints where each program is, with names only those.
Programs are looked for in $KUBEBUILDER_ASSETS and then in our cache, which is outside the tree:
$CREDBOARD_CACHE, else $XDG_CACHE_HOME/credboard, else ~/.cache/credboard. Versions are pinned by the go.mod files in
tests/rig/go, hashes by the go.sum files beside them.
"""

# ruff: noqa: T201 (this is a command too: printing is its work)

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_MODULES = Path(__file__).parent / "go"


class NotBuilt(RuntimeError):
    """A program is not there and could not be built; the text says what to do."""


def _no_flags(version: str) -> str:
    return ""


def _kubernetes_flags(version: str) -> str:
    """What the release build stamps in: without it the server calls itself v0.0.0-master and clients distrust it."""
    major, minor, _patch = version.removeprefix("v").split(".", 2)
    stamp = "k8s.io/component-base/version"
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return " ".join(f"-X {stamp}.{name}={value}" for name, value in values.items())


def _helm_flags(version: str) -> str:
    """What its release build stamps in: its version, and which Kubernetes `helm template` says that it speaks to."""
    major, minor, _patch = TOOLS["kubectl"].version.removeprefix("v").split(".", 2)
    values = {"internal/version.version": version}
    for package in ("pkg/lint/rules", "pkg/chartutil"):
        values |= {f"{package}.k8sVersionMajor": major, f"{package}.k8sVersionMinor": minor}
    return " ".join(f"-X helm.sh/helm/v3/{name}={value}" for name, value in values.items())


@dataclass(frozen=True, slots=True)
class Tool:
    """A program, the folder under tests/rig/go that pins it, and the module whose version is the program's."""

    name: str
    folder: str
    package: str
    module: str
    link_flags: Callable[[str], str] = _no_flags

    @property
    def version(self) -> str:
        """As go.mod says, such as "v1.37.0"."""
        for line in (_MODULES / self.folder / "go.mod").read_text(encoding="utf-8").splitlines():
            words = line.removeprefix("require").split()
            if words[:1] == [self.module] and len(words) > 1 and words[1].startswith("v"):
                return words[1]
        raise NotBuilt(f"tests/rig/go/{self.folder}/go.mod does not require {self.module}")


TOOLS = {
    tool.name: tool
    for tool in (
        Tool("etcd", "etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3"),
        Tool(
            "kube-apiserver",
            "kubernetes",
            "k8s.io/kubernetes/cmd/kube-apiserver",
            "k8s.io/kubernetes",
            _kubernetes_flags,
        ),
        Tool("kubectl", "kubernetes", "k8s.io/kubernetes/cmd/kubectl", "k8s.io/kubernetes", _kubernetes_flags),
        Tool("helm", "helm", "helm.sh/helm/v3/cmd/helm", "helm.sh/helm/v3", _helm_flags),
    )
}


def find(name: str) -> Path | None:
    """The program if it is there already. Never builds, so it is safe inside a test's time limit."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    for path in ([Path(assets) / name] if assets else []) + [_cached(TOOLS[name])]:
        if os.access(path, os.X_OK):
            return path
    return None


def find_or_build(name: str) -> Path:
    """The program, built first where it is missing. Raises NotBuilt where that is impossible."""
    found = find(name)
    if found is not None:
        return found
    tool = TOOLS[name]
    target = _cached(tool)
    target.parent.parent.mkdir(parents=True, exist_ok=True)
    with _lock(target.parent.with_name(f".{target.parent.name}.lock")):
        if not os.access(target, os.X_OK):  # somebody else may have built it while we waited
            _build(tool, target)
    return target


def cache_folder() -> Path:
    """Where built programs are kept between runs and between checkouts."""
    own = os.environ.get("CREDBOARD_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "credboard"


def _cached(tool: Tool) -> Path:
    return cache_folder() / f"{tool.name}-{tool.version}-{_go_platform()}" / tool.name


def _go_platform() -> str:
    """This machine in Go's words, such as "linux-amd64". Asked of Python, since a cached program needs no Go."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}-{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(machine, machine) }"


def _build(tool: Tool, target: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise NotBuilt(
            f"{tool.name} is not here and Go, which would build it, is not installed. Install Go "
            f"({_go_needed(tool)} or newer), or point KUBEBUILDER_ASSETS at a folder that holds {tool.name}."
        )
    print(f"building {tool.name} {tool.version}: minutes the first time, then kept in {cache_folder()}", flush=True)
    started = time.monotonic()
    # Beside the target, so that the rename at the end is atomic and a run that dies leaves nothing that looks finished.
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix=f".{tool.name}-") as scratch:
        built = Path(scratch) / "out" / tool.name
        built.parent.mkdir()
        flags = f"-s -w {tool.link_flags(tool.version)}".strip()
        command = [go, "build", "-mod=readonly", "-trimpath", "-ldflags", flags, "-o", str(built), tool.package]
        # GOFLAGS and the other settings of the machine stay in force, the ones named here excepted.
        environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
        done = subprocess.run(
            command, cwd=_MODULES / tool.folder, env=environment, stdin=subprocess.DEVNULL, check=False
        )
        if done.returncode != 0:
            raise NotBuilt(
                f"{tool.name} {tool.version} did not build: what go said is above. It needs Go {_go_needed(tool)}."
            )
        # Everything named by its version is whole, so what stands there can only be an older half of a broken disk.
        shutil.rmtree(target.parent, ignore_errors=True)
        built.parent.rename(target.parent)
    print(f"built {tool.name} in {time.monotonic() - started:.0f} s", flush=True)


def _go_needed(tool: Tool) -> str:
    for line in (_MODULES / tool.folder / "go.mod").read_text(encoding="utf-8").splitlines():
        if line.startswith("go "):
            return line.removeprefix("go ").strip()
    return "of the current release"


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Held by one process at a time; the kernel lets go of it when that process ends."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what is missing. 0 when every program is there, 1 when one is not."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.rig.binaries", description="Find or build the programs of the tests."
    )
    parser.add_argument("name", nargs="*", choices=[[], *TOOLS], help="only these (default: all)")
    missing = False
    for name in parser.parse_args(arguments).name or TOOLS:
        try:
            path = find_or_build(name)
        except NotBuilt as error:
            print(f"{name}: {error}", file=sys.stderr)
            missing = True
        else:
            print(f"{name}: {path} ({path.stat().st_size / 1e6:.0f} MB)")
    return int(missing)


if __name__ == "__main__":
    raise SystemExit(main())
