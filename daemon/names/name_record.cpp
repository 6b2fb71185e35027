// From an answer to the address in use.
#include "daemon/names/name_record.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "daemon/config/parse_values.hpp"

namespace hanat {
namespace {

/// Without addresses that no server can have. When none is left it is a failure.
void keep_usable(NameAnswer& answer) {
  std::vector<Address> usable;
  for (const Address& address : answer.addresses)
    if (config::unusable_for_server(address).empty()) usable.push_back(address);
  if (usable.empty() && !answer.addresses.empty() && !answer.failure)
    answer.failure = LookupFailure{
        .text = fmt::format("its address {} {}", answer.addresses.front().text(), config::unusable_for_server(answer.addresses.front()))};
  std::ranges::sort(usable);
  usable.erase(std::ranges::unique(usable).begin(), usable.end());
  answer.addresses = std::move(usable);
  if (answer.addresses.empty() && !answer.failure) answer.failure = LookupFailure{.text = "the answer has no address"};
}

} // namespace

NameChange take_answer(NameRecord& record, NameAnswer answer, Time now, WallTime wall) {
  keep_usable(answer);
  NameChange change{.address = false, .known = !std::exchange(record.known, true)};
  record.pending = false;
  if (answer.failure) {
    change.fails = !record.failure;
    if (!record.failure) record.failing_since = wall;
    record.failure = std::move(answer.failure);
    record.ask_at = now + record.retry;
    record.retry = std::min<Clock::duration>(2 * record.retry, longest_retry);
    return change;
  }
  change.recovers = record.failure.has_value();
  record.failure.reset();
  record.retry = first_retry;
  record.answered = wall;
  record.ask_at = now + std::clamp(answer.ttl, shortest_ttl, longest_ttl) + after_expiry;
  const bool stays = record.address && std::ranges::find(answer.addresses, *record.address) != answer.addresses.end();
  change.address = !stays;
  if (!stays) record.address = answer.addresses.front();
  std::erase(answer.addresses, *record.address);
  record.others = std::move(answer.addresses);
  return change;
}

void note_query(NameRecord& record, Time now) {
  if (record.asked_at == Time{}) record.asked_at = now;
  record.pending = true;
}

bool give_up_waiting(NameRecord& record, Time now) {
  if (record.known || !record.pending || now < record.asked_at + answer_within) return false;
  record.known = true;
  return true;
}

std::optional<Time> next_wakeup(const NameRecord& record) {
  if (!record.pending) return record.ask_at;
  if (!record.known) return record.asked_at + answer_within;
  return std::nullopt;
}

} // namespace hanat
