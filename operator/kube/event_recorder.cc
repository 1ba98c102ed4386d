// Events and the two brakes on them.
#include "operator/kube/event_recorder.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/json.h"
#include "core/runtime/log.h"
#include "operator/api/meta.h"
#include "operator/kube/time_text.h"

namespace dask::kube {

namespace {
constexpr std::string_view kCollection = "/apis/events.k8s.io/v1/namespaces/";

// At most so many bytes, and no half of a UTF-8 character at the end.
std::string shortened(const std::string& text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t end = bytes_max - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}
}  // namespace

EventRecorder::EventRecorder(net::Loop& loop, const Clock& clock, KubeClient& client, std::string instance, Metrics* metrics)
    : loop_(loop), clock_(clock), client_(client), instance_(std::move(instance)), metrics_(metrics) {}

bool EventRecorder::spend(const std::string& object, double now) {
  auto [entry, fresh] = buckets_.try_emplace(object);
  Bucket& bucket = entry->second;
  if (!fresh) bucket.tokens = std::min(kEventBurst, bucket.tokens + (now - bucket.filled) / kEventRefillSeconds);
  bucket.filled = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

void EventRecorder::tidy(double now) {
  if (series_.size() > kEventSeriesMax)
    std::erase_if(series_, [&](const auto& one) { return now - one.second.written > kEventSeriesSeconds / 2; });
  if (series_.size() > kEventSeriesMax) series_.clear();
  if (buckets_.size() > kEventSeriesMax)
    std::erase_if(buckets_, [&](const auto& one) { return now - one.second.filled > kEventRefillSeconds; });
  if (buckets_.size() > kEventSeriesMax) buckets_.clear();
}

void EventRecorder::emit(const EmitEvent& event) {
  const double now = clock_.monotonic();
  tidy(now);
  const std::string object = event.regarding.uid.empty() ? event.regarding.ns + "/" + event.regarding.name : event.regarding.uid;
  const std::string key = fmt::format("{}|{}|{}|{}|{}", object, event.warning, event.reason, event.action, event.message);
  auto known = series_.find(key);
  if (known != series_.end() && now - known->second.first <= kEventSeriesSeconds) {
    Series& series = known->second;
    ++series.count;
    if (now - series.written < kEventRefreshSeconds) return;
    series.written = now;
    JsonWriter json;
    json.begin_object().key("series").begin_object().key("count").integer(series.count);
    json.key("lastObservedTime").string(micro_timestamp_of_seconds(clock_.wall())).end_object().end_object();
    KubeRequest request;
    request.method = "PATCH";
    request.path = fmt::format("{}{}/events/{}", kCollection, series.ns, series.name);
    request.content_type = kMergePatch;
    request.body = json.take();
    return send(std::move(request));
  }
  if (!spend(object, now) || in_flight_ >= kEventsInFlightMax) {
    ++dropped_;
    return;
  }
  const std::string ns = event.regarding.ns.empty() ? "default" : event.regarding.ns;
  const double wall = clock_.wall();
  Series series;
  series.first = series.written = now;
  series.ns = ns;
  series.name = fmt::format("{}.{}", shortened(event.regarding.name, 200),
                            hex_of(stable_hash(fmt::format("{}|{}|{}|{}", key, instance_, wall, ++number_)), 16));
  JsonWriter json;
  json.begin_object().key("apiVersion").string("events.k8s.io/v1").key("kind").string("Event");
  json.key("metadata").begin_object().key("name").string(series.name).key("namespace").string(ns).end_object();
  json.key("eventTime").string(micro_timestamp_of_seconds(wall));
  json.key("type").string(event.warning ? "Warning" : "Normal").key("reason").string(event.reason.substr(0, 128));
  json.key("action").string(event.action.empty() ? "Reconcile" : event.action.substr(0, 128));
  json.key("note").string(shortened(event.message, kEventNoteBytesMax));
  json.key("reportingController").string("kubernetes.dask.org/dask-operator").key("reportingInstance").string(instance_.substr(0, 128));
  json.key("regarding").begin_object();
  json.key("apiVersion").string(api_version_of(event.regarding.kind)).key("kind").string(name_of(event.regarding.kind));
  json.key("namespace").string(event.regarding.ns).key("name").string(event.regarding.name);
  if (!event.regarding.uid.empty()) json.key("uid").string(event.regarding.uid);
  json.end_object().end_object();
  KubeRequest request;
  request.method = "POST";
  request.path = fmt::format("{}{}/events", kCollection, ns);
  request.body = json.take();
  series_[key] = std::move(series);
  send(std::move(request));
}

void EventRecorder::send(KubeRequest request) {
  ++in_flight_;
  request.patient = true;
  client_.send(std::move(request), [this, alive = std::weak_ptr<bool>(alive_)](KubeReply reply) {
    if (alive.expired()) return;
    --in_flight_;
    if (in_flight_ == 0) flushed();
    if (!reply) log_debug("Cannot write an Event: {}", reply.error().str());
  });
}

void EventRecorder::flush(std::function<void()> done) {
  flushed_ = std::move(done);
  client_.hurry();
  if (in_flight_ == 0) return flushed();
  flush_timer_ = loop_.after(kEventsFlushMost, [this] {
    log_warning("{} Events were not written: the API server took too long", in_flight_);
    flushed();
  });
}

void EventRecorder::flushed() {
  flush_timer_.cancel();
  if (auto done = std::exchange(flushed_, {})) loop_.post(std::move(done));
}

}  // namespace dask::kube
