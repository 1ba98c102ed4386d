// What the operator is started with, as its command line says it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "operator/plan/observed.h"

namespace dask::kube {

struct OperatorOptions {
  std::vector<std::string> namespaces;  // empty: all
  std::string kubeconfig;
  std::string context;
  bool leader_elect = false;
  std::string lease_namespace;  // empty: the one we run in
  std::string lease_name = "dask-operator";
  std::string host = "0.0.0.0";  // of /healthz, /readyz, /metrics
  std::uint16_t port = 8080;
  int reconciles_max = 10;  // clusters that are worked on at the same time
  // "{host}", "{ip}", "{port}", "{cluster}" and "{namespace}" are replaced. Empty: the Service's IP, else its name.
  std::string scheduler_address_template;
  Settings settings;
};

// The arguments of Python's operator (chart value kopfArgs, `kopf run`): those that mean something here become ours, those that mean
// nothing here are dropped and named in `ignored`.
std::vector<std::string> understand_kopf_arguments(const std::vector<std::string>& arguments, std::vector<std::string>& ignored);

}  // namespace dask::kube
