// What the live page shows, as one JSON object: totals, tasks by prefix, workers, the task stream and the log. Each viewer has
// a cursor, so that it is sent only the records, log lines and worker rows that are new to it.
// dashboard/model.js reads what this writes: the columns named here are the agreement.
// Thread ownership: the loop's thread.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "core/base/ids.h"

namespace dask::scheduler {

class Server;

// What one viewer has seen.
struct StatusCursor {
  std::uint64_t stream_index = 0;                         // the next record of the task stream
  bool stream_started = false;                            // false: start with the last minute
  double log_time = 0;                                    // of the newest log line and event
  std::unordered_map<WorkerId, std::size_t> worker_rows;  // hash of the row that was sent
};

// Named limits of one answer.
inline constexpr double kStreamWindow_s = 60;
inline constexpr std::size_t kStreamRecordsMax = 5000;  // the shortest beyond it are left out, and counted
inline constexpr std::size_t kKeyBytesMax = 200;        // of a key's text
inline constexpr std::size_t kPrefixesMax = 200;        // the ones with most tasks
inline constexpr std::size_t kLogLinesMax = 200;
inline constexpr std::size_t kClientsMax = 200;

std::string status_json(Server& server, StatusCursor& cursor);

}  // namespace dask::scheduler
