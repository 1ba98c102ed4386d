// LeaderElector: one of several operators works, the others keep warm. It holds a Lease (coordination.k8s.io) as client-go does, with
// controller-runtime's times. Whether another's lease has run out is judged by how long we have seen it unchanged, never by its clock.
// Thread ownership: the loop's thread.
//
// Invariant: leading() is false `renew_deadline_s` after the last renewal that succeeded was sent, whatever the API server does.
#pragma once

#include <functional>
#include <random>
#include <string>

#include "core/net/loop.h"
#include "core/runtime/clock.h"
#include "operator/kube/client.h"

namespace dask::kube {

struct LeaseTimes {
  double duration_s = 15;
  double renew_deadline_s = 10;
  double retry_s = 2;
  double jitter = 1.2;  // adds up to this share to the retry of one that is not the leader
};

class LeaderElector {
 public:
  struct Handlers {
    std::function<void()> started;  // leading: work may begin
    std::function<void()> lost;     // another leads, or nobody knows: stop writing at once
  };
  // `identity` must differ between processes: host name and a random part.
  LeaderElector(net::Loop& loop, const Clock& clock, KubeClient& client, std::string ns, std::string name, std::string identity,
                Handlers handlers, unsigned seed, LeaseTimes times = {});
  ~LeaderElector();

  void start();
  // Gives the lease back, so that another need not wait; `done` when that has been tried.
  void release(std::function<void()> done);
  bool leading() const { return leading_; }
  const std::string& holder() const { return observed_holder_; }

 private:
  void try_or_renew();
  void read(KubeReply reply);
  void write(const Value* current);
  void written(KubeReply reply);
  void next(bool well);
  std::string body(const Value* current, bool give_up) const;

  net::Loop& loop_;
  const Clock& clock_;
  KubeClient& client_;
  std::string ns_;
  std::string name_;
  std::string path_;
  std::string identity_;
  Handlers handlers_;
  std::mt19937 random_;
  LeaseTimes times_;
  net::Loop::Timer timer_;
  net::Loop::Timer deadline_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  Value lease_;  // as last read or written; its resourceVersion guards our write
  std::string observed_record_;
  double observed_at_ = 0;  // monotonic
  std::string observed_holder_;
  double sent_at_ = 0;
  std::string failure_;
  bool leading_ = false;
  bool releasing_ = false;
};

}  // namespace dask::kube
