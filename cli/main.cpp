// hanatctl shows and controls hanatd: reads the command line and runs the command. Not here: anything else.
#include <algorithm>
#include <exception>
#include <string_view>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"

int main(int argc, char** argv) {
  const std::vector<std::string_view> arguments(argv + std::min(argc, 1), argv + argc);
  using hanat::cli::Exit;
  const bool json = std::ranges::any_of(arguments, [](std::string_view argument) { return argument == "--json" || argument == "-j"; });
  try {
    return static_cast<int>(hanat::cli::run(hanat::cli::parse_arguments(arguments)));
  } catch (const hanat::UsageError& error) {
    return static_cast<int>(hanat::cli::fail(Exit::usage, json, "Usage", std::string{error.what()} + "\nhanatctl help shows all commands"));
  } catch (const std::exception& error) {
    return static_cast<int>(hanat::cli::fail(Exit::refused, json, "Failed", error.what()));
  }
}
