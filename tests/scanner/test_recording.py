from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from scanner.credential import ParsedCredential
from scanner.models import Cell, Cluster, Credential, Finding, Namespace, NamespaceOwner
from scanner.recording import BATCH, close_namespace, mark_gone, record
from scanner.snapshot import Owner, Secret
from scanner.storable import storable, storable_text
from tests.scanner.verdicts import NOON, QUAY, cell, dump, result, scanned, user, verdict

pytestmark = pytest.mark.django_db


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


@pytest.fixture(name="cluster")
def _cluster() -> Cluster:
    return Cluster.objects.create(name="prod-eu")


SICK = verdict(cells=[cell()], findings=[result()])
WELL = verdict(cells=[cell(told="ok covered")])


def test_a_problem_is_first_seen_once_and_last_seen_again_and_again(cluster: Cluster) -> None:
    for minute in (0, 1, 2):
        scanned(cluster, SICK, now=at(minute))
    finding = Finding.objects.get()
    assert (finding.first_seen_at, finding.last_seen_at, finding.resolved_at) == (at(0), at(2), None)
    assert Namespace.objects.get().scanned_at == at(2)


def test_what_is_gone_is_resolved_and_what_comes_back_is_a_new_row(cluster: Cluster) -> None:
    for minute, seen in enumerate((SICK, WELL, SICK)):
        scanned(cluster, seen, now=at(minute))
    old, new = Finding.objects.order_by("pk")
    assert (old.first_seen_at, old.last_seen_at, old.resolved_at) == (at(0), at(0), at(1))
    assert (new.first_seen_at, new.last_seen_at, new.resolved_at) == (at(2), at(2), None)


def test_a_resolved_finding_stays_as_it_was(cluster: Cluster) -> None:
    scanned(cluster, SICK, now=at(0))
    scanned(cluster, WELL, now=at(1))
    before = Finding.objects.values().get()
    for minute in (2, 3):
        scanned(cluster, WELL, now=at(minute))
    assert Finding.objects.values().get() == before


def test_scanning_twice_changes_nothing_but_when_it_was_seen(cluster: Cluster) -> None:
    worse = verdict("team-b", cells=[cell("tls", "warning expiring")], owners=(user("ada"),), labels={"a": "b"})
    scanned(cluster, SICK, worse, now=at(0))
    before = dump("scanned_at", "last_seen_at")
    scanned(cluster, SICK, worse, now=at(1))
    assert dump("scanned_at", "last_seen_at") == before


def test_storing_the_same_changed_verdict_twice_changes_nothing(cluster: Cluster) -> None:
    """As when a worker is killed between a batch and the end of its task, and the task is delivered again."""
    scanned(cluster, SICK, now=at(0))
    before = dump()
    Namespace.objects.update(digest="")
    scanned(cluster, SICK, now=at(0))
    assert dump() == before


def test_a_message_that_changes_is_stored_without_a_new_row(cluster: Cluster) -> None:
    scanned(cluster, SICK, now=at(0))
    scanned(cluster, verdict(cells=[cell()], findings=[result(message="Two Pods name it.")]), now=at(1))
    finding = Finding.objects.get()
    assert (finding.message, finding.first_seen_at) == ("Two Pods name it.", at(0))


@pytest.mark.parametrize(
    ("later", "since"),
    [
        (cell(pod_count=3, secret="other"), 0),
        (cell(told="critical denied"), 1),
        (cell(told="warning missing"), 1),
    ],
    ids=["other details", "another reason", "another status"],
)
def test_since_moves_only_with_status_or_reason(cluster: Cluster, later: object, since: int) -> None:
    scanned(cluster, SICK, now=at(0))
    scanned(cluster, verdict(cells=[later]), now=at(1))  # type: ignore[list-item]
    assert Cell.objects.get().since == at(since)


def test_a_cell_that_nothing_needs_any_more_is_dropped(cluster: Cluster) -> None:
    scanned(cluster, verdict(cells=[cell(), cell("tls", "ok valid")]), now=at(0))
    scanned(cluster, verdict(cells=[cell("tls", "ok valid")]), now=at(1))
    assert [one.credential.slug for one in Cell.objects.select_related("credential")] == ["tls"]


def test_a_check_that_could_not_be_asked_keeps_what_it_found_and_does_not_see_it_again(cluster: Cluster) -> None:
    blind = verdict(unasked={"PS01": "pods: forbidden"})
    scanned(cluster, verdict(cells=[cell()], findings=[result(), result("PS02")]), now=at(0))
    for minute in (1, 2):
        scanned(cluster, blind, now=at(minute))
    kept, resolved = Finding.objects.order_by("code")
    assert (kept.resolved_at, kept.last_seen_at) == (None, at(0))
    assert resolved.resolved_at == at(1)


def test_the_cell_of_a_finding_that_stands_unasked_is_unknown_not_gone(cluster: Cluster) -> None:
    scanned(cluster, verdict(cells=[cell(), cell("tls", "ok valid")], findings=[result()]), now=at(0))
    scanned(cluster, verdict(unasked={"PS01": "the check failed (KeyError)"}), now=at(1))
    left = Cell.objects.select_related("credential").get()
    assert (left.credential.slug, left.status, left.reason, left.since) == (QUAY, "unknown", "not-checked", at(1))


def test_where_nothing_can_be_read_cells_stay_as_unknown(cluster: Cluster) -> None:
    scanned(cluster, verdict(cells=[cell(told="ok covered"), cell("tls", "critical expired")]), now=at(0))
    for minute in (1, 2):
        scanned(cluster, verdict(unreadable={"secrets": "forbidden"}), now=at(minute))
    assert {(one.status, one.rank, one.reason, one.since) for one in Cell.objects.all()} == {
        ("unknown", 2, "not-checked", at(1))
    }
    row = Namespace.objects.get()
    assert (row.status, row.unreadable) == ("unknown", {"secrets": "forbidden"})
    assert row.pull_secrets == {"regcred": ["quay.io"]}, "what was not read is not known to be gone"
    scanned(cluster, verdict(cells=[cell(told="ok covered")]), now=at(3))
    assert Cell.objects.get().status == "ok"


def test_fingerprints_stand_where_secrets_could_not_be_read(cluster: Cluster) -> None:
    told = verdict()
    login = ParsedCredential(kind="aws", credential="storage/s3", fingerprint="0123456789abcdef")
    secret = Secret(name="s3", type="Opaque", keys=frozenset(), credentials=(login,))
    scanned(cluster, replace(told, snapshot=replace(told.snapshot, secrets={"s3": secret})), now=at(0))
    scanned(cluster, verdict(unreadable={"secrets": "forbidden"}), now=at(1))
    assert Namespace.objects.get().fingerprints == ["0123456789abcdef"]
    scanned(cluster, told, now=at(2))
    assert Namespace.objects.get().fingerprints == []


def test_a_namespace_that_is_gone_resolves_its_findings_and_drops_its_cells(cluster: Cluster) -> None:
    scanned(cluster, SICK, verdict("team-b", cells=[cell()]), now=at(0))
    scanned(cluster, SICK, now=at(1))
    assert mark_gone(cluster, unseen_since=at(1), now=at(1)) == 1
    assert list(Namespace.objects.present().values_list("name", flat=True)) == ["team-vision"]
    assert Cell.objects.get().namespace.name == "team-vision"
    close_namespace(Namespace.objects.get(name="team-vision"), now=at(2))
    assert (Finding.objects.get().resolved_at, Cell.objects.count()) == (at(2), 0)


def test_a_namespace_that_comes_back_starts_anew(cluster: Cluster) -> None:
    scanned(cluster, SICK, now=at(0))
    close_namespace(Namespace.objects.get(), now=at(1))
    scanned(cluster, SICK, now=at(2))
    row = Namespace.objects.get()
    assert (row.gone_at, row.status) == (None, "critical")
    assert Cell.objects.get().since == at(2)
    assert [one.first_seen_at for one in Finding.objects.order_by("pk")] == [at(0), at(2)]


def test_a_namespace_that_was_made_anew_between_two_scans_starts_anew(cluster: Cluster) -> None:
    scanned(cluster, SICK, now=at(0))
    scanned(cluster, verdict(cells=[cell()], findings=[result()], uid="uid-2"), now=at(1))

    row = Namespace.objects.get()
    assert (row.gone_at, row.status, row.uid) == (None, "critical", "uid-2")
    assert Cell.objects.get().since == at(1), "an acknowledgement of the former one does not hold"
    told = Finding.objects.order_by("pk").values_list("first_seen_at", "resolved_at")
    assert list(told) == [(at(0), at(1) - timedelta(microseconds=1)), (at(1), None)]
    assert row.began_at == at(1)


def test_a_namespace_that_comes_back_is_the_same_one_unless_it_has_another_uid(cluster: Cluster) -> None:
    for minute, uid in enumerate(("uid-1", "uid-1", "uid-2")):
        scanned(cluster, verdict(cells=[cell()], uid=uid), now=at(2 * minute))
        assert Namespace.objects.get().began_at == (at(4) if uid == "uid-2" else at(0))
        close_namespace(Namespace.objects.get(), now=at(2 * minute + 1))


def test_a_namespace_whose_uid_could_not_be_read_goes_on(cluster: Cluster) -> None:
    scanned(cluster, SICK, now=at(0))
    unread = {"namespaces": "forbidden"}
    scanned(cluster, verdict(cells=[cell()], findings=[result()], uid="", unreadable=unread), now=at(1))
    assert Cell.objects.get().since == at(0)


def test_namespaces_of_another_cluster_are_left_alone(cluster: Cluster) -> None:
    other = Cluster.objects.create(name="prod-us")
    scanned(other, SICK, now=at(0))
    scanned(cluster, WELL, now=at(1))
    mark_gone(cluster, unseen_since=at(2), now=at(2))
    assert Namespace.objects.get(cluster=other).gone_at is None
    assert Cell.objects.get(namespace__cluster=other).status == "critical"


def test_owners_are_those_of_the_last_scan(cluster: Cluster) -> None:
    scanned(cluster, verdict(owners=(user("ada"), user("grace", "annotation"))), now=at(0))
    ada = NamespaceOwner.objects.get(name="ada")
    scanned(cluster, verdict(owners=(user("ada"), user("grace"), user("joan", "rolebinding"))), now=at(1))
    assert set(NamespaceOwner.objects.values_list("name", "source")) == {
        ("ada", "profile"),
        ("grace", "profile"),
        ("joan", "rolebinding"),
    }
    assert NamespaceOwner.objects.get(name="ada").pk == ada.pk


def owners() -> set[tuple[str, str, str]]:
    return set(NamespaceOwner.objects.values_list("kind", "name", "source"))


def test_owners_whose_source_could_not_be_read_stay(cluster: Cluster) -> None:
    known = (user("ada"), user("grace", "annotation"), user("joan", "rolebinding"))
    scanned(cluster, verdict(owners=known), now=at(0))
    for minute, (resource, told) in enumerate(
        (("rolebindings", known[:2]), ("profiles", known[1:]), ("namespaces", known[::2])), start=1
    ):
        scanned(cluster, verdict(owners=told, unreadable={resource: "it broke off"}), now=at(minute))
        assert owners() == {("user", one.name, one.source) for one in known}, resource
    scanned(cluster, verdict(owners=known[:1]), now=at(9))
    assert owners() == {("user", "ada", "profile")}


def test_owners_of_the_sources_that_were_read_are_replaced_all_the_same(cluster: Cluster) -> None:
    scanned(cluster, verdict(owners=(user("ada"), user("joan", "rolebinding"))), now=at(0))
    scanned(cluster, verdict(owners=(user("grace"),), unreadable={"rolebindings": "forbidden"}), now=at(1))
    assert owners() == {("user", "grace", "profile"), ("user", "joan", "rolebinding")}


def test_kubeflows_annotation_stands_for_a_profile_that_cannot_be_read(cluster: Cluster) -> None:
    team = Owner(kind="group", name="team", source="profile")
    scanned(cluster, verdict(owners=(team,)), now=at(0))
    scanned(cluster, verdict(owners=(user("team"),), unreadable={"profiles": "forbidden"}), now=at(1))
    assert owners() == {("group", "team", "profile")}, "the annotation does not tell a group from a user"
    scanned(cluster, verdict(owners=(user("ada"),), unreadable={"profiles": "forbidden"}), now=at(2))
    assert owners() == {("user", "ada", "profile")}


def test_only_the_kind_that_could_not_be_read_stays_of_a_name(cluster: Cluster) -> None:
    person, team = user("ml", "annotation"), Owner(kind="group", name="ml", source="rolebinding")
    scanned(cluster, verdict(owners=(person, team)), now=at(0))
    scanned(cluster, verdict(unreadable={"namespaces": "forbidden"}), now=at(1))
    assert owners() == {("user", "ml", "annotation")}
    scanned(cluster, verdict(owners=(team,), unreadable={"namespaces": "forbidden"}), now=at(2))
    assert owners() == {("user", "ml", "annotation"), ("group", "ml", "rolebinding")}


def test_a_namespace_that_was_made_anew_inherits_no_owner(cluster: Cluster) -> None:
    scanned(cluster, verdict(owners=(user("joan", "rolebinding"),)), now=at(0))
    scanned(cluster, verdict(uid="uid-2", unreadable={"rolebindings": "forbidden"}), now=at(1))
    assert owners() == set()


def test_labels_that_could_not_be_read_stay(cluster: Cluster) -> None:
    scanned(cluster, verdict(labels={"team": "vision"}), now=at(0))
    scanned(cluster, verdict(uid="", unreadable={"namespaces": "forbidden"}), now=at(1))
    assert (Namespace.objects.get().labels, Namespace.objects.get().uid) == ({"team": "vision"}, "uid-1")


def test_a_name_that_cannot_be_stored_as_it_is_owns_nothing(cluster: Cluster) -> None:
    scanned(cluster, verdict(owners=(user("ada"), user("ada\0"), user("x" * 300))), now=at(0))
    assert NamespaceOwner.objects.get().name == "ada"


HOSTILE = ["\0", "a\0b", "\ud800", "\udfff tail", "x" * 10_000, "🔑" * 200, "../../etc", "<script>", "%00", "''--"]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_whatever_a_cluster_says_can_be_stored(cluster: Cluster, text: str) -> None:
    details = {"raw": text, text: [text, {"deep": (text,)}], "pods": MappingProxyType({text: text})}
    told = verdict(
        text,
        uid=text,
        cells=[cell(text, secret=text, expiry_source=text, verified=text, details=details, pods=(text,))],
        findings=[result(object=text, credential=text, message=text, reason=text, details=details)],
        unasked={"PS09": text},
        unreadable={text: text},
        owners=(user(text),),
        labels={text: text},
    )
    for minute in (0, 1):
        scanned(cluster, told, now=at(minute))
    assert (Namespace.objects.count(), Cell.objects.count(), Finding.objects.count()) == (1, 1, 1)
    for model in (Namespace, Cell, Finding, Credential):
        for row in model._default_manager.all():
            for column in row._meta.concrete_fields:
                value, limit = getattr(row, column.attname), getattr(column, "max_length", None)
                if isinstance(value, str) and limit:
                    assert len(value) <= limit


def test_names_that_only_differ_past_the_limit_stay_two(cluster: Cluster) -> None:
    long = "registry/" + "x" * 400
    told = verdict(
        cells=[cell(long + "1"), cell(long + "2")],
        findings=[result(object=long + "1"), result(object=long + "2")],
    )
    for minute in (0, 1):
        Namespace.objects.update(digest="")
        scanned(cluster, told, now=at(minute))
    assert (Cell.objects.count(), Finding.objects.count(), Credential.objects.count()) == (2, 2, 2)


def test_of_what_is_called_the_same_once_stored_the_worst_counts(cluster: Cluster) -> None:
    told = verdict(
        cells=[cell("registry/a\0", "critical missing"), cell("registry/a\ud800", "ok covered")],
        findings=[result(object="a\0"), result(object="a\ud800", status="warning"), result(object="a\0")],
    )
    scanned(cluster, told, now=at(0))
    assert (Cell.objects.get().status, Finding.objects.get().status) == ("critical", "critical")


def test_storable_text_and_json() -> None:
    assert storable_text("plain") == "plain"
    assert len(storable_text("y" * 50, 20)) == 20
    assert storable({"at": NOON, "n": 1, "no": None}) == {"at": "2024-11-20T12:00:00Z", "n": 1, "no": None}
    with pytest.raises(TypeError, match="object is not a value"):
        storable({"bad": object()})


def _queries(cluster: Cluster, count: int, minute: int) -> int:
    told = [verdict(f"team-{number}", cells=[cell()], findings=[result()]) for number in range(count)]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        scanned(cluster, *told, now=at(minute))
    return len(queries)


def test_a_batch_in_which_nothing_changed_is_a_few_queries_whatever_its_size(cluster: Cluster) -> None:
    _queries(cluster, BATCH, 0)
    few, many = _queries(cluster, 2, 1), _queries(cluster, BATCH, 2)
    assert few == many <= 6


def test_nothing_is_stored_before_it_is_asked_for_and_whole_batches_after(cluster: Cluster) -> None:
    batches = record(cluster, (verdict(f"team-{number}") for number in range(BATCH + 1)), now=at(0))
    assert Namespace.objects.count() == 0
    next(iter(batches))
    assert Namespace.objects.count() == BATCH
    assert [len(batch) for batch in batches] == [1]


def test_what_a_scan_that_began_later_stored_is_left_as_it_is(cluster: Cluster) -> None:
    scanned(cluster, WELL, now=at(5))
    scanned(cluster, SICK, verdict("team-b"), now=at(4))
    row = Namespace.objects.get(name="team-vision")
    assert (row.status, row.scanned_at) == ("ok", at(5))
    assert Namespace.objects.filter(name="team-b").exists()
    assert mark_gone(cluster, unseen_since=at(4), now=at(4)) == 0


def test_a_clock_that_ran_ahead_does_not_freeze_a_namespace(cluster: Cluster) -> None:
    scanned(cluster, WELL, now=NOON + timedelta(days=36_500))
    scanned(cluster, SICK, now=at(1))
    assert Namespace.objects.get().status == "critical"


def test_a_clock_that_ran_ahead_does_not_keep_a_namespace_that_is_gone(cluster: Cluster) -> None:
    scanned(cluster, WELL, now=NOON + timedelta(days=36_500))
    assert mark_gone(cluster, unseen_since=at(1), now=at(1)) == 1


def test_a_finding_of_unknown_status_is_kept_like_any_other(cluster: Cluster) -> None:
    scanned(cluster, verdict(findings=[result()]), now=at(0))
    scanned(cluster, verdict(findings=[result(status="unknown", reason="not-checked")]), now=at(1))
    finding = Finding.objects.get()
    assert (finding.status, finding.first_seen_at, finding.resolved_at) == ("unknown", at(0), None)


def test_a_finding_of_a_namespace_with_a_thousand_others_is_resolved_with_them(cluster: Cluster) -> None:
    scanned(cluster, verdict(findings=[result(object=f"Pod/{number}") for number in range(1200)]), now=at(0))
    scanned(cluster, verdict(), now=at(1))
    assert Finding.objects.filter(resolved_at=at(1)).count() == 1200
