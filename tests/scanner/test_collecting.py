from __future__ import annotations

import gc

import pytest

from scanner.collecting import THRESHOLDS, fewer_collections


def test_what_was_set_before_comes_back_even_after_an_error() -> None:
    before = gc.get_threshold()

    with pytest.raises(RuntimeError):
        _fail_inside()

    assert gc.get_threshold() == before


def _fail_inside() -> None:
    with fewer_collections():
        assert gc.get_threshold() == THRESHOLDS
        raise RuntimeError
