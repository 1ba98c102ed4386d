// NativeValue: the result of a native task, of any type, reference counted: copying it is copying a pointer, so that values
// pass by reference between the tasks of one process. It knows its type's name, how many bytes it holds and how to become bytes.
//
// Invariants: (1) the value never changes once it is inside, so any thread may read it; (2) a value that came as bytes is decoded
// at most once per type that matches its name, by whoever first asks for that type: holding and forwarding needs no decoding.
// Thread safety: the count is atomic; a NativeValue object itself belongs to one thread, its copies may go to others.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/native/codec.h"

namespace dask::native {

// A value as bytes. frames[0] is msgpack (writer.h), the others are its big buffers.
struct Serialized {
  std::string type_name;
  bool plain = false;  // frames[0] is all there is and any reader of msgpack understands it (a Python peer's Serialize
                       // header {"serializer": "msgpack"} is then enough)
  std::vector<Bytes> frames;
};

// What a NativeValue points to. For this folder only.
class Box {
 public:
  virtual ~Box() = default;
  virtual std::string_view type_name() const = 0;
  virtual std::int64_t nbytes() const = 0;
  // The value when it is of that type, else null.
  virtual const void* data(const std::type_info& type) const = 0;
  virtual void write(Writer& writer) const = 0;

  mutable std::atomic<std::uint32_t> references{1};
};

class NativeValue {
 public:
  NativeValue() = default;
  NativeValue(const NativeValue& other) : box_(other.box_) {
    if (box_) box_->references.fetch_add(1, std::memory_order_relaxed);
  }
  NativeValue(NativeValue&& other) noexcept : box_(std::exchange(other.box_, nullptr)) {}
  NativeValue& operator=(NativeValue other) noexcept {
    std::swap(box_, other.box_);
    return *this;
  }
  ~NativeValue() { reset(); }

  // A live value.
  template <class T>
  static NativeValue of(T value);
  // A value that came as bytes; nothing is decoded yet.
  static NativeValue from_serialized(Serialized serialized);

  bool empty() const { return box_ == nullptr; }
  std::string_view type_name() const { return box_ ? box_->type_name() : std::string_view("nothing"); }
  std::int64_t nbytes() const { return box_ ? box_->nbytes() : 0; }

  // The value when it is a T, or bytes of a T (decoded now, once); else null. Lives as long as any copy of this NativeValue.
  template <class T>
  const T* get_if() const;
  // A copy as T, converted where the bytes allow it (int -> double, Python's int -> int). kInvalidArgument names both types.
  template <class T>
  Result<T> get_as() const;

  // As bytes; big buffers are shared with this value. What came as bytes is handed on as it came.
  Result<Serialized> serialize() const;

  // True when both are the same object in memory.
  bool same_as(const NativeValue& other) const { return box_ == other.box_; }

 private:
  explicit NativeValue(Box* box) : box_(box) {}
  void reset() {
    if (box_ && box_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete box_;
    box_ = nullptr;
  }
  // The bytes when the value came as bytes.
  const Serialized* serialized() const;
  // The decoded value of a value that came as bytes: keeps the first one that is offered and gives the one that is kept.
  const Box* keep_decoded(Box* decoded) const;

  Box* box_ = nullptr;
};

template <class T>
class TypedBox final : public Box {
 public:
  explicit TypedBox(T v) : value(std::move(v)) {}
  std::string_view type_name() const override { return native::type_name<T>(); }
  std::int64_t nbytes() const override { return nbytes_of(value); }
  const void* data(const std::type_info& type) const override { return type == typeid(T) ? &value : nullptr; }
  void write(Writer& writer) const override { native::write(writer, value); }

  T value;
};

template <class T>
NativeValue NativeValue::of(T value) {
  DASK_REQUIRE_SERIALIZABLE(T);
  if constexpr (Serializable<T>)
    return NativeValue(new TypedBox<T>(std::move(value)));
  else
    return {};
}

namespace detail {
// Decodes a whole value; false with the reader's error set.
template <class T>
bool decode(const Serialized& from, T& out, std::string& error) {
  const std::string_view head = from.frames.empty() ? std::string_view() : from.frames[0].view();
  Reader reader(head, from.frames.empty() ? std::span<const Bytes>() : std::span(from.frames).subspan(1));
  bool good = native::read(reader, out);
  if (good && !reader.done()) good = reader.fail("bytes behind the value");
  if (!good) error = reader.error();
  return good;
}
}  // namespace detail

template <class T>
const T* NativeValue::get_if() const {
  if (!box_) return nullptr;
  if (const void* data = box_->data(typeid(T))) return static_cast<const T*>(data);
  const Serialized* bytes = serialized();
  if (!bytes || bytes->type_name != native::type_name<T>()) return nullptr;
  auto decoded = std::make_unique<TypedBox<T>>(T{});
  std::string error;
  if (!detail::decode(*bytes, decoded->value, error)) return nullptr;
  return static_cast<const T*>(keep_decoded(decoded.release())->data(typeid(T)));
}

template <class T>
Result<T> NativeValue::get_as() const {
  if (const T* value = get_if<T>()) return *value;
  auto bytes = serialize();
  if (!bytes) return fail(bytes.error());
  T out{};
  std::string error;
  if (!detail::decode(*bytes, out, error))
    return fail(ErrorCode::kInvalidArgument,
                "a " + std::string(type_name()) + " cannot be read as " + native::type_name<T>() + ": " + error);
  return out;
}

template <class T>
bool read_dependency(Reader& reader, std::uint32_t index, T& out) {
  const NativeValue* value = reader.dependency(index);
  if (!value) return false;
  if (const T* same = value->get_if<T>()) {
    out = *same;
    return true;
  }
  auto converted = value->get_as<T>();
  if (!converted) return reader.fail(converted.error().message);
  out = *std::move(converted);
  return true;
}

}  // namespace dask::native
