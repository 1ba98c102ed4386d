"""A few seeds of run.py. `python tests/chaos/run.py --seeds 50` runs more of them."""

import pytest
import run


@pytest.mark.timeout(500)
@pytest.mark.parametrize("seed", [1, 8, 13])
def test_answers_are_right_whatever_dies(seed):
    lines = []
    wrong, _ = run.run_seed(seed, lines.append)
    assert wrong is None, "\n".join([*lines, wrong])
