"""Scaling as clients and cluster managers ask for it: retire_workers, adaptive_target."""

import operator

import pytest
from distributed import wait


def test_retire_workers_names_wrong_arguments(client):
    (address, *_) = client.scheduler_info(n_workers=-1)["workers"]
    for wrong in ({"workers": [address], "names": ["a"]}, {"workers": [address], "n": 1}, {"names": ["a"], "target": 1}):
        with pytest.raises(TypeError, match="mutually exclusive"):
            client.sync(client.scheduler.retire_workers, **wrong)
    with pytest.raises(TypeError, match="unexpected keyword argument 'foo'"):
        client.sync(client.scheduler.retire_workers, foo=1)
    assert len(client.scheduler_info(n_workers=-1)["workers"]) == 2


def test_the_adaptive_target_keeps_what_holds_results(client):
    assert client.sync(client.scheduler.adaptive_target, target_duration="5s") == 0
    future = client.submit(operator.add, 1, 2, pure=False)
    wait(future)
    assert client.sync(client.scheduler.adaptive_target, target_duration="5s") == 1
