// Codec<T>: how a C++ type is written and read. Known: bool, integers, float, double, enums, std::string, std::vector, array,
// optional, pair, tuple, map, unordered_map, set, unordered_set, Protobuf messages, and types of the user in one of two ways:
//
//   struct Point { double x = 0, y = 0; auto dask_fields() { return std::tie(x, y); } };      // the usual way
//
//   template <> struct dask::native::Codec<Mesh> {                                            // full control
//     static void write(Writer& writer, const Mesh& mesh);
//     static bool read(Reader& reader, Mesh& mesh);              // false: reader.fail("why")
//     static std::int64_t nbytes(const Mesh& mesh);              // optional
//   };
//
// Any other type is refused at compile time by DASK_REQUIRE_SERIALIZABLE with one readable error.
#pragma once

#include <array>
#include <concepts>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/native/type_name.h"
#include "core/native/writer.h"

namespace dask::native {

// The result of a function that returns void; Python's None.
struct None {
  friend bool operator==(None, None) { return true; }
};

template <class T>
struct Codec;  // no definition: T cannot be sent

namespace detail {
template <class T>
concept HasCodec = requires(Writer& writer, Reader& reader, const T& in, T& out) {
  Codec<T>::write(writer, in);
  { Codec<T>::read(reader, out) } -> std::convertible_to<bool>;
};
template <class T>
concept HasFields = requires(T& t) {
  std::tuple_size<decltype(t.dask_fields())>::value;
};
template <class T>
concept ProtobufMessage = requires(const T& in, T& out, std::string* text, const void* data, int size) {
  { in.SerializeToString(text) } -> std::same_as<bool>;
  { out.ParseFromArray(data, size) } -> std::same_as<bool>;
  { in.ByteSizeLong() } -> std::convertible_to<std::size_t>;
};
template <class T>
concept Number = std::is_arithmetic_v<T> && !std::same_as<T, bool> && !std::same_as<T, long double>;
// Letters of Python's struct module with its standard sizes.
template <Number T>
constexpr char letter() {
  if constexpr (std::is_floating_point_v<T>) return sizeof(T) == 4 ? 'f' : 'd';
  constexpr char kSigned[] = {'b', 'h', 'i', 'q'}, kUnsigned[] = {'B', 'H', 'I', 'Q'};
  constexpr int kIndex = sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 1 : sizeof(T) == 4 ? 2 : 3;
  return std::is_signed_v<T> ? kSigned[kIndex] : kUnsigned[kIndex];
}
}  // namespace detail

// T can be the argument or the result of a task.
template <class T>
concept Serializable = std::default_initializable<T> && std::copy_constructible<T> && detail::HasCodec<T>;

#define DASK_REQUIRE_SERIALIZABLE(...)                                                                                     \
  static_assert(::dask::native::Serializable<__VA_ARGS__>,                                                                 \
                "dask: this type cannot be an argument or a result of a task, because nothing says how it becomes bytes. " \
                "Give it a member  auto dask_fields() { return std::tie(a, b, ...); }  (and a default constructor), "      \
                "specialise dask::native::Codec for it, or use a Protobuf message")

// Writes and reads a value of any serialisable type. `read` also takes the mark of a dependency, at any depth. What has no codec
// was refused in words before: here it is passed over, so that the compiler has nothing to add.
template <class T>
void write(Writer& writer, const T& value) {
  if constexpr (detail::HasCodec<T>) Codec<T>::write(writer, value);
}
template <class T>
bool read_dependency(Reader& reader, std::uint32_t index, T& out);  // in value.h
template <class T>
bool read(Reader& reader, T& out) {
  if (std::uint32_t index = 0; reader.take_dependency(index)) [[unlikely]]
    return read_dependency(reader, index, out);
  if constexpr (detail::HasCodec<T>)
    return Codec<T>::read(reader, out);
  else
    return false;
}

// Bytes that a value holds in memory, roughly: what the scheduler and the memory limits count.
template <class T>
std::int64_t nbytes_of(const T& value) {
  if constexpr (requires {
                  { Codec<T>::nbytes(value) } -> std::convertible_to<std::int64_t>;
                })
    return Codec<T>::nbytes(value);
  else
    return static_cast<std::int64_t>(sizeof(T));
}

// ---- scalars ---------------------------------------------------------------------------------------------------------------

template <>
struct Codec<None> {
  static void write(Writer& w, const None&) { w.nil(); }
  static bool read(Reader& r, None&) { return r.nil(); }
};
template <>
struct Codec<bool> {
  static void write(Writer& w, const bool& v) { w.boolean(v); }
  static bool read(Reader& r, bool& v) { return r.boolean(v); }
};
template <class T>
requires(detail::Number<T>&& std::is_integral_v<T>) struct Codec<T> {
  static void write(Writer& w, const T& v) {
    if constexpr (std::is_signed_v<T>)
      w.integer(v);
    else
      w.unsigned_integer(v);
  }
  static bool read(Reader& r, T& v) {
    std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t> wide = 0;
    if constexpr (std::is_signed_v<T>) {
      if (!r.integer(wide)) return false;
    } else {
      if (!r.unsigned_integer(wide)) return false;
    }
    if (!std::in_range<WideFor>(wide)) return r.fail(std::to_string(wide) + " does not fit into " + type_name<T>());
    v = static_cast<T>(wide);
    return true;
  }

 private:
  // std::in_range takes no character types.
  using WideFor = std::conditional_t<
      std::is_signed_v<T>,
      std::conditional_t<sizeof(T) == 1, std::int8_t,
                         std::conditional_t<sizeof(T) == 2, std::int16_t, std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>>>,
      std::conditional_t<
          sizeof(T) == 1, std::uint8_t,
          std::conditional_t<sizeof(T) == 2, std::uint16_t, std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>>>;
};
template <class T>
requires(detail::Number<T>&& std::is_floating_point_v<T>) struct Codec<T> {
  static void write(Writer& w, const T& v) { w.real(v); }
  static bool read(Reader& r, T& v) {
    double wide = 0;
    if (!r.real(wide)) return false;
    v = static_cast<T>(wide);
    return true;
  }
};
template <class T>
requires std::is_enum_v<T>
struct Codec<T> {
  using Underlying = std::underlying_type_t<T>;
  static void write(Writer& w, const T& v) { Codec<Underlying>::write(w, static_cast<Underlying>(v)); }
  static bool read(Reader& r, T& v) {
    Underlying number{};
    if (!Codec<Underlying>::read(r, number)) return false;
    v = static_cast<T>(number);
    return true;
  }
};
template <>
struct Codec<std::string> {
  static void write(Writer& w, const std::string& v) { w.string(v); }
  static bool read(Reader& r, std::string& v) {
    std::string_view text;
    if (!r.string(text)) return false;
    v = text;
    return true;
  }
  static std::int64_t nbytes(const std::string& v) { return static_cast<std::int64_t>(sizeof v + v.size()); }
};
// Bytes are Python's bytes; the memory is shared where it can be.
template <>
struct Codec<Bytes> {
  static void write(Writer& w, const Bytes& v) { w.binary(v); }
  static bool read(Reader& r, Bytes& v) { return r.binary(v); }
  static std::int64_t nbytes(const Bytes& v) { return static_cast<std::int64_t>(sizeof v + v.size()); }
};

// ---- containers ------------------------------------------------------------------------------------------------------------

namespace detail {
// Nothing is reserved for more elements than bytes follow.
template <class Container>
bool read_elements(Reader& r, Container& out) {
  std::size_t size = 0;
  if (!r.array(size)) return false;
  out.clear();
  if constexpr (requires { out.reserve(size); }) out.reserve(size);
  for (std::size_t i = 0; i < size; ++i) {
    typename Container::value_type element{};
    if (!native::read(r, element)) return false;
    out.insert(out.end(), std::move(element));
  }
  return true;
}
template <class Container>
void write_elements(Writer& w, const Container& in) {
  w.array(in.size());
  for (const auto& element : in) native::write<typename Container::value_type>(w, element);
}
template <class Container>
std::int64_t elements_nbytes(const Container& in) {
  using T = typename Container::value_type;
  std::int64_t sum = sizeof(in);
  if constexpr (requires(const T& t) { Codec<T>::nbytes(t); }) {
    for (const auto& element : in) sum += nbytes_of<T>(element);
  } else {
    sum += static_cast<std::int64_t>(in.size() * sizeof(T));
  }
  return sum;
}
template <class From, class T>
bool unpack(Reader& r, std::string_view raw, std::vector<T>& out) {
  if (raw.size() % sizeof(From) != 0) return r.fail("packed numbers are cut off");
  out.resize(raw.size() / sizeof(From));
  if constexpr (std::is_same_v<From, T>) {
    if (!raw.empty()) std::memcpy(out.data(), raw.data(), raw.size());
    return true;
  } else {
    for (std::size_t i = 0; i < out.size(); ++i) {
      From number;
      std::memcpy(&number, raw.data() + i * sizeof(From), sizeof(From));
      if constexpr (std::is_integral_v<T> && !std::is_integral_v<From>) {
        return r.fail("the list holds floating-point numbers, not " + type_name<T>());
      } else {
        out[i] = static_cast<T>(number);
        if constexpr (std::is_integral_v<T>)
          if (static_cast<From>(out[i]) != number || (out[i] < T{}) != (number < From{}))
            return r.fail(std::to_string(number) + " does not fit into " + type_name<T>());
      }
    }
    return true;
  }
}
template <class T>
bool read_numbers(Reader& r, std::vector<T>& out) {
  char kind = 0;
  std::string_view raw;
  if (!r.numbers(kind, raw)) return false;
  switch (kind) {
    case 'h': return unpack<std::int16_t>(r, raw, out);
    case 'H': return unpack<std::uint16_t>(r, raw, out);
    case 'i': return unpack<std::int32_t>(r, raw, out);
    case 'I': return unpack<std::uint32_t>(r, raw, out);
    case 'q': return unpack<std::int64_t>(r, raw, out);
    case 'Q': return unpack<std::uint64_t>(r, raw, out);
    case 'f': return unpack<float>(r, raw, out);
    case 'd': return unpack<double>(r, raw, out);
    default: return r.fail("packed numbers of an unknown kind");
  }
}
template <class T>
concept Byte = std::same_as<T, char> || std::same_as<T, unsigned char> || std::same_as<T, std::byte>;
}  // namespace detail

template <class T>
requires(detail::HasCodec<T> && !detail::Byte<T>) struct Codec<std::vector<T>> {
  static constexpr bool kPacked = detail::Number<T> && sizeof(T) > 1;
  static void write(Writer& w, const std::vector<T>& v) {
    if constexpr (kPacked) {
      if (v.size() >= kPackedNumbersMin) return w.numbers(detail::letter<T>(), v.data(), v.size(), sizeof(T));
    }
    detail::write_elements(w, v);
  }
  static bool read(Reader& r, std::vector<T>& v) {
    if constexpr (kPacked) {
      if (r.at_numbers()) return detail::read_numbers(r, v);
    }
    return detail::read_elements(r, v);
  }
  static std::int64_t nbytes(const std::vector<T>& v) { return detail::elements_nbytes(v); }
};
template <detail::Byte T>
struct Codec<std::vector<T>> {
  static void write(Writer& w, const std::vector<T>& v) { w.binary(std::string_view(reinterpret_cast<const char*>(v.data()), v.size())); }
  static bool read(Reader& r, std::vector<T>& v) {
    Bytes bytes;
    if (!r.binary(bytes)) return false;
    v.resize(bytes.size());
    if (!bytes.empty()) std::memcpy(v.data(), bytes.data(), bytes.size());
    return true;
  }
  static std::int64_t nbytes(const std::vector<T>& v) { return static_cast<std::int64_t>(sizeof v + v.size()); }
};
template <class T, std::size_t N>
requires detail::HasCodec<T>
struct Codec<std::array<T, N>> {
  static void write(Writer& w, const std::array<T, N>& v) { detail::write_elements(w, v); }
  static bool read(Reader& r, std::array<T, N>& v) {
    std::size_t size = 0;
    if (!r.array(size)) return false;
    if (size != N) return r.fail("a list of " + std::to_string(size) + " elements is no " + type_name<std::array<T, N>>());
    for (T& element : v)
      if (!native::read(r, element)) return false;
    return true;
  }
  static std::int64_t nbytes(const std::array<T, N>& v) { return detail::elements_nbytes(v); }
};
template <class T, class C>
requires detail::HasCodec<T>
struct Codec<std::set<T, C>> {
  static void write(Writer& w, const std::set<T, C>& v) { detail::write_elements(w, v); }
  static bool read(Reader& r, std::set<T, C>& v) { return detail::read_elements(r, v); }
  static std::int64_t nbytes(const std::set<T, C>& v) { return detail::elements_nbytes(v); }
};
template <class T, class H, class E>
requires detail::HasCodec<T>
struct Codec<std::unordered_set<T, H, E>> {
  static void write(Writer& w, const std::unordered_set<T, H, E>& v) { detail::write_elements(w, v); }
  static bool read(Reader& r, std::unordered_set<T, H, E>& v) { return detail::read_elements(r, v); }
  static std::int64_t nbytes(const std::unordered_set<T, H, E>& v) { return detail::elements_nbytes(v); }
};
template <class T>
requires detail::HasCodec<T>
struct Codec<std::optional<T>> {
  static void write(Writer& w, const std::optional<T>& v) {
    if (v)
      native::write(w, *v);
    else
      w.nil();
  }
  static bool read(Reader& r, std::optional<T>& v) {
    v.reset();
    if (r.at_nil()) return r.nil();
    return native::read(r, v.emplace());
  }
  static std::int64_t nbytes(const std::optional<T>& v) { return static_cast<std::int64_t>(sizeof v) + (v ? nbytes_of(*v) : 0); }
};

namespace detail {
template <class Tuple>
void write_tuple(Writer& w, const Tuple& v) {
  w.array(std::tuple_size_v<Tuple>);
  std::apply([&w](const auto&... element) { (native::write<std::remove_cvref_t<decltype(element)>>(w, element), ...); }, v);
}
template <class Tuple>
bool read_tuple(Reader& r, Tuple& v, std::string_view what) {
  std::size_t size = 0;
  if (!r.array(size)) return false;
  if (size != std::tuple_size_v<Tuple>) return r.fail("a list of " + std::to_string(size) + " elements is no " + std::string(what));
  return std::apply([&r](auto&... element) { return (native::read<std::remove_cvref_t<decltype(element)>>(r, element) && ...); }, v);
}
template <class Tuple>
std::int64_t tuple_nbytes(const Tuple& v) {
  return std::apply([](const auto&... element) { return (std::int64_t{0} + ... + nbytes_of(element)); }, v);
}
template <class Map>
void write_map(Writer& w, const Map& v) {
  w.map(v.size());
  for (const auto& [key, value] : v) {
    native::write<typename Map::key_type>(w, key);
    native::write<typename Map::mapped_type>(w, value);
  }
}
template <class Map>
bool read_map(Reader& r, Map& v) {
  std::size_t pairs = 0;
  if (!r.map(pairs)) return false;
  v.clear();
  for (std::size_t i = 0; i < pairs; ++i) {
    typename Map::key_type key{};
    if (!native::read(r, key) || !native::read(r, v[std::move(key)])) return false;
  }
  return true;
}
template <class Map>
std::int64_t map_nbytes(const Map& v) {
  std::int64_t sum = sizeof v;
  for (const auto& [key, value] : v) sum += nbytes_of(key) + nbytes_of(value);
  return sum;
}
}  // namespace detail

template <class A, class B>
requires(detail::HasCodec<A>&& detail::HasCodec<B>) struct Codec<std::pair<A, B>> {
  static void write(Writer& w, const std::pair<A, B>& v) { detail::write_tuple(w, v); }
  static bool read(Reader& r, std::pair<A, B>& v) { return detail::read_tuple(r, v, "pair"); }
  static std::int64_t nbytes(const std::pair<A, B>& v) { return detail::tuple_nbytes(v); }
};
template <class... Ts>
requires(detail::HasCodec<Ts>&&...) struct Codec<std::tuple<Ts...>> {
  static void write(Writer& w, const std::tuple<Ts...>& v) { detail::write_tuple(w, v); }
  static bool read(Reader& r, std::tuple<Ts...>& v) { return detail::read_tuple(r, v, "tuple of " + std::to_string(sizeof...(Ts))); }
  static std::int64_t nbytes(const std::tuple<Ts...>& v) { return detail::tuple_nbytes(v); }
};
template <class K, class V, class C>
requires(detail::HasCodec<K>&& detail::HasCodec<V>) struct Codec<std::map<K, V, C>> {
  static void write(Writer& w, const std::map<K, V, C>& v) { detail::write_map(w, v); }
  static bool read(Reader& r, std::map<K, V, C>& v) { return detail::read_map(r, v); }
  static std::int64_t nbytes(const std::map<K, V, C>& v) { return detail::map_nbytes(v); }
};
template <class K, class V, class H, class E>
requires(detail::HasCodec<K>&& detail::HasCodec<V>) struct Codec<std::unordered_map<K, V, H, E>> {
  static void write(Writer& w, const std::unordered_map<K, V, H, E>& v) { detail::write_map(w, v); }
  static bool read(Reader& r, std::unordered_map<K, V, H, E>& v) { return detail::read_map(r, v); }
  static std::int64_t nbytes(const std::unordered_map<K, V, H, E>& v) { return detail::map_nbytes(v); }
};

// ---- types of the user -----------------------------------------------------------------------------------------------------

// dask_fields() only ties the members, so that one member function serves both directions.
template <detail::HasFields T>
struct Codec<T> {
  static auto fields(const T& v) { return const_cast<T&>(v).dask_fields(); }
  static void write(Writer& w, const T& v) {
    std::apply(
        [&w](const auto&... field) {
          w.array(sizeof...(field));
          (write_field(w, field), ...);
        },
        fields(v));
  }
  static bool read(Reader& r, T& v) {
    auto all = v.dask_fields();
    std::size_t size = 0;
    if (!r.array(size)) return false;
    if (size != std::tuple_size_v<decltype(all)>) return r.fail(std::to_string(size) + " fields are no " + type_name<T>());
    return std::apply([&r](auto&... field) { return (native::read(r, field) && ...); }, all);
  }
  static std::int64_t nbytes(const T& v) {
    return std::apply([](const auto&... field) { return (std::int64_t{0} + ... + nbytes_of(field)); }, fields(v));
  }

 private:
  template <class Field>
  static void write_field(Writer& w, const Field& field) {
    DASK_REQUIRE_SERIALIZABLE(Field);
    if constexpr (Serializable<Field>) native::write(w, field);
  }
};

template <detail::ProtobufMessage T>
struct Codec<T> {
  static void write(Writer& w, const T& v) {
    std::string bytes;
    if (!v.SerializeToString(&bytes))
      return w.fail("the Protobuf message " + type_name<T>() + " cannot be serialised (required fields, or over 2 GiB)");
    w.binary(Bytes::own(std::move(bytes)));
  }
  static bool read(Reader& r, T& v) {
    Bytes bytes;
    if (!r.binary(bytes)) return false;
    if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()) ||
        !v.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
      return r.fail("the bytes are no " + type_name<T>());
    return true;
  }
  static std::int64_t nbytes(const T& v) { return static_cast<std::int64_t>(sizeof v + v.ByteSizeLong()); }
};

}  // namespace dask::native
