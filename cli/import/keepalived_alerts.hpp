// What keepalived tells people and programs about servers, which are hanatd's now: mails and notify scripts, and what hanat has for them.
// Pure. Not here: what it tells about VRRP, which stays with keepalived.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/import/keepalived_blocks.hpp"
#include "cli/import/model.hpp"

namespace hanat::cli::imports {

/// The steps are written out where they are needed first; further lines name that place.
class Alerts {
public:
  /// `blocks`: the whole file, for who gets the mails.
  explicit Alerts(const std::vector<Block>& blocks);
  /// A line of a virtual_server or a real_server; nullopt: it is about something else.
  std::optional<Note> of_server(const Block& line);
  /// The lines of global_defs that are about mails.
  void add_global(const Block& global_defs, std::vector<Note>& notes);

private:
  std::string mail_steps(const Place& place);
  std::string server_steps(const Block& line);
  std::string quorum_steps(const Place& place);
  Note of_recipients(const Block& line);

  std::string recipients_; // "a@example.com b@example.com"
  bool wanted_ = true;     // keepalived mails about servers unless it is told not to
  std::optional<Place> mail_, server_, quorum_;
};

} // namespace hanat::cli::imports
