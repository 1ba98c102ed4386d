// The steps of an election: read the Lease, take or renew it when it is ours to take, again after a while.
#include "operator/kube/leader.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/json.h"
#include "core/runtime/log.h"
#include "operator/kube/time_text.h"

namespace dask::kube {

namespace {
constexpr std::string_view kCollection = "/apis/coordination.k8s.io/v1/namespaces/";
net::Loop::Duration duration_of(double seconds) { return std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9)); }
}  // namespace

LeaderElector::LeaderElector(net::Loop& loop, const Clock& clock, KubeClient& client, std::string ns, std::string name,
                             std::string identity, Handlers handlers, unsigned seed, LeaseTimes times)
    : loop_(loop),
      clock_(clock),
      client_(client),
      ns_(std::move(ns)),
      name_(std::move(name)),
      path_(fmt::format("{}{}/leases", kCollection, ns_)),
      identity_(std::move(identity)),
      handlers_(std::move(handlers)),
      random_(seed),
      times_(times) {}

LeaderElector::~LeaderElector() = default;

void LeaderElector::start() { try_or_renew(); }

void LeaderElector::next(bool well) {
  if (releasing_) return;
  double delay_s = times_.retry_s;
  if (!leading_ || !well) delay_s *= 1 + times_.jitter * std::uniform_real_distribution<double>(0, 1)(random_) * (leading_ ? 0.1 : 1);
  timer_ = loop_.after(duration_of(delay_s), [this] { try_or_renew(); });
}

void LeaderElector::try_or_renew() {
  // A leader that knows the Lease's version writes without reading first.
  if (leading_ && lease_.is_map()) return write(&lease_);
  KubeRequest request;
  request.path = path_ + "/" + name_;
  request.urgent = true;
  request.timeout = duration_of(times_.renew_deadline_s / 2);
  client_.send(std::move(request), [this, alive = std::weak_ptr<bool>(alive_)](KubeReply reply) {
    if (!alive.expired()) read(std::move(reply));
  });
}

void LeaderElector::read(KubeReply reply) {
  if (releasing_) return;
  if (!reply && reply.error().status == 404) return write(nullptr);
  if (!reply) {
    if (std::exchange(failure_, reply.error().str()) != reply.error().str())
      log_warning("Cannot read the Lease {}/{}: {}", ns_, name_, reply.error().str());
    return next(false);
  }
  failure_.clear();
  lease_ = *std::move(reply);
  const Value& spec = lease_["spec"];
  std::string record = to_json(spec);
  const double now = clock_.monotonic();
  if (record != observed_record_) {
    observed_record_ = std::move(record);
    observed_at_ = now;
    std::string holder(spec["holderIdentity"].as_string());
    if (holder != observed_holder_ && !holder.empty() && holder != identity_) log_info("The leader is {}", holder);
    observed_holder_ = std::move(holder);
  }
  const double duration_s = static_cast<double>(spec["leaseDurationSeconds"].as_int(15));
  const bool free = observed_holder_.empty() || observed_holder_ == identity_ || now - observed_at_ > duration_s;
  if (free) return write(&lease_);
  // Somebody has taken it from us (our renewal met a conflict): writing over theirs would make two leaders.
  if (std::exchange(leading_, false)) {
    deadline_.cancel();
    log_error("Lost the leadership: {} has taken the Lease {}/{}", observed_holder_, ns_, name_);
    handlers_.lost();
  }
  next(true);
}

std::string LeaderElector::body(const Value* current, bool give_up) const {
  const std::string now = micro_timestamp_of_seconds(clock_.wall());
  const bool ours = current && (*current)["spec"]["holderIdentity"].as_string() == identity_;
  const std::int64_t transitions = current ? (*current)["spec"]["leaseTransitions"].as_int() : 0;
  JsonWriter json;
  json.begin_object().key("apiVersion").string("coordination.k8s.io/v1").key("kind").string("Lease");
  json.key("metadata").begin_object().key("name").string(name_).key("namespace").string(ns_);
  if (current) json.key("resourceVersion").string((*current)["metadata"]["resourceVersion"].as_string());
  json.end_object().key("spec").begin_object();
  json.key("holderIdentity").string(give_up ? std::string_view() : std::string_view(identity_));
  json.key("leaseDurationSeconds").integer(give_up ? 1 : static_cast<std::int64_t>(times_.duration_s));
  json.key("acquireTime").string(ours ? (*current)["spec"]["acquireTime"].as_string(now) : std::string_view(now));
  json.key("renewTime").string(now);
  json.key("leaseTransitions").integer(ours || !current ? transitions : transitions + 1);
  json.end_object().end_object();
  return json.take();
}

void LeaderElector::write(const Value* current) {
  sent_at_ = clock_.monotonic();
  KubeRequest request;
  request.method = current ? "PUT" : "POST";
  request.path = current ? path_ + "/" + name_ : path_;
  request.body = body(current, false);
  request.urgent = true;
  request.timeout = duration_of(times_.renew_deadline_s / 2);
  client_.send(std::move(request), [this, alive = std::weak_ptr<bool>(alive_)](KubeReply reply) {
    if (!alive.expired()) written(std::move(reply));
  });
}

void LeaderElector::written(KubeReply reply) {
  if (releasing_) return;
  if (!reply) {
    if (std::exchange(failure_, reply.error().str()) != reply.error().str())
      log_warning("Cannot write the Lease {}/{}: {}", ns_, name_, reply.error().str());
    lease_ = Value();  // read it before the next try: somebody else may have it
    return next(false);
  }
  failure_.clear();
  lease_ = *std::move(reply);
  observed_holder_ = identity_;
  observed_record_ = to_json(lease_["spec"]);
  observed_at_ = clock_.monotonic();
  // Others count from what the request said, not from its answer.
  deadline_ = loop_.after(duration_of(std::max(0.0, times_.renew_deadline_s - (observed_at_ - sent_at_))), [this] {
    if (!std::exchange(leading_, false)) return;
    log_error("Lost the leadership: the Lease {}/{} could not be renewed for {} s", ns_, name_, times_.renew_deadline_s);
    handlers_.lost();
  });
  if (!std::exchange(leading_, true)) {
    log_info("This is the leader now: {}", identity_);
    handlers_.started();
  }
  next(true);
}

void LeaderElector::release(std::function<void()> done) {
  releasing_ = true;
  timer_.cancel();
  deadline_.cancel();
  if (!std::exchange(leading_, false) || !lease_.is_map()) return done();
  KubeRequest request;
  request.method = "PUT";
  request.path = path_ + "/" + name_;
  request.body = body(&lease_, true);
  request.urgent = true;
  request.timeout = std::chrono::seconds(3);
  client_.send(std::move(request), [done = std::move(done)](KubeReply reply) {
    if (!reply) log_info("Cannot give the Lease back: {}", reply.error().str());
    done();
  });
}

}  // namespace dask::kube
