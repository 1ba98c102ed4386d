// Functions have stable names, take their arguments from bytes and dependencies, and turn what they throw into a failure.
#include "core/native/function.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "core/native/function_table.h"

namespace dask::native {
namespace flights {

struct NoSuchAirport : std::runtime_error {
  using std::runtime_error::runtime_error;
};
int inc(int x) { return x + 1; }
double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}
std::uint64_t address_of(const std::vector<int>& values) { return reinterpret_cast<std::uint64_t>(values.data()); }
std::vector<int> with_one_more(std::vector<int> values) {
  values.push_back(0);
  return values;
}
void check(std::string_view airport) {
  if (airport != "JFK") throw NoSuchAirport("no airport " + std::string(airport));
}
void give_up(int how) {
  if (how == 1) throw 7;
  if (how == 2) throw std::string("words");
  if (how == 3) throw std::vector<int>();
}
struct Delay {
  double minutes = 0;
  auto dask_fields() { return std::tie(minutes); }
  double hours() const { return minutes / 60; }
};
template <class T>
T twice(T x) {
  return 2 * x;
}

}  // namespace flights

namespace {

template <class... Args>
std::string arguments(const Args&... args) {
  Writer writer;
  writer.array(sizeof...(args));
  (write(writer, args), ...);
  return writer.out();
}
template <auto F, class... Args>
CallResult call(const Args&... args) {
  return registered<F>().call(arguments(args...), {});
}

TEST(NativeFunction, names_hold_namespace_and_signature) {
  EXPECT_EQ(registered<flights::inc>().name(), "dask::native::flights::inc(int)->int");
  EXPECT_EQ(registered<flights::inc>().short_name(), "inc");
  EXPECT_EQ(registered<flights::mean>().name(), "dask::native::flights::mean(std::vector<double>)->double");
  EXPECT_EQ(registered<flights::twice<int>>().short_name(), "twice");
  EXPECT_EQ(registered<&flights::Delay::hours>().short_name(), "hours");
  EXPECT_THAT(registered<flights::inc>().place(), testing::EndsWith("function_test.cc"));
}

TEST(NativeFunction, a_call_reads_its_arguments_from_bytes) {
  EXPECT_EQ(*call<flights::inc>(41)->get_if<int>(), 42);
  EXPECT_EQ(*call<flights::mean>(std::vector<double>{1, 2})->get_if<double>(), 1.5);
  EXPECT_EQ(*call<&flights::Delay::hours>(flights::Delay{90})->get_if<double>(), 1.5);
  EXPECT_EQ(call<flights::check>(std::string("JFK"))->type_name(), "dask::native::None");
}

TEST(NativeFunction, a_const_reference_sees_the_dependency_in_place_and_a_value_gets_a_copy) {
  const NativeValue value = NativeValue::of(std::vector<int>(3));
  Writer writer;
  writer.array(1);
  writer.dependency(0);
  const auto seen = registered<flights::address_of>().call(writer.out(), {&value, 1});
  EXPECT_EQ(*seen->get_if<std::uint64_t>(), reinterpret_cast<std::uint64_t>(value.get_if<std::vector<int>>()->data()));
  const auto longer = registered<flights::with_one_more>().call(writer.out(), {&value, 1});
  EXPECT_EQ(longer->get_if<std::vector<int>>()->size(), 4u);
  EXPECT_EQ(value.get_if<std::vector<int>>()->size(), 3u);
}

TEST(NativeFunction, dependencies_may_stand_inside_containers) {
  const NativeValue values[] = {NativeValue::of(1.0), NativeValue::of(3)};
  Writer writer;
  writer.array(1);
  writer.array(3);
  writer.dependency(0);
  writer.dependency(1);
  writer.real(5);
  EXPECT_EQ(*registered<flights::mean>().call(writer.out(), values)->get_if<double>(), 3.0);
}

TEST(NativeFunction, a_dependency_that_came_as_bytes_is_decoded_once) {
  const NativeValue value = NativeValue::from_serialized(*NativeValue::of(std::vector<int>(3)).serialize());
  Writer writer;
  writer.array(1);
  writer.dependency(0);
  const auto first = registered<flights::address_of>().call(writer.out(), {&value, 1});
  const auto second = registered<flights::address_of>().call(writer.out(), {&value, 1});
  EXPECT_EQ(*first->get_if<std::uint64_t>(), *second->get_if<std::uint64_t>());
}

TEST(NativeFunction, exceptions_become_failures_with_type_and_words) {
  const auto failed = call<flights::check>(std::string("QQQ"));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::kUserCode);
  EXPECT_EQ(failed.error().type, "dask::native::flights::NoSuchAirport");
  EXPECT_EQ(failed.error().message, "no airport QQQ");
  EXPECT_EQ(failed.error().text(), "dask::native::flights::NoSuchAirport: no airport QQQ");
  EXPECT_THROW(std::rethrow_exception(failed.error().exception), flights::NoSuchAirport);
  EXPECT_EQ(call<flights::give_up>(1).error().text(), "int: 7");
  EXPECT_EQ(call<flights::give_up>(2).error().text(), "std::string: words");
  EXPECT_EQ(call<flights::give_up>(3).error().message, "an exception that is no std::exception");
}

TEST(NativeFunction, arguments_that_do_not_fit_are_named) {
  EXPECT_EQ(call<flights::inc>(std::string("x")).error().text(), "argument 1: expected an integer, found text");
  EXPECT_EQ(call<flights::inc>(1, 2).error().text(), "the task's arguments are not a list of 1");
  Writer writer;
  writer.array(1);
  writer.dependency(3);
  EXPECT_EQ(registered<flights::inc>().call(writer.out(), {}).error().text(), "argument 1: dependency 3 of 0 is missing");
  EXPECT_FALSE(registered<flights::inc>().call("", {}));
}

TEST(NativeFunction, lambdas_of_one_place_have_names_of_their_own_with_the_build_id) {
  const NativeFunction& first = registered<[](int x) { return x + 1; }>();
  const NativeFunction& second = registered<[](int x) { return x + 2; }>();
  EXPECT_NE(first.name(), second.name());
  EXPECT_THAT(first.name(), testing::MatchesRegex(".*lambda.*@[0-9a-f]*"));
  EXPECT_EQ(first.short_name(), "lambda");
  EXPECT_EQ(*first.call(arguments(1), {})->get_if<int>(), 2);
}

TEST(FunctionTable, finds_functions_by_name_and_explains_what_is_missing) {
  const auto table = FunctionTable::of_registered();
  ASSERT_TRUE(table) << table.error().message;
  const NativeFunction& inc = registered<flights::inc>();
  EXPECT_EQ(table->find(inc.name()), &inc);
  EXPECT_THAT(table->require("nowhere()->int").error().message, testing::HasSubstr("--preload"));
  EXPECT_THAT(table->require("dask::native::flights::inc(int, int)->int").error().message,
              testing::HasSubstr("but dask::native::flights::inc(int)->int"));
  const std::string lambda = registered<[](int x) { return x + 3; }>().name();
  EXPECT_THAT(table->require(lambda.substr(0, lambda.size() - 16) + "0123456789abcdef").error().message,
              testing::HasSubstr("another build"));
}

CallResult first_of_two(std::string_view, std::span<const NativeValue>) { return NativeValue::of(1); }
CallResult second_of_two(std::string_view, std::span<const NativeValue>) { return NativeValue::of(2); }

// Registers for good: this is the last test of the program that makes a table.
TEST(FunctionTable, z_two_functions_under_one_name_are_named_with_both_places) {
  static const NativeFunction first({"same()->int", "same", "one.cc", "int", reinterpret_cast<const void*>(&first_of_two)}, first_of_two);
  static const NativeFunction second({"same()->int", "same", "two.cc", "int", reinterpret_cast<const void*>(&second_of_two)},
                                     second_of_two);
  const auto table = FunctionTable::of_registered();
  ASSERT_FALSE(table);
  EXPECT_THAT(table.error().message, testing::HasSubstr("same()->int: in one.cc and in two.cc"));
}

}  // namespace
}  // namespace dask::native
