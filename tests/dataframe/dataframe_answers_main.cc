// Answers many questions about CSV files with our dataframe, as JSON, for comparison with pandas (test_dataframe_against_pandas.py).
// Reads one case a line from stdin: {"files": pattern, "blocksize": n, "sep": ",", "scheduler": name, "dtype": bool}; writes one line
// of answers for each. Columns are always i, f, n, b, s, k and the date made of y, m, d.
#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <iostream>
#include <memory>

#include "core/base/json.h"
#include "core/base/value.h"
#include "dask/client.h"
#include "dask/dataframe.h"
#include "dask/init.h"

namespace dd = dask::dataframe;
using dask::Value;

namespace {

Value value_of(const dd::Cell& cell) {
  return std::visit(
      [](const auto& v) -> Value {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::monostate>) {
          return nullptr;
        } else if constexpr (std::is_same_v<T, dd::Timestamp>) {
          return v.text();
        } else if constexpr (std::is_same_v<T, double>) {
          // JSON has no infinities.
          return std::isinf(v) ? Value(v > 0 ? "inf" : "-inf") : Value(v);
        } else {
          return v;
        }
      },
      cell.variant());
}

// [[label, value], …]
Value pairs_of(const dd::Column& column) {
  Value out = Value::array();
  for (std::int64_t row = 0; row < column.size(); ++row) out.push_back(Value::Array{value_of(column.label(row)), value_of(column[row])});
  return out;
}

Value rows_of(const dd::Table& table) {
  Value out = Value::map();
  for (const std::string& name : table.columns()) {
    const dd::Column column = table[name];
    Value values = Value::array();
    for (std::int64_t row = 0; row < column.size(); ++row) values.push_back(value_of(column[row]));
    out.set(name, std::move(values));
  }
  return out;
}

class Answers {
 public:
  explicit Answers(const Value& question) : options_{.scheduler = std::string(question["scheduler"].as_string())} {
    dd::ReadCsvOptions options{
        .sep = question["sep"].as_string()[0], .parse_dates = {{"Date", {"y", "m", "d"}}}, .blocksize = question["blocksize"].as_int()};
    if (question["dtype"].as_bool()) {
      options.dtype = {{"i", dd::int64}, {"f", dd::float64}, {"n", dd::float64}, {"b", dd::boolean}, {"s", dd::utf8}, {"k", dd::utf8}};
    }
    const auto df = dd::read_csv(std::string(question["files"].as_string()), options);
    // Some files have a column that nobody asks for, full of anything.
    std::vector<std::string> known = df.columns();
    std::erase(known, "unused");
    describe(df, known);
    reduce(df);
    filter(df);
    calculate(df);
    group(df);
  }

  Value take() { return std::move(answers_); }

 private:
  void give(const std::string& question, Value answer) { answers_.set(question, std::move(answer)); }
  void give(const std::string& question, const dd::Scalar& scalar) { give(question, value_of(scalar.compute(options_))); }
  void give(const std::string& question, const dd::Series& series) { give(question, pairs_of(series.compute(options_))); }

  void describe(const dd::DataFrame& all, const std::vector<std::string>& known) {
    const dd::DataFrame df = all[known];
    Value types = Value::map();
    for (const std::string& name : known) types.set(name, static_cast<int>(df.dtype(name)));
    give("types", std::move(types));
    give("len", Value(dd::len(df, options_)));
    give("rows", rows_of(df.compute(options_)));
    give("head", rows_of(df.head(3)));
    give("two columns", rows_of(df[{"k", "f"}].compute(options_)));
  }

  void reduce(const dd::DataFrame& df) {
    for (const std::string name : {"i", "f", "n", "b", "s", "k", "Date"}) {
      const dd::Series series = df[name];
      give("min " + name, series.min());
      give("max " + name, series.max());
      give("count " + name, series.count());
      if (series.dtype() == dd::utf8 || name == "Date") continue;
      give("sum " + name, series.sum());
      give("mean " + name, series.mean());
    }
  }

  void filter(const dd::DataFrame& df) {
    const auto with = [&](const std::string& name, const dd::Series& condition) {
      const dd::DataFrame fewer = df[condition];
      give("where " + name, Value::Array{Value(dd::len(fewer, options_)), value_of(fewer["i"].sum().compute(options_)),
                                         value_of(fewer["f"].mean().compute(options_))});
    };
    const auto i = df["i"], f = df["f"], n = df["n"], b = df["b"], s = df["s"], k = df["k"], date = df["Date"];
    with("f > 0", f > 0);
    with("b", b);
    with("!b", !b);
    with("i <= 10 & b", (i <= 10) & b);
    with("!b | n == 3", (!b) | (n == 3));
    with("f != 1.5", f != 1.5);
    with("1 < n", 1 < n);
    with("k == a", k == "a");
    with("k != a", k != "a");
    with("!(k == a)", !(k == "a"));
    with("k == a | b", (k == "a") | b);
    with("s > k", s > k);
    with("date >= 1995", date >= "1995-01-01");
    with("isna", f.isna() | k.isna());
    with("notna", s.notna() & date.notna());
    with("i == n", i == n);
    const dd::DataFrame twice = df[f > 0][b];
    give("twice", rows_of(twice[{"i", "s"}].compute(options_)));
  }

  void calculate(const dd::DataFrame& df) {
    const auto i = df["i"], f = df["f"], n = df["n"], b = df["b"], date = df["Date"];
    give("i + f", (i + f).sum());
    give("i * 2 - n", (i * 2 - n).mean());
    give("f / i", (f / i).count());
    give("-i", (-i).min());
    give("i / 2", (i / 2).max());
    give("i - 1 > f", (i - 1 > f).sum());
    give("b + i", (b + i).sum());
    give("1 - n", (1 - n).sum());
    give("year", date.dt().year().sum());
    give("month", date.dt().month().mean());
    give("day", date.dt().day().max());
    give("dayofweek", date.dt().dayofweek().sum());
    give("dayofyear", date.dt().dayofyear().sum());
  }

  void group(const dd::DataFrame& df) {
    for (const std::string key : {"k", "s", "i", "b", "n", "Date"}) {
      const auto groups = df.groupby(key);
      give("size by " + key, groups.size());
      for (const std::string name : {"f", "i", "b", "s"}) {
        const auto column = groups[name];
        give("count " + name + " by " + key, column.count());
        give("min " + name + " by " + key, column.min());
        give("max " + name + " by " + key, column.max());
        if (name == "s") continue;
        give("sum " + name + " by " + key, column.sum());
        give("mean " + name + " by " + key, column.mean());
      }
    }
    const auto flown = df[!df["b"]];
    give("mean f of !b by k", flown.groupby("k")["f"].mean());
    give("largest mean", flown.groupby("k")["f"].mean().max());
    give("mean f by dayofweek", df.groupby(df["Date"].dt().dayofweek())["f"].mean());
    give("mean f of !b by year", flown.groupby(df["Date"].dt().year())["f"].mean());
    give("sum i by i > 5", df.groupby(df["i"] > 5)["i"].sum());
    const auto sums = df.groupby("k")["i"].sum();
    give("sums over 10", sums[sums > 10]);
    give("mean of sums over 10", sums[sums > 10].mean());
    give("mean by k of means", df.groupby("k")["f"].mean().mean());
  }

  dask::ComputeOptions options_;
  Value answers_ = Value::map();
};

}  // namespace

int main(int argc, char** argv) {
  dask::init(argc, argv);
  std::unique_ptr<dask::Client> client;  // and its cluster, for the scheduler "distributed"
  std::string line;
  while (std::getline(std::cin, line)) {
    Value answers;
    if (const auto question = dask::parse_json(line)) {
      try {
        if ((*question)["scheduler"].as_string() == "distributed" && !client)
          client = std::make_unique<dask::Client>(dask::LocalClusterOptions{.n_workers = 2});
        answers = Answers(*question).take();
      } catch (const std::exception& error) {
        answers.set("error", error.what());
      }
    } else {
      answers.set("error", question.error().message);
    }
    std::cout << dask::to_json(answers) << '\n' << std::flush;
  }
  return 0;
}
