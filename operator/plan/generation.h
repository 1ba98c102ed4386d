// Whether somebody else has changed a Deployment's spec. Every write that changes the spec raises metadata.generation by one, and an
// annotation says which generation our own writes explain: "3", or "4?" when an apply was to raise it. Whether it did is not known before
// the next look: a change by hand may have been to what is not ours. So a guess is confirmed by one more apply, as the generation that was
// seen then is surely explained by it; a guess that stood would hide the next change by hand.
#pragma once

#include <string>

#include "operator/api/meta.h"

namespace dask::kube {

// Whether the generation is above what our writes explain, or nothing says what they explain.
bool is_edited(const ObjectMeta& meta);
// Whether what the annotation says is a guess.
bool is_guess(const ObjectMeta& meta);
// Makes an apply's body say what it explains, and only of `present`, unless that is null: were it gone, a new object would begin at 1.
// `changes`: the spec may become another one; else it only confirms.
void explain(Value& body, ObjectRef& object, const ObjectMeta* present, bool changes);

}  // namespace dask::kube
