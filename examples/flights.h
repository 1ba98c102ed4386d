// The tutorial's cells about flights: ten yearly files as one dataframe, asked on every scheduler and compared with pandas' answers
// (answers.json, which examples/tutorial.py leaves beside the files).
#pragma once

#include <dask/dask.h>
#include <dask/dataframe.h>

#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>

#include "core/base/json.h"
#include "report.h"

namespace tutorial {

namespace dd = dask::dataframe;

// pandas' answers, as far as they are known.
class FlightAnswers {
 public:
  explicit FlightAnswers(const std::string& folder) {
    std::ifstream file(folder + "/answers.json");
    if (auto all = dask::parse_json(std::string(std::istreambuf_iterator<char>(file), {}))) answers_ = (*all)["answers"];
  }
  template <class T>
  std::optional<T> number(const char* name) const {
    if (const dask::Value* value = answers_.find(name)) return static_cast<T>(value->as_double());
    return {};
  }
  template <class T>
  std::optional<std::map<std::string, T>> groups(const char* name) const {
    const dask::Value* value = answers_.find(name);
    if (!value || !value->map_if()) return {};
    std::map<std::string, T> out;
    for (const auto& [label, number] : *value->map_if()) out[std::string(label.as_string())] = static_cast<T>(number.as_double());
    return out;
  }

 private:
  dask::Value answers_;
};

class Flights {
 public:
  // Cells 2 to 4: the types of three columns cannot be guessed from the first file.
  Flights(Report& report, const std::string& folder) : report_(report), answers_(folder) {
    report.step("df = dd::read_csv(...)", [&] {
      df_.emplace(
          dd::read_csv(folder + "/*.csv", {.parse_dates = {{"Date", {0, 1, 2}}},
                                           .dtype = {{"TailNum", dd::utf8}, {"CRSElapsedTime", dd::float64}, {"Cancelled", dd::boolean}}}));
    });
    largest_delay_.emplace(df()[!df()["Cancelled"]].groupby("Origin")["DepDelay"].mean().max());
    report.note("largest_delay is lazy: " + largest_delay_->repr());
  }

  // Cell 5: the same question to three schedulers of this machine.
  void compute_locally() {
    for (const auto& [scheduler, seconds] : {std::pair("threading", 9.52), std::pair("processes", 19.35), std::pair("sync", 10.49)}) {
      ask_largest_delay(scheduler, seconds);
    }
  }

  // Cells 9 and 10, by whatever the default scheduler is.
  void compute_on_the_default() {
    const auto flown = df()[!df()["Cancelled"]];
    ask_largest_delay("distributed", 8.41);
    report_.step<long>(
        "how many rows?  len(df)", {}, [&] { return dd::len(df()); }, answers_.number<long>("rows"));
    report_.step<long>(
        "how many were not cancelled?  len(flown)", {}, [&] { return dd::len(flown); }, answers_.number<long>("flown"));
    ask<long>("how many from each airport?", flown.groupby("Origin")["Origin"].count(), "flown_by_origin");
    ask<double>("mean delay from each airport?", flown.groupby("Origin")["DepDelay"].mean(), "delay_by_origin");
    ask<double>("mean delay on each day of the week?", df().groupby(df()["Date"].dt().dayofweek())["DepDelay"].mean(), "delay_by_weekday");
  }

 private:
  const dd::DataFrame& df() const { return *df_; }

  void ask_largest_delay(const std::string& scheduler, double authors_seconds) {
    report_.step<double>(
        "largest_delay, " + scheduler, authors_seconds, [&]() -> double { return largest_delay_->compute({.scheduler = scheduler}); },
        answers_.number<double>("largest_delay"));
  }
  template <class T>
  void ask(const std::string& name, const dd::Series& series, const char* answer) {
    report_.step<std::map<std::string, T>>(
        name, {},
        [&] {
          std::map<std::string, T> out;
          const dd::Column column = series.compute();
          for (std::int64_t row = 0; row < column.size(); ++row) out[column.label(row).text()] = static_cast<T>(column[row].number());
          return out;
        },
        answers_.groups<T>(answer));
  }

  Report& report_;
  FlightAnswers answers_;
  std::optional<dd::DataFrame> df_;
  std::optional<dd::Scalar> largest_delay_;
};

}  // namespace tutorial
