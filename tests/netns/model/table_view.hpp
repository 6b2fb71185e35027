// What the kernel's table holds, read with nft. Not here: what it should hold (checker).
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/netns/lab/lab.hpp"

namespace hanat::test::model {

struct TableView {
  bool there = false;
  std::map<std::string, std::map<std::string, std::string>> sets; // by name: key -> what it leads to (of a map), or nothing
  std::map<std::string, std::size_t> rules;                       // by chain

  const std::map<std::string, std::string>& set(const std::string& name) const;
};

/// Runs a program on the host without a thread of its own: tens of times a second.
Output run_at(Lab& lab, Host host, const std::vector<std::string>& argv);

/// Elements are "203.0.113.10 tcp 443 198.18.11.2 8001".
TableView read_table(Lab& lab);

} // namespace hanat::test::model
