"""A real Kubernetes API for the tests of this folder, started once for all of them.

`control_plane` (tier 1) has objects, watches and owners, and pods stay Pending; in `fake_pods` (tier 2) pods become Ready and run nothing.
"""

import pytest
from rig import Kubernetes


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory):
    with Kubernetes(tmp_path_factory.mktemp("kubernetes") / "tier1", tier=1) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def fake_pods(tmp_path_factory):
    with Kubernetes(tmp_path_factory.mktemp("kubernetes") / "tier2", tier=2) as cluster:
        yield cluster
