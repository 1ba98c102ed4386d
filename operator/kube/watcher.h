// Watcher: keeps up with one collection: lists it in pages, then follows its changes, for ever. What happens to connections, servers and
// etcd is survived: it watches on from the last version it knows, lists again when that is too old (410), and waits longer after each
// failure. Meanwhile the receiver's cache is stale, never empty.
// Thread ownership: the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <random>
#include <string>

#include "core/base/value.h"
#include "core/net/loop.h"
#include "core/runtime/clock.h"
#include "operator/kube/backoff.h"
#include "operator/kube/client.h"

namespace dask::kube {

inline constexpr int kListPageSize = 500;
inline constexpr std::size_t kWatchLineBytesMax = 32 << 20;  // of one event
inline constexpr int kGarbageMax = 3;                        // lines that are no events, one after the other, before it lists again

struct WatchTimes {
  // The server ends a watch after a random time between these; a silence that is longer than that by `grace` is a dead connection.
  double shortest_s = 300;
  double longest_s = 600;
  double grace_s = 5;
  Backoff backoff{0.8, 30, 1.0};
  // A watch that lived so long was a good one: the back-off starts over.
  double good_s = 1;
};

class Watcher {
 public:
  // What it tells, in this order: begin_list, listed*, end_list, then changed and deleted; begin_list again after a 410.
  struct Receiver {
    virtual ~Receiver() = default;
    virtual void begin_list() = 0;
    virtual void listed(const Value& object) = 0;
    virtual void end_list(std::string_view version) = 0;
    virtual void changed(const Value& object) = 0;
    virtual void deleted(const Value& object) = 0;
    // The server answers (again), after failures.
    virtual void reached() {}
  };

  // `path` is a collection's; `label_selector` may be empty. The items of a list have no apiVersion and kind: nobody should need them.
  Watcher(net::Loop& loop, const Clock& clock, KubeClient& client, std::string path, std::string label_selector, Receiver& receiver,
          unsigned seed, WatchTimes times = {});
  ~Watcher();
  void start();

  bool synced() const { return synced_; }
  // Since when the server has not been reached; 0: all is well.
  double failing_since() const { return failing_since_; }
  const std::string& failure() const { return failure_; }
  const std::string& path() const { return path_; }
  std::uint64_t lists() const { return lists_; }
  std::uint64_t watches() const { return watches_; }

 private:
  void list(std::string continue_token);
  void list_page(KubeReply reply);
  void watch();
  void take(std::string_view piece);
  // False when the watch must end.
  bool take_line(std::string_view line);
  void watch_ended(Result<void> result);
  void relist_after(const std::string& why);
  void failed(const KubeError& error, bool list_again);
  void later(double delay_s, std::function<void()> work);
  void well();
  double random() { return std::uniform_real_distribution<double>(0, 1)(random_); }

  net::Loop& loop_;
  const Clock& clock_;
  KubeClient& client_;
  std::string path_;
  std::string selector_;
  Receiver& receiver_;
  std::mt19937 random_;
  WatchTimes times_;

  std::string version_;  // the last that is known
  std::string partial_;  // of a line
  net::RestClient::Call call_;
  net::RestResponse head_;
  std::string refusal_;  // the body of an answer that is no watch
  net::Loop::Timer timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  double watch_started_ = 0;
  double failing_since_ = 0;
  std::string failure_;
  int failures_ = 0;
  int garbage_ = 0;
  bool listing_ = false;
  bool synced_ = false;
  bool heard_ = false;  // this watch brought something
  std::uint64_t lists_ = 0;
  std::uint64_t watches_ = 0;
};

}  // namespace dask::kube
