// Another user of nf_tables in hanat's network namespace. Not here: what it must not disturb.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

namespace hanat::test {

/// An nft that stays open and commits line by line, in the namespace of the thread that makes it. Ends with the object.
class Neighbour {
public:
  explicit Neighbour(std::chrono::microseconds pause);
  ~Neighbour() { stop(); }
  Neighbour(const Neighbour&) = delete;
  Neighbour& operator=(const Neighbour&) = delete;
  void stop();
  /// How often it has committed; of the calling thread's namespace.
  static std::size_t commits();

private:
  void say(const std::string& line);

  std::unique_ptr<FILE, int (*)(FILE*)> nft_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

} // namespace hanat::test
