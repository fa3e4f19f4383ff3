"""A stand-in for Docker: takes the commands of the documentation word by word, and starts processes for containers.

It proves what is ours: that arguments are known, services and profiles exist, what waits for a service gets it, and
each command runs from the image's own folder, which docker/install.sh made. It proves nothing of an engine: no file
system, network or user is apart. What is not ours (PostgreSQL, Valkey, the mail catcher) is the caller's.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.rig.wheels import ROOT
from tests.shipping.conftest import Container


def _arguments() -> argparse.ArgumentParser:
    """Of `docker`, as far as the documentation uses them. A word that is unknown here ends in SystemExit."""
    docker = argparse.ArgumentParser("docker", exit_on_error=False, allow_abbrev=False)
    verbs = docker.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser("build", allow_abbrev=False)
    build.add_argument("--tag", required=True)
    build.add_argument("context", type=Path)
    verbs.add_parser("push", allow_abbrev=False).add_argument("image")
    compose = verbs.add_parser("compose", allow_abbrev=False)
    compose.add_argument("--profile", action="append", default=[])
    actions = compose.add_subparsers(dest="action", required=True)
    up = actions.add_parser("up", allow_abbrev=False)
    up.add_argument("--build", action="store_true")
    up.add_argument("--detach", action="store_true", required=True)
    actions.add_parser("logs", allow_abbrev=False).add_argument("service")
    run = actions.add_parser("run", allow_abbrev=False)
    run.add_argument("--rm", action="store_true", required=True)
    run.add_argument("service")
    run.add_argument("command", nargs=argparse.REMAINDER)
    return docker


@dataclass
class StandIn:
    """Runs those services of docker-compose.yml that are `containers`.

    `here` makes of a word of a command what it is on this machine: folders for volumes, free ports. `ready` is called
    with a service before what depends on it starts, and returns once it answers.
    """

    services: Mapping[str, dict[str, Any]]
    containers: Mapping[str, Container]
    here: Callable[[str], str]
    ready: Callable[[str], None]
    built: set[str] = field(default_factory=set)
    pushed: set[str] = field(default_factory=set)
    logs: dict[str, str] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)

    def run(self, command: str) -> str:
        """What `command` prints. Raises AssertionError, or SystemExit for words that Docker or this does not know."""
        words = shlex.split(command)
        assert words[0] == "docker"
        given = _arguments().parse_args(words[1:])
        return getattr(self, f"_{getattr(given, 'action', given.verb)}")(given) or ""

    def _build(self, given: argparse.Namespace) -> None:
        assert (ROOT / given.context / "Dockerfile").is_file()
        self.built.add(given.tag)

    def _push(self, given: argparse.Namespace) -> None:
        assert given.image in self.built, f"{given.image} was not built"
        self.pushed.add(given.image)

    def _up(self, given: argparse.Namespace) -> None:
        known = {profile for service in self.services.values() for profile in service.get("profiles", ())}
        assert set(given.profile) <= known, f"no service has the profile {given.profile}"
        if given.build:
            assert any(service.get("build") == "." for service in self.services.values())
        waiting = [
            name
            for name, service in self.services.items()
            if not service.get("profiles") or set(service["profiles"]) & set(given.profile)
        ]
        while waiting:
            free = [name for name in waiting if not self.services[name].get("depends_on", {}).keys() & {*waiting}]
            assert free, f"these wait for each other: {waiting}"
            for name in free:
                self._start(name)
            waiting = [name for name in waiting if name not in free]

    def _start(self, name: str) -> None:
        if name in self.started or name not in self.containers:
            return
        for other in self.services[name].get("depends_on", ()):
            if other in self.containers:
                self.ready(other)
        service, container = self.services[name], self.containers[name]
        command = [self.here(str(word)) for word in service["command"]]
        if "entrypoint" in service:
            assert service["entrypoint"][:3] == ["tini", "--", "python"]
            command = [*service["entrypoint"][3:], *command]
        if service.get("restart") == "no":
            self.logs[name] = container.run(*command)
        else:
            container.start(*command)
        self.started.append(name)

    def _logs(self, given: argparse.Namespace) -> str:
        return self.logs[given.service]

    def _run(self, given: argparse.Namespace) -> str:
        """The image's entry point is manage.py."""
        assert "entrypoint" not in self.services[given.service]
        return self.containers[given.service].run(*(self.here(word) for word in given.command))
