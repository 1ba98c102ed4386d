#include "core/native/value.h"

#include "core/native/failure.h"

namespace dask::native {
namespace {

// A value that came as bytes, and the decoded value once somebody asked for it.
class SerializedBox final : public Box {
 public:
  explicit SerializedBox(Serialized from) : serialized(std::move(from)) {
    for (const Bytes& frame : serialized.frames) bytes_ += static_cast<std::int64_t>(frame.size());
  }
  ~SerializedBox() override { delete decoded.load(std::memory_order_acquire); }

  std::string_view type_name() const override { return serialized.type_name; }
  std::int64_t nbytes() const override { return bytes_; }
  const void* data(const std::type_info& type) const override {
    const Box* box = decoded.load(std::memory_order_acquire);
    return box ? box->data(type) : nullptr;
  }
  void write(Writer&) const override {}  // NativeValue::serialize() hands on what came

  const Serialized serialized;
  mutable std::atomic<const Box*> decoded{nullptr};

 private:
  std::int64_t bytes_ = 0;
};

}  // namespace

NativeValue NativeValue::from_serialized(Serialized serialized) { return NativeValue(new SerializedBox(std::move(serialized))); }

const Serialized* NativeValue::serialized() const {
  const auto* box = dynamic_cast<const SerializedBox*>(box_);
  return box ? &box->serialized : nullptr;
}

const Box* NativeValue::keep_decoded(Box* decoded) const {
  const auto* box = static_cast<const SerializedBox*>(box_);
  const Box* kept = nullptr;
  if (box->decoded.compare_exchange_strong(kept, decoded, std::memory_order_acq_rel)) return decoded;
  delete decoded;
  return kept;
}

Result<Serialized> NativeValue::serialize() const {
  if (!box_) return fail(ErrorCode::kNotFound, "there is no value to serialise");
  if (const Serialized* bytes = serialized()) return *bytes;
  // The frames may share this value's memory: they keep it alive.
  Writer writer(Writer::Form::kFrames, std::make_shared<NativeValue>(*this));
  try {
    box_->write(writer);
  } catch (...) {
    return fail(ErrorCode::kUserCode, "a " + std::string(type_name()) + " cannot be serialised: " + current_failure().text());
  }
  if (!writer.error().empty()) return fail(ErrorCode::kLimit, "a " + std::string(type_name()) + " cannot be serialised: " + writer.error());
  Serialized out;
  out.type_name = std::string(type_name());
  out.plain = writer.plain();
  out.frames = writer.take_frames();
  return out;
}

}  // namespace dask::native
