// ObjectCache: the objects of one kind as they were last seen, and which cluster each belongs to. It takes what watchers tell and what the
// operator's own writes return, whichever is newer, so that a plan sees its own work at once.
// Not thread safe: it belongs to the operator's thread.
//
// Invariants: (1) an object is never replaced by an older version of itself; (2) an object that our own DELETE took away does not come back
// by an event that was under way.
#pragma once

#include <charconv>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace dask::kube {

// Uids of deleted objects that are remembered; the oldest are forgotten.
inline constexpr std::size_t kDeletedUidsMax = 20'000;

// Resource versions are numbers that grow with each write; 0 for what is none.
inline std::uint64_t version_number(std::string_view version) {
  std::uint64_t number = 0;
  std::from_chars(version.data(), version.data() + version.size(), number);
  return number;
}

template <class T>
class ObjectCache {
 public:
  using Ptr = std::shared_ptr<const T>;
  // An object came (before is null), changed, or went (after is null).
  using Changed = std::function<void(const Ptr& before, const Ptr& after)>;
  // The keys under which by_owner() finds an object.
  using OwnersOf = std::function<std::vector<std::string>(const T&)>;

  ObjectCache(OwnersOf owners_of, Changed changed) : owners_of_(std::move(owners_of)), changed_(std::move(changed)) {}

  static std::string key_of(std::string_view ns, std::string_view name) { return std::string(ns).append("/").append(name); }

  Ptr find(std::string_view ns, std::string_view name) const {
    auto found = objects_.find(key_of(ns, name));
    return found == objects_.end() ? nullptr : found->second;
  }
  // In the order of their names.
  std::vector<Ptr> by_owner(const std::string& owner) const {
    std::vector<Ptr> out;
    if (auto found = owners_.find(owner); found != owners_.end()) {
      for (const std::string& key : found->second) out.push_back(objects_.at(key));
    }
    return out;
  }
  std::size_t size() const { return objects_.size(); }
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& [key, object] : objects_) visit(object);
  }

  // Of a watch, or the answer to a write.
  void put(T object) {
    if (deleted_.count(object.meta.uid)) return;
    std::string key = key_of(object.meta.ns, object.meta.name);
    auto found = objects_.find(key);
    if (found != objects_.end() && version_number(found->second->meta.resource_version) >= version_number(object.meta.resource_version))
      return;
    replace(key, std::make_shared<const T>(std::move(object)));
  }
  // A watch says that it is gone.
  void remove(std::string_view ns, std::string_view name, std::string_view uid) {
    std::string key = key_of(ns, name);
    auto found = objects_.find(key);
    if (found != objects_.end() && (uid.empty() || found->second->meta.uid == uid)) replace(key, nullptr);
  }
  // The API server has deleted it for us; the event is still to come.
  void deleted_by_us(std::string_view ns, std::string_view name, const std::string& uid) {
    if (!uid.empty() && deleted_.insert(uid).second) {
      deleted_order_.push_back(uid);
      if (deleted_order_.size() > kDeletedUidsMax) {
        deleted_.erase(deleted_order_.front());
        deleted_order_.pop_front();
      }
    }
    remove(ns, name, uid);
  }

  // A list of one namespace, or of all when `ns` is empty: what is not in it is gone, unless it is newer than the list.
  void end_list(const std::string& ns, const std::unordered_set<std::string>& listed, std::string_view version) {
    const std::uint64_t number = version_number(version);
    std::vector<std::string> gone;
    for (const auto& [key, object] : objects_) {
      if (!ns.empty() && object->meta.ns != ns) continue;
      if (!listed.count(key) && version_number(object->meta.resource_version) <= number) gone.push_back(key);
    }
    for (const std::string& key : gone) replace(key, nullptr);
  }

 private:
  void replace(const std::string& key, Ptr after) {
    Ptr before;
    auto found = objects_.find(key);
    if (found != objects_.end()) {
      before = found->second;
      for (const std::string& owner : owners_of_(*before)) {
        auto& keys = owners_[owner];
        keys.erase(key);
        if (keys.empty()) owners_.erase(owner);
      }
    }
    if (after) {
      objects_[key] = after;
      for (const std::string& owner : owners_of_(*after)) owners_[owner].insert(key);
    } else if (found != objects_.end()) {
      objects_.erase(found);
    }
    changed_(before, after);
  }

  OwnersOf owners_of_;
  Changed changed_;
  std::unordered_map<std::string, Ptr> objects_;
  std::unordered_map<std::string, std::set<std::string>> owners_;
  std::unordered_set<std::string> deleted_;
  std::deque<std::string> deleted_order_;
};

}  // namespace dask::kube
