// Configuration as Dask reads it: layers, names, literals, units, and what is said about wrong values.
#include "core/runtime/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "core/runtime/python_literal.h"
#include "core/runtime/yaml.h"

namespace dask {

using testing::HasSubstr;
namespace fs = std::filesystem;

TEST(ParseTimedelta, reads_dasks_notation) {
  for (auto [text, seconds] : std::vector<std::pair<const char*, double>>{{"3s", 3},
                                                                          {"3.5 seconds", 3.5},
                                                                          {"300ms", 0.3},
                                                                          {"5 minutes", 300},
                                                                          {"1h", 3600},
                                                                          {"100 us", 1e-4},
                                                                          {"2 Weeks", 1209600},
                                                                          {"7", 7},
                                                                          {"s", 1},
                                                                          {"1e-3s", 1e-3},
                                                                          {"1M", 60},
                                                                          {"0", 0}}) {
    auto parsed = parse_timedelta(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_DOUBLE_EQ(*parsed, seconds) << text;
  }
}

TEST(ParseTimedelta, refuses_what_is_no_duration) {
  for (const char* text : {"", "fast", "1 foo", "-5s", "1..2s", "5s5", "inf", "nan", "1e999s"}) {
    auto parsed = parse_timedelta(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_THAT(parsed.error().message, HasSubstr("'5 minutes'"));
  }
}

TEST(ParseBytes, reads_dasks_notation) {
  for (auto [text, bytes] : std::vector<std::pair<const char*, std::uint64_t>>{{"100", 100},
                                                                               {"100 MB", 100000000},
                                                                               {"100M", 100000000},
                                                                               {"5kB", 5000},
                                                                               {"5.4 kB", 5400},
                                                                               {"1kiB", 1024},
                                                                               {"64MiB", 67108864},
                                                                               {"1e6", 1000000},
                                                                               {"1e6 kB", 1000000000},
                                                                               {"MB", 1000000},
                                                                               {"1 GiB", 1073741824},
                                                                               {"2Ki", 2048},
                                                                               {"10B", 10}}) {
    auto parsed = parse_bytes(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, bytes) << text;
  }
}

TEST(ParseBytes, refuses_what_is_no_size) {
  for (const char* text : {"", "5 foos", "-1", "1e30 PB", "1.2.3"}) EXPECT_FALSE(parse_bytes(text)) << text;
}

TEST(InterpretValue, follows_pythons_literals) {
  EXPECT_EQ(interpret_value("1"), Value(1));
  EXPECT_EQ(interpret_value("-1.5e3"), Value(-1500.0));
  EXPECT_EQ(interpret_value("0x10"), Value(16));
  EXPECT_EQ(interpret_value("1_000"), Value(1000));
  EXPECT_EQ(interpret_value("007").as_string(), "007");
  EXPECT_TRUE(interpret_value("None").is_nil());
  EXPECT_TRUE(interpret_value("NULL").is_nil());
  EXPECT_EQ(interpret_value("True"), Value(true));
  EXPECT_EQ(interpret_value("true"), Value(true));
  EXPECT_EQ(interpret_value("FALSE"), Value(false));
  EXPECT_EQ(interpret_value("'quoted'").as_string(), "quoted");
  EXPECT_EQ(interpret_value("plain text").as_string(), "plain text");
  EXPECT_EQ(interpret_value("5 minutes").as_string(), "5 minutes");
  EXPECT_EQ(interpret_value("tcp://1.2.3.4:5").as_string(), "tcp://1.2.3.4:5");
  EXPECT_EQ(interpret_value("inf").as_string(), "inf");
  EXPECT_EQ(interpret_value(""), Value(""));
  EXPECT_EQ(interpret_value("[1, 'a', None]").repr(), "(1, 'a', None)");
  EXPECT_EQ(interpret_value("(1,)").size(), 1u);
  EXPECT_EQ(interpret_value("(1)"), Value(1));
  EXPECT_EQ(interpret_value("{'a': {'b': 1}}")["a"]["b"], Value(1));
  EXPECT_TRUE(interpret_value("{1, 2}").is_set());
  EXPECT_TRUE(interpret_value("{}").is_map());
}

TEST(InterpretValue, takes_broken_literals_as_text) {
  for (const char* text : {"[1", "{'a'}:", "'open", "[1 2]", "1 2", "{1: }", "--1", "[", "-", "+", ".", "1e", "Truely"}) {
    EXPECT_EQ(interpret_value(text).as_string(), text);
  }
  std::string deep(10000, '[');
  EXPECT_EQ(interpret_value(deep).as_string(), deep);
}

TEST(ParseYaml, reads_plain_scalars_as_pyyaml_does) {
  auto value =
      parse_yaml("{a: yes, b: 'yes', c: 1e6, d: 1.0e+6, e: 0x10, f: 010, g: .inf, h: ~, i: 1_000, j: -.inf, k: 12e03, l: 5 minutes, m: }");
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(value->repr(),
            "{'a': True, 'b': 'yes', 'c': '1e6', 'd': 1000000.0, 'e': 16, 'f': 8, 'g': inf, 'h': None, 'i': 1000, 'j': -inf, 'k': '12e03', "
            "'l': '5 minutes', 'm': None}");
}

TEST(ParseYaml, understands_anchors_and_merge_keys) {
  auto value = parse_yaml("base: &b {x: 1, y: 2}\nother:\n  <<: *b\n  y: 3\n");
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ((*value)["other"]["x"], Value(1));
  EXPECT_EQ((*value)["other"]["y"], Value(3));
}

TEST(ParseYaml, survives_hostile_documents) {
  EXPECT_FALSE(parse_yaml("a: [1, 2"));
  EXPECT_FALSE(parse_yaml("a: *nothing"));
  EXPECT_FALSE(parse_yaml(std::string(100'000, '[')));
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    bomb += fmt::format("a{0}: &a{0} [*a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}]\n", i, i - 1);
  }
  auto value = parse_yaml(bomb);
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, ErrorCode::kLimit);
}

TEST(Config, has_dasks_defaults) {
  Config config;
  EXPECT_EQ(*config.get_int("distributed.scheduler.allowed-failures"), 3);
  EXPECT_EQ(*config.get_seconds("distributed.scheduler.worker-ttl"), 300);
  EXPECT_EQ(*config.get_seconds("distributed.scheduler.idle-timeout"), std::nullopt);
  EXPECT_EQ(*config.get_bytes("distributed.scheduler.default-data-size"), 1024u);
  EXPECT_EQ(*config.get_double("distributed.scheduler.worker-saturation"), 1.1);
  EXPECT_EQ(*config.get_bool("distributed.scheduler.work-stealing"), true);
  EXPECT_EQ(*config.get_seconds("distributed.comm.timeouts.connect"), 30);
  EXPECT_TRUE(std::isinf(*config.get_double("distributed.adaptive.maximum")));
  EXPECT_EQ(config.source("distributed.scheduler.worker-ttl"), "built-in defaults");
}

TEST(Config, dashes_and_underscores_are_alike) {
  Config config;
  EXPECT_EQ(*config.get_int("distributed.scheduler.allowed_failures"), 3);
  ASSERT_TRUE(config.add_yaml("distributed: {scheduler: {allowed_failures: 7}}", "a.yaml"));
  EXPECT_EQ(*config.get_int("distributed.scheduler.allowed-failures"), 7);
  EXPECT_EQ(config.source("distributed.scheduler.allowed_failures"), "a.yaml");
}

TEST(Config, later_layers_win_and_leave_their_neighbours) {
  Config config;
  ASSERT_TRUE(config.add_yaml("distributed: {scheduler: {worker-ttl: 1h}}", "a.yaml"));
  ASSERT_TRUE(config.add_yaml("distributed:\n  scheduler:\n    bandwidth: 5\n", "b.yaml"));
  ASSERT_TRUE(config.add_environment(
      {{"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL", "10 s"}, {"DASK_DISTRIBUTED__SCHEDULER__DEFAULT_TASK_DURATIONS", "{'inc': '1s'}"}}));
  EXPECT_EQ(*config.get_seconds("distributed.scheduler.worker-ttl"), 10);
  EXPECT_EQ(*config.get_double("distributed.scheduler.bandwidth"), 5);
  EXPECT_EQ(*config.get_seconds("distributed.scheduler.default-task-durations.inc"), 1);
  EXPECT_EQ(*config.get_seconds("distributed.scheduler.default-task-durations.split-stage"), 1e-6);
  EXPECT_EQ(config.source("distributed.scheduler.worker-ttl"), "environment variable DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL");
}

TEST(Config, takes_what_a_python_parent_hands_down) {
  // dask.config.serialize({"distributed": {"scheduler": {"allowed-failures": 9, "worker-saturation": float("inf")}}, "a": 1e16})
  Config config;
  ASSERT_TRUE(config.add_environment({{"DASK_INTERNAL_INHERIT_CONFIG",
                                       "eyJkaXN0cmlidXRlZCI6IHsic2NoZWR1bGVyIjogeyJhbGxvd2VkLWZhaWx1cmVzIjogOSwgIndvcmtlci1zYXR1cmF0aW9uIjo"
                                       "gSW5maW5pdHl9fSwgImEiOiAxZSsxNn0="}}));
  EXPECT_EQ(*config.get_int("distributed.scheduler.allowed-failures"), 9);
  EXPECT_TRUE(std::isinf(*config.get_double("distributed.scheduler.worker-saturation")));
  EXPECT_EQ(*config.get_double("a"), 1e16);
  EXPECT_EQ(*config.get_seconds("distributed.scheduler.worker-ttl"), 300);
  for (const char* broken : {"!!!", "aGVsbG8=", ""}) {
    auto refused = Config().add_environment({{"DASK_INTERNAL_INHERIT_CONFIG", broken}});
    ASSERT_FALSE(refused) << broken;
    EXPECT_THAT(refused.error().message, HasSubstr("DASK_INTERNAL_INHERIT_CONFIG"));
  }
}

TEST(Config, a_variable_beats_what_is_inherited) {
  Config config;
  ASSERT_TRUE(config.add_environment({{"DASK_A", "2"}, {"DASK_INTERNAL_INHERIT_CONFIG", "eyJhIjogMX0="}}));
  EXPECT_EQ(*config.get_int("a"), 2);
}

TEST(Config, old_names_work_and_warn) {
  Config config;
  ASSERT_TRUE(config.add_environment({{"DASK_ALLOWED_FAILURES", "5"}, {"DASK_DISTRIBUTED__SCHEDULER__EVENTS_LOG_LENGTH", "17"}}));
  EXPECT_EQ(*config.get_int("distributed.scheduler.allowed-failures"), 5);
  EXPECT_EQ(*config.get_int("distributed.admin.low-level-log-length"), 17);
  ASSERT_EQ(config.warnings().size(), 2u);
  EXPECT_THAT(config.warnings()[0], HasSubstr("use distributed.scheduler.allowed-failures"));
}

TEST(Config, wrong_values_say_key_value_source_and_what_is_allowed) {
  Config config;
  ASSERT_TRUE(config.add_yaml(
      "distributed: {scheduler: {worker-ttl: soon, allowed-failures: 1.5, work-stealing: maybe, bandwidth: [1], idle-timeout: -1}}",
      "b.yaml"));
  EXPECT_EQ(config.get_seconds("distributed.scheduler.worker-ttl").error().message,
            "configuration distributed.scheduler.worker-ttl: 'soon' (from b.yaml) is wrong; use a duration such as '500ms', '30s', '5 "
            "minutes', '1h', or null for none");
  EXPECT_THAT(config.get_int("distributed.scheduler.allowed-failures").error().message, HasSubstr("whole number"));
  EXPECT_THAT(config.get_bool("distributed.scheduler.work-stealing").error().message, HasSubstr("true or false"));
  EXPECT_THAT(config.get_double("distributed.scheduler.bandwidth").error().message, HasSubstr("(1,)"));
  EXPECT_FALSE(config.get_bytes("distributed.scheduler.worker-ttl"));
  EXPECT_FALSE(config.get_seconds("distributed.scheduler.idle-timeout"));
  EXPECT_FALSE(config.get_string("distributed.scheduler.bandwidth"));
  EXPECT_EQ(config.get_int("distributed.no.such.key").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(config.get_int("distributed.scheduler.bandwidth.deeper").error().code, ErrorCode::kNotFound);
}

TEST(Config, a_malformed_file_is_named_with_the_line) {
  Config config;
  auto broken = config.add_yaml("distributed:\n  scheduler: [1, 2\n", "dir/broken.yaml");
  ASSERT_FALSE(broken);
  EXPECT_THAT(broken.error().message, HasSubstr("dir/broken.yaml"));
  EXPECT_THAT(broken.error().message, HasSubstr("line "));
  EXPECT_THAT(config.add_yaml("- a\n- b\n", "list.yaml").error().message, HasSubstr("a map is expected"));
  EXPECT_TRUE(config.add_yaml("", "empty.yaml"));
  EXPECT_TRUE(config.add_yaml("# only a comment\n", "empty.yaml"));
}

struct ConfigFiles : testing::Test {
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "dask-config-XXXXXX").string();
    folder = ::mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(folder); }
  void write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  fs::path folder;
};

TEST_F(ConfigFiles, are_read_from_dasks_folders_in_order) {
  write(folder / "root/a.yaml", "x: root\ny: root\nz: root\nw: root\n");
  write(folder / "root/b.yml", "v: b\n");
  write(folder / "root/ignored.txt", "x: [");
  write(folder / "env/etc/dask/a.yaml", "y: env\nz: env\nw: env\n");
  write(folder / "home/.config/dask/a.json", R"({"z": "home", "w": "home"})");
  write(folder / "mine.yaml", "w: mine\n");
  auto config = Config::load({{"DASK_ROOT_CONFIG", folder / "root"},
                              {"VIRTUAL_ENV", folder / "env"},
                              {"HOME", folder / "home"},
                              {"DASK_CONFIG", folder / "mine.yaml"},
                              {"UNRELATED", "1"},
                              {"DASK_U", "variable"}});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(*config->get_string("x"), "root");
  EXPECT_EQ(*config->get_string("y"), "env");
  EXPECT_EQ(*config->get_string("z"), "home");
  EXPECT_EQ(*config->get_string("w"), "mine");
  EXPECT_EQ(*config->get_string("v"), "b");
  EXPECT_EQ(*config->get_string("u"), "variable");
  EXPECT_EQ(config->source("w"), (folder / "mine.yaml").string());
  EXPECT_EQ(config->find("config"), nullptr);
}

TEST_F(ConfigFiles, that_are_missing_are_no_error) {
  EXPECT_TRUE(Config::load({{"DASK_ROOT_CONFIG", folder / "nowhere"}, {"HOME", folder}, {"DASK_CONFIG", folder / "nothing.yaml"}}));
}

TEST_F(ConfigFiles, that_are_malformed_stop_the_start_with_their_name) {
  write(folder / "bad.yaml", "a: [");
  auto config = Config::load({{"DASK_ROOT_CONFIG", folder}});
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, HasSubstr("bad.yaml"));
}

}  // namespace dask
