// What a reload makes of files that the configuration names, while it says the same as before: authorities and passwords. And nobody reads
// a password who looks at hanatd. Not here: what servers say (probes/kinds/secured_servers_test).
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/netns/lab/authority.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"

namespace hanat::test {
namespace {

std::string content_of_file(const std::filesystem::path& file) {
  std::ifstream stream{file};
  return {std::istreambuf_iterator<char>{stream}, {}};
}

class SecuredRedis : public testing::Test {
protected:
  void write_password(const std::string& text) const {
    folder.write("password", text + "\n");
    chmod(folder.file("password").c_str(), 0600);
  }
  Process start(Host host) {
    return lab.spawn(host, {"sh", "-c",
                            fmt::format("exec redis-server --port 0 --tls-port 6379 --bind 0.0.0.0 --save '' --dir {0} --tls-cert-file "
                                        "{0}/good.crt --tls-key-file {0}/good.key --tls-ca-cert-file {0}/ca.crt --tls-auth-clients no "
                                        "--requirepass ink-and-quill",
                                        folder.path().string())});
  }
  std::string config() const {
    return fmt::format("[service.web]\nlisten = \"{}/tcp\"\nprimary = \"{}\"\nbackup = \"{}\"\nup = {{ stable_for = \"0s\" }}\n"
                       "probe = {{ type = \"redis\", interval = \"100ms\", password_file = \"{}\", tls = {{ ca = \"{}\", name = "
                       "\"db.example\" }} }}\n",
                       to_text(Lab::vip(443)), to_text(Lab::endpoint(Host::primary, 6379)), to_text(Lab::endpoint(Host::backup, 6379)),
                       folder.file("password"), folder.file("trusted.pem"));
  }
  void trust(const char* authority) const { std::filesystem::copy_file(folder.file(authority), folder.file("trusted.pem"), replace); }

  static constexpr auto replace = std::filesystem::copy_options::overwrite_existing;
  TempFolder folder;
  Authority ca{folder, "ca"}, other{folder, "other"};
  bool written = (ca.issue("good"), write_password("ink-and-quill"), true);
  Lab lab;
  Process primary = start(Host::primary);
  Process backup = start(Host::backup);
};

TEST_F(SecuredRedis, AReloadReadsTheFilesAgainThatTheConfigurationNames) {
  trust("other.crt");
  Hanatd hanatd{lab, config()};
  const auto is = [](const char* part) {
    return [part](const Status& status) {
      const auto& last = server(service(status, "web"), "primary").last;
      return last && last->detail.find(part) != std::string::npos;
    };
  };
  hanatd.wait_for(is(": name the authority that signed it"));
  trust("ca.crt");
  const Output reload = hanatd.ctl({"reload"});
  EXPECT_EQ(reload.exit, 0) << reload.err;
  EXPECT_NE(reload.out.find("changed: web"), std::string::npos) << reload.out;
  wait_both_up(hanatd);

  write_password("lead-and-ink");
  const Output changed = hanatd.ctl({"plan"});
  EXPECT_NE(changed.out.find("password_file (what it holds)"), std::string::npos) << changed.out;
  hanatd.ctl({"reload"}); // the servers stay up: a new probe has to pass before its result counts
  hanatd.wait_for([](const Status& status) { return service(status, "web").target == "primary"; });

  chmod(folder.file("password").c_str(), 0644);
  const Output refused = hanatd.ctl({"reload"});
  EXPECT_NE(refused.exit, 0);
  EXPECT_NE(refused.err.find("everybody on this machine can read this file: run `chmod o= FILE`"), std::string::npos) << refused.err;
  std::string everything = hanatd.log();
  for (const char* command : {"status", "plan", "probe", "history", "why", "check", "doctor"})
    for (const auto& output : {hanatd.ctl({"--json", command}), hanatd.ctl({command})}) everything += output.out + output.err;
  for (const auto& entry : std::filesystem::recursive_directory_iterator{hanatd.state()})
    if (entry.is_regular_file()) everything += content_of_file(entry.path());
  for (const char* password : {"ink-and-quill", "lead-and-ink"}) EXPECT_EQ(everything.find(password), std::string::npos) << everything;
}

} // namespace
} // namespace hanat::test
