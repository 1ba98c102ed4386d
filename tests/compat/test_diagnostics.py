"""What clients ask about work that runs and ran: profiles, task metadata, memory over time, hardware."""

import time

import pytest
from cluster import IS_STOCK, wait_until


def spin(seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        sum(range(1000))
    return seconds


def names_in(profile):
    """The names of all functions in a profile."""
    names = {profile["description"]["name"]}
    for child in profile["children"].values():
        names |= names_in(child)
    return names


def test_profiles_of_workers_are_merged(client):
    client.gather(client.map(spin, [0.3, 0.3], pure=False))
    wait_until(lambda: "spin" in names_in(client.profile()), "the profile's cycle")
    merged, single = client.profile(), client.profile(merge_workers=False)
    assert merged["identifier"] == "root" and merged["count"] > 0
    assert sorted(single) == sorted(client.scheduler_info(n_workers=-1)["workers"])
    assert client.profile(key="no-such-prefix")["count"] == 0
    assert client.profile(start=time.time() + 60)["count"] == 0


def test_the_scheduler_has_a_profile_of_its_own(client):
    assert client.profile(scheduler=True)["identifier"] == "root"


@pytest.mark.skipif(IS_STOCK, reason="Dask's scheduler only has it for its dashboard")
def test_profile_metadata_says_when_what_ran(client):
    client.gather(client.map(spin, [0.2, 0.2], pure=False))
    wait_until(lambda: "spin" in client.sync(client.scheduler.profile_metadata)["keys"], "the profile's cycle")
    metadata = client.sync(client.scheduler.profile_metadata, profile_cycle_interval="100ms")
    assert sum(n for _, n in metadata["counts"]) > 0
    assert len(metadata["keys"]["spin"][0]) == 2
