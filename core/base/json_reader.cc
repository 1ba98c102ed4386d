// The reading half of json.h: nlohmann's parser, which calls back for each token, builds the Value. The only user of nlohmann here.
#include <nlohmann/json.hpp>

#include "core/base/json.h"

namespace dask {
namespace {

using Json = nlohmann::json;

class Builder final : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return add(Value()); }
  bool boolean(bool v) override { return add(Value(v)); }
  bool number_integer(number_integer_t v) override { return add(Value(v)); }
  bool number_unsigned(number_unsigned_t v) override { return add(Value(v)); }
  bool number_float(number_float_t v, const string_t&) override { return add(Value(v)); }
  bool string(string_t& v) override { return add(Value(std::move(v))); }
  bool binary(binary_t&) override { return refuse("binary data"); }
  bool start_object(std::size_t) override { return open(Value::map()); }
  bool key(string_t& v) override {
    open_.back().key = std::move(v);
    return true;
  }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(Value::array()); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& e) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ...": the part after the bracket is for people.
    std::string what = e.what();
    if (std::size_t bracket = what.find("] "); bracket != std::string::npos) what.erase(0, bracket + 2);
    error_ = "not JSON at byte " + std::to_string(position) + ": " + what;
    return false;
  }

  Value root;
  const std::string& error() const { return error_; }

 private:
  struct Level {
    Value value;
    std::string key;
  };
  bool refuse(std::string what) {
    error_ = "not accepted in JSON: " + std::move(what);
    return false;
  }
  bool add(Value value) {
    if (open_.empty())
      root = std::move(value);
    else if (auto* map =
                 std::get_if<Value::Map>(&open_.back().value.variant()))  // not set(): it searches, and a name given twice is harmless
      map->emplace_back(std::move(open_.back().key), std::move(value));
    else
      open_.back().value.push_back(std::move(value));
    return true;
  }
  bool open(Value value) {
    if (open_.size() >= kJsonDepthMax)
      return refuse("more than " + std::to_string(kJsonDepthMax) + " arrays and objects inside each other");
    open_.push_back(Level{std::move(value), {}});
    return true;
  }
  bool close() {
    Value value = std::move(open_.back().value);
    open_.pop_back();
    return add(std::move(value));
  }

  std::vector<Level> open_;
  std::string error_;
};

}  // namespace

Result<Value> parse_json(std::string_view text) {
  Builder builder;
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) return fail(ErrorCode::kMalformed, builder.error());
  return std::move(builder.root);
}

}  // namespace dask
