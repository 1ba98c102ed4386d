// List, watch, and what to do when either fails. Follows client-go's reflector.
#include "operator/kube/watcher.h"

#include <fmt/format.h>

#include "core/base/json.h"
#include "core/runtime/log.h"

namespace dask::kube {

namespace {
net::Loop::Duration duration_of(double seconds) { return std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9)); }
}  // namespace

Watcher::Watcher(net::Loop& loop, const Clock& clock, KubeClient& client, std::string path, std::string label_selector, Receiver& receiver,
                 unsigned seed, WatchTimes times)
    : loop_(loop),
      clock_(clock),
      client_(client),
      path_(std::move(path)),
      selector_(label_selector.empty() ? "" : "&labelSelector=" + percent_encoded(label_selector)),
      receiver_(receiver),
      random_(seed),
      times_(times) {}

Watcher::~Watcher() { call_.cancel(); }

void Watcher::start() { list(""); }

void Watcher::later(double delay_s, std::function<void()> work) { timer_ = loop_.after(duration_of(delay_s), std::move(work)); }

void Watcher::well() {
  const bool was_failing = std::exchange(failing_since_, 0) > 0;
  failure_.clear();
  if (was_failing) {
    log_info("Watching {} works again", path_);
    receiver_.reached();
  }
}

void Watcher::failed(const KubeError& error, bool list_again) {
  ++failures_;
  if (failing_since_ == 0) failing_since_ = clock_.monotonic();
  const double delay_s = std::max(times_.backoff.delay_s(failures_, random()), error.retry_after_s.value_or(0));
  // A server that puts us off, as it does right after a resource was defined, is nothing to worry about.
  const LogLevel level = error.status == 429 ? LogLevel::kInfo : LogLevel::kWarning;
  if (std::string text = error.str(); std::exchange(failure_, text) != text)
    log_line(level, fmt::format("Cannot {} {}: {}; trying again in {:.1f} s", list_again ? "list" : "watch", path_, text, delay_s));
  later(delay_s, [this, list_again] { list_again ? list("") : watch(); });
}

// ---- list ---------------------------------------------------------------------------------------------------------------

void Watcher::list(std::string continue_token) {
  KubeRequest request;
  request.path = fmt::format("{}?limit={}{}", path_, kListPageSize, selector_);
  if (continue_token.empty())
    ++lists_;
  else
    request.path += "&continue=" + percent_encoded(continue_token);
  listing_ = !continue_token.empty();
  client_.send(std::move(request), [this, alive = std::weak_ptr<bool>(alive_)](KubeReply reply) {
    if (!alive.expired()) list_page(std::move(reply));
  });
}

void Watcher::list_page(KubeReply reply) {
  if (!reply) {
    // 410 in the middle of pages: the continue token is too old, begin anew.
    return failed(reply.error(), true);
  }
  const Value& metadata = (*reply)["metadata"];
  const Value::Array* items = (*reply)["items"].array_if();
  if (!metadata.is_map() || (!items && !(*reply)["items"].is_nil()))
    return failed(KubeError{0, "Malformed", "the API server's list has no metadata or items", {}}, true);
  if (!listing_) receiver_.begin_list();
  if (items) {
    for (const Value& item : *items) receiver_.listed(item);
  }
  if (std::string next(metadata["continue"].as_string()); !next.empty()) return list(std::move(next));
  version_ = metadata["resourceVersion"].as_string();
  listing_ = false;
  synced_ = true;
  garbage_ = 0;
  receiver_.end_list(version_);
  well();
  watch();
}

// ---- watch --------------------------------------------------------------------------------------------------------------

void Watcher::watch() {
  ++watches_;
  const double server_s = times_.shortest_s + random() * (times_.longest_s - times_.shortest_s);
  const std::string path = fmt::format("{}?watch=1&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={}{}", path_,
                                       percent_encoded(version_), static_cast<int>(std::max(1.0, server_s)), selector_);
  partial_.clear();
  refusal_.clear();
  head_ = {};
  heard_ = false;
  watch_started_ = clock_.monotonic();
  call_ =
      client_.stream(path, duration_of(server_s + times_.grace_s),
                     {[this](net::RestResponse head) {
                        head_ = std::move(head);
                        if (head_.status == 200) well();
                      },
                      [this](std::string_view piece) { take(piece); }, [this](Result<void> result) { watch_ended(std::move(result)); }});
}

void Watcher::take(std::string_view piece) {
  if (head_.status != 200) {
    if (refusal_.size() < 64 << 10) refusal_ += piece;
    return;
  }
  partial_ += piece;
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = partial_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    if (!take_line(std::string_view(partial_).substr(begin, end - begin))) return;
  }
  partial_.erase(0, begin);
  if (partial_.size() > kWatchLineBytesMax)
    relist_after(fmt::format("an event is longer than {} bytes (kWatchLineBytesMax)", kWatchLineBytesMax));
}

bool Watcher::take_line(std::string_view line) {
  if (line.empty() || line == "\r") return true;
  auto event = parse_json(line);
  const Value& object = event ? (*event)["object"] : Value();
  const std::string_view type = event ? (*event)["type"].as_string() : std::string_view();
  if (!object.is_map() || type.empty()) {
    if (++garbage_ >= kGarbageMax) {
      garbage_ = 0;
      relist_after("the API server sends what is no event");
      return false;
    }
    log_warning("Watching {}: not an event: {:.100}", path_, line);
    call_.cancel();
    ++failures_;
    later(times_.backoff.delay_s(failures_, random()), [this] { watch(); });
    return false;
  }
  if (type == "ERROR") {
    if (object["code"].as_int() == 410) {
      relist_after("");
    } else {
      call_.cancel();
      failed(KubeError{static_cast<int>(object["code"].as_int()),
                       std::string(object["reason"].as_string()),
                       std::string(object["message"].as_string()),
                       {}},
             false);
    }
    return false;
  }
  garbage_ = 0;
  heard_ = true;
  if (std::string_view version = object["metadata"]["resourceVersion"].as_string(); !version.empty()) version_ = version;
  if (type == "ADDED" || type == "MODIFIED") {
    receiver_.changed(object);
  } else if (type == "DELETED") {
    receiver_.deleted(object);
  }  // BOOKMARK: its version was all
  return true;
}

// The version that we know is too old for the server, or what it sends cannot be followed: begins anew. The cache stays as it is until
// then.
void Watcher::relist_after(const std::string& why) {
  call_.cancel();
  if (why.empty())
    log_debug("Listing {} again: version {} is too old", path_, version_);
  else
    log_warning("Listing {} again: {}", path_, why);
  ++failures_;
  later(failures_ == 1 ? 0 : times_.backoff.delay_s(failures_ - 1, random()), [this] { list(""); });
}

void Watcher::watch_ended(Result<void> result) {
  if (head_.status != 0 && head_.status != 200) {
    head_.body = std::move(refusal_);
    KubeError error = kube_error_of(head_);
    return error.status == 410 ? relist_after("") : failed(error, error.status == 404);
  }
  const bool good = clock_.monotonic() - watch_started_ >= times_.good_s || heard_;
  if (good) failures_ = 0;
  if (head_.status == 0) return failed(KubeError{0, "Unreachable", result ? "the connection ended" : result.error().message, {}}, false);
  // Ended by the server's clock, a broken connection, or a dead one: on from where we are. A short one is no reason for a hot loop.
  if (!result) log_debug("Watching {} again: {}", path_, result.error().message);
  if (good) return watch();
  failed(KubeError{0, "Unreachable", "the API server ends watches at once", {}}, false);
}

}  // namespace dask::kube
