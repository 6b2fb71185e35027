// The steps of a random sequence: what each is called, its text for people and for a replay, and the generator.
// A step's numbers are taken modulo what is there when it is carried out, so that any sequence of steps can be replayed, also with some of
// them left out. Not here: what a step does (stage, edits).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hanat::test::model {

enum class Verb : std::uint8_t {
  shared_table, // (first step only) hanatd does not own its table
  app,          // a server's program works, is dead, hangs, answers wrong
  silent,       // a machine drops everything, or no longer
  link,         // a machine loses its link, or has it again
  flap,         // a server's program dies and comes back after some milliseconds
  blackout,     // all machines are silent for some milliseconds
  force,
  unforce,
  disable,
  enable,
  edit, // of the configuration, and a reload
  restart,
  kill,    // kill -9, and a start
  foreign, // another program changes the table
  forget,  // conntrack -F
  full,    // conntrack has no room for a moment; then forget
  connect, // a client opens a connection that stays
  close,
  reconnect, // from the same port
  idle
};
std::string_view to_text(Verb verb);

struct Step {
  Verb verb = Verb::idle;
  unsigned a = 0, b = 0, c = 0;
  bool races = false; // the next step follows at once
  bool operator==(const Step&) const = default;
};

/// "force 1 0 2", with a "+" at the end of one that races.
std::string to_text(const Step& step);
/// Steps with semicolons between them.
std::string to_text(const std::vector<Step>& steps);
/// The reverse. Throws std::invalid_argument that names what it does not know.
std::vector<Step> parse_steps(std::string_view text);

/// The same for a seed on every machine.
std::vector<Step> random_steps(std::uint64_t seed, std::size_t count);

} // namespace hanat::test::model
