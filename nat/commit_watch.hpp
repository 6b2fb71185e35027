// Hears who commits to nf_tables: changes of our table by somebody else, and, by the kernel's count of commits, what it was never told of.
// Not here: reading the table again (kernel).
#pragma once

#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

#include "nat/netlink.hpp"

namespace hanat::nat {

/// The generation that a message of nf_tables tells of; 0: of none.
std::uint32_t generation_in(const nlmsghdr& message);

class CommitWatch {
public:
  /// `table`: whose changes count; `own_port`: the netlink port whose changes do not.
  CommitWatch(std::string table, std::uint32_t own_port);

  /// Generation before which nothing is missed: read after the watch was made.
  void begin(std::uint32_t generation) { heard_ = generation; }
  /// Becomes readable when somebody commits.
  int fd() const { return socket_.fd(); }
  /// Reads what came: true when somebody else touched the table, or messages were lost.
  bool disturbed();
  /// Whether a commit up to the generation `now` was never told of; asked once for each.
  bool missed(std::uint32_t now);

  /// A commit tells every listener of each of its elements. The watch hears nothing while this lives: it need not hear twenty thousand of
  /// our own, which takes the kernel as long as making them.
  class Deaf {
  public:
    explicit Deaf(CommitWatch& watch) : watch_(watch) { watch_.listen(false); }
    ~Deaf() {
      try {
        watch_.listen(true);
      } catch (const std::system_error&) { // NOLINT(bugprone-empty-catch): deaf on; missed() tells, a minute late
      }
    }
    Deaf(const Deaf&) = delete;
    Deaf& operator=(const Deaf&) = delete;

  private:
    CommitWatch& watch_;
  };
  /// A commit of our own that was made meanwhile: no gap.
  void skip(std::uint32_t generation) { unheard_.push_back(generation); }

private:
  void listen(bool on);
  void pass_unheard();

  std::string table_;
  std::uint32_t own_port_;
  Netlink socket_;
  std::uint32_t heard_ = 0; // generation of the last commit that the watch told of
  std::vector<std::uint32_t> unheard_;
};

} // namespace hanat::nat
