"""What we changed in Celery's dealings with Redis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection, Message
from redis import Redis

import dashboard.celery  # noqa: F401 (changes kombu)
from tests.rig.valkey import ValkeyServer

QUEUE = "tests"


@pytest.fixture(name="connection")
def _connection(valkey: ValkeyServer) -> Iterator[Connection]:
    with Connection(valkey.url) as connection:
        yield connection


def _take_one(connection: Connection) -> Message:
    queue = connection.SimpleQueue(QUEUE)
    queue.put("work")
    return queue.get(timeout=60)


def test_a_channel_whose_connection_is_lost_closes_with_a_message_not_acknowledged(connection: Connection) -> None:
    channel = _take_one(connection).channel
    connection.transport.client = None  # as the first of Celery's two steps leaves it

    channel.close()

    assert channel.closed


@pytest.mark.parametrize("settle", ["ack", "reject", "requeue"])
def test_a_task_that_ends_after_its_connection_was_lost_does_not_end_the_worker(
    connection: Connection, valkey: ValkeyServer, settle: str
) -> None:
    message: Any = _take_one(connection)
    connection.transport.client = None
    message.channel.close()

    getattr(message, settle)()

    with Redis.from_url(valkey.url) as redis:
        assert redis.hexists("unacked", message.delivery_tag), "it is delivered once more"


def test_a_channel_that_is_closed_in_order_puts_the_message_back(connection: Connection, valkey: ValkeyServer) -> None:
    _take_one(connection).channel.close()

    with Connection(valkey.url) as another:
        assert another.SimpleQueue(QUEUE).get(timeout=60).payload == "work"
