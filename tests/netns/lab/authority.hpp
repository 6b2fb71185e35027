// A certificate authority for a test: it signs certificates of servers and clients, also some that are not valid now.
// Not here: self-signed certificates (scripted).
#pragma once

#include <string>

#include "tests/netns/lab/scripted.hpp"

namespace hanat::test {

class Authority {
public:
  /// Makes NAME.crt and NAME.key in the folder.
  Authority(const TempFolder& folder, std::string name);

  /// Makes NAME.crt, signed, and NAME.key, which belongs to `owner`, who alone can read it. It is for db.example and 127.0.0.1. `validity`:
  /// options of `openssl ca`.
  void issue(const std::string& name, const std::string& validity = "-days 9", const std::string& owner = "root") const;
  std::string certificate() const { return folder_.file((name_ + ".crt").c_str()); }

private:
  const TempFolder& folder_;
  std::string name_;
};

} // namespace hanat::test
