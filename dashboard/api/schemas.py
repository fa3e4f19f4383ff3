"""What goes in and out, field by field. What is not here does not leave Credboard: of `details` nothing does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Generic, Literal, TypeAlias, TypeVar

from ninja import Field, Schema
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StrictBool,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

T = TypeVar("T")

MOST_ITEMS: Final = 500
#: No name holds a control character, and PostgreSQL raises at a NUL.
_PLAIN: Final = r"^[^\x00-\x1f\x7f]*$"
_PLAIN_IN_JSON: Final = "^[^\\u0000-\\u001f\\u007f]*$"


@dataclass(frozen=True, slots=True)
class Line:
    """Marks a line of text of `shortest` to `longest` characters, in validation and in the reference."""

    longest: int
    shortest: int = 0

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.str_schema(min_length=self.shortest, max_length=self.longest, pattern=_PLAIN)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        least = {"minLength": self.shortest} if self.shortest else {}
        return {"type": "string", "maxLength": self.longest, "pattern": _PLAIN_IN_JSON, **least}


def _written_out(value: object) -> object:
    # Left alone, seconds since 1970 would do as well, which the reference does not say.
    if isinstance(value, str) and not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]", value):
        raise ValueError("write it as 2026-12-24T18:00:00Z")
    if not isinstance(value, str | datetime):
        raise ValueError("write it as 2026-12-24T18:00:00Z")
    return value


def _sensible(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("say the time zone, for instance 2026-12-24T18:00:00Z")
    if not 2000 <= at.year < 2200:
        raise ValueError("is no year from 2000 to 2199")
    return at


Moment = Annotated[datetime, BeforeValidator(_written_out), AfterValidator(_sensible)]
#: In a query. Only leaving it out means None, so the reference does not offer null.
OptionalMoment = Annotated[Moment | None, WithJsonSchema({"type": "string", "format": "date-time"})]
Status = Literal["ok", "warning", "critical", "unknown"]
StatusFilter = Literal["", "ok", "warning", "critical", "unknown"]


ClusterName: TypeAlias = Annotated[str, Line(100, 1)]
NamespaceName: TypeAlias = Annotated[str, Line(253, 1)]
Key = Annotated[int, Field(ge=1, le=2**63 - 1)]


class Paging(Schema):
    limit: int = Field(100, ge=1, le=MOST_ITEMS, description="How many items a page has at the most.")
    cursor: Annotated[str, Line(1200)] = Field("", description="Where the page begins: from `next` of the page before.")


class OfCluster(Schema):
    """Filters are as on the pages; an empty one lets everything through."""

    cluster: Annotated[str, Line(100)] = Field("", description="Only this cluster; without it, all that you may see.")


class NamespaceFilters(OfCluster):
    q: Annotated[str, Line(320)] = Field("", description="Words that the name, a label or an owner contains.")
    status: StatusFilter = Field("", description="The status now; with `credential`, of its cell.")
    reason: Annotated[str, Line(40)] = Field("", description="The reason now, of the Namespace or of a cell.")
    credential: Annotated[str, Line(320)] = Field("", description="Only Namespaces that need it.")
    owner: Annotated[str, Line(253)] = Field("", description="The name of a user or group.")
    label: Annotated[str, Line(320)] = Field("", description="`key=value`, or `key` for any value.")


class CellFilters(OfCluster):
    namespace: Annotated[str, Line(253)] = Field("", description="Only the Namespace of this name.")
    credential: Annotated[str, Line(320)] = Field("", description="Only this column of the matrix.")
    status: StatusFilter = Field("", description="The status now.")
    reason: Annotated[str, Line(40)] = Field("", description="The reason now.")


class ExpiryFilters(OfCluster):
    namespace: Annotated[str, Line(253)] = Field("", description="Only the Namespace of this name.")
    credential: Annotated[str, Line(320)] = Field("", description="Only this column of the matrix.")
    since: OptionalMoment = Field(None, description="Only what ends at this moment or later.")
    until: OptionalMoment = Field(None, description="Only what ends before this moment.")


class FindingFilters(OfCluster):
    namespace: Annotated[str, Line(253)] = Field("", description="Only the Namespace of this name.")
    credential: Annotated[str, Line(320)] = Field("", description="Only what is about this credential.")
    code: Annotated[str, Line(4)] = Field("", description="Only of this check, for instance `PS01`.")
    status: StatusFilter = Field("", description="How bad it was when it was last seen.")
    state: Literal["open", "resolved", "all"] = "open"


class ScanFilters(OfCluster):
    namespace: Annotated[str, Line(253)] = Field("", description="Only scans of this Namespace alone.")
    state: Literal["", "running", "done", "failed"] = ""


class AcknowledgementFilters(OfCluster):
    namespace: Annotated[str, Line(253)] = Field("", description="Only of the Namespace of this name.")
    credential: Annotated[str, Line(320)] = Field("", description="Only of this credential.")
    state: Literal["in-force", "all"] = "in-force"


class CredentialFilters(OfCluster):
    credential: Annotated[str, Line(320)] = Field("", description="Only this column of the matrix.")


class Page(Schema, Generic[T]):
    items: list[T]
    next: str | None = Field(description="The address of the page that follows; null on the last one.")


class Problem(Schema):
    """RFC 9457. `remedy` says what to do; programs tell problems apart by `type`."""

    model_config = ConfigDict(extra="forbid")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    remedy: str
    errors: list[Mistake] | None = None


class Mistake(Schema):
    where: str = Field(description="What is wrong, for instance `query.limit`.")
    message: str


class Owner(Schema):
    kind: Literal["user", "group"]
    name: str
    source: str = Field(description="What says so: a profile, an annotation or a RoleBinding.")


class ClusterItem(Schema):
    name: str
    is_demo: bool
    scan_interval: int = Field(description="Seconds from the start of a scan to the next.")
    next_scan_at: datetime | None = Field(description="null: it is not scanned any more.")
    stale_after: int = Field(description="So many seconds after it was last seen a Namespace is unknown.")


class NamespaceItem(Schema):
    cluster: str
    name: str
    status: Status = Field(description="The worst of its cells now. What was seen too long ago is unknown.")
    reason: str
    is_stale: bool
    scanned_at: datetime | None = Field(description="When it was last seen; null: never.")
    labels: dict[str, str]
    owners: list[Owner]
    unreadable: dict[str, str] = Field(description="What Credboard may not read there, and why.")
    url: str = Field(description="Its page.")


class CellItem(Schema):
    cluster: str
    namespace: str
    credential: str = Field(description="The column of the matrix, for instance `registry/quay.io`.")
    status: Status = Field(description="Now. What was seen too long ago is unknown.")
    reason: str
    since: datetime = Field(description="Since when it is so.")
    is_stale: bool
    is_acknowledged: bool
    expires_at: datetime | None = Field(description="null: no end is known, which is not never.")
    expiry_source: str = Field(description="What says when it ends; empty when no end is known.")
    verified: str = Field(description="How it came to be called well; empty: not verified.")
    secret: str = Field(description="The name of the Secret, if one is known.")
    pod_count: int = Field(description="How many Pods need it.")
    url: str = Field(description="Its page.")


class FindingItem(Schema):
    id: int
    cluster: str
    namespace: str
    code: str
    status: Status = Field(description="How bad it was when it was last seen.")
    is_stale: bool = Field(description="True when its Namespace was seen too long ago to say that it is still so.")
    reason: str
    credential: str = Field(description="Empty when it is about none.")
    object: str
    message: str
    expires_at: datetime | None
    first_seen_at: datetime
    last_seen_at: datetime
    resolved_at: datetime | None = Field(description="null: it is open.")
    elsewhere: list[Place] = Field(description="Where such a Secret is, as far as you may see.")


class Place(Schema):
    namespace: str
    secret: str


class NamespaceDetail(NamespaceItem):
    cells: list[CellItem]
    findings: list[FindingItem] = Field(description="The open ones, worst first.")


class CredentialItem(Schema):
    cluster: str
    credential: str
    kind: str
    critical: int = Field(description="In so many Namespaces it is critical now.")
    unknown: int
    warning: int
    ok: int


class ScanItem(Schema):
    """A pass over a cluster, or over one Namespace. The counts are null for who sees only a part of the cluster."""

    id: int
    cluster: str
    namespace: str = Field(description="Empty for a scan of the whole cluster.")
    state: Literal["running", "done", "failed"]
    started_at: datetime
    finished_at: datetime | None
    namespaces_done: int | None
    namespaces_total: int | None
    failed_namespaces: int | None
    critical: int | None
    warning: int | None
    unknown: int | None
    ok: int | None
    error: str
    remedy: str


class ScanRequested(Schema):
    cluster: str
    namespace: str
    is_told: bool = Field(description="False: the broker is down, and the scan starts once it is back.")
    message: str


class AcknowledgementItem(Schema):
    id: int
    cluster: str
    namespace: str
    credential: str
    is_snooze: bool
    status: str = Field(description="Of the cell when it was acknowledged.")
    reason: str
    note: str
    actor: str
    created_at: datetime
    until: datetime
    ended_at: datetime | None
    ended_by: str


class NewAcknowledgement(Schema):
    model_config = ConfigDict(extra="forbid")

    cluster: ClusterName
    namespace: NamespaceName
    credential: Annotated[str, Line(320, 1)]
    note: Annotated[str, Line(500, 1)] = Field(description="Why.")
    until: Moment = Field(description="When alerts may speak of it again.")
    is_snooze: StrictBool = Field(
        False, description="True: quiet until then, whatever happens. False: only while the cell stays as it is."
    )


Problem.model_rebuild()
FindingItem.model_rebuild()
