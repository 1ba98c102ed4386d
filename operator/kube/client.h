// KubeClient: requests to one Kubernetes API server, with the answers as Values and errors as the API's Status objects. It waits when the
// server says so (429 and 503 with Retry-After), and never has more than kRequestsInFlightMax requests under way; watches are apart.
// Thread ownership: the loop's thread.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/value.h"
#include "core/net/loop.h"
#include "core/net/rest_client.h"
#include "core/obs/metrics.h"
#include "core/runtime/clock.h"
#include "operator/kube/credentials.h"

namespace dask::kube {

inline constexpr std::size_t kRequestsInFlightMax = 16;
inline constexpr int kRetriesMax = 10;               // of one request that the server puts off
inline constexpr double kRetryAfterMaxSeconds = 60;  // however long the server says
inline constexpr auto kRequestTimeout = std::chrono::seconds(30);
inline constexpr auto kPatientQuiet = std::chrono::milliseconds(250);  // without any other request, before patient ones are sent
inline constexpr double kPatientMostSeconds = 2;                       // that a patient one waits
inline constexpr double kLatencyWeight = 0.1;                          // of the newest request in the moving average

// Why a request failed: the Status that the server sent, or status 0 when there was no answer.
struct KubeError {
  int status = 0;
  std::string reason;   // NotFound, AlreadyExists, Conflict, Invalid, Forbidden, Expired, ...
  std::string message;  // for people
  std::optional<double> retry_after_s;

  bool unreachable() const { return status == 0; }
  // It may go away by itself: trying again, later, helps.
  bool passing() const { return status == 0 || status == 429 || status >= 500 || status == 401; }
  std::string str() const;
};
using KubeReply = tl::expected<Value, KubeError>;

struct KubeRequest {
  std::string method = "GET";
  std::string path;
  std::string content_type = "application/json";
  std::string body;
  bool urgent = false;   // neither waits for others nor is tried again: a leader's lease
  bool patient = false;  // lets others go first, and the API server work on what they asked for: an Event
  net::Loop::Duration timeout = kRequestTimeout;
};

inline constexpr std::string_view kApplyPatch = "application/apply-patch+yaml";
inline constexpr std::string_view kMergePatch = "application/merge-patch+json";

// The error in an answer that is none of 2xx.
KubeError kube_error_of(const net::RestResponse& response);

// Text as it may stand in a query.
std::string percent_encoded(std::string_view text);

class KubeClient {
 public:
  // kInvalidArgument when `access` cannot be used at all (address, certificates).
  static Result<std::unique_ptr<KubeClient>> create(net::Loop& loop, const Clock& clock, KubeAccess access, std::string user_agent,
                                                    Metrics* metrics);
  ~KubeClient();

  // Calls `ready` when requests may be sent: credentials are there, or could not be had (the error says why; they are tried for on).
  void start(std::function<void(Result<void>)> ready);

  // Nobody is patient any more, now or later: the program ends.
  void hurry();
  // `done` is called exactly once, later.
  void send(KubeRequest request, std::function<void(KubeReply)> done);
  // A streamed GET, for watches: outside of the limit.
  net::RestClient::Call stream(const std::string& path, net::Loop::Duration idle_timeout, net::RestStreamHandlers handlers);

  // How long the API server takes for a request: a moving average, 0 before the first answer.
  double latency_s() const { return latency_s_; }
  std::size_t in_flight() const { return in_flight_; }
  std::size_t waiting() const { return waiting_.size() + patient_.size(); }

 private:
  struct Pending {
    KubeRequest request;
    std::function<void(KubeReply)> done;
    int tries = 0;
    double started = 0;
    double since = 0;  // of a patient one
  };
  using PendingPtr = std::shared_ptr<Pending>;

  KubeClient(net::Loop& loop, const Clock& clock, KubeAccess access, std::string user_agent, Metrics* metrics);
  Result<void> connect();
  void pump();
  void pump_patient();
  void dispatch(const PendingPtr& pending);
  void answered(const PendingPtr& pending, Result<net::RestResponse> response);
  void count(const std::string& method, const std::string& code, double seconds);

  net::Loop& loop_;
  const Clock& clock_;
  KubeAccess access_;
  std::string user_agent_;
  Metrics* metrics_;
  std::string host_;
  Credentials credentials_;
  std::shared_ptr<net::RestClient> rest_;  // calls keep theirs alive: it changes when a client certificate does
  std::vector<std::weak_ptr<net::RestClient>> all_rest_;
  std::deque<PendingPtr> waiting_;
  std::deque<PendingPtr> patient_;
  net::Loop::Timer patient_timer_;  // runs while somebody is patient
  double last_other_ = 0;           // when a request that is not was sent or answered
  bool hurry_ = false;
  std::map<PendingPtr, net::Loop::Timer> put_off_;
  std::size_t in_flight_ = 0;
  double latency_s_ = 0;
};

}  // namespace dask::kube
