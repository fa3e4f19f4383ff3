"""A fake kubelet and a fake controller for the demo's Pods, once a second. They are fakes of exactly this:

- a Pending Pod starts to run when its Secrets are there and its pull Secrets would open its images at the registries
  of `registries.py`; else it
  waits with the message that a real node would give, which flips between ErrImagePull and ImagePullBackOff while its
  Events count up;
- a deleted Pod that a controller owns is made again under a new name, through admission, so with the pull Secrets its
  ServiceAccount has now.

No image is pulled, no process is started, and a Pod that runs or crashes is never looked at again.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Final

from dashboard.demo.admission import admit_pod, fresh_metadata, service_account_of, suffix
from dashboard.demo.api import Api
from dashboard.demo.pods import NODE, Outcome, events_of, judge, status_of
from dashboard.demo.resources import named
from dashboard.demo.status import ApiError, Json
from dashboard.demo.store import Change

__all__ = ["Kubelet"]

_BACK_OFF: Final = timedelta(seconds=20)
_TOKEN: Final = "kube-api-access-"  # noqa: S105
logger = logging.getLogger(__name__)


class Kubelet:
    """`tick` does one round; `run` does one a second for ever. Nothing here blocks."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._store = api.store
        self._outcomes: dict[str, tuple[Outcome, datetime, int]] = {}
        self._orphaned: list[Json] = []
        self._seen_revision = -1
        self._from_account = {pod["metadata"]["uid"] for pod in self._store.all(named("pods")) if self._copied_now(pod)}
        self._store.listen(self._notice)

    async def run(self) -> None:
        """One round a second, until cancelled."""
        while True:
            await asyncio.sleep(1.0)
            self.tick()

    def tick(self) -> None:
        """One round at the API's present."""
        now = self._api.clock()
        with self._store.lock:
            gone, self._orphaned = self._orphaned, []
            for pod in gone:
                self._make_again(pod)
            changed = self._store.revision != self._seen_revision
            for pod in self._store.all(named("pods")):
                if (pod.get("status") or {}).get("phase") == "Pending" and not _crashes(pod):
                    self._look_after(pod, now, changed=changed)
            self._seen_revision = self._store.revision

    def _look_after(self, pod: Json, now: datetime, *, changed: bool) -> None:
        uid, namespace = pod["metadata"]["uid"], pod["metadata"]["namespace"]
        known = self._outcomes.get(uid)
        due = known is None or now - known[1] >= _BACK_OFF
        if not (due or changed):
            return
        secrets = {secret["metadata"]["name"]: secret for secret in self._store.all(named("secrets"), namespace)}
        outcome = judge(pod, secrets)
        if known is not None and not due and outcome == known[0]:
            return
        rounds = known[2] + 1 if known is not None and outcome == known[0] else 1
        if outcome.runs:
            self._outcomes.pop(uid, None)
        else:
            self._outcomes[uid] = (outcome, now, rounds)
        # What the demo starts with is in back-off already; the first look at it only takes note.
        loaded_like_this = known is None and bool((pod.get("status") or {}).get("containerStatuses"))
        if loaded_like_this and not outcome.runs:
            return
        spec = pod["spec"] if pod["spec"].get("nodeName") else pod["spec"] | {"nodeName": NODE}
        status = status_of(pod, outcome, since=now, backing_off=rounds % 3 != 1)
        self._store.put(named("pods"), pod | {"spec": spec, "status": status})
        self._tell(pod, outcome, now)

    def _tell(self, pod: Json, outcome: Outcome, now: datetime) -> None:
        events = named("events")
        for event in events_of(pod, outcome, since=now, last=now):
            before = self._store.get(events, event["metadata"]["namespace"], event["metadata"]["name"])
            if before is None:
                event["metadata"] = fresh_metadata(events, event["metadata"], now)
                self._store.put(events, event)
            elif before["reason"] not in {"Scheduled", "Started"}:
                self._store.put(
                    events, before | {"count": before["count"] + 1, "lastTimestamp": event["lastTimestamp"]}
                )

    def _notice(self, change: Change) -> None:
        if change.resource.kind != "Pod":
            return
        if change.before is None and change.after is not None:
            if self._copied_now(change.after):
                self._from_account.add(change.after["metadata"]["uid"])
        elif change.after is None and change.before is not None:
            owners = change.before["metadata"].get("ownerReferences") or []
            if any(owner.get("controller") for owner in owners):
                self._orphaned.append(change.before)

    def _copied_now(self, pod: Json) -> bool:
        """Whether the pull Secrets of a loaded Pod are those of its ServiceAccount, so that admission rather than a
        template chose them.
        """
        account = self._store.get(named("serviceaccounts"), pod["metadata"]["namespace"], service_account_of(pod))
        return bool((account or {}).get("imagePullSecrets", []) == pod["spec"].get("imagePullSecrets", []))

    def _make_again(self, pod: Json) -> None:
        metadata, pods = pod["metadata"], named("pods")
        namespace = metadata["namespace"]
        if self._store.get(named("namespaces"), "", namespace) is None:
            return
        owner = next(owner for owner in metadata["ownerReferences"] if owner.get("controller"))
        base = metadata.get("generateName") or (
            f"{owner['name']}-" if owner["kind"] == "ReplicaSet" else f"{metadata['name']}-"
        )
        fresh: Json = {"name": f"{base}{suffix()}", "namespace": namespace, "generateName": base}
        fresh |= {key: metadata[key] for key in ("labels", "annotations", "ownerReferences") if key in metadata}
        spec = {key: value for key, value in pod["spec"].items() if key != "nodeName"}
        if metadata["uid"] in self._from_account:
            spec.pop("imagePullSecrets", None)
        spec["volumes"] = [volume for volume in spec.get("volumes") or [] if not volume["name"].startswith(_TOKEN)]
        for group in ("containers", "initContainers"):
            if group in spec:
                spec[group] = [_without_token(container) for container in spec[group]]
        again = {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": fresh_metadata(pods, fresh, self._api.clock()),
            "spec": spec,
        }
        try:
            self._store.put(pods, admit_pod(self._store, named("serviceaccounts"), again))
        except ApiError as error:
            # As a ReplicaSet controller would: no ServiceAccount, no Pod. It tries again with the next round.
            logger.info("A Pod of the demo cannot be made again: %s", error.message)
            self._orphaned.append(pod)


def _crashes(pod: Json) -> bool:
    status = pod["status"]
    rows = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    return any(((row.get("state") or {}).get("waiting") or {}).get("reason") == "CrashLoopBackOff" for row in rows)


def _without_token(container: Json) -> Json:
    mounts = [mount for mount in container.get("volumeMounts") or [] if not mount["name"].startswith(_TOKEN)]
    return container | {"volumeMounts": mounts}
