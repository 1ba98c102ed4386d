// Reads a helper's answers about one graph after the other: columns into a LoweredGraph (culled, checked for cycles, ordered),
// chunks of run specs into batches. Whatever the helper sends (the client's code runs in it) ends in a value or an error.
// Thread ownership: one thread at a time. Pure: bytes in, values out.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "scheduler/graph/helper_message.h"
#include "scheduler/graph/lowered_graph.h"

namespace dask::scheduler {

// ---- what a message of the helper means ------------------------------------------------------------------------------------

struct HelperReady {
  Value versions;
};
struct HelperCannotStart {
  std::string text;
};
struct GraphLowered {
  LoweredGraph graph;
  FailurePtr failure;  // set: it has a cycle; nothing else of this is filled but `ask`, and no run specs come
  bool ask = false;    // send `pickle_order`, or the run specs will not come
  std::vector<std::uint32_t> pickle_order;
  double unpickle_seconds = 0;
  double materialize_seconds = 0;
  double decode_seconds = 0;  // ordering included
  double order_seconds = 0;
};
struct SpecsArrived {
  SpecBatch batch;
};
// Nothing more comes for this graph. A failure: of the tasks without run specs, or of the graph when it was not lowered yet.
struct GraphDone {
  FailurePtr failure;
  double pickle_seconds = 0;
};
// It has taken an uploaded file, under this name.
struct FileUploaded {
  std::string name;
};
// The helper does not follow the protocol: it is of no use any more.
struct HelperOutOfStep {
  std::string text;
};
using Reply = std::variant<HelperReady, HelperCannotStart, GraphLowered, SpecsArrived, GraphDone, FileUploaded, HelperOutOfStep>;

class ReplyDecoder {
 public:
  // The next answers are about this graph.
  void begin(std::uint64_t id, std::vector<std::pair<Key, double>> internal_priority);
  Reply decode(const Bytes& bytes);

 private:
  Result<Reply> decode_message(const HelperMessage& message);
  Result<Reply> lowered(const HelperMessage& message);
  Result<Reply> specs(const HelperMessage& message);

  std::uint64_t id_ = 0;
  bool lowered_ = false;
  std::vector<std::pair<Key, double>> internal_priority_;
  std::vector<std::uint32_t> task_at_;  // by place in the helper's order: the task, or UINT32_MAX for one that was culled
  std::size_t next_ = 0;                // place of the next run spec
  bool refused_ = false;                // run specs that come are for nobody
  std::vector<Bytes> pool_;             // frames that several tasks may share
  FailurePtr first_failure_;
};

// `module.cls(message)` as a failure, with its pickle.
FailurePtr make_failure(std::string_view module, std::string_view cls, std::string_view message);

}  // namespace dask::scheduler
