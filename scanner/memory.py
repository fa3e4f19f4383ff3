"""What was read from large values is remembered, because the same ones lie in many Secrets and change seldom."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from secrets import token_bytes
from typing import Final, Generic, TypeVar

T = TypeVar("T")


class Memory(Generic[T]):
    """Answers by a hash of what they were read from, under a key that lives as long as this object.

    The values themselves are not kept, so the answers must hold none either. At most `size` answers.
    """

    def __init__(self, size: int = 2048) -> None:
        self._size: Final = size
        self._key: Final = token_bytes(32)
        self._answers: dict[bytes, T] = {}

    def __call__(self, read: Callable[[], T], *values: bytes) -> T:
        """The answer for `values`, from `read` when they are new. What `read` raises is not remembered."""
        digest = hashlib.blake2b(key=self._key, digest_size=32)
        for value in values:
            digest.update(b"%d:" % len(value))
            digest.update(value)
        name = digest.digest()
        if name in self._answers:
            return self._answers[name]
        answer = read()
        if len(self._answers) >= self._size:
            self._answers.clear()
        self._answers[name] = answer
        return answer
