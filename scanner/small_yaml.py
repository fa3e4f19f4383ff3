"""YAML of strangers, such as kubeconfigs: as a tree of plain dictionaries, lists and texts, of bounded size.

PyYAML's own loaders recurse into the document and follow aliases, so a few hundred bytes can end the process. Here the
events of its parser are counted, nesting has an end and aliases are refused.
"""

from __future__ import annotations

from typing import Any, Final

import yaml

MAX_BYTES: Final = 256 * 1024
MAX_EVENTS: Final = 20_000
MAX_DEPTH: Final = 16

# A build of PyYAML without libyaml has no fast one.
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class TooMuch(ValueError):
    """The document is no YAML, or larger or deeper than what is read here. The text quotes nothing of it."""


def read_yaml(value: bytes) -> Any:
    """The first document; scalars stay text. Of a repeated key the last counts. Raises `TooMuch`."""
    if len(value) > MAX_BYTES:
        raise TooMuch("is larger than such a file is")
    tree = _Tree()
    try:
        for count, event in enumerate(yaml.parse(value, Loader=_LOADER)):
            if count > MAX_EVENTS or isinstance(event, yaml.AliasEvent):
                raise TooMuch("is larger than such a file is, or refers to itself")
            if isinstance(event, yaml.DocumentEndEvent):
                return tree.root
            tree.add(event)
    except TooMuch:
        raise
    except (yaml.YAMLError, ValueError):
        # Their texts quote the document.
        pass
    raise TooMuch("is no YAML")


class _Tree:
    def __init__(self) -> None:
        self.root: Any = None
        self._open: list[dict[str, Any] | list[Any]] = []
        # The key that waits for its value, of each open mapping.
        self._keys: list[str | None] = []

    def add(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._put(event.value)
        elif isinstance(event, yaml.CollectionStartEvent):
            node: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
            self._put(node)
            self._open.append(node)
            self._keys.append(None)
            if len(self._open) > MAX_DEPTH:
                raise TooMuch("is nested deeper than such a file is")
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
            self._keys.pop()

    def _put(self, node: Any) -> None:
        if not self._open:
            self.root = node
            return
        parent, key = self._open[-1], self._keys[-1]
        if isinstance(parent, list):
            parent.append(node)
        elif key is not None:
            parent[key] = node
            self._keys[-1] = None
        elif isinstance(node, str):
            self._keys[-1] = node
        else:
            raise TooMuch("has keys that are no text")
