// Debian's Redis, PostgreSQL, MariaDB and Postfix on the lab's primary, which take nothing but TLS and, but for Postfix, a password; and
// how hanat's configuration probes them. Not here: measuring (secured).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/netns/lab/authority.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/real_server.hpp"
#include "tests/netns/lab/scripted.hpp"

namespace hanat::bench {

/// One of the four, with the keys of its probe.
struct SecuredServer {
  const char* name;
  std::uint16_t port;
  std::string keys;
};

class SecuredServers {
public:
  static constexpr unsigned addresses = 250; // of the primary, so that as many probes differ
  static std::string address(unsigned number);

  /// Returns when all four answer at their ports.
  explicit SecuredServers(test::Lab& lab);
  ~SecuredServers();
  SecuredServers(const SecuredServers&) = delete;
  SecuredServers& operator=(const SecuredServers&) = delete;

  const std::array<SecuredServer, 4>& all() const { return all_; }
  std::string authority() const { return folder_.file("ca.crt"); }
  std::string log() const { return folder_.read("log"); }

private:
  void prepare_postgres();
  void prepare_mariadb();
  void prepare_postfix();
  std::string redis() const;
  std::string postgres() const;
  std::string mariadb() const;
  std::string postfix() const;

  test::Lab& lab_;
  test::TempFolder folder_;
  test::Authority authority_;
  std::array<SecuredServer, 4> all_;
  std::vector<std::unique_ptr<test::RealServer>> running_;
};

} // namespace hanat::bench
