// Tokens from files and from exec programs (client.authentication.k8s.io).
#include "operator/kube/credentials.h"

#include <fmt/format.h>
#include <signal.h>

#include <fstream>
#include <sstream>

#include "core/base/json.h"
#include "core/runtime/log.h"
#include "operator/kube/time_text.h"

namespace dask::kube {

Result<ExecCredential> parse_exec_credential(std::string_view text) {
  const std::size_t begin = text.find('{');
  const std::size_t end = text.rfind('}');
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin)
    return fail(ErrorCode::kMalformed, "it printed no ExecCredential");
  DASK_TRY(Value root, parse_json(text.substr(begin, end - begin + 1)));
  if (root["kind"].as_string() != "ExecCredential") return fail(ErrorCode::kMalformed, "it printed no ExecCredential");
  const Value& status = root["status"];
  ExecCredential credential;
  credential.token = status["token"].as_string();
  credential.client_certificate_pem = status["clientCertificateData"].as_string();
  credential.client_key_pem = status["clientKeyData"].as_string();
  if (credential.token.empty() && credential.client_certificate_pem.empty())
    return fail(ErrorCode::kMalformed, "its ExecCredential has neither a token nor a client certificate");
  if (const std::string* expires = status["expirationTimestamp"].string()) credential.expires = seconds_of_timestamp(*expires);
  return credential;
}

Credentials::Credentials(net::Loop& loop, const Clock& clock, KubeAccess access, std::function<void()> certificate_changed)
    : loop_(loop),
      clock_(clock),
      access_(std::move(access)),
      certificate_changed_(std::move(certificate_changed)),
      token_(access_.token),
      certificate_(access_.client_certificate_pem),
      key_(access_.client_key_pem) {}

Credentials::~Credentials() = default;

void Credentials::start(std::function<void(Result<void>)> ready) {
  if (!access_.exec) {
    reread();
    ready({});
    return;
  }
  ready_ = std::move(ready);
  run_plugin();
}

std::string Credentials::token() {
  if (!access_.token_file.empty() && clock_.monotonic() - token_read_ >= kTokenRereadSeconds) reread();
  return token_;
}

void Credentials::reread() {
  if (access_.token_file.empty()) return;
  token_read_ = clock_.monotonic();
  std::ifstream file(access_.token_file);
  std::string token;
  std::getline(file, token);
  while (!token.empty() && (token.back() == '\r' || token.back() == ' ')) token.pop_back();
  if (token.empty()) {
    if (std::exchange(warned_, access_.token_file) != access_.token_file)
      log_warning("Cannot read a token from {}: keeping the one from before", access_.token_file);
    return;
  }
  warned_.clear();
  token_ = std::move(token);
}

void Credentials::refused() {
  if (access_.exec) {
    const double since = clock_.monotonic() - plugin_ran_;
    if (plugin_) return;
    if (since >= kExecRetrySeconds) return run_plugin();
    plugin_again_ = loop_.after(std::chrono::milliseconds(static_cast<int>(1000 * (kExecRetrySeconds - since))), [this] { run_plugin(); });
  } else if (clock_.monotonic() - token_read_ >= 1) {
    reread();
  }
}

void Credentials::run_plugin() {
  if (plugin_) return;
  const ExecPlugin& exec = *access_.exec;
  plugin_ran_ = clock_.monotonic();
  plugin_output_.clear();
  ProcessOptions options;
  options.argv.push_back(exec.command);
  options.argv.insert(options.argv.end(), exec.args.begin(), exec.args.end());
  options.environment = exec.environment;
  JsonWriter info;
  info.begin_object().key("apiVersion").string(exec.api_version).key("kind").string("ExecCredential").key("spec").begin_object();
  info.key("interactive").boolean(false);
  if (exec.provide_cluster_info) info.key("cluster").begin_object().key("server").string(access_.server).end_object();
  info.end_object().end_object();
  options.environment["KUBERNETES_EXEC_INFO"] = info.take();
  options.capture_output = true;
  auto child = net::Child::start(loop_, options,
                                 {[this](ExitStatus status) {
                                    // Not from inside the child's own call.
                                    loop_.at_end_of_turn([this, status] { plugin_ended(status); });
                                  },
                                  [this](std::string_view line) {
                                    if (plugin_output_.size() < kExecOutputBytesMax) plugin_output_.append(line).push_back('\n');
                                  }});
  if (!child) {
    plugin_output_ = child.error().message + (exec.install_hint.empty() ? "" : "\n" + exec.install_hint);
    ExitStatus status;
    status.code = 127;
    return plugin_ended(status);
  }
  plugin_ = *std::move(child);
  plugin_timeout_ = loop_.after(std::chrono::seconds(static_cast<int>(kExecTimeoutSeconds)), [this] {
    if (plugin_) plugin_->kill(SIGKILL);
  });
}

void Credentials::plugin_ended(ExitStatus status) {
  plugin_.reset();
  plugin_timeout_.cancel();
  auto credential = status.ok() ? parse_exec_credential(plugin_output_)
                                : fail(ErrorCode::kUnavailable, fmt::format("it ended with {}: {:.300}", status.str(), plugin_output_));
  plugin_output_.clear();
  Result<void> outcome;
  double again_s = kExecRetrySeconds;
  if (!credential) {
    outcome = fail(credential.error().code,
                   fmt::format("cannot get credentials from '{}': {}", access_.exec->command, credential.error().message));
    if (std::exchange(warned_, outcome.error().message) != outcome.error().message) log_error("{}", outcome.error().message);
  } else {
    warned_.clear();
    token_ = credential->token;
    const bool changed = credential->client_certificate_pem != certificate_;
    certificate_ = credential->client_certificate_pem;
    key_ = credential->client_key_pem;
    if (changed) certificate_changed_();
    again_s = credential->expires ? std::max(kExecRetrySeconds, *credential->expires - clock_.wall() - kExecLeewaySeconds) : 0;
  }
  if (again_s > 0)
    plugin_again_ =
        loop_.after(std::chrono::milliseconds(static_cast<std::int64_t>(1000 * std::min(again_s, 86400.0))), [this] { run_plugin(); });
  if (auto ready = std::exchange(ready_, {})) ready(std::move(outcome));
}

}  // namespace dask::kube
