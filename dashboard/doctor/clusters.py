"""Each cluster: does it answer, may we read it, which version is it, does its clock agree, how old is the last scan."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

from dashboard.doctor.advice import Advice
from dashboard.doctor.database import MOST_SKEW
from dashboard.metrics_rows import newest_scans
from scanner.cluster import REQUIRED, ClusterError, Forbidden, ServerInfo
from scanner.cluster import Cluster as Api
from scanner.models import Cluster, ClusterAccess, Scan
from scanner.scan import connect
from scanner.staleness import is_stale

TIMEOUT: Final = 5.0  # seconds, of each request
#: Clusters that are asked at the same time, so that several that hang are waited for as long as one.
_AT_ONCE: Final = 16
#: The oldest minor version of Kubernetes that has all we ask for: `fieldSelector` on the type of Secrets,
#: SelfSubjectAccessReview v1 and metadata-only reads are older; before 1.24 ServiceAccounts had tokens of another kind.
OLDEST_MINOR: Final = 24
#: So many Namespaces that `include` spells out are asked about one by one.
_MOST_NAMESPACES: Final = 3
_GRANT: Final = "Apply docs/rbac/cluster-reader.yaml, and bind it to the identity of the kubeconfig."
_GRANT_HERE: Final = "Apply docs/rbac/namespace-reader.yaml there, and bind it to the identity of the kubeconfig."


def look(now: datetime) -> Iterator[Advice]:
    clusters = list(Cluster.objects.for_page())
    ended, good = newest_scans(clusters)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="doctor") as pool:
        asked = {one.pk: _begin(one, pool) for one in clusters if one.next_scan_at is not None}
        for cluster in clusters:
            about = f"cluster {cluster.name}"
            if cluster.pk not in asked:
                yield Advice.ok(about, "It is not scanned (it was set aside for another one).")
                continue
            yield from asked[cluster.pk].result()
            yield from _ending(cluster, about, now=now)
            yield from _scans(cluster, about, ended.get(cluster.pk), good.get(cluster.pk), now=now)


def _begin(cluster: Cluster, pool: Executor) -> Future[list[Advice]]:
    """Ask `cluster` in `pool`. Its kubeconfig is read here: the database is this thread's."""
    about = f"cluster {cluster.name}"
    try:
        api = connect(cluster, connect_timeout=TIMEOUT, read_timeout=TIMEOUT)
    except ClusterError as error:
        refusal = _refusal(error, about)
        return pool.submit(lambda: [refusal])
    return pool.submit(lambda: list(_ask(api, cluster, about)))


def _ask(api: Api, cluster: Cluster, about: str) -> Iterator[Advice]:
    try:
        with api:
            yield from _server(api.about(), about)
            yield from _rights(api, cluster, about)
    except ClusterError as error:
        yield _refusal(error, about)


def _refusal(error: ClusterError, about: str) -> Advice:
    otherwise = _GRANT if isinstance(error, Forbidden) else "Look at its kubeconfig: manage.py cluster NAME"
    return Advice.problem(about, _sentence(error), error.remedy or otherwise)


def _sentence(error: ClusterError) -> str:
    """Its text, which may end with words of the API server, as a whole sentence."""
    text = str(error)
    return text if text.endswith((".", "?", ")")) else f"{text}."


def _server(info: ServerInfo, about: str) -> Iterator[Advice]:
    if info.minor is None or info.minor < OLDEST_MINOR:
        yield Advice.warning(
            about,
            f"It answers as {info.version or 'an unknown version'}; Credboard knows 1.{OLDEST_MINOR} and newer.",
            "Upgrade it, or expect findings about tokens and pulls to be less exact.",
        )
    else:
        yield Advice.ok(about, f"It answers ({info.version}).")
    if info.clock is None:
        return
    skew = abs((info.clock - datetime.now(tz=UTC)).total_seconds())
    if skew > MOST_SKEW:
        yield Advice.warning(
            about,
            f"Its clock and that of this machine are {skew:.0f} s apart, so ends of tokens are judged wrongly.",
            "Let both set theirs by NTP.",
        )


def _rights(api: Api, cluster: Cluster, about: str) -> Iterator[Advice]:
    rights = api.rights()
    missing = [resource for resource, allowed in rights.items() if not allowed]
    if not missing:
        yield Advice.ok(about, "It may be read as a whole.")
    elif REQUIRED.isdisjoint(missing):
        yield Advice.warning(about, f"It may be read, but for {', '.join(missing)}.", _GRANT)
    elif named := [name for name in cluster.include if not set(name) & set("*?[")]:
        yield Advice.ok(about, f"It is read Namespace by Namespace: {', '.join(missing)} may not be listed in all.")
        for name in named[:_MOST_NAMESPACES]:
            yield from _rights_within(api, name, about)
    elif rights["namespaces"]:
        yield Advice.warning(
            about,
            f"{', '.join(missing)} may not be listed in all Namespaces, so it is read one by one, as far as that goes.",
            f"{_GRANT} Or grant docs/rbac/namespace-reader.yaml in each.",
        )
    else:
        yield Advice.problem(about, f"It cannot be read: {', '.join(missing)} may not be listed.", _GRANT)


def _rights_within(api: Api, namespace: str, about: str) -> Iterator[Advice]:
    missing = [resource for resource, allowed in api.rights(namespace).items() if not allowed]
    if REQUIRED.isdisjoint(missing):
        yield Advice.ok(about, f"The Namespace {namespace} may be read.")
    else:
        yield Advice.problem(about, f"{', '.join(missing)} may not be listed in {namespace}.", _GRANT_HERE)


def _ending(cluster: Cluster, about: str, *, now: datetime) -> Iterator[Advice]:
    """Whether what its kubeconfig signs in with ended, or will: an API server does not say why it refuses."""
    access: ClusterAccess | None = getattr(cluster, "access", None)
    if access is None or access.expires_at is None or not access.ends_soon(now):
        return
    ended, at = access.expires_at <= now, f"{access.expires_at:%Y-%m-%d %H:%M} UTC"
    found = f"The token or certificate in its kubeconfig {'ended' if ended else 'ends'} at {at}."
    remedy = "Make another, and give it in Settings → Clusters or to manage.py cluster NAME --kubeconfig FILE."
    yield Advice.problem(about, found, remedy) if ended else Advice.warning(about, found, remedy)


def _scans(cluster: Cluster, about: str, ended: Scan | None, good: Scan | None, *, now: datetime) -> Iterator[Advice]:
    if good is None:
        why = f" The last try: {ended.error}" if ended and ended.error else ""
        yield Advice.warning(
            about,
            f"No scan of it has ended well yet.{why}",
            (ended.remedy if ended else "") or "Wait for the first, with a worker and beat running.",
        )
    elif is_stale(good.started_at, now=now, after=cluster.stale_after):
        failed = ended is not None and ended.state == Scan.State.FAILED and ended.error
        yield Advice.problem(
            about,
            "Its last good scan is too old, so all of it is shown as unknown."
            + (f" The last try: {ended.error}" if ended and failed else ""),
            (ended.remedy if ended and failed else "") or "Look at broker, workers and beat above.",
        )
    else:
        yield Advice.ok(about, "Its last good scan is fresh.")
