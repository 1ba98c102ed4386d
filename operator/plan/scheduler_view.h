// What becomes of the operator's memory of a scheduler when the scheduler is asked and when it answers. The shell keeps the memory; so do
// those that stand in for it in stories and simulations.
//
// A scheduler promises of each worker that it was asked to retire that nothing is only there any more. What happens later can make that
// untrue, and a promise is final no more (Retirement::quiet) once
// (1) a registered worker has gone: the copy that made this worker superfluous may have been there;
// (2) another worker was asked to retire by a request that did not name this one: the stock scheduler counts a copy on any registered
//     worker, also on one that it has emptied before, and drops the other copy.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "operator/plan/actions.h"
#include "operator/plan/observed.h"

namespace dask::kube {

// AskSchedulerToRetire has been sent.
void take_request(SchedulerView& view, const AskSchedulerToRetire& request, TimeMs now_ms);
// Its answer, by when it was sent. `retired`: the addresses in it; null: there was no answer.
void take_promise(SchedulerView& view, const AskSchedulerToRetire& request, TimeMs asked_ms, const std::set<std::string>* retired,
                  TimeMs now_ms);
// A poll's answer: id, workers and idle_since_ms of `fresh` count.
void take_poll(SchedulerView& view, SchedulerView fresh, TimeMs sent_ms);
void take_failed_poll(SchedulerView& view, std::string why, TimeMs now_ms);

}  // namespace dask::kube
