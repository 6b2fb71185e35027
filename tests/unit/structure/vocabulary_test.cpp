// One word for one thing: words and names that the project has given up do not come back. hanatd(8) has the glossary of those in use.
// CHANGELOG.md is not looked at: it tells who upgrades what a word was called before.
// Not here: words of the field that merely resemble an old name, and English as such.
#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/structure/tree.hpp"

namespace hanat::structure {
namespace {

constexpr std::string_view this_file = "tests/unit/structure/vocabulary_test.cpp";

// ---- names in code

struct Renamed {
  const char* folder; // where the old name must not stand, with all below it; "": everywhere
  const char* names;  // old > new, and so on
};
// Names that are ordinary words elsewhere stand with the one folder in which they meant something else.
constexpr Renamed renamed[] = {
    {"", "Gateway > Controller, settle_soon > sync_soon, settle_if_due > sync_if_due, RunningService > ServiceState, "
         "RunningServer > ServerState, RunningQuestion > ProbeState, frozen > plan_observe, Departure > Eviction, Departures > Evictions, "
         "departure > eviction, departures > evictions, note_departures > start_evictions, leave_departures > cancel_evictions, "
         "end_departure > end_eviction, hand_over_departures > transfer_evictions, KeptDrain > SavedDrain, kept_drains > saved_drains"},
    {"", "Situation > Context, assess > evaluate, urgent > in_burst, flip_why > flip_reason, choose_together > decide_group, "
         "nobody_else > neutral, Imagined > ShadowState, fate > batch, fate_of > group_of, FlowFate > FlowAction, ring_alarms > run_due, "
         "next_alarm > next_timer, bury > reap, chase > evict_unexpected, strays > unexpected, gone_service > tombstone, "
         "held_back > waits_for_cut, held_for_nothing_ > falsely_held_, false_alarm > probe_burst_passed, believed > discount_if_full, "
         "known_before > precheck, follow_conntrack > update_notrack, take_out > subtract, give_ports > transfer_ports, "
         "hand_over_endpoints > transfer_endpoints, find_current > infer_target, flip_has_a_rest > followup_due"},
    {"", "Telling > ClientNotifier, make_telling > make_client_notifier, telling > notifier, CutWorker > ConntrackWorker, "
         "SideThread > WorkerThread, AcceptedConfig > LastGoodConfig, accepted_config > last_good_config, keep_accepted > save_last_good, "
         "Complaint > Error, complaint > error_text, complain > report_error, "
         "Merged > Resolved, Said > Field, Facts > HistoryRing, note_moved > note_recent, moved_until > recent_until, "
         "moved_for > recent_for, none_fit > no_server_up, none_fit_kept > no_server_up_kept, none_up > no_server_up, "
         "fit > up, unfit > down, fit_left > up_left"},
    {"", "layout_rules > ruleset, Rung > DeleteMethod, rung > method, climb > detect, Ledger > ExpectedFlows, ledger > expected, "
         "give_up > disown, Armed > GuardedAddresses, armed > guarded, armed_by > guarded_by, Stands > Verify, carried_out > is_applied, "
         "Deaf > Muted, deaf > muted, pass_by_conntrack > set_notrack, passes_by_conntrack > is_notrack_set, "
         "disturbed > changed_by_others, HeldReader > HeldClientReader, Dice > RandomTuple, add_known > add_vip, add_target > add_dnat, "
         "add_refused > add_reject, add_moved > add_recent, add_armed > add_guarded, add_source > add_snat, set_same_way > "
         "set_hairpin_ifaces, make_rules > make_ruleset, write_translate > write_dnat, progress_of > phase_of"},
    {"", "Asking > PendingProbe, ExecAsking > PendingExec, HttpAsking > PendingHttp, IcmpAsking > PendingIcmp, asking > pending, "
         "Asked > StartResult, ask_now > trigger, asker > subscriber, askers > subscribers, QuestionId > ProbeId, TalkSpec > "
         "SendExpectSpec, Dialogue > ProtocolClient, LineDialogue > LineProtocolClient, dialogue > client, Conversation > TcpSession, "
         "converse > tcp_session, conversation > tcp_session, ask_datagram > udp_exchange, Obstacle > PathFailure, obstacle > "
         "path_failure, all_blocked > all_unreachable, ClientLog > NflogReader, client_log_ > nflog_, Lateness > LatenessHistogram, "
         "conntrack_room > conntrack_usage, stranger > default_login, hear_line > on_line, longest_heard > longest_input, "
         "record_normal > record_pass, record_abnormal > record_fail, last_abnormal > last_failure, blindness > inconclusive_reason"},
    {"nat", "Kernel > NftTable, Rules > TableState, Words > KeyBytes, Trust > FilterSupport, trust > support, prove > detect, "
            "Datagram > MessageBatch, Progress > TcpPhase, Released > TcpClients, spare > ignore, allow > expect, stray > unexpected"},
    {"probes", "Question > Probe, question > probe, questions > probes, Spec > ProbeSpec, Answer > ProbeResult, Done > OnResult, "
               "Engine > Scheduler, Kinds > Prober, Pace > Rate, pace > rate, Known > Precheck, Ways > RouteMonitor, ways > routes, "
               "Way > Path, way > path, Walk > Scan, walk > scan, blocked > unreachable, Signals > KernelEvents, Signal > KernelEvent, "
               "Talk > SendExpect, talk > send_expect, Turn > Step, say > send, hear > on_data, Shared > CopyOnWrite"},
    {"daemon", "Question > ProbeState, question > probe, questions > probes, Wanted > Plan, View > DecisionInput, Place > TargetKind, "
               "Why > Reason, Standing > Placement, choose > decide, touch > mark_dirty, touched > dirty, "
               "Window > FailureWindow, Kernel > NftTable, Commands > Handlers, Notify > SdNotify, Force > Override, Places > Paths, "
               "Signals > KernelEvents, Engine > Scheduler, alarm > timer, alarms_ > timers_, remember > retain"},
    {"daemon/config", "Service > ServiceConfig, Server > ServerConfig, Findings > Diagnostics, findings > diagnostics"},
    {"daemon/failover", "wanted > desired_state, would > shadow, told > last_logged, elsewhere > group_view, "
                        "together > merge_health, resume > resume_evictions, beat > heartbeat"},
    {"cli", "Word > Subcommand, Reader > ArgumentParser, Remark > Notice, remarks > notices, Paint > Colorizer, said_of_auto > auto_reply, "
            "said_of_force > force_reply, said_of_refusal > refusal_text, said_of_reload > reload_reply"},
};

bool is_below(std::string_view path, std::string_view folder) {
  return folder.empty() || (path.starts_with(folder) && path.size() > folder.size() && path[folder.size()] == '/');
}

// The old names that must not stand in `path`, each with its new one.
std::map<std::string, std::string> old_names(std::string_view path) {
  std::map<std::string, std::string> names;
  for (const Renamed& row : renamed) {
    if (!is_below(path, row.folder)) continue;
    std::istringstream pairs(row.names);
    for (std::string pair; std::getline(pairs, pair, ',');) {
      std::istringstream words(pair);
      std::string before, arrow, after;
      words >> before >> arrow >> after;
      names[before] = after;
    }
  }
  return names;
}

bool is_word_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Calls `use` with every identifier of a line of code.
template <typename Use> void for_each_identifier(std::string_view line, const Use& use) {
  for (std::size_t at = 0; at < line.size();) {
    std::size_t end = at;
    while (end < line.size() && is_word_char(line[end])) ++end;
    if (end > at) use(line.substr(at, end - at));
    at = std::max(end, at + 1);
  }
}

std::vector<std::string> old_names_in(const TextFile& file) {
  const std::map<std::string, std::string> names = old_names(file.path);
  std::vector<std::string> found;
  const std::string code = code_of(file.text);
  const std::vector<std::string_view> lines = lines_of(code);
  for (std::size_t line = 0; line < lines.size(); ++line)
    for_each_identifier(lines[line], [&](std::string_view name) {
      if (const auto old = names.find(std::string{name}); old != names.end())
        found.push_back(fmt::format("{}:{}: {} is called {} now", file.path, line + 1, name, old->second));
    });
  return found;
}

// ---- words in any text: comments, messages, names of tests, documents, scripts

struct OldWord {
  const char* words; // whole words of one line, in either case
  const char* now;
};
constexpr OldWord old_words[] = {
    // results and health
    {"abnormal", "fail"},
    {"abnormally", "fail"},
    {"answered normally", "passed"},
    {"normal answer", "pass"},
    {"normal answers", "passes"},
    {"normal result", "pass"},
    {"normal ones", "passes"},
    {"normal reason", "reason of a pass"},
    {"blind", "inconclusive"},
    {"none-fit", "no-server-up"},
    {"none-fit-kept", "no-server-up-kept"},
    {"none-up", "no-server-up"},
    {"none fit", "no server up"},
    {"unfit", "down"},
    {"is fit", "is up"},
    {"is not fit", "is not up"},
    {"be fit", "be up"},
    {"are fit", "are up"},
    {"as fit as", "as healthy as"},
    {"fit again", "up again"},
    {"fit server", "server that is up"},
    {"fit servers", "servers that are up"},
    {"fit target", "target that is up"},
    {"fit current server", "current server that is up"},
    {"first fit", "first that is up"},
    {"servers fit", "servers up"},
    {"the fit one", "the one that is up"},
    // the table in the kernel
    {"known4", "vips4"},
    {"known6", "vips6"},
    {"target4", "dnat4"},
    {"target6", "dnat6"},
    {"refused4", "reject4"},
    {"refused6", "reject6"},
    {"moved4", "recent4"},
    {"moved6", "recent6"},
    {"armed4", "guarded4"},
    {"armed6", "guarded6"},
    {"source4", "snat4"},
    {"source6", "snat6"},
    {"same_way", "hairpin_ifaces"},
    {"armed", "guarded"},
    {"nobody's flow", "untracked"},
    {"tcp in the middle of nothing", "mid-stream TCP without an entry"},
    {"leftover of a cut flow", "late packet of a deleted flow"},
    // what the code does
    {"departure", "eviction"},
    {"departures", "evictions"},
    {"departs", "is evicted"},
    {"ladder", "methods, from the fastest"},
    {"rung", "method"},
    {"rungs", "methods"},
    {"ledger", "expected flows"},
    {"one fate", "a group"},
    {"its fate", "its target"},
    {"settle()", "sync()"},
    {"cut worker", "conntrack worker"},
    {"side thread", "worker thread"},
    {"client log", "nflog reader"},
    {"dialogue", "protocol"},
    {"obstacle", "path failure"},
};

struct Allowed {
  const char* file; // or the folder above it
  const char* words;
  std::size_t times; // 0: any number
  const char* reason;
};
constexpr Allowed allowed[] = {
    {"packaging/man/hanatd.8.scd", "abnormal", 1, "the patent's term, explained once"},
    {"packaging/man/hanatctl.8.scd", "abnormal", 1, "the old outcome in parentheses: scripts that read version 1 of the JSON"},
    {"packaging/man/hanatctl.8.scd", "blind", 0, "likewise, and the key `blind` of the JSON, which stays"},
    {"packaging/man/hanatctl.8.scd", "none-fit", 1, "the old word in parentheses"},
    {"packaging/man/hanatctl.8.scd", "none-fit-kept", 1, "the old word in parentheses"},
    {"daemon/api", "blind", 0, "the key `blind` of the JSON and the metric hanat_blind: scripts and dashboards read them"},
    {"tests/unit/daemon/api", "blind", 0, "the same key"},
    {"tests/netns/cli", "blind", 0, "the same key"},
    {"nat/nftables/set_names.cpp", "armed", 0, "names in the table of layout 3, which an upgrade reads"},
    {"tests/netns/nat/nftables/table_upgrade_test.cpp", "known4", 0, "names in the table of layout 3, which an upgrade reads"},
    {"tests/netns/nat/nftables/table_upgrade_test.cpp", "target4", 0, "names in the table of layout 3, which an upgrade reads"},
    {"tests/netns/nat/nftables/table_upgrade_test.cpp", "refused4", 0, "names in the table of layout 3, which an upgrade reads"},
    {"tests/netns/nat/nftables/table_upgrade_test.cpp", "moved4", 0, "names in the table of layout 3, which an upgrade reads"},
    {"tests/netns/nat/nftables/table_upgrade_test.cpp", "source4", 0, "names in the table of layout 3, which an upgrade reads"},
    {"tests/netns/nat/nftables/table_upgrade_test.cpp", "armed", 0, "names in the table of layout 3, which an upgrade reads"},
};

std::string lower_case(std::string_view text) {
  std::string lower{text};
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

// How often `words` stand in a line as whole words. `status.daemon.blind` is the key of the JSON, wherever it is read.
std::size_t count_words(std::string_view line, std::string_view words) {
  std::size_t count = 0;
  for (std::size_t at = line.find(words); at != std::string_view::npos; at = line.find(words, at + 1)) {
    const std::size_t end = at + words.size();
    const bool whole = (at == 0 || !is_word_char(line[at - 1])) && (end == line.size() || !is_word_char(line[end]));
    const bool longer = (end < line.size() && line[end] == '-') || (at > 0 && line[at - 1] == '-'); // none-fit-kept is not none-fit
    const bool member = words == "blind" && at > 0 && (line[at - 1] == '.' || line[at - 1] == '>');
    count += whole && !longer && !member ? 1U : 0U;
  }
  return count;
}

const Allowed* allowance(std::string_view path, std::string_view words) {
  for (const Allowed& row : allowed)
    if (words == row.words && (path == row.file || is_below(path, row.file))) return &row;
  return nullptr;
}

std::vector<std::string> old_words_in(const TextFile& file) {
  std::vector<std::string> found;
  const std::string text = lower_case(file.text);
  const std::vector<std::string_view> lines = lines_of(text);
  for (const OldWord& old : old_words) {
    if (text.find(old.words) == std::string::npos) continue;
    const Allowed* const exception = allowance(file.path, old.words);
    std::size_t times = 0;
    for (std::size_t line = 0; line < lines.size(); ++line) {
      const std::size_t here = count_words(lines[line], old.words);
      times += here;
      if (here == 0 || (exception != nullptr && (exception->times == 0 || times <= exception->times))) continue;
      found.push_back(fmt::format("{}:{}: \"{}\" is called \"{}\" now", file.path, line + 1, old.words, old.now));
    }
  }
  return found;
}

TEST(Vocabulary, OldNamesAreGoneFromTheCode) {
  for (const TextFile& file : read_tree({"nat", "probes", "daemon", "cli", "tests"}, {".cpp", ".hpp"}))
    if (file.path != this_file)
      for (const std::string& found : old_names_in(file)) ADD_FAILURE() << found;
}

TEST(Vocabulary, OldWordsAreGoneFromCodeTestsAndDocuments) {
  for (const TextFile& file : read_tree({"nat", "probes", "daemon", "cli", "tests", "packaging", "docs", "README.md", "CONTRIBUTING.md",
                                         "CMakeLists.txt", ".clang-tidy", ".ci"},
                                        {}))
    if (file.path != this_file)
      for (const std::string& found : old_words_in(file)) ADD_FAILURE() << found;
}

TEST(VocabularyChecks, FindNamesAsWholeIdentifiersOutsideCommentsAndTexts) {
  EXPECT_THAT(old_names_in({"daemon/failover/a.cpp", "// A Gateway\nGateway g{\"Gateway\"};\nGatewayAddress a;\n"}),
              testing::ElementsAre("daemon/failover/a.cpp:2: Gateway is called Controller now"));
  EXPECT_THAT(old_names_in({"probes/kinds/dns.cpp", "class Engine;"}), testing::SizeIs(1));
  EXPECT_THAT(old_names_in({"cli/show.cpp", "class Engine;"}), testing::IsEmpty());
}

TEST(VocabularyChecks, FindWholeWordsInEitherCase) {
  EXPECT_THAT(old_words_in({"nat/a.cpp", "// Abnormal.\n// It does not fit. No server is fit.\n// map known42 none-fit-kept\n"}),
              testing::UnorderedElementsAre(testing::HasSubstr("nat/a.cpp:1: \"abnormal\""), testing::HasSubstr("nat/a.cpp:2: \"is fit\""),
                                            testing::HasSubstr("nat/a.cpp:3: \"none-fit-kept\"")));
  EXPECT_THAT(old_words_in({"packaging/man/hanatd.8.scd", "an \"abnormal result\"\nabnormal\n"}), testing::SizeIs(1));
  EXPECT_THAT(old_words_in({"cli/show.cpp", "if (daemon.blind) {}"}), testing::IsEmpty());
}

} // namespace
} // namespace hanat::structure
