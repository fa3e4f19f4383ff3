"""What the kubelet itself says: no registry is involved.

Sources: kubernetes ``pkg/kubelet/{images,kuberuntime,util/manager}`` and ``pkg/volume``.
"""

from __future__ import annotations

from scanner.pull_failure.cause import Cause
from scanner.pull_failure.rule import rule

KUBELET = (
    rule(Cause.PULL_SECRET_MISSING, r"unable to retrieve some image pull secrets", r"unable to retrieve pull secret"),
    rule(Cause.KUBELET_THROTTLE, r"pull qps exceeded"),
    rule(
        Cause.NEVER_POLICY,
        r"not present with pull policy of",
        r"present with pull policy of .{0,40}does not have the proper auth",
        r"errimageneverpull",
        r"errimagenotensured",
        r"present (?:on|in) .{0,40}(?:not|without) .{0,30}(?:verif|access|authori[sz]ed|credential)",
        r"present on machine but",
    ),
)

MOUNT = (
    rule(
        Cause.TRANSIENT,
        r"failed to sync (?:secret|configmap) cache",
        r"couldn't propagate object cache",
        r'"[^"]{0,300}"/"[^"]{0,300}" not registered',
        r"no relationship found between node|failed to fetch token: post",
        r"object has been deleted|pod .{0,80}is being deleted",
    ),
    rule(Cause.MOUNT_SECRET_MISSING, r'secrets? "[^"]{0,300}" not found', r"secrets? [\w.-]{1,253} not found"),
    rule(Cause.MOUNT_KEY_MISSING, r"references non-existent secret key", r"couldn't find key .{0,300}in secret"),
    rule(Cause.UNKNOWN, r"config ?maps? (?:\"|<)", r"non-existent config key"),
    rule(
        Cause.NODE_STORAGE,
        r"no space left on device",
        r"disk quota exceeded",
        r"read-only file system",
        r"input/output error",
    ),
    rule(
        Cause.MOUNT_TIMEOUT,
        r"unable to (?:attach or )?mount volumes",
        r"timed out waiting for the condition",
        r"timeout expired waiting for volumes",
        r"deadline ?exceeded",
        # A summary: whatever failed for one of the volumes.
        also=(Cause.MOUNT_SECRET_MISSING, Cause.MOUNT_KEY_MISSING),
    ),
)

CONTAINER_CONFIG = (
    rule(
        Cause.TRANSIENT,
        r"failed to sync (?:secret|configmap) cache",
        r'object "[^"]{0,300}"/"[^"]{0,300}" not registered',
        r"services have not yet been read",
    ),
    rule(Cause.MOUNT_KEY_MISSING, r"references non-existent secret key"),
    rule(Cause.ENV_KEY_MISSING, r"couldn't find key .{0,300}in secret", r"key .{0,300}not found in secret"),
    rule(Cause.ENV_SECRET_MISSING, r'\bsecrets? "[^"]{0,300}" not found'),
    rule(Cause.UNKNOWN, r"couldn't find key .{0,300}in configmap", r'config ?maps? "[^"]{0,300}" not found'),
)

# A container that failed after its image was there: "executable file not found" is no missing image.
CONTAINER = (
    rule(Cause.PLATFORM, r"exec format error", r"operating system does not match the host operating system"),
    rule(
        Cause.NODE_STORAGE,
        r"no space left on device",
        r"disk quota exceeded",
        r"read-only file system",
        r"input/output error",
    ),
    rule(Cause.TRANSIENT, r"failed to reserve|is reserved for"),
    rule(Cause.UNKNOWN, r""),
)

# A sandbox that failed after, or without, its image: network plug-ins and the runtime itself, whose own "unauthorized"
# and "connection refused" say nothing about a registry.
SANDBOX = (
    rule(
        Cause.NODE_STORAGE,
        r"no space left on device",
        r"failed to (?:extract|mount|prepare|create prepare|get reader from content store)",
        r"error unpacking image|create snapshot|missing parent",
        r"disk quota exceeded",
        r"read-only file system",
        r"input/output error",
    ),
    rule(Cause.TRANSIENT, r"name \"[^\"]{0,300}\" is reserved for", r"cannot find the pod|pod .{0,80}not found"),
    rule(Cause.NODE_CONFIG, r"sandbox"),
)

# Only where the text itself says nothing: the gRPC code is the container runtime's, and "Unknown" is its usual one.
BY_CODE: dict[str, Cause] = {
    "notfound": Cause.NOT_FOUND,
    "deadlineexceeded": Cause.CONN_TIMEOUT,
    "canceled": Cause.CONN_TIMEOUT,
    "unauthenticated": Cause.AUTH_DENIED,
    "permissiondenied": Cause.AUTH_DENIED,
    "unavailable": Cause.TRANSIENT,
    "aborted": Cause.TRANSIENT,
    "unimplemented": Cause.NODE_CONFIG,
    "failedprecondition": Cause.NODE_CONFIG,
    "resourceexhausted": Cause.NODE_CONFIG,
}

# Only where the message says nothing: reasons of a waiting container or of an event that are a cause by themselves.
BY_REASON: dict[str, Cause] = {
    "InvalidImageName": Cause.INVALID_REFERENCE,
    "ErrImageNeverPull": Cause.NEVER_POLICY,
    "ErrImageNotEnsured": Cause.NEVER_POLICY,
    "RegistryUnavailable": Cause.CONN_REFUSED,
    "SignatureValidationFailed": Cause.NODE_CONFIG,
    "FailedToRetrieveImagePullSecret": Cause.PULL_SECRET_MISSING,
}
