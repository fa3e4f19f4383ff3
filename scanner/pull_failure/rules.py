"""The tables in the order in which they are asked; the first rule that matches wins."""

from __future__ import annotations

from scanner.pull_failure import network_rules, node_rules, registry_rules

# Why this order: an image that is not for this platform ends in "not found"; a full disk may say "permission denied"; a
# limit may speak of "unauthenticated" users; a TLS or DNS error is printed after "failed to authorize"; a 504 holds the
# word "timeout"; "pull access denied" says "does not exist".
PULL = (
    *node_rules.RUNTIME,
    *node_rules.REFERENCE,
    *registry_rules.PECULIAR,
    *node_rules.IMAGE,
    *registry_rules.RATE,
    *node_rules.STORAGE,
    *network_rules.PROXY,
    *network_rules.ANSWERED,
    *network_rules.NETWORK,
    *registry_rules.BLOCKED,
    *registry_rules.SERVER,
    *registry_rules.AUTH,
    *registry_rules.NOT_THERE,
    *registry_rules.LAST,
)
