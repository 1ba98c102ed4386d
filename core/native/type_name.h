// type_name<T>(): the name of a C++ type as people write it, the same in every build of a program: "int", "std::string",
// "std::vector<double>", "flights::Delay". Names of functions, results and errors are made of it.
// What it must not know: compilers' inner names of the standard library beyond the types that the codec knows.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <typeinfo>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace dask::native {

// A C++ type's readable name from typeid; also used for exceptions.
std::string demangled(const std::type_info& type);
std::string demangled(const char* mangled);

template <class T>
struct TypeName {
  static std::string get() { return demangled(typeid(T)); }
};

template <class T>
const std::string& type_name() {
  static const std::string name = TypeName<T>::get();
  return name;
}

// "A, B, C" of several types.
template <class... Ts>
std::string type_names() {
  std::string text;
  ((text += (text.empty() ? "" : ", ") + type_name<Ts>()), ...);
  return text;
}

template <>
struct TypeName<std::string> {
  static std::string get() { return "std::string"; }
};
template <class T, class A>
struct TypeName<std::vector<T, A>> {
  static std::string get() { return "std::vector<" + type_name<T>() + ">"; }
};
template <class T>
struct TypeName<std::optional<T>> {
  static std::string get() { return "std::optional<" + type_name<T>() + ">"; }
};
template <class T, std::size_t N>
struct TypeName<std::array<T, N>> {
  static std::string get() { return "std::array<" + type_name<T>() + ", " + std::to_string(N) + ">"; }
};
template <class A, class B>
struct TypeName<std::pair<A, B>> {
  static std::string get() { return "std::pair<" + type_names<A, B>() + ">"; }
};
template <class... Ts>
struct TypeName<std::tuple<Ts...>> {
  static std::string get() { return "std::tuple<" + type_names<Ts...>() + ">"; }
};
template <class K, class V, class C, class A>
struct TypeName<std::map<K, V, C, A>> {
  static std::string get() { return "std::map<" + type_names<K, V>() + ">"; }
};
template <class K, class V, class H, class E, class A>
struct TypeName<std::unordered_map<K, V, H, E, A>> {
  static std::string get() { return "std::unordered_map<" + type_names<K, V>() + ">"; }
};
template <class T, class C, class A>
struct TypeName<std::set<T, C, A>> {
  static std::string get() { return "std::set<" + type_name<T>() + ">"; }
};
template <class T, class H, class E, class A>
struct TypeName<std::unordered_set<T, H, E, A>> {
  static std::string get() { return "std::unordered_set<" + type_name<T>() + ">"; }
};

}  // namespace dask::native
