// What the Python operator leaves behind on objects: a finalizer that nobody would ever take away again, and its memory in annotations.
#pragma once

#include "operator/plan/draft.h"

namespace dask::kube {

void migrate(Draft& draft, Kind kind, const ObjectMeta& meta);
// The patch that takes them away; nil when there is nothing to take.
Value migration_of(Kind kind, const ObjectMeta& meta);

}  // namespace dask::kube
