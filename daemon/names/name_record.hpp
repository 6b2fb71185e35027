// What DNS has said of one name in one family: which of its addresses is in use, and when to ask again. Pure.
// Not here: queries (resolver), which names there are (names), what an address means for a server (fill_in).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/util/wall_time.hpp"
#include "nat/address.hpp"
#include "nat/clock.hpp"

namespace hanat {

/// Bounds of the time for which an answer holds, whatever its record says: a record of 0 s must not make a flood of queries, and one of a
/// week must not hide a change for so long.
inline constexpr std::chrono::seconds shortest_ttl{1}, longest_ttl{3600};
/// So much later the next query comes: a cache on the way must have forgotten the record by then.
inline constexpr std::chrono::milliseconds after_expiry{50};
/// After a query that failed: the second time is twice as long, and so on.
inline constexpr std::chrono::seconds first_retry{1}, longest_retry{30};
/// A name that nobody has answered for so long counts as not resolved: its service begins with its other servers.
inline constexpr std::chrono::seconds answer_within{1};

/// What is asked: A or AAAA records.
struct NameQuery {
  std::string name;
  Family family = Family::ipv4;
  auto operator<=>(const NameQuery&) const = default;
};

/// Why a query came to nothing.
struct LookupFailure {
  std::string text;            // "the resolver does not answer"
  bool is_of_resolver = false; // nobody answered, or not well: it says nothing about this name alone
  bool operator==(const LookupFailure&) const = default;
};

struct NameAnswer {
  std::vector<Address> addresses = {}; // of the family; none where it failed
  std::chrono::seconds ttl{};          // the shortest of its records
  std::optional<LookupFailure> failure = {};
};

struct NameRecord {
  std::optional<Address> address = {};       // in use: that of the last good answer
  std::vector<Address> others = {};          // of that answer
  std::optional<WallTime> answered = {};     // when it came; nullopt: there was none yet
  std::optional<LookupFailure> failure = {}; // of the last query
  WallTime failing_since{};
  bool known = false; // there is an address, or there was time to find one
  bool pending = false;
  Time ask_at{};   // the next query, unless one is under way
  Time asked_at{}; // the first one, as long as it is not known
  Clock::duration retry = first_retry;
  bool operator==(const NameRecord&) const = default;
};

/// What an answer has changed.
struct NameChange {
  bool address = false;  // another one is in use
  bool known = false;    // nobody knew until now whether there is one
  bool fails = false;    // it did not until now
  bool recovers = false; // it failed until now
  bool operator==(const NameChange&) const = default;
};

/// The address in use stays as long as the answer has it; else it is the first in order, which is the same whatever order the answer has.
/// A failure, or an answer that has no address which a server can have, changes nothing of what is in use.
NameChange take_answer(NameRecord& record, NameAnswer answer, Time now, WallTime wall);
/// A query begins.
void note_query(NameRecord& record, Time now);
/// True: time is up for a name that is not known yet.
bool give_up_waiting(NameRecord& record, Time now);
/// The next moment at which something is to be done for it.
std::optional<Time> next_wakeup(const NameRecord& record);

} // namespace hanat
