// Requests, their limit, and the waits that the API server asks for.
#include "operator/kube/client.h"

#include <fmt/format.h>

#include <charconv>

#include "core/base/json.h"
#include "core/runtime/log.h"

namespace dask::kube {

namespace {

const std::vector<double> kDurationBounds = {0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60};

std::optional<double> retry_after_of(const net::RestResponse& response) {
  auto header = response.headers.find("retry-after");
  if (header == response.headers.end()) return std::nullopt;
  int seconds = 0;
  const std::string& text = header->second;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (parsed.ec != std::errc() || seconds < 0) return std::nullopt;
  return std::min<double>(seconds, kRetryAfterMaxSeconds);
}

}  // namespace

std::string KubeError::str() const {
  if (status == 0) return message;
  return fmt::format("{} {}: {}", status, reason, message);
}

KubeError kube_error_of(const net::RestResponse& response) {
  KubeError error;
  error.status = response.status;
  error.retry_after_s = retry_after_of(response);
  if (auto body = parse_json(response.body); body && (*body)["kind"].as_string() == "Status") {
    error.reason = (*body)["reason"].as_string();
    error.message = (*body)["message"].as_string();
    if (!error.retry_after_s) {
      if (const std::int64_t seconds = (*body)["details"]["retryAfterSeconds"].as_int(); seconds > 0)
        error.retry_after_s = std::min(static_cast<double>(seconds), kRetryAfterMaxSeconds);
    }
  } else {
    error.message = response.body.substr(0, 300);
  }
  if (error.reason.empty()) error.reason = "Unknown";
  return error;
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~';
    if (plain)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

Result<std::unique_ptr<KubeClient>> KubeClient::create(net::Loop& loop, const Clock& clock, KubeAccess access, std::string user_agent,
                                                       Metrics* metrics) {
  std::unique_ptr<KubeClient> client(new KubeClient(loop, clock, std::move(access), std::move(user_agent), metrics));
  DASK_TRY_VOID(client->connect());
  return client;
}

KubeClient::KubeClient(net::Loop& loop, const Clock& clock, KubeAccess access, std::string user_agent, Metrics* metrics)
    : loop_(loop),
      clock_(clock),
      access_(std::move(access)),
      user_agent_(std::move(user_agent)),
      metrics_(metrics),
      host_(access_.server.substr(access_.server.find("://") == std::string::npos ? 0 : access_.server.find("://") + 3)),
      credentials_(loop, clock, access_, [this] {
        if (auto connected = connect(); !connected) log_error("Cannot use the new client certificate: {}", connected.error().message);
      }) {}

KubeClient::~KubeClient() {
  for (const auto& one : all_rest_) {
    if (auto rest = one.lock()) rest->close();
  }
}

Result<void> KubeClient::connect() {
  net::RestOptions options;
  options.url = access_.server;
  options.ca_pem = access_.ca_pem;
  options.client_certificate_pem = credentials_.client_certificate_pem();
  options.client_key_pem = credentials_.client_key_pem();
  options.server_name = access_.server_name;
  options.verify_server = access_.verify_server;
  options.proxy_url = access_.proxy_url;
  options.user_agent = user_agent_;
  options.bearer_token = [this] { return credentials_.token(); };
  auto rest = net::RestClient::create(loop_, std::move(options));
  if (!rest) return fail(rest.error().code, fmt::format("{}: {}", access_.origin, rest.error().message));
  std::erase_if(all_rest_, [](const std::weak_ptr<net::RestClient>& one) { return one.expired(); });
  rest_ = *std::move(rest);
  all_rest_.push_back(rest_);
  return {};
}

void KubeClient::start(std::function<void(Result<void>)> ready) { credentials_.start(std::move(ready)); }

void KubeClient::send(KubeRequest request, std::function<void(KubeReply)> done) {
  auto pending = std::make_shared<Pending>();
  pending->request = std::move(request);
  pending->done = std::move(done);
  if (pending->request.urgent) return dispatch(pending);
  if (pending->request.patient && !hurry_) {
    pending->since = clock_.monotonic();
    patient_.push_back(std::move(pending));
    if (patient_.size() == 1) patient_timer_ = loop_.after(kPatientQuiet, [this] { pump_patient(); });
    return;
  }
  waiting_.push_back(std::move(pending));
  pump();
}

void KubeClient::hurry() {
  hurry_ = true;
  patient_timer_.cancel();
  pump_patient();
}

void KubeClient::pump() {
  while (in_flight_ < kRequestsInFlightMax && !waiting_.empty()) {
    PendingPtr next = std::move(waiting_.front());
    waiting_.pop_front();
    ++in_flight_;
    dispatch(next);
  }
}

void KubeClient::pump_patient() {
  const double now = clock_.monotonic();
  const bool quiet =
      hurry_ || (in_flight_ == 0 && waiting_.empty() && now - last_other_ >= std::chrono::duration<double>(kPatientQuiet).count());
  while (!patient_.empty() && (quiet || now - patient_.front()->since >= kPatientMostSeconds)) {
    waiting_.push_back(std::move(patient_.front()));
    patient_.pop_front();
  }
  if (!patient_.empty()) patient_timer_ = loop_.after(kPatientQuiet, [this] { pump_patient(); });
  pump();
}

void KubeClient::dispatch(const PendingPtr& pending) {
  if (!pending->request.patient) last_other_ = clock_.monotonic();
  ++pending->tries;
  pending->started = clock_.monotonic();
  net::RestRequest request;
  request.method = pending->request.method;
  request.path = pending->request.path;
  request.content_type = pending->request.content_type;
  request.body = pending->request.body;
  request.timeout = pending->request.timeout;
  rest_->send(std::move(request),
              [this, pending, rest = rest_](Result<net::RestResponse> response) { answered(pending, std::move(response)); });
}

void KubeClient::answered(const PendingPtr& pending, Result<net::RestResponse> response) {
  const bool urgent = pending->request.urgent;
  const double seconds = clock_.monotonic() - pending->started;
  if (!pending->request.patient) last_other_ = clock_.monotonic();
  count(pending->request.method, response ? std::to_string(response->status) : "<error>", seconds);
  latency_s_ += (latency_s_ == 0 ? 1 : kLatencyWeight) * (seconds - latency_s_);
  if (!urgent) {
    --in_flight_;
    // Later, so that what `done` sends comes behind what waits already.
    loop_.at_end_of_turn([this] { pump(); });
  }
  if (!response) return pending->done(tl::unexpected(KubeError{0, "Unreachable", std::move(response.error().message), {}}));
  if (response->status >= 200 && response->status < 300) {
    if (response->body.empty()) return pending->done(Value());
    auto body = parse_json(response->body);
    if (!body) return pending->done(tl::unexpected(KubeError{0, "Malformed", "the API server's answer is " + body.error().message, {}}));
    return pending->done(*std::move(body));
  }
  KubeError error = kube_error_of(*response);
  if (error.status == 401) credentials_.refused();
  const bool put_off = error.retry_after_s && (error.status == 429 || error.status >= 500);
  if (!put_off || urgent || pending->tries > kRetriesMax) return pending->done(tl::unexpected(std::move(error)));
  if (metrics_)
    metrics_
        ->counter("rest_client_request_retries_total", "Number of request retries, partitioned by status code, verb, and host.",
                  {{"code", std::to_string(error.status)}, {"verb", pending->request.method}, {"host", host_}})
        .increment();
  log_debug("{} {} is put off by the API server for {} s: {}", pending->request.method, pending->request.path, *error.retry_after_s,
            error.message);
  put_off_[pending] =
      loop_.after(std::chrono::milliseconds(static_cast<int>(1000 * std::max(*error.retry_after_s, 0.05))), [this, pending] {
        put_off_.erase(pending);
        waiting_.push_front(pending);
        pump();
      });
}

net::RestClient::Call KubeClient::stream(const std::string& path, net::Loop::Duration idle_timeout, net::RestStreamHandlers handlers) {
  net::RestRequest request;
  request.path = path;
  request.timeout = kRequestTimeout;
  request.idle_timeout = idle_timeout;
  const double started = clock_.monotonic();
  handlers.head = [this, started, rest = rest_, head = std::move(handlers.head)](net::RestResponse response) {
    count("GET", std::to_string(response.status), clock_.monotonic() - started);
    if (response.status == 401) credentials_.refused();
    head(std::move(response));
  };
  return rest_->stream(std::move(request), std::move(handlers));
}

void KubeClient::count(const std::string& method, const std::string& code, double seconds) {
  if (!metrics_) return;
  metrics_
      ->counter("rest_client_requests_total", "Number of HTTP requests, partitioned by status code, method, and host.",
                {{"code", code}, {"method", method}, {"host", host_}})
      .increment();
  metrics_
      ->histogram("rest_client_request_duration_seconds", "Request latency in seconds. Broken down by verb, and host.", kDurationBounds,
                  {{"verb", method}, {"host", host_}})
      .observe(seconds);
}

}  // namespace dask::kube
