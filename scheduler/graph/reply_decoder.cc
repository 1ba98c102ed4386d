// Run specs stay where the pipe's message put them: every spec of a chunk is a view of it.
#include "scheduler/graph/reply_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "core/wire/message.h"
#include "core/wire/pickle.h"
#include "scheduler/graph/columns_decoder.h"

namespace dask::scheduler {
namespace {

// The specs of one chunk and what they view, in one allocation.
struct Chunk {
  std::vector<Opaque> specs;
};

FailurePtr failure_of(const Value& head) {
  auto failure = std::make_shared<Failure>();
  failure->exception = head["exception"];
  failure->traceback = head["traceback"];
  failure->exception_text = head["exception_text"].as_string();
  failure->traceback_text = head["traceback_text"].as_string();
  if (!failure->exception.is_bytes())
    return make_failure("builtins", "RuntimeError", "the graph helper reported an error without an exception");
  return failure;
}

}  // namespace

FailurePtr make_failure(std::string_view module, std::string_view cls, std::string_view message) {
  auto failure = std::make_shared<Failure>();
  failure->exception = Value(Bytes::own(wire::pickle_exception(module, cls, message)));
  failure->exception_text = fmt::format("{}({})", cls, Value(message).repr());
  return failure;
}

void ReplyDecoder::begin(std::uint64_t id, std::vector<std::pair<Key, double>> internal_priority) {
  *this = {};
  id_ = id;
  internal_priority_ = std::move(internal_priority);
}

Reply ReplyDecoder::decode(const Bytes& bytes) {
  auto reply = parse_helper_message(bytes).and_then([this](const HelperMessage& message) { return decode_message(message); });
  if (!reply) return HelperOutOfStep{reply.error().message};
  return *std::move(reply);
}

Result<Reply> ReplyDecoder::decode_message(const HelperMessage& message) {
  std::string_view op = message.op();
  if (op == "ready") return HelperReady{message.head["versions"]};
  if (op == "failed") return HelperCannotStart{std::string(message.head["text"].as_string("no reason given"))};
  if (id_ == 0 || message.head["id"].as_uint64() != id_) {
    return fail(ErrorCode::kMalformed,
                fmt::format("the graph helper sent {} for graph {}, expected graph {}", Value(op).repr(), message.head["id"].repr(), id_));
  }
  if (op == "lowered" && !lowered_) return lowered(message);
  if (op == "specs" && lowered_) return specs(message);
  if (op == "done" && lowered_) {
    GraphDone done{first_failure_, message.head["pickle_seconds"].as_double(0)};
    begin(0, {});
    return done;
  }
  if (op == "uploaded" && !lowered_) {
    FileUploaded uploaded{std::string(message.head["name"].as_string())};
    begin(0, {});
    return uploaded;
  }
  if (op == "error") {
    GraphDone done{failure_of(message.head)};
    begin(0, {});
    return done;
  }
  return fail(ErrorCode::kMalformed, fmt::format("the graph helper sent {} where that makes no sense", Value(op).repr()));
}

Result<Reply> ReplyDecoder::lowered(const HelperMessage& message) {
  lowered_ = true;
  GraphLowered result;
  auto seconds_since = [](auto begin) { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); };
  auto begin_decoding = std::chrono::steady_clock::now();
  DASK_TRY(RawGraph graph, decode_columns(message));
  task_at_ = cull(graph);
  auto start = std::chrono::steady_clock::now();
  auto ordered = give_order(graph, std::exchange(internal_priority_, {}));
  result.order_seconds = seconds_since(start);
  bool ask = !message.head["specs_follow"].as_bool();
  if (!ordered && ordered.error().code == ErrorCode::kUserCode) {
    refused_ = true;
    result.failure = make_failure("builtins", "RuntimeError", ordered.error().message);
    result.ask = ask;
    return result;
  }
  DASK_TRY_VOID(ordered);
  if (ask) {
    // Ranks are a permutation here: the client gave none, or "specs_follow" would be set.
    const std::vector<double>& order = graph.columns.order;
    std::vector<std::uint32_t> by_order(graph.columns.n_tasks);
    std::iota(by_order.begin(), by_order.end(), 0);
    std::sort(by_order.begin(), by_order.end(), [&](auto a, auto b) { return order[a] < order[b]; });
    std::vector<std::uint32_t> helper_index(graph.columns.n_tasks);
    for (std::uint32_t i = 0; i < task_at_.size(); ++i) {
      if (task_at_[i] != UINT32_MAX) helper_index[task_at_[i]] = i;
    }
    result.ask = true;
    result.pickle_order.reserve(by_order.size());
    for (std::uint32_t task : by_order) result.pickle_order.push_back(helper_index[task]);
    task_at_ = std::move(by_order);
  }
  result.graph.columns = std::move(graph.columns);
  result.graph.wanted = std::move(graph.wanted);
  if (auto description = wire::decode_msgpack(message.blobs[6])) result.graph.description = *std::move(description);
  result.decode_seconds = seconds_since(begin_decoding);
  result.unpickle_seconds = message.head["unpickle_seconds"].as_double(0);
  result.materialize_seconds = message.head["materialize_seconds"].as_double(0);
  return result;
}

Result<Reply> ReplyDecoder::specs(const HelperMessage& message) {
  if (refused_) return SpecsArrived{};
  auto malformed = [](std::string_view what) { return fail(ErrorCode::kMalformed, fmt::format("the graph helper's run specs: {}", what)); };
  constexpr std::size_t kColumns = 4;
  if (message.blobs.size() < kColumns) return malformed("columns are missing");
  const Bytes& headers = message.blobs[0];
  DASK_TRY(auto ends, column<std::uint64_t>(message.blobs[1]));
  DASK_TRY(auto frame_counts, column<std::uint32_t>(message.blobs[2]));
  DASK_TRY(auto frames, column<std::uint32_t>(message.blobs[3]));
  pool_.insert(pool_.end(), message.blobs.begin() + kColumns, message.blobs.end());
  if (message.head["first"].as_uint64() != next_ || ends.size() > task_at_.size() - next_)
    return malformed("more of them than tasks, or out of order");
  if (!frame_counts.empty() && frame_counts.size() != ends.size()) return malformed("the frame counts do not fit");

  std::vector<bool> failed(ends.size(), false);
  if (const Value::Array* failures = message.head["failures"].array_if()) {
    for (const Value& failure : *failures) {
      auto position = failure["position"].as_uint64();
      if (!position || *position < next_ || *position - next_ >= ends.size()) return malformed("a failure names no task of the chunk");
      failed[*position - next_] = true;
      if (!first_failure_) first_failure_ = failure_of(failure);
    }
  }

  SpecsArrived result;
  result.batch.specs.reserve(ends.size());
  auto chunk = std::make_shared<Chunk>();
  chunk->specs.reserve(ends.size());
  std::uint64_t start = 0;
  std::size_t frame = 0;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    if (ends[i] < start || ends[i] > headers.size()) return malformed("an offset is out of range");
    Opaque spec{Opaque::Kind::kPickled, headers.slice(start, ends[i] - start), {}};
    start = ends[i];
    std::size_t count = frame_counts.empty() ? 0 : frame_counts[i];
    if (count > frames.size() - frame) return malformed("frames are missing");
    for (; count > 0; --count, ++frame) {
      if (frames[frame] >= pool_.size()) return malformed("a frame was never sent");
      spec.frames.push_back(pool_[frames[frame]]);
    }
    std::uint32_t task = task_at_[next_ + i];
    if (task == UINT32_MAX || failed[i]) continue;
    chunk->specs.push_back(std::move(spec));
    result.batch.specs.emplace_back(task, OpaquePtr(chunk, &chunk->specs.back()));
  }
  next_ += ends.size();
  return result;
}

}  // namespace dask::scheduler
