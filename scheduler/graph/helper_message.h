// Messages between the scheduler and a graph helper, as bytes inside a FramePipe: u32 head length (little-endian), the head
// (a msgpack map whose "blobs" lists the blobs' lengths), the blobs. Pure. scheduler/graph/PROTOCOL.md says what is sent.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/base/value.h"
#include "scheduler/graph/lowered_graph.h"

namespace dask::scheduler {

struct HelperMessage {
  Value head;
  std::vector<Bytes> blobs;
  std::string_view op() const { return head["op"].as_string(); }
};

// kMalformed when the lengths do not fit.
Result<HelperMessage> parse_helper_message(const Bytes& bytes);
// The parts of a message for FramePipe::send.
std::vector<Bytes> make_helper_message(Value head, std::vector<Bytes> blobs);

// The request to lower a graph.
std::vector<Bytes> make_lower_message(std::uint64_t id, const GraphRequest& request);
// The answer to "lowered" without "specs_follow": the tasks to pickle, in this order.
std::vector<Bytes> make_pickle_message(std::uint64_t id, const std::vector<std::uint32_t>& order);

// A file that a client uploaded, as the pickle of distributed's SchedulerUploadFile.
std::vector<Bytes> make_upload_message(std::uint64_t id, const Bytes& plugin);

// A little-endian column of unsigned integers. kMalformed when the blob is no whole number of them.
template <class T>
Result<std::vector<T>> column(const Bytes& blob) {
  if (blob.size() % sizeof(T) != 0) return fail(ErrorCode::kMalformed, "a column of the graph helper's answer ends inside a number");
  std::vector<T> numbers(blob.size() / sizeof(T));
  if (!numbers.empty()) std::memcpy(numbers.data(), blob.data(), blob.size());
  return numbers;
}

}  // namespace dask::scheduler
