"""The steps from image to registry, and the one that breaks."""

from __future__ import annotations

from scanner.check import Status
from scanner.elsewhere import Elsewhere
from tests.objects import namespace_objects
from tests.scanner.judging import account, only_cell, steps, verdict, verdicts
from tests.scanner.test_coverage import ANONYMOUS, REFUSED, pod, pull_secret


def test_the_right_secret_in_the_wrong_namespace_tells_its_whole_story() -> None:
    failing = pod("iris", "gitlab.example.com:4567/ml/iris", "regcred", message=ANONYMOUS)
    here = namespace_objects([failing, account()], name="team")
    there = namespace_objects([pull_secret("regcred", "gitlab.example.com:4567")], name="kubeflow")

    (_, found) = verdicts([here, there])
    (cell,) = found.cells

    assert (cell.status, cell.reason) == (Status.CRITICAL, "missing")
    assert cell.details["code"] == "PS01"
    assert cell.details["elsewhere"] == [["kubeflow", "regcred"]]
    assert [(s.step, s.state, s.title) for s in cell.chain] == [
        ("image", "ok", "gitlab.example.com:4567/ml/iris"),
        ("pod", "ok", "iris"),
        ("pull-secrets", "ok", "names regcred"),
        ("secret", "broken", "regcred is not in this Namespace"),
        ("key", "after", "would be gitlab.example.com:4567"),
        ("registry", "after", "answered an anonymous pull with 401"),
    ]
    assert cell.chain[2].note == "set in the Pod; the ServiceAccount's are not added"
    assert "kubeflow" not in repr(cell.chain)
    assert all("kubeflow" not in finding.message for finding in found.findings)


def test_a_refused_credential_breaks_the_last_step() -> None:
    cell = only_cell(pull_secret("a", "quay.io"), pod("app", "quay.io/x", "a", message=REFUSED))

    assert (cell.status, cell.reason, cell.secret, cell.verified) == (Status.CRITICAL, "rejected", "a", "")
    assert steps(cell)[-2:] == [("key", "ok"), ("registry", "broken")]


def test_an_unlinked_secret_breaks_the_step_that_should_name_it() -> None:
    cell = only_cell(pull_secret("a", "quay.io"), pod("app", "quay.io/x", message=ANONYMOUS), account())

    assert (cell.status, cell.reason) == (Status.CRITICAL, "unlinked")
    assert steps(cell)[2] == ("pull-secrets", "broken")


def test_a_key_that_just_misses_breaks_the_step_of_the_key_and_has_no_column_of_its_own() -> None:
    cell = only_cell(pull_secret("a", "quay.io:443"), account("a"), pod("app", "quay.io/x", "a", message=ANONYMOUS))

    assert (cell.credential, cell.status, cell.reason) == ("registry/quay.io", Status.CRITICAL, "wrong-host")
    assert steps(cell)[3:] == [("secret", "ok"), ("key", "broken"), ("registry", "after")]
    assert cell.chain[4].title == "quay.io:443 should read quay.io"
    assert cell.chain[4].note == "it has the port 443, the images name none; no port is a default"


def test_a_key_for_another_registry_breaks_the_step_of_the_key() -> None:
    found = verdict(pull_secret("a", "ghcr.io"), pod("app", "quay.io/x", "a", message=ANONYMOUS))
    cell = next(cell for cell in found.cells if cell.credential == "registry/quay.io")

    assert (cell.status, cell.reason) == (Status.CRITICAL, "missing")
    assert [(s.state, s.title, s.note) for s in cell.chain[4:5]] == [("broken", "would be quay.io", "there is ghcr.io")]


def test_a_pod_older_than_the_link_is_told_so_by_its_pull_secrets() -> None:
    cell = only_cell(pull_secret("a", "quay.io"), account("a"), pod("app", "quay.io/x", message=ANONYMOUS))

    assert (cell.status, cell.reason, cell.details["code"]) == (Status.CRITICAL, "unlinked", "PS09")
    assert (cell.chain[2].state, cell.chain[2].note) == (
        "broken",
        "ServiceAccount default links a now, the Pod is older",
    )


def test_a_hidden_login_is_told_at_the_key_that_hides_it() -> None:
    hub, old = pull_secret("hub", "https://index.docker.io/v1/", username="new"), pull_secret("old", "docker.io")

    well = only_cell(hub, old, pod("app", "acme/x", "hub", "old", running=True))
    failing = only_cell(hub, old, pod("app", "acme/x", "hub", "old", message=REFUSED))

    assert (well.status, well.reason, failing.status) == (Status.WARNING, "shadowed", Status.CRITICAL)
    assert well.chain[4].note == "hides the login under index.docker.io in Secret hub"
    assert (well.chain[4].state, failing.chain[4].state) == ("ok", "broken")


def test_a_running_pod_that_could_not_pull_again_breaks_where_it_would_fail() -> None:
    elsewhere = Elsewhere()
    elsewhere.add("other", {"quay": ["harbor.example.com"]})
    objects = [pod("app", "harbor.example.com/x", running=True)]

    (found,) = verdicts([namespace_objects(objects)], elsewhere)
    (cell,) = found.cells

    assert (cell.status, cell.reason) == (Status.WARNING, "latent")
    assert [(step, state) for step, state in steps(cell) if state == "broken"] == [("pull-secrets", "broken")]


def test_a_failing_pod_has_one_explanation_beside_its_own_message() -> None:
    opaque = {"kind": "Secret", "metadata": {"name": "opaque"}, "type": "Opaque"}
    broken = {**pull_secret("broken"), "stringData": {".dockerconfigjson": '{"auths":{"x":"oops"}}'}}
    secrets = [pull_secret("near", "quay.io:443"), pull_secret("far", "ghcr.io"), pull_secret("right", "quay.io")]

    def codes(*named: str, without: str = "right") -> set[str]:
        there = [one for one in (*secrets, opaque, broken) if one["metadata"]["name"] != without]
        found = verdict(*there, account(), pod("app", "quay.io/x", *named, message=ANONYMOUS)).findings
        return {finding.code for finding in found if finding.status is Status.CRITICAL and "app" in finding.message}

    assert codes("near") == {"PO01", "PS06"}
    assert codes("opaque") == {"PO01", "PS08"}
    assert codes("near", "opaque") == {"PO01", "PS06"}
    assert codes("near", "gone") == {"PO01", "PS01"}
    assert codes("far") == {"PO01", "PS03"}
    assert codes("near", without="") == {"PO01", "PS04"}
    assert codes("near", "broken") == {"PO01"}


def test_a_secret_of_another_type_breaks_the_step_of_the_secret() -> None:
    opaque = {"kind": "Secret", "metadata": {"name": "a"}, "type": "Opaque"}

    cell = only_cell(opaque, pod("app", "quay.io/x", "a", message=ANONYMOUS))

    assert cell.status is Status.CRITICAL
    assert steps(cell)[3] == ("secret", "broken")


def test_what_made_one_pod_is_not_said_to_have_made_the_others() -> None:
    objects = [pod(name, "quay.io/x", "regcred", message=ANONYMOUS) for name in ("a-1", "b-1")]
    for one, workflow in zip(objects, ("a", "b"), strict=True):
        one["metadata"]["ownerReferences"] = [{"kind": "Workflow", "name": workflow, "controller": True}]

    cell = only_cell(*objects, account())

    assert (cell.chain[1].title, cell.chain[1].note) == ("a-1", "made by Workflow a, and 1 more Pod")
