// How long to wait before the next try: doubles from `first_s` to `most_s`, spread by up to `jitter` so that many do not come at once.
// Pure: the random number is the caller's.
#pragma once

#include <algorithm>
#include <cmath>

namespace dask::kube {

struct Backoff {
  double first_s = 0.8;
  double most_s = 30;
  double jitter = 1.0;  // adds up to this share of the delay

  // `failures` counts from 1; `random` is in [0, 1).
  double delay_s(int failures, double random) const {
    const double base = std::min(most_s, first_s * std::exp2(std::min(std::max(failures, 1) - 1, 60)));
    return base * (1 + jitter * random);
  }
};

}  // namespace dask::kube
