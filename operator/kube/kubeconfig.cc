// Reads kubeconfig files with yaml-cpp, whose scalars stay text: a token may look like a number.
#include "operator/kube/kubeconfig.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "operator/kube/base64.h"

namespace dask::kube {

namespace {

Result<std::string> read_file(const std::string& path, const std::string& what) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::kNotFound, fmt::format("cannot open {} {}: {}", what, path, std::strerror(errno)));
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return fail(ErrorCode::kNotFound, fmt::format("cannot read {} {}: {}", what, path, std::strerror(errno)));
  return std::move(text).str();
}

// Raised and caught inside this file: yaml-cpp throws as well.
struct Wrong : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A scalar below `node`, or "".
std::string text_of(const YAML::Node& node, const char* key) {
  const YAML::Node child = node[key];
  if (!child || child.IsNull()) return {};
  if (!child.IsScalar()) throw Wrong(fmt::format("'{}' must be a text", key));
  return child.Scalar();
}

// The entry of a list like clusters: [{name: …, cluster: {…}}].
YAML::Node named(const YAML::Node& root, const char* list, const char* inside, const std::string& name) {
  if (const YAML::Node entries = root[list]; entries && entries.IsSequence()) {
    for (const YAML::Node& entry : entries) {
      if (entry.IsMap() && text_of(entry, "name") == name && entry[inside] && entry[inside].IsMap()) return entry[inside];
    }
  }
  throw Wrong(fmt::format("there is no '{}' in '{}'", name, list));
}

// What `key`-data holds in base64, or the file that `key` names.
std::string data_or_file(const YAML::Node& node, const std::string& key, const std::filesystem::path& folder) {
  if (std::string encoded = text_of(node, (key + "-data").c_str()); !encoded.empty()) {
    auto decoded = base64_decoded(encoded);
    if (!decoded) throw Wrong(fmt::format("'{}-data' is not base64", key));
    return *std::move(decoded);
  }
  std::string path = text_of(node, key.c_str());
  if (path.empty()) return {};
  auto text = read_file((folder / path).string(), key);
  if (!text) throw Wrong(text.error().message);
  return *std::move(text);
}

ExecPlugin exec_of(const YAML::Node& node, const std::filesystem::path& folder) {
  ExecPlugin plugin;
  plugin.api_version = text_of(node, "apiVersion");
  if (plugin.api_version.rfind("client.authentication.k8s.io/", 0) != 0)
    throw Wrong(fmt::format("exec: apiVersion '{}' is not supported: it must be client.authentication.k8s.io/v1", plugin.api_version));
  plugin.command = text_of(node, "command");
  if (plugin.command.empty()) throw Wrong("exec: 'command' is missing");
  // As client-go: a path with a separator is relative to the file.
  if (plugin.command.find('/') != std::string::npos) plugin.command = (folder / plugin.command).string();
  plugin.install_hint = text_of(node, "installHint");
  plugin.provide_cluster_info = text_of(node, "provideClusterInfo") == "true";
  if (const YAML::Node args = node["args"]; args && args.IsSequence()) {
    for (const YAML::Node& arg : args) plugin.args.push_back(arg.Scalar());
  }
  if (const YAML::Node env = node["env"]; env && env.IsSequence()) {
    for (const YAML::Node& entry : env) plugin.environment[text_of(entry, "name")] = text_of(entry, "value");
  }
  return plugin;
}

KubeAccess access_of(const YAML::Node& root, const std::string& path, std::string context) {
  if (!root || !root.IsMap()) throw Wrong("it holds no configuration");
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (context.empty()) context = text_of(root, "current-context");
  if (context.empty()) throw Wrong("it has no 'current-context'; pass --context");
  const YAML::Node chosen = named(root, "contexts", "context", context);
  const YAML::Node cluster = named(root, "clusters", "cluster", text_of(chosen, "cluster"));

  KubeAccess access;
  access.origin = fmt::format("{} (context '{}')", path, context);
  access.name_space = text_of(chosen, "namespace");
  access.server = text_of(cluster, "server");
  if (access.server.empty()) throw Wrong(fmt::format("the cluster of context '{}' has no 'server'", context));
  access.ca_pem = data_or_file(cluster, "certificate-authority", folder);
  access.server_name = text_of(cluster, "tls-server-name");
  access.proxy_url = text_of(cluster, "proxy-url");
  access.verify_server = text_of(cluster, "insecure-skip-tls-verify") != "true";
  const std::string user_name = text_of(chosen, "user");
  if (user_name.empty()) return access;
  const YAML::Node user = named(root, "users", "user", user_name);
  access.client_certificate_pem = data_or_file(user, "client-certificate", folder);
  access.client_key_pem = data_or_file(user, "client-key", folder);
  access.token = text_of(user, "token");
  if (std::string file = text_of(user, "tokenFile"); !file.empty()) access.token_file = (folder / file).string();
  if (user["exec"] && user["exec"].IsMap()) access.exec = exec_of(user["exec"], folder);
  if (user["auth-provider"]) throw Wrong("'auth-provider' is not supported; use 'exec', 'tokenFile' or certificates");
  if (user["username"]) throw Wrong("'username' is not supported: API servers no longer take passwords");
  return access;
}

}  // namespace

Result<KubeAccess> parse_kubeconfig(const std::string& text, const std::string& path, const std::string& context) {
  try {
    return access_of(YAML::Load(text), path, context);
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("cannot use the kubeconfig {}: {}", path, error.what()));
  }
}

Result<KubeAccess> in_cluster_access(const std::map<std::string, std::string>& environment, const std::string& folder) {
  auto host = environment.find("KUBERNETES_SERVICE_HOST");
  auto port = environment.find("KUBERNETES_SERVICE_PORT");
  if (host == environment.end() || port == environment.end() || host->second.empty())
    return fail(ErrorCode::kNotFound, "not in a pod: KUBERNETES_SERVICE_HOST is not set");
  KubeAccess access;
  const bool ipv6 = host->second.find(':') != std::string::npos;
  access.server =
      ipv6 ? fmt::format("https://[{}]:{}", host->second, port->second) : fmt::format("https://{}:{}", host->second, port->second);
  DASK_TRY(access.ca_pem, read_file(folder + "/ca.crt", "the cluster's certificate authority"));
  access.token_file = folder + "/token";
  DASK_TRY(std::string token, read_file(access.token_file, "the service account's token"));
  if (auto name_space = read_file(folder + "/namespace", "the pod's namespace")) access.name_space = *std::move(name_space);
  access.origin = "the pod's service account";
  return access;
}

Result<KubeAccess> find_access(const std::string& path, const std::string& context, const std::map<std::string, std::string>& environment) {
  auto from_file = [&](const std::string& file) -> Result<KubeAccess> {
    DASK_TRY(std::string text, read_file(file, "the kubeconfig"));
    return parse_kubeconfig(text, file, context);
  };
  if (!path.empty()) return from_file(path);
  if (auto named_files = environment.find("KUBECONFIG"); named_files != environment.end() && !named_files->second.empty()) {
    std::istringstream files(named_files->second);
    for (std::string file; std::getline(files, file, ':');) {
      if (!file.empty() && std::filesystem::exists(file)) return from_file(file);
    }
    return fail(ErrorCode::kNotFound, fmt::format("KUBECONFIG names no file that exists: {}", named_files->second));
  }
  auto pod = in_cluster_access(environment, kServiceAccountFolder);
  if (pod || pod.error().code != ErrorCode::kNotFound || environment.count("KUBERNETES_SERVICE_HOST")) return pod;
  if (auto home = environment.find("HOME"); home != environment.end()) {
    const std::string file = home->second + "/.kube/config";
    if (std::filesystem::exists(file)) return from_file(file);
  }
  return fail(ErrorCode::kNotFound, "no Kubernetes to talk to: pass --kubeconfig, set KUBECONFIG, or run in a pod with a service account");
}

}  // namespace dask::kube
