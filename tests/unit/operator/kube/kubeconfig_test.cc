// kubeconfig files, service accounts, exec credentials, times as text.
#include "operator/kube/kubeconfig.h"

#include <gmock/gmock.h>

#include <fstream>

#include "operator/kube/base64.h"
#include "operator/kube/credentials.h"
#include "operator/kube/time_text.h"
#include "tests/unit/operator/kube/fake_api.h"

namespace dask::kube::test {

using testing::HasSubstr;

constexpr const char* kText = R"(
apiVersion: v1
kind: Config
current-context: one
clusters:
- name: c
  cluster: {server: "https://10.0.0.1:6443", certificate-authority-data: Q0EgVEVYVAo=, tls-server-name: kubernetes}
- name: open
  cluster: {server: "http://localhost:8001", insecure-skip-tls-verify: true}
users:
- {name: token, user: {token: 0123456789}}
- {name: certificates, user: {client-certificate-data: Q0VSVA==, client-key-data: S0VZ}}
- {name: file, user: {tokenFile: tokens/a}}
- name: exec
  user:
    exec: {apiVersion: client.authentication.k8s.io/v1, command: ./login, args: [--quick], env: [{name: A, value: b}], interactiveMode: Never}
- {name: old, user: {auth-provider: {name: gcp}}}
contexts:
- {name: one, context: {cluster: c, user: token, namespace: science}}
- {name: two, context: {cluster: open, user: certificates}}
- {name: three, context: {cluster: c, user: file}}
- {name: four, context: {cluster: c, user: exec}}
- {name: five, context: {cluster: c, user: old}}
- {name: six, context: {cluster: nowhere, user: token}}
)";

TEST(Kubeconfig, reads_the_current_context) {
  auto access = parse_kubeconfig(kText, "/etc/k/config", "");
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->server, "https://10.0.0.1:6443");
  EXPECT_EQ(access->ca_pem, "CA TEXT\n");
  EXPECT_EQ(access->server_name, "kubernetes");
  EXPECT_EQ(access->token, "0123456789") << "a token that looks like a number stays text";
  EXPECT_EQ(access->name_space, "science");
  EXPECT_TRUE(access->verify_server);
}

TEST(Kubeconfig, reads_certificates_files_and_programs) {
  auto two = parse_kubeconfig(kText, "/etc/k/config", "two");
  ASSERT_TRUE(two);
  EXPECT_EQ(two->client_certificate_pem, "CERT");
  EXPECT_EQ(two->client_key_pem, "KEY");
  EXPECT_FALSE(two->verify_server);
  EXPECT_EQ(parse_kubeconfig(kText, "/etc/k/config", "three")->token_file, "/etc/k/tokens/a");
  auto four = parse_kubeconfig(kText, "/etc/k/config", "four");
  ASSERT_TRUE(four && four->exec);
  EXPECT_EQ(four->exec->command, "/etc/k/./login");
  EXPECT_EQ(four->exec->args, std::vector<std::string>{"--quick"});
  EXPECT_EQ(four->exec->environment.at("A"), "b");
}

TEST(Kubeconfig, says_what_is_wrong_with_a_file) {
  const auto message = [](const std::string& text, const std::string& context) {
    auto access = parse_kubeconfig(text, "F", context);
    EXPECT_FALSE(access);
    return access ? "" : access.error().message;
  };
  EXPECT_THAT(message(kText, "none"), HasSubstr("there is no 'none' in 'contexts'"));
  EXPECT_THAT(message(kText, "six"), HasSubstr("there is no 'nowhere' in 'clusters'"));
  EXPECT_THAT(message(kText, "five"), HasSubstr("'auth-provider' is not supported"));
  EXPECT_THAT(message("a: [", ""), HasSubstr("cannot use the kubeconfig F"));
  EXPECT_THAT(message("", ""), HasSubstr("it holds no configuration"));
  EXPECT_THAT(message("clusters: 3\ncurrent-context: {a: b}", ""), HasSubstr("must be a text"));
  EXPECT_THAT(message("contexts: []", ""), HasSubstr("current-context"));
}

TEST(Kubeconfig, takes_what_a_pod_is_given) {
  const std::string folder = testing::TempDir();
  for (const auto& [name, text] : {std::pair{"ca.crt", "CA"}, {"token", "T"}, {"namespace", "ns"}})
    std::ofstream(folder + "/" + name) << text;
  auto access = in_cluster_access({{"KUBERNETES_SERVICE_HOST", "10.0.0.1"}, {"KUBERNETES_SERVICE_PORT", "443"}}, folder);
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->server, "https://10.0.0.1:443");
  EXPECT_EQ(access->name_space, "ns");
  EXPECT_EQ(access->token_file, folder + "/token");
  EXPECT_EQ(in_cluster_access({{"KUBERNETES_SERVICE_HOST", "fd00::1"}, {"KUBERNETES_SERVICE_PORT", "443"}}, folder)->server,
            "https://[fd00::1]:443");
  EXPECT_EQ(in_cluster_access({}, folder).error().code, ErrorCode::kNotFound);
}

TEST(Kubeconfig, says_where_it_looked) {
  EXPECT_THAT(find_access("", "", {}).error().message, HasSubstr("--kubeconfig"));
  EXPECT_THAT(find_access("", "", {{"KUBECONFIG", "/no/such/file"}}).error().message, HasSubstr("/no/such/file"));
  EXPECT_THAT(find_access("/no/file", "", {}).error().message, HasSubstr("/no/file"));
}

TEST(Base64, reads_what_is_base64_and_nothing_else) {
  EXPECT_EQ(base64_decoded("aGVsbG8="), "hello");
  EXPECT_EQ(base64_decoded("aGVs\nbG8"), "hello");
  EXPECT_EQ(base64_decoded(""), "");
  EXPECT_EQ(base64_decoded("a"), std::nullopt);
  EXPECT_EQ(base64_decoded("aG!s"), std::nullopt);
  EXPECT_EQ(base64_decoded("aG=s"), std::nullopt);
}

TEST(ExecCredential, reads_what_a_program_prints_and_refuses_the_rest) {
  auto credential = parse_exec_credential(
      "warning: old\n{\"kind\":\"ExecCredential\",\"status\":{\"token\":\"t\",\"expirationTimestamp\":\"2026-11-25T00:00:00Z\"}}\n");
  ASSERT_TRUE(credential);
  EXPECT_EQ(credential->token, "t");
  EXPECT_EQ(credential->expires, seconds_of_timestamp("2026-11-25T00:00:00Z"));
  EXPECT_FALSE(parse_exec_credential("nothing"));
  EXPECT_FALSE(parse_exec_credential("{\"kind\":\"Pod\"}"));
  EXPECT_FALSE(parse_exec_credential("{\"kind\":\"ExecCredential\",\"status\":{}}"));
}

TEST(Credentials, come_from_the_program_of_the_kubeconfig) {
  net::Loop loop;
  SystemClock clock;
  KubeAccess access;
  access.exec = ExecPlugin{"client.authentication.k8s.io/v1",
                           "sh",
                           {"-c", "echo \"{\\\"kind\\\":\\\"ExecCredential\\\",\\\"status\\\":{\\\"token\\\":\\\"$SECRET\\\"}}\""},
                           {{"SECRET", "s3"}},
                           "",
                           false};
  Credentials credentials(loop, clock, access, [] {});
  bool ready = false;
  credentials.start([&](Result<void> result) {
    EXPECT_TRUE(result) << result.error().message;
    ready = true;
  });
  ASSERT_TRUE(run_until(loop, [&] { return ready; }));
  EXPECT_EQ(credentials.token(), "s3");
}

TEST(Credentials, say_why_a_program_gives_none) {
  net::Loop loop;
  SystemClock clock;
  KubeAccess access;
  access.exec = ExecPlugin{"client.authentication.k8s.io/v1", "sh", {"-c", "echo no luck; exit 3"}, {}, "", false};
  Credentials credentials(loop, clock, access, [] {});
  std::string why;
  credentials.start([&](Result<void> result) { why = result ? "fine" : result.error().message; });
  ASSERT_TRUE(run_until(loop, [&] { return !why.empty(); }));
  EXPECT_THAT(why, HasSubstr("exit code 3"));
  EXPECT_THAT(why, HasSubstr("no luck"));
}

TEST(TimeText, writes_and_reads_both_forms) {
  EXPECT_EQ(timestamp_of_seconds(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(timestamp_of_seconds(1'764'043'200.9), "2025-11-25T04:00:00Z");
  EXPECT_EQ(micro_timestamp_of_seconds(1'764'043'200.25), "2025-11-25T04:00:00.250000Z");
  EXPECT_EQ(seconds_of_timestamp("2025-11-25T04:00:00.250000Z"), 1'764'043'200.25);
  EXPECT_EQ(seconds_of_timestamp("2025-11-25T05:00:00+01:00"), 1'764'043'200.0);
  for (const char* wrong :
       {"", "yesterday", "2025-13-25T04:00:00Z", "2025-11-25T04:00:00", "2025-11-25T04:00:00Zx", "2025-11-31T04:00:00Z"})
    EXPECT_EQ(seconds_of_timestamp(wrong), std::nullopt) << wrong;
}

}  // namespace dask::kube::test
