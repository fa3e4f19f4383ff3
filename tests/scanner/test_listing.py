"""Taking lists apart by Namespace, for any names that Kubernetes allows and some that it does not."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from scanner import raw
from scanner.cluster.errors import Secrets, printable
from scanner.cluster.listing import ByNamespace, Page, in_key_order

NAMES = st.text(alphabet="ab-.0", min_size=1, max_size=5)


@given(st.sets(NAMES, max_size=30))
def test_names_come_in_the_order_of_their_keys(names: set[str]) -> None:
    assert list(in_key_order(sorted(names), str)) == sorted(names, key=lambda name: name + "/")


@given(st.sets(st.tuples(NAMES, NAMES), max_size=40), st.sets(NAMES, max_size=10), st.integers(1, 5))
def test_each_wanted_namespace_gets_exactly_its_objects(
    objects: set[tuple[str, str]], wanted: set[str], size: int
) -> None:
    ordered = sorted(objects, key=lambda one: (one[0] + "/", one[1]))
    items = [raw.Secret(metadata=raw.ObjectMeta(namespace=ns, name=name)) for ns, name in ordered]
    stream = ByNamespace(Page(items=items[i : i + size]) for i in range(0, len(items), size))
    expected: defaultdict[str, list[str]] = defaultdict(list)
    for namespace, name in ordered:
        expected[namespace].append(name)

    for namespace in in_key_order(sorted(wanted), str):
        taken, broken = stream.take(namespace)
        assert [one.metadata.name for one in taken] == expected[namespace]
        assert broken == ""


@given(st.text(max_size=600), st.integers(1, 300))
def test_a_printable_text_is_short_and_on_one_line(text: str, limit: int) -> None:
    shown = printable(text, limit)

    assert len(shown) <= limit
    assert shown.isprintable()


@given(st.text(min_size=8, max_size=40), st.text(max_size=40), st.text(max_size=40), st.data())
def test_eight_characters_of_a_value_are_enough_to_be_noticed(
    value: str, before: str, after: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(value) - 8))

    assert Secrets((value,)).quoted_in(before + value[start : start + 8] + after)
    assert value not in repr(Secrets((value,)))
