// Credentials: the bearer token and client certificate of the moment. Tokens in files are read again every minute, because Kubernetes
// replaces them; an exec program runs again before what it gave expires, and when the API server refuses it (401).
// Thread ownership: the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/base/result.h"
#include "core/net/child.h"
#include "core/net/loop.h"
#include "core/runtime/clock.h"
#include "operator/kube/kubeconfig.h"

namespace dask::kube {

inline constexpr double kTokenRereadSeconds = 60;
inline constexpr double kExecLeewaySeconds = 30;   // before its expiry a credential is asked for again
inline constexpr double kExecRetrySeconds = 10;    // between two runs of the program that fail, or that a 401 asks for
inline constexpr double kExecTimeoutSeconds = 60;  // of the program
inline constexpr std::size_t kExecOutputBytesMax = 1 << 20;

// What an exec program printed.
struct ExecCredential {
  std::string token;
  std::string client_certificate_pem;
  std::string client_key_pem;
  std::optional<double> expires;  // seconds since 1970
};
// `text` may have other lines in front of the object: what the program wrote to stderr.
Result<ExecCredential> parse_exec_credential(std::string_view text);

class Credentials {
 public:
  // `certificate_changed` is called when an exec program gave another client certificate: connections must be made anew.
  Credentials(net::Loop& loop, const Clock& clock, KubeAccess access, std::function<void()> certificate_changed);
  ~Credentials();

  // Calls `ready` once there is something to try with: at once, or when the exec program has ended (well or not; the error is logged).
  void start(std::function<void(Result<void>)> ready);
  // The token of the next request; empty: none.
  std::string token();
  const std::string& client_certificate_pem() const { return certificate_; }
  const std::string& client_key_pem() const { return key_; }
  // The API server said 401: reads or runs again, soon.
  void refused();

 private:
  void reread();
  void run_plugin();
  void plugin_ended(ExitStatus status);

  net::Loop& loop_;
  const Clock& clock_;
  KubeAccess access_;
  std::function<void()> certificate_changed_;
  std::function<void(Result<void>)> ready_;
  std::string token_;
  std::string certificate_;
  std::string key_;
  double token_read_ = -1e9;  // monotonic
  double plugin_ran_ = -1e9;
  std::unique_ptr<net::Child> plugin_;
  std::string plugin_output_;
  net::Loop::Timer plugin_timeout_;
  net::Loop::Timer plugin_again_;
  std::string warned_;  // the last trouble that was logged
};

}  // namespace dask::kube
