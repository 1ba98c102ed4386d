// When a scheduler's promise to have emptied a worker counts no more.
#include "operator/plan/scheduler_view.h"

#include <gtest/gtest.h>

namespace dask::kube {
namespace {

using Outcome = Retirement::Outcome;

SchedulerView of_workers(const std::vector<std::string>& addresses, std::string id = "s") {
  SchedulerView view;
  view.id = std::move(id);
  for (const std::string& address : addresses) view.workers.push_back(SchedulerWorker{address, address, "running", 0, 0});
  return view;
}

AskSchedulerToRetire request(std::vector<std::string> addresses, bool quiet, std::vector<std::string> also = {}) {
  return AskSchedulerToRetire{{}, std::move(addresses), quiet, std::move(also)};
}

// Workers a, b and c; a has been retired finally.
SchedulerView with_a_promise() {
  SchedulerView view;
  take_poll(view, of_workers({"a", "b", "c"}), 10);
  take_request(view, request({"a"}, true), 20);
  const std::set<std::string> retired{"a"};
  take_promise(view, request({"a"}, true), 20, &retired, 30);
  return view;
}

TEST(SchedulerView, keeps_a_promise_while_nothing_happens) {
  SchedulerView view = with_a_promise();
  take_poll(view, of_workers({"a", "b", "c", "d"}), 40);
  take_failed_poll(view, "no route", 50);
  take_poll(view, of_workers({"a", "b", "c", "d"}), 60);
  EXPECT_EQ(view.retirements.at("a").outcome, Outcome::kRetired);
  EXPECT_EQ(view.retirements.at("a").answered_ms, 30);
  EXPECT_TRUE(view.retirements.at("a").quiet);
  EXPECT_TRUE(view.reachable());
}

TEST(SchedulerView, takes_a_promise_for_final_no_more_when_a_worker_has_gone) {
  SchedulerView view = with_a_promise();
  take_poll(view, of_workers({"a", "c"}), 40);
  EXPECT_EQ(view.retirements.at("a").outcome, Outcome::kRetired);
  EXPECT_FALSE(view.retirements.at("a").quiet);
}

TEST(SchedulerView, takes_an_answer_for_final_no_more_when_a_worker_has_gone_since_it_was_asked) {
  SchedulerView view;
  take_poll(view, of_workers({"a", "b"}), 10);
  take_request(view, request({"a"}, true), 20);
  take_poll(view, of_workers({"a"}), 25);
  const std::set<std::string> retired{"a"};
  take_promise(view, request({"a"}, true), 20, &retired, 30);
  EXPECT_EQ(view.retirements.at("a").outcome, Outcome::kRetired);
  EXPECT_FALSE(view.retirements.at("a").quiet);
}

TEST(SchedulerView, takes_a_promise_for_final_no_more_when_another_worker_is_asked_without_it) {
  SchedulerView view = with_a_promise();
  take_request(view, request({"b"}, false), 40);
  EXPECT_FALSE(view.retirements.at("a").quiet);
  view = with_a_promise();
  take_request(view, request({"b"}, true, {"a"}), 40);
  EXPECT_TRUE(view.retirements.at("a").quiet);
  EXPECT_EQ(view.retirements.at("b").outcome, Outcome::kAsked);
}

TEST(SchedulerView, forgets_who_has_gone_and_what_another_scheduler_promised) {
  SchedulerView view = with_a_promise();
  take_poll(view, of_workers({"b", "c"}), 40);
  EXPECT_TRUE(view.retirements.empty());
  view = with_a_promise();
  take_poll(view, of_workers({"a", "b", "c"}, "another"), 40);
  EXPECT_TRUE(view.retirements.empty());
}

TEST(SchedulerView, takes_no_answer_to_an_earlier_request) {
  SchedulerView view = with_a_promise();
  take_request(view, request({"a"}, true), 40);
  take_promise(view, request({"a"}, true), 20, nullptr, 50);
  EXPECT_EQ(view.retirements.at("a").outcome, Outcome::kAsked);
  take_promise(view, request({"a"}, true), 40, nullptr, 50);
  EXPECT_EQ(view.retirements.at("a").outcome, Outcome::kFailed);
}

}  // namespace
}  // namespace dask::kube
