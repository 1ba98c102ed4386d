#include "scheduler/policy/rebalance.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <queue>
#include <unordered_set>

#include "scheduler/policy/memory.h"

namespace dask::scheduler {
namespace {

// Bytes to lose or gain: negative, so that the worker farthest from the mean is the smallest. It leaves once `bytes_min`
// has reached zero.
struct Candidate {
  std::int64_t bytes_max;
  std::int64_t bytes_min;
  std::uint32_t worker;
  std::size_t next = 0;  // senders: the next of its results to look at
  friend bool operator>(const Candidate& a, const Candidate& b) {
    return std::tie(a.bytes_max, a.bytes_min, a.worker) > std::tie(b.bytes_max, b.bytes_min, b.worker);
  }
};
using Candidates = std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>>;

}  // namespace

Rebalance propose_rebalance(const State& state, const std::vector<WorkerId>& workers, const std::optional<std::set<std::uint32_t>>& allowed,
                            const RebalanceSettings& settings) {
  Rebalance result;
  if (workers.empty()) return result;
  const auto measured = [&](WorkerId id) { return memory_of(state.worker(id)).measure(settings.measure).value_or(0); };
  std::int64_t sum = 0;
  for (WorkerId id : workers) sum += measured(id);
  const std::int64_t mean = sum / static_cast<std::int64_t>(workers.size());

  Candidates senders, recipients;
  for (WorkerId id : workers) {
    const Worker& ws = state.worker(id);
    const std::int64_t memory = measured(id);
    const auto limit = static_cast<double>(ws.memory_limit);
    const auto half_gap = static_cast<std::int64_t>(settings.half_gap * limit);
    const double sender_min = settings.sender_min * limit;
    const double recipient_max = ws.memory_limit > 0 ? settings.recipient_max * limit : std::numeric_limits<double>::infinity();
    if (!ws.has_what.empty() && memory >= mean + half_gap && static_cast<double>(memory) >= sender_min)
      senders.push({mean - memory, mean - memory + half_gap, id.value});
    else if (memory < mean - half_gap && static_cast<double>(memory) < recipient_max)
      recipients.push({memory - mean, memory - mean + half_gap, id.value});
  }
  result.senders = senders.size();
  result.recipients = recipients.size();

  // Who already has a task, or will have it by a move that was proposed.
  std::set<std::pair<std::uint32_t, std::uint32_t>> received;
  const auto holds = [&](std::uint32_t slot, std::uint32_t worker) {
    return state.holds(state.worker(WorkerId{worker}), state.task(slot)) || received.contains({slot, worker});
  };
  while (!senders.empty() && !recipients.empty()) {
    Candidate sender = senders.top();
    senders.pop();
    const Worker& ws = state.worker(WorkerId{sender.worker});
    bool moved = false;
    while (!moved && sender.next < ws.has_what.size()) {
      const std::uint32_t slot = ws.has_what[sender.next++];
      if (allowed && !allowed->contains(slot)) continue;
      const std::int64_t nbytes = state.nbytes_of(state.task(slot));
      if (nbytes + sender.bytes_max > 0) continue;  // the sender would fall below the mean

      std::vector<Candidate> skipped;
      while (!recipients.empty() && recipients.top().bytes_max + nbytes <= 0 && holds(slot, recipients.top().worker)) {
        skipped.push_back(recipients.top());
        recipients.pop();
      }
      const bool found = !recipients.empty() && recipients.top().bytes_max + nbytes <= 0;
      std::optional<Candidate> recipient;
      if (found) {
        recipient = recipients.top();
        recipients.pop();
      }
      for (const Candidate& candidate : skipped) recipients.push(candidate);
      if (!recipient) continue;

      result.moves.push_back(Move{slot, ws.id, WorkerId{recipient->worker}});
      received.emplace(slot, recipient->worker);
      sender.bytes_max += nbytes;
      sender.bytes_min += nbytes;
      recipient->bytes_max += nbytes;
      recipient->bytes_min += nbytes;
      if (recipient->bytes_min < 0) recipients.push(*recipient);
      moved = true;
    }
    if (moved && sender.bytes_min < 0) senders.push(sender);
  }
  return result;
}

}  // namespace dask::scheduler
