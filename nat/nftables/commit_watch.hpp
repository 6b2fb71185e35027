// Watches commits to nf_tables: reports changes of our table by others, and, by the kernel's commit counter, missed notifications.
// Not here: reading the table again (table).
#pragma once

#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

#include "nat/netlink.hpp"

namespace hanat::nat {

/// The generation in a message of nf_tables; 0: none.
std::uint32_t generation_in(const nlmsghdr& message);

class CommitWatch {
public:
  /// `table`: the table to watch; `own_port`: the netlink port whose changes are our own.
  CommitWatch(std::string table, std::uint32_t own_port);

  /// Sets the starting point: a generation that was read after the watch was created.
  void begin(std::uint32_t generation) { seen_ = generation; }
  /// For a table that nobody else can change: each commit costs the kernel more while somebody listens for it.
  void stop() { listen(false); }
  /// Becomes readable on a commit.
  int fd() const { return socket_.fd(); }
  /// Reads the queued notifications. True if others changed the table, or if messages were lost.
  bool changed_by_others();
  /// Whether a commit up to the generation `now` came without a notification; reports each only once.
  bool missed(std::uint32_t now);

  /// Mutes the watch while it lives. A commit notifies every listener of each element, and for twenty thousand elements of our own that
  /// takes the kernel as long as the commit itself.
  class Muted {
  public:
    explicit Muted(CommitWatch& watch) : watch_(watch) { watch_.listen(false); }
    ~Muted() {
      try {
        watch_.listen(true);
      } catch (const std::system_error&) { // NOLINT(bugprone-empty-catch): stays muted; missed() finds changes within a minute
      }
    }
    Muted(const Muted&) = delete;
    Muted& operator=(const Muted&) = delete;

  private:
    CommitWatch& watch_;
  };
  /// Excludes a commit of our own that was made while muted from the gaps.
  void skip(std::uint32_t generation) { skipped_.push_back(generation); }

private:
  void listen(bool on);
  void advance_over_skipped();

  std::string table_;
  std::uint32_t own_port_;
  Netlink socket_;
  std::uint32_t seen_ = 0;             // generation of the last commit that the watch has seen
  std::vector<std::uint32_t> skipped_; // own commits made while muted
};

} // namespace hanat::nat
