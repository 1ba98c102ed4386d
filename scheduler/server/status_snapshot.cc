#include "scheduler/server/status_snapshot.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/json.h"
#include "core/runtime/log.h"
#include "scheduler/server/cluster_queries.h"
#include "scheduler/server/server.h"

namespace dask::scheduler {
namespace {

constexpr std::size_t kEventTextMax = 300;  // bytes of an event in the log pane

std::string text_of(const Value& name) {
  return name.is_string() ? std::string(name.as_string()) : name.is_nil() ? std::string() : name.repr();
}

std::string shortened(std::string text, std::size_t bytes_max) {
  if (text.size() > bytes_max) {
    text.resize(bytes_max);
    text += "…";
  }
  return text;
}

void write_totals(Server& server, JsonWriter& w) {
  const State& state = server.state();
  std::int64_t nbytes = 0, process = 0, spilled = 0, processing = 0;
  double cpu = 0;
  for (const auto& [address, id] : state.workers()) {
    const Worker& ws = state.worker(id);
    nbytes += ws.nbytes;
    process += ws.memory_process;
    spilled += ws.disk_spilled;
    processing += static_cast<std::int64_t>(ws.processing.size());
    cpu += ws.metrics["cpu"].as_double();
  }
  w.key("totals").begin_object();
  w.key("workers").unsigned_integer(state.workers().size());
  w.key("threads").integer(state.total_nthreads());
  w.key("memory").integer(process);
  w.key("memory_limit").integer(state.total_memory());
  w.key("nbytes").integer(nbytes);
  w.key("spilled").integer(spilled);
  w.key("cpu").rounded(cpu, 1);
  w.key("processing").integer(processing);
  w.key("tasks").unsigned_integer(state.task_count());
  w.key("occupancy").rounded(state.total_occupancy(), 3);
  w.key("desired_workers").integer(desired_workers(server));
  w.key("idle").unsigned_integer(state.idle().size());
  w.key("saturated").unsigned_integer(state.saturated().size());
  w.key("transitions").unsigned_integer(state.transition_counter);
  w.end_object();

  w.key("tasks").begin_object();
  const auto counts = tasks_by_state(state);
  for (std::size_t i = 0; i < kTaskStates; ++i)
    if (static_cast<TaskState>(i) != TaskState::kForgotten) w.key(name_of(static_cast<TaskState>(i))).integer(counts[i]);
  w.end_object();
}

// Rows: name, then counts (released, waiting, no-worker, queued, processing, memory, erred), nbytes, seconds on average,
// seconds of compute and of transfer in all, results ever made.
void write_prefixes(const State& state, JsonWriter& w) {
  std::vector<std::pair<std::int64_t, const TaskPrefix*>> shown;
  for (const auto& [name, id] : state.prefixes()) {
    const TaskPrefix& tp = state.prefix(id);
    std::int64_t active = 0;
    for (std::size_t i = 0; i < kTaskStates; ++i)
      if (static_cast<TaskState>(i) != TaskState::kForgotten) active += tp.states[i];
    if (active > 0) shown.emplace_back(active, &tp);
  }
  if (shown.size() > kPrefixesMax) {
    std::nth_element(shown.begin(), shown.begin() + kPrefixesMax, shown.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    shown.resize(kPrefixesMax);
  }
  const auto seconds = [](const TaskPrefix& tp, const char* action) {
    auto it = tp.all_durations_us.find(action);
    return it == tp.all_durations_us.end() ? 0.0 : static_cast<double>(it->second) / 1e6;
  };
  w.key("prefixes").begin_array();
  for (const auto& [active, tp] : shown) {
    w.begin_array().string(tp->name);
    for (std::size_t i = 0; i < kTaskStates; ++i)
      if (static_cast<TaskState>(i) != TaskState::kForgotten) w.integer(tp->states[i]);
    w.integer(tp->nbytes_total).rounded(tp->duration_average, 6).rounded(seconds(*tp, "compute"), 3).rounded(seconds(*tp, "transfer"), 3);
    w.integer(tp->state_counts[static_cast<std::size_t>(TaskState::kMemory)]).end_array();
  }
  w.end_array();
}

// Rows: id, address, name, status, threads, CPU %, memory, limit, managed, unmanaged for long, spilled, processing, results held,
// occupancy in seconds, time of the last heartbeat, network read and write in bytes/s.
void write_worker(const State& state, const Worker& ws, JsonWriter& w) {
  const Value& network = ws.metrics["host_net_io"];
  w.begin_array().unsigned_integer(ws.id.value).string(ws.address).string(text_of(ws.name)).string(name_of(ws.status)).integer(ws.nthreads);
  w.rounded(ws.metrics["cpu"].as_double(), 1).integer(ws.memory_process).integer(ws.memory_limit);
  w.integer(std::max<std::int64_t>(ws.nbytes - ws.memory_spilled, 0)).integer(ws.memory_unmanaged_old).integer(ws.disk_spilled);
  w.unsigned_integer(ws.processing.size()).unsigned_integer(ws.has_what.size()).rounded(state.occupancy(ws), 3).rounded(ws.last_seen, 1);
  w.rounded(network["read_bps"].as_double(), 0).rounded(network["write_bps"].as_double(), 0).end_array();
}

void write_workers(const State& state, StatusCursor& cursor, JsonWriter& w) {
  w.key("workers").begin_array();
  for (const auto& [address, id] : state.workers()) {
    JsonWriter row;
    write_worker(state, state.worker(id), row);
    const std::string text = row.take();
    const std::size_t hash = std::hash<std::string>()(text);
    auto [it, fresh] = cursor.worker_rows.emplace(id, hash);
    if (!fresh && it->second == hash) continue;
    it->second = hash;
    w.raw(text);
  }
  w.end_array();
  w.key("workers_gone").begin_array();
  for (auto it = cursor.worker_rows.begin(); it != cursor.worker_rows.end();) {
    if (state.worker(it->first).present) {
      ++it;
    } else {
      w.unsigned_integer(it->first.value);
      it = cursor.worker_rows.erase(it);
    }
  }
  w.end_array();
}

void write_clients(const State& state, JsonWriter& w) {
  w.key("clients").begin_array();
  std::size_t shown = 0;
  for (const auto& [name, id] : state.clients()) {
    if (shown++ == kClientsMax) break;
    const Client& cs = state.client(id);
    w.begin_array().string(name).boolean(cs.connected).unsigned_integer(cs.wants_what.size()).rounded(cs.last_seen, 1).end_array();
  }
  w.end_array();
}

// The records that are new to the viewer, as columns of equal length, one entry per activity: row (into `rows`), prefix (into
// `prefixes`), key (into `keys`), action (into `actions`), start and duration in ms (start relative to the answer's `time`), erred.
class StreamWriter {
 public:
  StreamWriter(const TaskStream& stream, double now) : stream_(stream), now_(now) {}

  void write(StatusCursor& cursor, JsonWriter& w) {
    const bool restart = !cursor.stream_started || cursor.stream_index > stream_.index();
    const std::vector<const TaskStreamRecord*> records = choose(restart ? 0 : cursor.stream_index, restart);
    for (const TaskStreamRecord* record : records) add(*record);
    w.key("stream").begin_object();
    w.key("index").unsigned_integer(stream_.index()).key("restart").boolean(restart).key("left_out").unsigned_integer(left_out_);
    w.key("rows").begin_array();
    for (const auto& [worker, thread] : rows_) w.begin_array().string(worker).string(thread).end_array();
    w.end_array();
    write_texts("prefixes", prefixes_, w);
    write_texts("keys", keys_, w);
    write_texts("actions", actions_, w);
    for (const auto& [name, column] :
         {std::pair{"row", &row_}, {"prefix", &prefix_}, {"key", &key_}, {"action", &action_}, {"erred", &erred_}}) {
      w.key(name).begin_array();
      for (std::size_t v : *column) w.unsigned_integer(v);
      w.end_array();
    }
    for (const auto& [name, column] : {std::pair{"start", &start_}, {"duration", &duration_}}) {
      w.key(name).begin_array();
      for (double v : *column) w.rounded(v, 1);
      w.end_array();
    }
    w.end_object();
    cursor.stream_started = true;
    cursor.stream_index = stream_.index();
  }

 private:
  static double stop_of(const TaskStreamRecord& record) {
    double stop = 0;
    for (const StartStop& s : record.startstops) stop = std::max(stop, s.stop);
    return stop;
  }
  static double duration_of(const TaskStreamRecord& record) {
    double sum = 0;
    for (const StartStop& s : record.startstops) sum += s.stop - s.start;
    return sum;
  }

  // Records from number `first` on, none that ended before the window; oldest first.
  std::vector<const TaskStreamRecord*> choose(std::uint64_t first, bool window_only) {
    std::vector<const TaskStreamRecord*> chosen;
    const auto& records = stream_.records();
    std::uint64_t number = stream_.index();
    for (auto it = records.rbegin(); it != records.rend() && number > first; ++it, --number) {
      if (window_only && stop_of(*it) < now_ - kStreamWindow_s) break;
      chosen.push_back(&*it);
    }
    std::reverse(chosen.begin(), chosen.end());
    if (chosen.size() <= kStreamRecordsMax) return chosen;
    left_out_ = chosen.size() - kStreamRecordsMax;
    std::vector<double> durations;
    for (const TaskStreamRecord* record : chosen) durations.push_back(duration_of(*record));
    std::vector<double> sorted = durations;
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(left_out_), sorted.end());
    const double shortest = sorted[left_out_];
    std::size_t drop = left_out_, at = 0;
    // Below the threshold all go; of those at it, as many as are left to drop.
    for (double d : durations) drop -= d < shortest;
    std::erase_if(chosen, [&](const TaskStreamRecord*) {
      const double d = durations[at++];
      return d < shortest || (d == shortest && drop > 0 && drop-- > 0);
    });
    return chosen;
  }

  void add(const TaskStreamRecord& record) {
    if (record.startstops.empty()) return;
    const std::size_t row = row_of(record);
    const std::size_t prefix = index_of(prefix_index_, prefixes_, record.prefix);
    const std::size_t key = keys_.size();
    keys_.push_back(shortened(Key::from_valid_msgpack(record.key).str(), kKeyBytesMax));
    for (const StartStop& activity : record.startstops) {
      row_.push_back(row);
      prefix_.push_back(prefix);
      key_.push_back(key);
      action_.push_back(index_of(action_index_, actions_, activity.action));
      erred_.push_back(record.erred);
      start_.push_back((activity.start - now_) * 1000);
      duration_.push_back((activity.stop - activity.start) * 1000);
    }
  }

  // Threads are numbers that their workers choose.
  std::size_t row_of(const TaskStreamRecord& record) {
    for (const auto& [thread, row] : row_index_[record.worker])
      if (*thread == record.thread) return row;
    row_index_[record.worker].emplace_back(&record.thread, rows_.size());
    rows_.emplace_back(record.worker, text_of(record.thread));
    return rows_.size() - 1;
  }
  static std::size_t index_of(std::unordered_map<std::string_view, std::size_t>& index, std::vector<std::string_view>& list,
                              std::string_view item) {
    auto [it, fresh] = index.emplace(item, list.size());
    if (fresh) list.push_back(item);
    return it->second;
  }
  template <class Texts>
  static void write_texts(const char* name, const Texts& texts, JsonWriter& w) {
    w.key(name).begin_array();
    for (const auto& text : texts) w.string(text);
    w.end_array();
  }

  const TaskStream& stream_;
  double now_;
  std::size_t left_out_ = 0;
  // Views are into the records.
  std::vector<std::pair<std::string_view, std::string>> rows_;
  std::unordered_map<std::string_view, std::vector<std::pair<const Value*, std::size_t>>> row_index_;
  std::vector<std::string_view> prefixes_, actions_;
  std::unordered_map<std::string_view, std::size_t> prefix_index_, action_index_;
  std::vector<std::string> keys_;
  std::vector<std::size_t> row_, prefix_, key_, action_, erred_;
  std::vector<double> start_, duration_;
};

// Rows: time, level, text. Events of the topic "all" stand between the log's lines.
void write_log(Server& server, StatusCursor& cursor, JsonWriter& w) {
  struct Line {
    double time;
    std::string_view level;
    std::string text;
  };
  std::vector<Line> lines;
  for (LogRecord& record : log_records(kLogLinesMax))
    if (record.time > cursor.log_time) lines.push_back({record.time, log_level_name(record.level), std::move(record.line)});
  if (auto topic = server.events().topics().find("all"); topic != server.events().topics().end()) {
    std::size_t count = 0;
    for (auto it = topic->second.rbegin(); it != topic->second.rend() && it->time > cursor.log_time && count < kLogLinesMax;
         ++it, ++count) {
      lines.push_back({it->time, "EVENT", shortened(to_json(it->msg), kEventTextMax)});
    }
  }
  std::stable_sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) { return a.time < b.time; });
  w.key("log").begin_array();
  for (const Line& line : lines) w.begin_array().rounded(line.time, 3).string(line.level).string(line.text).end_array();
  w.end_array();
  if (!lines.empty()) cursor.log_time = lines.back().time;
  w.key("log_time").real(cursor.log_time);
}

}  // namespace

std::string status_json(Server& server, StatusCursor& cursor) {
  const State& state = server.state();
  const double now = server.now();
  JsonWriter w;
  w.begin_object();
  w.key("time").rounded(now, 6);
  w.key("id").string(server.id());
  w.key("address").string(server.address());
  w.key("started").rounded(server.started(), 3);
  write_totals(server, w);
  write_prefixes(state, w);
  write_workers(state, cursor, w);
  write_clients(state, w);
  StreamWriter(server.task_stream(), now).write(cursor, w);
  write_log(server, cursor, w);
  w.end_object();
  return w.take();
}

}  // namespace dask::scheduler
