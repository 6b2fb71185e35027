// The question wsrep_ready and a real cluster: two nodes of Debian's MariaDB with Galera, of which one dies, so that the other has no
// quorum. Not here: MariaDB alone (real_servers_test, secured_servers_test).
#include <csignal>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/netns/lab/isolated.hpp"
#include "tests/netns/lab/real_server.hpp"

namespace hanat::test {
namespace {

constexpr const char* node_options = "--no-defaults --user=nobody --debug-no-sync --innodb-flush-method=nosync --innodb-log-file-size=4M";

/// The node in NAME/ of the folder, at this address; it suspects a silent one after a second. Both have the same data, and need no
/// transfer.
std::string node(const TempFolder& folder, const char* name, const char* address, const char* cluster) {
  return fmt::format(
      "mariadbd {0} --datadir={1}/{2} --socket={1}/{2}.socket --port=3306 --bind-address={3} --init-file={1}/users --skip-name-resolve "
      "--wsrep-on=ON --wsrep-provider=/usr/lib/galera/libgalera_smm.so --wsrep-cluster-address={4} --wsrep-node-address={3} "
      "--wsrep-sst-method=skip --binlog-format=ROW --innodb-autoinc-lock-mode=2 --wsrep-provider-options='gcache.size=1M;"
      "gcache.page_size=1M;gmcast.listen_addr=tcp://{3}:4567;evs.keepalive_period=PT0.2S;evs.suspect_timeout=PT1S;"
      "evs.inactive_timeout=PT2S;evs.inactive_check_period=PT0.2S'",
      node_options, folder.path().string(), name, address, cluster);
}

TEST(Galera, ANodeWithoutAQuorumIsNotReady) {
  isolated([] {
    const TempFolder folder;
    const std::string place = folder.path().string();
    shell(fmt::format("chmod 755 {0} && chown nobody:nogroup {0} && mariadb-install-db {1} --datadir={0}/a "
                      "--auth-root-authentication-method=normal --skip-test-db >/dev/null 2>&1 && cp -a {0}/a {0}/b",
                      place, node_options));
    folder.write("users", "CREATE USER IF NOT EXISTS hanat@'%' IDENTIFIED BY 'pencil';\n");
    folder.write("password", "pencil\n");
    chmod(folder.file("password").c_str(), 0600);
    const auto probe = configured_probe(
        3306, fmt::format(R"(type = "mysql", user = "hanat", password_file = "{}", wsrep_ready = true)", folder.file("password")));
    const auto sql = [&](const char* text) { return fmt::format("mariadb --no-defaults -S {}/a.socket -uroot -N -e \"{}\"", place, text); };
    const auto wait_for_nodes = [&](int count) {
      shell(fmt::format("for i in $(seq 100); do {} | grep -qw {} && exit 0; sleep 0.1; done; exit 1",
                        sql("SHOW STATUS LIKE 'wsrep_cluster_size'"), count));
    };
    RealServer first{folder, node(folder, "a", "127.0.0.1", "gcomm://")};
    ASSERT_TRUE(comes_up(probe)) << folder.read("log");
    {
      RealServer second{folder, node(folder, "b", "127.0.0.2", "gcomm://127.0.0.1")};
      wait_for_nodes(2);
      EXPECT_EQ(reason_of(probe), "answered") << folder.read("log");
      second.stop(SIGKILL);
    }
    EXPECT_TRUE(becomes(probe, "wrong-answer: wsrep_ready is OFF")) << folder.read("log");
    shell(sql("SET GLOBAL wsrep_provider_options = 'pc.bootstrap=YES'")); // the operator's word that the other one is dead
    EXPECT_TRUE(comes_up(probe)) << folder.read("log");
    first.stop(SIGKILL);
  });
}

} // namespace
} // namespace hanat::test
