// The completions in the real bash, zsh and fish, with names of a real daemon: what stands there after TAB, and that it comes at once, from
// ten thousand services too, and without a daemon. Not here: every place of a command line (unit: cli/completion_test).
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string completion_files = HANAT_SOURCE "/packaging/completions/";
constexpr milliseconds shell_deadline{20'000};

std::string in_shell(const std::string& socket, const std::vector<std::string>& argv) {
  const auto programs = std::filesystem::path{hanatctl_program()}.parent_path().string();
  std::vector<std::string> words = {
      "env", "-u", "DISPLAY", fmt::format("PATH={}:/usr/bin:/bin", programs), "HOME=/nonexistent", "TERM=dumb", "HANAT_SOCKET=" + socket};
  words.insert(words.end(), argv.begin(), argv.end());
  const Output output = collect(words, shell_deadline);
  return output.out + output.err;
}

/// What bash has for the last of these words.
std::string in_bash(const std::string& socket, const std::string& words) {
  const std::string script =
      fmt::format("source {}hanatctl.bash; COMP_WORDS=(hanatctl {}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _hanatctl; "
                  "printf '%s ' \"${{COMPREPLY[@]}}\"",
                  completion_files, words);
  return in_shell(socket, {"bash", "--norc", "-c", script});
}
std::string in_fish(const std::string& socket, const std::string& line) {
  return in_shell(socket, {"fish", "--no-config", "-c", fmt::format("source {}hanatctl.fish; complete -C '{}'", completion_files, line)});
}
/// The line in an interactive zsh after TAB.
std::string in_zsh(const std::string& socket, const std::string& line) {
  const std::string script = fmt::format(R"(
    zmodload zsh/zpty
    zpty shell zsh -f -i
    zpty -w shell 'PS1= PS2=; unsetopt zle_bracketed_paste; fpath=({} $fpath); autoload -U compinit; compinit -D -u; compdef _hanatctl hanatctl'
    zpty -w shell 'shown() {{ print -r -- "LINE<$BUFFER>" }}; zle -N shown; bindkey "^G" shown; LISTMAX=0; print -r -- READ"Y"'
    zpty -m -r shell seen '*READY*'
    zpty -w -n shell '{}'$'\t\a'
    zpty -m -r shell seen '*LINE<*>*'
    print -r -- "$seen"
    zpty -d shell)",
                                         completion_files, line);
  return in_shell(socket, {"zsh", "-f", "-c", script});
}

class Completions : public testing::Test {
protected:
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
};

TEST_F(Completions, OfThreeShellsKnowCommandsOptionsServicesAndServers) {
  const Hanatd hanatd{lab, fast_service() + fast_service({.name = "mail", .listen = "203.0.113.10:25/tcp"})};
  const std::string socket = hanatd.socket();
  EXPECT_THAT(in_bash(socket, "force-backup ''"), AllOf(HasSubstr("web "), HasSubstr("mail ")));
  EXPECT_EQ(in_bash(socket, "dri"), "drill ");
  EXPECT_EQ(in_bash(socket, "drill --fo"), "--for ");
  EXPECT_EQ(in_bash(socket, "drill web --for = 3"), "30s 30m ");
  EXPECT_EQ(in_bash(socket, "disable web ''"), "primary backup ");
  EXPECT_THAT(in_bash(socket, "check " + completion_files), HasSubstr(completion_files + "hanatctl.fish"));

  EXPECT_EQ(in_fish(socket, "hanatctl dri"), "drill\trehearse a failover\n");
  EXPECT_THAT(in_fish(socket, "hanatctl force-backup "), AllOf(HasSubstr("web\n"), HasSubstr("mail\n")));
  EXPECT_THAT(in_fish(socket, "hanatctl disable web "), HasSubstr("primary\t198.18.11.2:8443\n"));
  EXPECT_THAT(in_fish(socket, "hanatctl drill --for="), HasSubstr("--for=30s\n"));
  EXPECT_EQ(in_fish(socket, "hanatctl force-backup web --server "), "backup\t198.18.12.2:8443\n");
  EXPECT_THAT(in_fish(socket, "hanatctl check " + completion_files + "hanatctl.f"), HasSubstr("hanatctl.fish"));

  EXPECT_THAT(in_zsh(socket, "hanatctl dri"), HasSubstr("LINE<hanatctl drill >"));
  EXPECT_THAT(in_zsh(socket, "hanatctl force-backup we"), HasSubstr("LINE<hanatctl force-backup web >"));
  EXPECT_THAT(in_zsh(socket, "hanatctl disable web p"), HasSubstr("LINE<hanatctl disable web primary >"));
  EXPECT_THAT(in_zsh(socket, "hanatctl drill web --fo"), HasSubstr("LINE<hanatctl drill web --for >"));
}

TEST_F(Completions, WithoutADaemonAreSilentAndQuick) {
  const std::string nowhere = "/nonexistent/control.sock";
  const auto began = TestClock::now();
  const Output first =
      collect({"env", "HANAT_SOCKET=" + nowhere, hanatctl_program(), "complete", "bash", "force-backup", ""}, shell_deadline);
  EXPECT_LT(TestClock::now() - began, milliseconds{1000});
  EXPECT_EQ(first.exit, 0);
  EXPECT_THAT(first.out + first.err, IsEmpty());
  EXPECT_EQ(in_bash(nowhere, "force-backup ''"), " ");
  EXPECT_EQ(in_bash(nowhere, "dri"), "drill ");
  EXPECT_EQ(in_fish(nowhere, "hanatctl force-backup "), "");
  EXPECT_THAT(in_zsh(nowhere, "hanatctl force-backup we"), HasSubstr("LINE<hanatctl force-backup we>"));
}

/// The figure is that of tests/bench (hanat-bench-daemon), of a release build; here the machine may do much else.
TEST_F(Completions, OfTenThousandServicesComeAtOnce) {
  constexpr int services = 10'000;
  std::string config = "[defaults]\nprobe = { type = \"tcp\", interval = \"60s\", fast_interval = \"1s\" }\n";
  for (int port = 1; port <= services; ++port)
    config += fmt::format(
        "[service.s{0}]\nlisten = \"203.0.113.10:{0}/tcp\"\nprimary = \"198.18.11.2:8443\"\nbackup = \"198.18.12.2:8443\"\n", port);
  Hanatd hanatd{lab, config, {.start = false}};
  hanatd.launch(); // a status of all of them takes longer than the test
  std::vector<milliseconds> took;
  for (const auto end = TestClock::now() + milliseconds{60'000}; took.size() < 9 && TestClock::now() < end;) {
    const auto began = TestClock::now();
    const Output all =
        collect({"env", "HANAT_SOCKET=" + hanatd.socket(), hanatctl_program(), "complete", "bash", "force-backup", ""}, shell_deadline);
    const auto time = std::chrono::duration_cast<milliseconds>(TestClock::now() - began);
    if (std::ranges::count(all.out, '\n') == services) took.push_back(time); // it is ready
  }
  ASSERT_EQ(took.size(), 9U) << hanatd.log();
  std::ranges::sort(took);
  EXPECT_LT(took[took.size() / 2], milliseconds{200}) << "the target is 20 ms";
  EXPECT_EQ(in_bash(hanatd.socket(), "force-backup s999"), "s999 s9990 s9991 s9992 s9993 s9994 s9995 s9996 s9997 s9998 s9999 ");
  hanatd.kill9(); // a stop takes its time
}

} // namespace
} // namespace hanat::test
