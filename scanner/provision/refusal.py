"""Why nothing was created, in words for the form."""

from __future__ import annotations

from scanner import cluster as api


class Refusal(Exception):
    """Nothing was created (or all of it was undone), and why. `field` is the input that it concerns: "name", "data",
    "service_accounts", or "" for none of them; `remedy` says what to do, often as kubectl commands; `conflict` is true
    when the name is taken. With `left_behind` something remains: `message` says what, and `remedy` holds the commands
    that remove it."""

    def __init__(
        self, message: str, *, field: str = "", remedy: str = "", conflict: bool = False, left_behind: bool = False
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.remedy = remedy
        self.conflict = conflict
        self.left_behind = left_behind


def as_refusal(error: api.ClusterError | Refusal, name: str) -> Refusal:
    """What `error`, met while the Secret `name` was to be created, means for who asked for it."""
    match error:
        case api.Conflict(reason="AlreadyExists"):
            return Refusal(
                f"A Secret called {name} is already in this Namespace.",
                field="name",
                remedy="Choose another name, or delete that Secret first if nothing needs it.",
                conflict=True,
            )
        case api.Invalid():
            return _invalid(error)
        case api.ClusterError():
            # These words are in the audit as well, which owners read.
            return Refusal(api.without_addresses(str(error)), remedy=error.remedy)
    return error


def _invalid(error: api.Invalid) -> Refusal:
    fields = [_field_of(path) for path, _ in error.causes]
    words = "; ".join(message for _, message in error.causes if message)
    return Refusal(f"Kubernetes refuses this: {words}." if words else str(error), field=fields[0] if fields else "")


def _field_of(path: str) -> str:
    if path.startswith("metadata.name"):
        return "name"
    return "data" if path.startswith(("data", "type")) else ""
