"""Actors: objects that live on one worker and are called from outside."""

import pytest
from dask.distributed import get_client


class Counter:
    n = 0

    def __init__(self, start=0):
        self.n = start

    def add(self, amount):
        self.n += amount
        return self.n

    def fail(self):
        raise ValueError("this counter does not fail quietly")


def test_an_actor_keeps_its_state(client):
    counter = client.submit(Counter, 5, actor=True).result()
    assert [counter.add(1).result() for _ in range(10)] == list(range(6, 16))
    assert counter.n == 15


def test_many_actors_are_spread_over_the_workers(client):
    counters = [f.result() for f in client.map(Counter, range(8), actor=True)]
    assert [c.add(1).result() for c in counters] == list(range(1, 9))
    assert len({c._address for c in counters}) == len(client.scheduler_info()["workers"])


def test_an_actor_is_called_from_a_task(client):
    counter = client.submit(Counter, actor=True).result()

    def count(actor):
        return actor.add(2).result()

    assert client.submit(count, counter, pure=False).result() == 2
    assert counter.n == 2


def test_an_actor_made_by_a_task(client):
    def make():
        return get_client().submit(Counter, 3, actor=True).result().add(4).result()

    assert client.submit(make).result() == 7


def test_an_exception_of_an_actor_arrives(client):
    counter = client.submit(Counter, actor=True).result()
    with pytest.raises(ValueError, match="does not fail quietly"):
        counter.fail().result()
    assert counter.add(1).result() == 1
