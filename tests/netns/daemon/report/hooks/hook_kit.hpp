// A program for a hook that writes down what it is told, and the daemon that calls it. Not here: any test.
#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "daemon/api/client.hpp"
#include "tests/netns/daemon/lifecycle.hpp"
#include "tests/unit/temp_dir.hpp"

namespace hanat::test {

class HookTest : public Lifecycle {
protected:
  /// Writes an executable script; returns its path.
  std::string script(const std::string& name, const std::string& body) const {
    const std::string path = folder / name.c_str();
    write_text(path, "#!/bin/sh\n" + body);
    std::filesystem::permissions(path, std::filesystem::perms{0755});
    return path;
  }
  /// A script that appends each document to the file NAME.told, and then does `more`.
  std::string recorder(const std::string& name, const std::string& more = {}) const {
    return script(name, fmt::format("cat >>{}.told\n{}", folder / name.c_str(), more));
  }
  std::vector<nlohmann::json> told(const std::string& name) const {
    std::vector<nlohmann::json> documents;
    std::ifstream file{folder / (name + ".told").c_str()};
    for (std::string line; std::getline(file, line);)
      if (!file.eof()) documents.push_back(nlohmann::json::parse(line)); // without a line end: it is still written
    return documents;
  }
  static std::uint64_t count_of(const std::vector<nlohmann::json>& documents) {
    std::uint64_t count = 0;
    for (const auto& document : documents) count += document.at("count").get<std::uint64_t>();
    return count;
  }
  static std::string hook(const std::string& program) { return fmt::format("hook = [\"{}\"]", program); }
  static void force(const Hanatd& hanatd, const std::string& service, const std::string& role) {
    call(hanatd.socket(), "Force", {{"service", service}, {"server", role}});
  }
  template <typename Condition> static bool within(std::chrono::milliseconds time, const Condition& condition) {
    for (const auto end = std::chrono::steady_clock::now() + time; std::chrono::steady_clock::now() < end;) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
    return condition();
  }

  TempDir folder;
};

} // namespace hanat::test
