// Fields to values: exactly what strtod gives, pandas' spellings of missing values and truths, dates.
#include "collections/dataframe/csv/parse.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <random>

#include "collections/dataframe/base/calendar.h"

namespace dask::dataframe::csv {
namespace {

// In a buffer as a reader's: eight readable bytes behind the field, of the worst kind.
template <class T, class Parse>
Parsed parse_in_buffer(const std::string& text, T& out, Parse parse) {
  const std::string buffer = text + ",1.2.3,4567890";
  return parse(std::string_view(buffer.data(), text.size()), out);
}
Parsed number(const std::string& text, double& out) { return parse_in_buffer(text, out, parse_float); }
Parsed whole(const std::string& text, std::int64_t& out) { return parse_in_buffer(text, out, parse_int); }

TEST(Parse, floats_are_exactly_those_of_strtod) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 200'000; ++i) {
    std::string text = random() % 3 == 0 ? "-" : "";
    for (auto n = random() % 9; n > 0; --n) text += static_cast<char>('0' + random() % 10);
    if (random() % 2) {
      text += '.';
      for (auto n = random() % 9; n > 0; --n) text += static_cast<char>('0' + random() % 10);
    }
    if (random() % 8 == 0) text += "e" + std::to_string(static_cast<int>(random() % 60) - 30);
    if (text.find_first_of("0123456789") == std::string::npos || text[text.find_first_not_of("-.")] == 'e') continue;
    double ours = 0;
    ASSERT_EQ(number(text, ours), Parsed::kValue) << text;
    ASSERT_EQ(ours, std::strtod(text.c_str(), nullptr)) << text;
  }
}

TEST(Parse, what_is_no_number_is_said_to_be_wrong) {
  double real = 0;
  std::int64_t integer = 0;
  for (const char* text : {".", "-", "+", "1.2.3", "1,5", "a", "1a", "--1", "0x10", "1e", "1_000", "\"1\"", "1 2", "/", ":", "12:30"}) {
    EXPECT_EQ(number(text, real), Parsed::kWrong) << text;
    EXPECT_EQ(whole(text, integer), Parsed::kWrong) << text;
  }
  for (const char* text : {"1.0", "9223372036854775808", "-9223372036854775808", "1e3"})
    EXPECT_EQ(whole(text, integer), Parsed::kWrong) << text;
}

TEST(Parse, whole_numbers_of_all_lengths) {
  for (std::int64_t n : {0LL, 7LL, -7LL, 10LL, 12345678LL, -12345678LL, 123456789LL, 9223372036854775807LL, -9223372036854775807LL}) {
    std::int64_t out = 1;
    EXPECT_EQ(whole(std::to_string(n), out), Parsed::kValue);
    EXPECT_EQ(out, n);
  }
  std::int64_t out = 0;
  EXPECT_EQ(whole(" +42 ", out), Parsed::kValue);
  EXPECT_EQ(out, 42);
}

TEST(Parse, pandas_spellings_of_missing_values) {
  for (const char* text : {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
                           "NULL", "NaN", "None", "n/a", "nan", "null"}) {
    double real = 0;
    std::int64_t integer = 0;
    EXPECT_TRUE(is_missing(text)) << text;
    EXPECT_EQ(number(text, real), Parsed::kMissing) << text;
    EXPECT_TRUE(std::isnan(real));
    EXPECT_EQ(whole(text, integer), Parsed::kMissing) << text;
  }
  for (const char* text : {"na", "Na", "none", "NONE", " ", "N", "0"}) EXPECT_FALSE(is_missing(text)) << text;
}

TEST(Parse, infinities_and_numbers_beyond_a_double) {
  double out = 0;
  for (const char* text : {"inf", "Infinity", "+inf", "1e999"}) {
    EXPECT_EQ(number(text, out), Parsed::kValue) << text;
    EXPECT_EQ(out, std::numeric_limits<double>::infinity()) << text;
  }
  EXPECT_EQ(number("1e-999", out), Parsed::kValue);
  EXPECT_EQ(out, 0.0);
}

TEST(Parse, truths_are_words_or_numbers) {
  std::uint8_t out = 0;
  for (const char* text : {"True", "TRUE", "true", "1", "1.0", "2"})
    EXPECT_TRUE(parse_bool(text, out) == Parsed::kValue && out == 1) << text;
  for (const char* text : {"False", "FALSE", "false", "0", "0.0"}) EXPECT_TRUE(parse_bool(text, out) == Parsed::kValue && out == 0) << text;
  EXPECT_EQ(parse_bool("yes", out), Parsed::kWrong);
  EXPECT_EQ(parse_bool("", out), Parsed::kMissing);
}

TEST(Parse, dates_in_their_forms_and_back) {
  std::int64_t out = 0;
  for (const char* text : {"1990-12-31", "1990/12/31", "1990 12 31", "1990.12.31", "19901231"}) {
    ASSERT_EQ(parse_timestamp(text, out), Parsed::kValue) << text;
    EXPECT_EQ(timestamp_text(out, true), "1990-12-31") << text;
  }
  ASSERT_EQ(parse_timestamp("1990-1-2T03:04:05.250", out), Parsed::kValue);
  EXPECT_EQ(timestamp_text(out, false), "1990-01-02 03:04:05.250000");
  for (const char* text :
       {"1990-13-01", "1990-02-29", "1990-00-01", "1990-1", "90-1-1", "1990-01/01", "1990-01-01 25:00", "2300-01-01", "today"}) {
    EXPECT_EQ(parse_timestamp(text, out), Parsed::kWrong) << text;
  }
  EXPECT_EQ(parse_timestamp("", out), Parsed::kMissing);
  EXPECT_EQ(out, kNaT);
}

TEST(Parse, every_day_of_400_years_has_its_number) {
  std::int64_t expected = 0;
  ASSERT_TRUE(days_from_civil(1800, 1, 1, expected));
  for (int year = 1800; year < 2200; ++year) {
    for (int month = 1; month <= 12; ++month) {
      for (int day = 1; day <= 31; ++day) {
        std::int64_t days = 0;
        if (!days_from_civil(year, month, day, days)) continue;
        ASSERT_EQ(days, expected++);
        const CivilDate date = civil_from_days(days);
        ASSERT_TRUE(date.year == year && date.month == month && date.day == day);
      }
    }
  }
}

}  // namespace
}  // namespace dask::dataframe::csv
