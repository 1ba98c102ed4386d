// One ObjectCache per kind, one Feed (Watcher and the parsing of its objects) per kind and namespace.
#include "operator/controller/caches.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <type_traits>
#include <unordered_set>

#include "core/runtime/log.h"
#include "operator/plan/plan.h"

namespace dask::kube {

std::string WorkKey::str() const { return fmt::format("{}/{}/{}", name_of(kind), ns, name); }

WorkKey WorkKey::parse(const std::string& text) {
  WorkKey key;
  const std::size_t first = text.find('/');
  const std::size_t second = text.find('/', first + 1);
  key.kind = kind_named(kDaskApiVersion, std::string_view(text).substr(0, first)).value_or(Kind::kDaskCluster);
  key.ns = text.substr(first + 1, second - first - 1);
  key.name = text.substr(second + 1);
  return key;
}

namespace {

std::string cluster_key(std::string_view ns, std::string_view name) { return fmt::format("DaskCluster/{}/{}", ns, name); }

template <class T>
std::vector<std::string> label_owner(const T& object) {
  const std::string_view cluster = object.meta.label(kClusterLabel);
  if (cluster.empty()) return {};
  return {cluster_key(object.meta.ns, cluster)};
}
std::vector<std::string> owners_of(const Deployment& object) { return label_owner(object); }
std::vector<std::string> owners_of(const Service& object) { return label_owner(object); }
std::vector<std::string> owners_of(const Pod& object) { return label_owner(object); }
std::vector<std::string> owners_of(const DaskCluster& object) { return {cluster_key(object.meta.ns, object.meta.name)}; }
std::vector<std::string> owners_of(const DaskJob& object) { return {WorkKey{Kind::kDaskJob, object.meta.ns, object.meta.name}.str()}; }
std::vector<std::string> owners_of(const DaskAutoscaler& object) {
  return {WorkKey{Kind::kDaskAutoscaler, object.meta.ns, object.meta.name}.str()};
}
std::vector<std::string> owners_of(const DaskWorkerGroup& object) {
  std::vector<std::string> owners = label_owner(object);
  if (!object.cluster.empty()) {
    std::string named = cluster_key(object.meta.ns, object.cluster);
    if (owners.empty() || owners[0] != named) owners.push_back(std::move(named));
  }
  return owners;
}

// A Deployment, Service or pod only ever shows how something gets on. A resource of Dask's is somebody's wish, unless nothing but its
// status has changed.
template <class T>
Change change_of(const T* before, const T* after) {
  if constexpr (std::is_same_v<T, Deployment> || std::is_same_v<T, Service> || std::is_same_v<T, Pod>) {
    return Change::kProgress;
  } else {
    if (!before || !after) return Change::kWish;
    const ObjectMeta &was = before->meta, &is = after->meta;
    const bool same = was.uid == is.uid && was.generation == is.generation && was.deleting_ms == is.deleting_ms &&
                      was.labels == is.labels && was.annotations == is.annotations && was.owners == is.owners &&
                      was.finalizers == is.finalizers;
    return same ? Change::kProgress : Change::kWish;
  }
}

// The watcher of one collection and the cache that it fills.
template <class T>
class Feed final : public Watcher::Receiver {
 public:
  using Parse = Result<T> (*)(const Value&);
  Feed(net::Loop& loop, const Clock& clock, KubeClient& client, Kind kind, std::string ns, std::string selector, Parse parse,
       ObjectCache<T>& cache, std::function<void()> reached, unsigned seed)
      : watcher(loop, clock, client, path_of(kind, ns), std::move(selector), *this, seed),
        kind_(kind),
        ns_(std::move(ns)),
        parse_(parse),
        cache_(cache),
        reached_(std::move(reached)) {}

  void begin_list() override { listed_.clear(); }
  void listed(const Value& object) override {
    if (auto parsed = parse(object)) {
      listed_.insert(ObjectCache<T>::key_of(parsed->meta.ns, parsed->meta.name));
      cache_.put(*std::move(parsed));
    }
  }
  void end_list(std::string_view version) override {
    cache_.end_list(ns_, listed_, version);
    listed_.clear();
    reached_();
  }
  void changed(const Value& object) override {
    if (auto parsed = parse(object)) cache_.put(*std::move(parsed));
  }
  void deleted(const Value& object) override {
    if (auto parsed = parse(object)) cache_.remove(parsed->meta.ns, parsed->meta.name, parsed->meta.uid);
  }
  void reached() override { reached_(); }

  Watcher watcher;

 private:
  Result<T> parse(const Value& object) const {
    auto parsed = parse_(object);
    if (!parsed) log_warning("The API server sent a {} that cannot be read: {}", name_of(kind_), parsed.error().message);
    return parsed;
  }

  Kind kind_;
  std::string ns_;
  Parse parse_;
  ObjectCache<T>& cache_;
  std::function<void()> reached_;
  std::unordered_set<std::string> listed_;
};

}  // namespace

struct Caches::Store {
  net::Loop& loop;
  const Clock& clock;
  Dirty dirty;
  std::vector<std::unique_ptr<Watcher::Receiver>> feeds;
  std::vector<Watcher*> watchers;

  template <class T>
  struct Of : ObjectCache<T> {
    explicit Of(const Dirty& tell)
        : ObjectCache<T>([](const T& object) { return owners_of(object); },
                         [&tell](const std::shared_ptr<const T>& before, const std::shared_ptr<const T>& after) {
                           const Change change = change_of(before.get(), after.get());
                           const std::vector<std::string> then = before ? owners_of(*before) : std::vector<std::string>();
                           const std::vector<std::string> now = after ? owners_of(*after) : std::vector<std::string>();
                           for (const std::string& owner : now) tell(owner, change);
                           for (const std::string& owner : then)
                             if (std::find(now.begin(), now.end(), owner) == now.end()) tell(owner, change);
                         }) {}
  };
  Of<DaskCluster> clusters{dirty};
  Of<DaskWorkerGroup> groups{dirty};
  Of<DaskJob> jobs{dirty};
  Of<DaskAutoscaler> autoscalers{dirty};
  Of<Deployment> deployments{dirty};
  Of<Service> services{dirty};
  Of<Pod> pods{dirty};

  Store(net::Loop& the_loop, const Clock& the_clock, Dirty tell) : loop(the_loop), clock(the_clock), dirty(std::move(tell)) {}

  template <class T>
  void feed(KubeClient& client, Kind kind, const std::string& ns, const std::string& selector, Result<T> (*parse)(const Value&),
            ObjectCache<T>& cache, const std::function<void()>& reached, unsigned seed) {
    auto one = std::make_unique<Feed<T>>(loop, clock, client, kind, ns, selector, parse, cache, reached, seed);
    watchers.push_back(&one->watcher);
    feeds.push_back(std::move(one));
  }
};

Caches::Caches(net::Loop& loop, const Clock& clock, KubeClient& client, std::vector<std::string> namespaces, Dirty dirty,
               std::function<void()> reached)
    : store_(std::make_unique<Store>(loop, clock, std::move(dirty))) {
  Store& s = *store_;
  std::random_device random;
  if (namespaces.empty()) namespaces.push_back("");
  for (const std::string& ns : namespaces) {
    s.feed(client, Kind::kDaskCluster, ns, "", &parse_dask_cluster, s.clusters, reached, random());
    s.feed(client, Kind::kDaskWorkerGroup, ns, "", &parse_dask_worker_group, s.groups, reached, random());
    s.feed(client, Kind::kDaskJob, ns, "", &parse_dask_job, s.jobs, reached, random());
    s.feed(client, Kind::kDaskAutoscaler, ns, "", &parse_dask_autoscaler, s.autoscalers, reached, random());
    s.feed(client, Kind::kDeployment, ns, kClusterLabel, &parse_deployment, s.deployments, reached, random());
    s.feed(client, Kind::kService, ns, kClusterLabel, &parse_service, s.services, reached, random());
    s.feed(client, Kind::kPod, ns, kClusterLabel, &parse_pod, s.pods, reached, random());
  }
}

Caches::~Caches() = default;

void Caches::start() {
  for (Watcher* watcher : store_->watchers) watcher->start();
}

bool Caches::synced() const {
  for (const Watcher* watcher : store_->watchers) {
    if (!watcher->synced()) return false;
  }
  return true;
}

std::vector<std::string> Caches::troubles() const {
  std::vector<std::string> out;
  for (const Watcher* watcher : store_->watchers) {
    if (!watcher->synced() || watcher->failing_since() > 0)
      out.push_back(fmt::format("{}: {}", watcher->path(), watcher->failure().empty() ? "not listed yet" : watcher->failure()));
  }
  return out;
}

double Caches::failing_s() const {
  double longest = 0;
  for (const Watcher* watcher : store_->watchers) {
    if (watcher->failing_since() > 0) longest = std::max(longest, store_->clock.monotonic() - watcher->failing_since());
  }
  return longest;
}

Observed Caches::observe(const std::string& ns, const std::string& cluster) const {
  const Store& s = *store_;
  const std::string key = cluster_key(ns, cluster);
  Observed observed;
  observed.ns = ns;
  observed.name = cluster;
  observed.cluster = s.clusters.find(ns, cluster);
  observed.groups = s.groups.by_owner(key);
  observed.deployments = s.deployments.by_owner(key);
  observed.services = s.services.by_owner(key);
  observed.pods = s.pods.by_owner(key);
  return observed;
}

std::shared_ptr<const DaskJob> Caches::job(const std::string& ns, const std::string& name) const { return store_->jobs.find(ns, name); }
std::shared_ptr<const DaskAutoscaler> Caches::autoscaler(const std::string& ns, const std::string& name) const {
  return store_->autoscalers.find(ns, name);
}
std::shared_ptr<const DaskCluster> Caches::cluster(const std::string& ns, const std::string& name) const {
  return store_->clusters.find(ns, name);
}

namespace {
template <class T>
void put(ObjectCache<T>& cache, Result<T> parsed) {
  if (parsed) cache.put(*std::move(parsed));
}
}  // namespace

void Caches::wrote(Kind kind, const Value& object) {
  Store& s = *store_;
  switch (kind) {
    case Kind::kDaskCluster: return put(s.clusters, parse_dask_cluster(object));
    case Kind::kDaskWorkerGroup: return put(s.groups, parse_dask_worker_group(object));
    case Kind::kDaskJob: return put(s.jobs, parse_dask_job(object));
    case Kind::kDaskAutoscaler: return put(s.autoscalers, parse_dask_autoscaler(object));
    case Kind::kDeployment: return put(s.deployments, parse_deployment(object));
    case Kind::kService: return put(s.services, parse_service(object));
    case Kind::kPod: return put(s.pods, parse_pod(object));
  }
}

void Caches::deleted(const ObjectRef& object) {
  Store& s = *store_;
  switch (object.kind) {
    case Kind::kDaskCluster: return s.clusters.deleted_by_us(object.ns, object.name, object.uid);
    case Kind::kDaskWorkerGroup: return s.groups.deleted_by_us(object.ns, object.name, object.uid);
    case Kind::kDaskJob: return s.jobs.deleted_by_us(object.ns, object.name, object.uid);
    case Kind::kDaskAutoscaler: return s.autoscalers.deleted_by_us(object.ns, object.name, object.uid);
    case Kind::kDeployment: return s.deployments.deleted_by_us(object.ns, object.name, object.uid);
    case Kind::kService: return s.services.deleted_by_us(object.ns, object.name, object.uid);
    case Kind::kPod: return s.pods.deleted_by_us(object.ns, object.name, object.uid);
  }
}

void Caches::for_each_cluster(const std::function<void(const DaskCluster&)>& visit) const {
  store_->clusters.for_each([&](const auto& cluster) { visit(*cluster); });
}

std::size_t Caches::objects(Kind kind) const {
  const Store& s = *store_;
  switch (kind) {
    case Kind::kDaskCluster: return s.clusters.size();
    case Kind::kDaskWorkerGroup: return s.groups.size();
    case Kind::kDaskJob: return s.jobs.size();
    case Kind::kDaskAutoscaler: return s.autoscalers.size();
    case Kind::kDeployment: return s.deployments.size();
    case Kind::kService: return s.services.size();
    case Kind::kPod: return s.pods.size();
  }
  return 0;
}

}  // namespace dask::kube
