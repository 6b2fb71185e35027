// The commands of hanatctl as a table, and a command line read by it; the table also prints the help.
// Pure. Not here: the reading of options (util/arguments), running a command (commands), printing replies (show, replies).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/moment.hpp"
#include "daemon/util/arguments.hpp"
#include "daemon/util/wall_time.hpp"

namespace hanat::cli {

enum class Command : std::uint8_t {
  status,
  top,
  force_backup,
  force_primary,
  automatic,
  drill,
  disable,
  enable,
  report,
  reload,
  confirm,
  settled,
  history,
  events,
  why,
  plan,
  probe,
  connections,
  doctor,
  metrics,
  check,
  import_file,
  version,
  help,
  complete
};

enum class Option : std::uint8_t {
  socket,
  json,
  help,
  version,
  all,
  for_time,
  reason,
  server,
  even_if_down,
  watch,
  color,
  check,
  number,
  since,
  until,
  follow,
  at,
  ask,
  list,
  drain,
  reset,
  wait,
  until_down,
  yes,
  confirm_within,
  address,
  health,
  strict
};
inline constexpr std::size_t option_count = static_cast<std::size_t>(Option::strict) + 1;

struct Subcommand {
  Command command;
  std::string_view name;
  std::string_view operand;    // "SERVICE", "[SERVICE] SERVER", "FILE", "COMMAND"; empty: takes none
  std::vector<Option> options; // besides the common ones, which every command takes
  std::string_view help;
};
std::span<const Subcommand> subcommands();
/// The word of a command.
std::string_view name_of(Command command);
/// As the help shows it.
const OptionRow& row_of(Option option);
bool takes(const Subcommand& subcommand, Option option);

enum class Color : std::uint8_t { automatic, always, never };

/// A parsed command line.
struct Invocation {
  Command command = Command::status;
  std::string operand; // empty: not given
  std::string file;    // of import, whose operand is the system
  std::optional<std::string> socket;
  bool json = false, all = false, even_if_down = false;
  std::optional<std::chrono::milliseconds> for_time;
  std::string reason;
  std::string server; // "primary"; of force-backup: empty without --server; of disable and enable also an address
  Color color = Color::automatic;
  bool watch = false, check = false, follow = false;
  std::optional<std::int64_t> number; // of entries
  std::optional<WallTime> since, until;
  std::optional<Moment> at;
  bool ask = false, strict = false;
  std::optional<std::int64_t> list;               // so many connections
  std::optional<std::chrono::milliseconds> drain; // for the connections of the old target
  bool reset = false, wait = false, until_down = false, yes = false;
  std::optional<std::chrono::milliseconds> confirm_within; // otherwise the reload is taken back
  std::string health;                                      // of report
  std::vector<std::string> addresses;                      // of import --address
  std::vector<std::string> words;                          // of complete, whose operand is the shell
};

/// `arguments` are those after the program's name. Options may stand before or after the command. Throws UsageError.
Invocation parse_arguments(std::span<const std::string_view> arguments);

/// The help of all commands, or of one, in lines of at most `width` (0: not wrapped). Throws UsageError for an unknown command.
std::string help_text(std::string_view command = {}, std::size_t width = 0);

} // namespace hanat::cli
