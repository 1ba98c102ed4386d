// The operator's named limits and waits.
#pragma once

#include <cstddef>

#include "operator/api/time.h"

namespace dask::kube {

// Workers that one plan creates or deletes; the next plan goes on. Keeps one large group from holding up all others.
inline constexpr std::size_t kWorkersPerPlanMax = 100;
// Workers of one group. More are refused with a condition.
inline constexpr std::int64_t kWorkersPerGroupMax = 10'000;
// Events that one plan emits.
inline constexpr std::size_t kEventsPerPlanMax = 20;

// How long an answer of a scheduler counts as the present.
inline constexpr TimeMs kPollFreshMs = 2 * kSecondMs;
// Time between two polls of a scheduler that somebody waits for.
inline constexpr TimeMs kPollAgainMs = 1 * kSecondMs;
// Time between two polls of a scheduler that does not answer, and between two requests to retire workers whose data cannot be moved.
inline constexpr TimeMs kPollUnreachableMs = 5 * kSecondMs;
inline constexpr TimeMs kAskAgainMs = 10 * kSecondMs;
// Bounds of the time between two looks at whether a cluster with idleTimeout is idle.
inline constexpr TimeMs kIdlePollMinMs = 5 * kSecondMs;
inline constexpr TimeMs kIdlePollMaxMs = 30 * kSecondMs;

// spec.drain.timeoutSeconds when it is not given: how long a worker's data may take to move before spec.drain.onTimeout applies.
inline constexpr TimeMs kDrainTimeoutMs = 600 * kSecondMs;
// How long workers that should go wait for a scheduler that cannot be reached. Then they go without: their data is out of reach anyway.
inline constexpr TimeMs kUnreachableWaitMs = 60 * kSecondMs;
// A cluster of at most this age leaves its first status to the plan that sees what was made, instead of writing one with each step.
inline constexpr TimeMs kNewClusterMs = 30 * kSecondMs;
// How soon to look again for something that ends elsewhere (objects of a cluster of the same name that are being collected).
inline constexpr TimeMs kLookAgainMs = 1 * kSecondMs;

// `validation.py` of dask-kubernetes: "{cluster}-default-worker-{10 hex}" and "{cluster}-scheduler" must stay valid names.
inline constexpr std::size_t kClusterNameMax = 53;
// The longest value of a label: `dask.org/workergroup-name`.
inline constexpr std::size_t kGroupNameMax = 63;

}  // namespace dask::kube
