// Where the API server is and who we are there: from a kubeconfig file, or from what a pod is given. Files are read here once; a
// token in a file and the program of an `exec` entry are only named, because they change (credentials.h).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace dask::kube {

// users[].user.exec: a program that prints an ExecCredential.
struct ExecPlugin {
  std::string api_version;
  std::string command;
  std::vector<std::string> args;
  std::map<std::string, std::string> environment;
  std::string install_hint;
  bool provide_cluster_info = false;
};

struct KubeAccess {
  std::string server;  // https://host:port
  std::string ca_pem;
  std::string server_name;
  bool verify_server = true;
  std::string proxy_url;
  std::string client_certificate_pem;
  std::string client_key_pem;
  std::string token;
  std::string token_file;  // wins over `token`
  std::optional<ExecPlugin> exec;
  std::string name_space;  // the one of the context, or of the pod; empty: none
  std::string origin;      // for messages: the file and context, or "the pod's service account"
};

// One context of a kubeconfig's text; relative paths are relative to `folder`. An empty `context` is the file's current one.
Result<KubeAccess> parse_kubeconfig(const std::string& text, const std::string& path, const std::string& context);

// What a pod's service account says; kNotFound outside of a pod. `folder` holds token, ca.crt and namespace.
Result<KubeAccess> in_cluster_access(const std::map<std::string, std::string>& environment, const std::string& folder);
inline constexpr const char* kServiceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

// As kubectl and controllers look: the path that was given, $KUBECONFIG (its first file that exists), the pod's service account,
// ~/.kube/config.
Result<KubeAccess> find_access(const std::string& path, const std::string& context, const std::map<std::string, std::string>& environment);

}  // namespace dask::kube
