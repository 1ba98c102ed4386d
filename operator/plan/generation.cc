#include "operator/plan/generation.h"

#include <charconv>

#include "operator/plan/plan.h"

namespace dask::kube {
namespace {

constexpr char kGuess = '?';

std::int64_t explained(const ObjectMeta& meta) {
  std::int64_t generation = -1;
  const std::string_view text = meta.annotation(kGenerationAnnotation);
  std::from_chars(text.data(), text.data() + text.size(), generation);
  return generation;
}

}  // namespace

bool is_edited(const ObjectMeta& meta) {
  const std::int64_t generation = explained(meta);
  return generation < 0 || meta.generation > generation;
}

bool is_guess(const ObjectMeta& meta) { return meta.annotation(kGenerationAnnotation).ends_with(kGuess); }

void explain(Value& body, ObjectRef& object, const ObjectMeta* present, bool changes) {
  std::string generation = "1";
  if (present) generation = changes ? std::to_string(present->generation + 1) + kGuess : std::to_string(present->generation);
  Value metadata = body["metadata"];
  merge_patch(metadata, Value(Value::Map{{"annotations", Value(Value::Map{{kGenerationAnnotation, std::move(generation)}})}}));
  if (present) {
    metadata.set("uid", present->uid);
    object.uid = present->uid;
  }
  body.set("metadata", std::move(metadata));
}

}  // namespace dask::kube
