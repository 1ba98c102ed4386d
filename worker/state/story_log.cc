// StoryLog: writing records into the ring, and reading them as the tuples that Dask's story gives.
#include "worker/state/story_log.h"

#include <algorithm>

namespace dask::worker {

StoryLog::Record& StoryLog::next(const std::string& stimulus_id, double now) {
  Record* record = nullptr;
  if (records_.size() < length_max_) {
    record = &records_.emplace_back();
  } else {
    record = &records_[next_];
    next_ = (next_ + 1) % records_.size();
  }
  record->worker.clear();
  record->keys.clear();
  record->recommendations.clear();
  record->stimulus_id = stimulus_id;
  record->time = now;
  return *record;
}

std::vector<std::pair<Key, TaskState>>* StoryLog::transition(const Key& key, TaskState start, TaskState recommended, TaskState final_,
                                                             const std::string& stimulus_id, double now) {
  if (length_max_ == 0) return nullptr;
  Record& record = next(stimulus_id, now);
  record.shape = Shape::kTransition;
  record.key = key;
  record.start = start;
  record.recommended = recommended;
  record.final_ = final_;
  return &record.recommendations;
}

void StoryLog::note(const Key& key, const char* what, const std::string& stimulus_id, double now) {
  if (length_max_ == 0) return;
  Record& record = next(stimulus_id, now);
  record.shape = Shape::kNote;
  record.key = key;
  record.what = what;
}

void StoryLog::note(const Key& key, const char* what, TaskState state, const std::string& stimulus_id, double now) {
  if (length_max_ == 0) return;
  Record& record = next(stimulus_id, now);
  record.shape = Shape::kStateNote;
  record.key = key;
  record.what = what;
  record.start = state;
}

void StoryLog::note(const char* what, const std::string& worker, const std::vector<Key>& keys, const std::string& stimulus_id, double now) {
  if (length_max_ == 0) return;
  Record& record = next(stimulus_id, now);
  record.shape = Shape::kKeys;
  record.what = what;
  record.worker = worker;
  record.keys = keys;
}

std::vector<Value> StoryLog::story(const std::vector<Key>& keys, const std::vector<std::string>& stimuli) const {
  auto wanted = [&](const Key& key) { return std::find(keys.begin(), keys.end(), key) != keys.end(); };
  auto concerns = [&](const Record& record) {
    if (keys.empty() && stimuli.empty()) return true;
    if (std::find(stimuli.begin(), stimuli.end(), record.stimulus_id) != stimuli.end()) return true;
    if (record.shape == Shape::kKeys) return std::any_of(record.keys.begin(), record.keys.end(), wanted);
    return wanted(record.key) || std::any_of(record.recommendations.begin(), record.recommendations.end(),
                                             [&](const auto& recommendation) { return wanted(recommendation.first); });
  };
  std::vector<Value> out;
  for (std::size_t i = 0; i < records_.size(); ++i) {
    const Record& record = records_[(next_ + i) % records_.size()];
    if (concerns(record)) out.push_back(value_of(record));
  }
  return out;
}

Value StoryLog::value_of(const Record& record) {
  Value::Array out;
  switch (record.shape) {
    case Shape::kTransition: {
      Value::Map recommendations;
      for (const auto& [key, state] : record.recommendations) recommendations.emplace_back(key.value(), name_of(state));
      out = {record.key.value(), name_of(record.start), name_of(record.recommended), name_of(record.final_), std::move(recommendations)};
      break;
    }
    case Shape::kNote: out = {record.key.value(), record.what}; break;
    case Shape::kStateNote: out = {record.key.value(), record.what, name_of(record.start)}; break;
    case Shape::kKeys: {
      Value::Set keys;
      for (const Key& key : record.keys) keys.items.push_back(key.value());
      out = {record.what};
      if (!record.worker.empty()) out.push_back(record.worker);
      out.push_back(std::move(keys));
      break;
    }
  }
  out.push_back(record.stimulus_id);
  out.push_back(record.time);
  return out;
}

}  // namespace dask::worker
