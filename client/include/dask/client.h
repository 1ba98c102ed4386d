// Client: a connection to a scheduler. The newest living client is the default scheduler of every compute().
//
//   dask::Client client;                              // with a LocalCluster of its own
//   dask::Client client("tcp://10.0.0.1:8786");       // workers there need the program's functions: the same program, or --preload
//   dask::Future<int> two = client.submit<inc>(1);
//   int result = two.result();
// Thread safety: all members may be called from any thread.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/base/value.h"
#include "dask/delayed.h"
#include "dask/future.h"
#include "dask/local_cluster.h"

namespace dask {

namespace client {
class ClusterClient;
}

struct ClientOptions {
  std::optional<double> timeout_s = {};  // to connect; else the configuration's distributed.comm.timeouts.connect
  bool set_as_default = true;
  bool direct_to_workers = false;  // fetch results from the workers instead of through the scheduler
};

struct ScatterOptions {
  std::vector<std::string> workers = {};  // addresses; empty: any
  bool broadcast = false;                 // a copy on each
};

class Client {
 public:
  Client() : Client(LocalClusterOptions{}) {}
  explicit Client(const LocalClusterOptions& cluster, const ClientOptions& options = {});
  explicit Client(const LocalCluster& cluster, const ClientOptions& options = {});
  explicit Client(const char* address, const ClientOptions& options = {}) : Client(std::string(address), options) {}
  // Throws ConnectionError, TimeoutError.
  explicit Client(const std::string& address, const ClientOptions& options = {});
  ~Client();  // close()
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  // Runs F as soon as its arguments are there.
  template <auto F, class... A>
  Future<native::ResultOf<F>> submit(const A&... args) {
    const NodePtr node = detail::make_task<F>(args...);
    return Future<native::ResultOf<F>>(submit_nodes(std::span(&node, 1)).front());
  }
  // F on each element (of several lists: on their first elements, their second elements, …).
  template <auto F, class A, class... B>
  std::vector<Future<native::ResultOf<F>>> map(const std::vector<A>& first, const std::vector<B>&... others) {
    std::vector<NodePtr> nodes;
    for (std::size_t i = 0; i < first.size() && ((i < others.size()) && ...); ++i)
      nodes.push_back(detail::make_task<F>(first[i], others[i]...));
    std::vector<Future<native::ResultOf<F>>> futures;
    for (NodePtr& node : submit_nodes(nodes)) futures.emplace_back(std::move(node));
    return futures;
  }
  // Starts to compute a lazy value.
  template <class T>
  Future<T> compute(const Delayed<T>& lazy) {
    return Future<T>(submit_nodes(std::span(&lazy.node(), 1)).front());
  }
  template <class T>
  Delayed<T> persist(const Delayed<T>& lazy) {
    return Delayed<T>(submit_nodes(std::span(&lazy.node(), 1)).front());
  }
  // Sends a value to the workers.
  template <class T>
  Future<T> scatter(T value, const ScatterOptions& options = {}) {
    return Future<T>(scatter_value(native::NativeValue::of(std::move(value)), options));
  }
  // The results of several futures, fetched together.
  template <class T>
  std::vector<T> gather(const std::vector<Future<T>>& futures, std::optional<double> timeout_s = {}) {
    const std::vector<native::NativeValue> values = detail::future_values(detail::states_of(futures), timeout_s.value_or(-1));
    std::vector<T> results;
    results.reserve(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) results.push_back(detail::value_as<T>(values[i], futures[i].key()));
    return results;
  }
  template <class T>
  void cancel(const std::vector<Future<T>>& futures) {
    detail::cancel_futures(detail::states_of(futures));
  }

  // Starts to compute nodes; gives nodes whose `future` is set.
  std::vector<NodePtr> submit_nodes(std::span<const NodePtr> nodes);
  NodePtr scatter_value(native::NativeValue value, const ScatterOptions& options = {});

  // What the scheduler says about itself and its workers ("address", "workers": {address: {"nthreads", …}}, …).
  Value scheduler_info() const;
  void wait_for_workers(int n_workers, std::optional<double> timeout_s = {}) const;
  const std::string& scheduler_address() const;
  const std::string& dashboard_link() const;
  // <Client: 'tcp://127.0.0.1:41234' workers=1 threads=8>
  std::string repr() const;

  // Lets go of all results and leaves; the scheduler and its workers stay, unless this client started them.
  void close();
  // Ends the workers and the scheduler too.
  void shutdown();

 private:
  std::unique_ptr<LocalCluster> cluster_;
  std::shared_ptr<client::ClusterClient> impl_;
};

}  // namespace dask
