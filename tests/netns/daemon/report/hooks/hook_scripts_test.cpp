// The scripts of the package: what carries events out of the sandbox, and the examples. Not here: the units under a real systemd (package).
#include <chrono>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/daemon/report/hooks/hook_kit.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

class HookScripts : public HookTest {
protected:
  HookScripts() {
    std::filesystem::create_directory(folder / "programs");
    for (const char* name : {"HANAT_HOOK_FOLDER", "HANAT_HOOK_PROGRAMS"})
      setting += fmt::format("{}={} ", name, folder / (name == std::string{"HANAT_HOOK_FOLDER"} ? "spool" : "programs"));
  }
  /// With sh -e: variables first.
  Output sh(const std::string& command) { return lab.run(Host::gateway, command); }
  std::string example(const char* name) const { return fmt::format("{}/packaging/examples/hooks/{}", HANAT_SOURCE, name); }
  std::size_t waiting() const {
    std::size_t number = 0;
    if (!std::filesystem::exists(folder / "spool/mail")) return 0;
    for ([[maybe_unused]] const auto& file : std::filesystem::directory_iterator(folder / "spool/mail")) ++number;
    return number;
  }

  std::string setting;
  const std::string hanat_hook = HANAT_SOURCE "/packaging/hook/hanat-hook";
};

TEST_F(HookScripts, AnEventIsHandedOnWithItsVariablesAndItsDocument) {
  // hanatd's own environment is not handed on: the folder is told by a script around it.
  const std::string inside = script("inside", fmt::format("{} exec {} mail\n", setting, hanat_hook));
  Hanatd hanatd{lab, fast_service({.extra = hook(inside)})};
  hanatd.wait_target("web", "primary");
  ASSERT_TRUE(within(5s, [&] { return waiting() == 1; })) << hanatd.log();
  std::this_thread::sleep_for(1s);
  ASSERT_EQ(hanatd.ctl({"force-backup", "web", "--reason", "$(touch " + (folder / "injected") + ")"}).exit, 0);
  ASSERT_TRUE(within(5s, [&] { return waiting() == 2; })) << hanatd.log();
  const Output none = sh(setting + "HANAT_HOOK_PAUSE=0 " + hanat_hook + " --run mail");
  EXPECT_EQ(none.exit, 1);
  EXPECT_THAT(none.err, HasSubstr("there is no program " + (folder / "programs/mail")));
  EXPECT_EQ(waiting(), 2U);
  script("programs/mail",
         fmt::format("echo \"$HANAT_SERVICE $HANAT_TO $HANAT_TEXT\" >>{0}\ncat >>{1}\n", folder / "lines", folder / "mail.told"));
  const Output run = sh(setting + hanat_hook + " --run mail");
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(waiting(), 0U);
  const std::string lines = read_text(folder / "lines");
  EXPECT_THAT(lines, StartsWith("web primary connections go to primary"));
  EXPECT_THAT(lines, HasSubstr("\nweb backup new connections go from primary"));
  ASSERT_EQ(told("mail").size(), 2U);
  EXPECT_EQ(told("mail")[1].at("to"), "backup");
  EXPECT_FALSE(std::filesystem::exists(folder / "injected"));
}

TEST_F(HookScripts, WhatIsNotAVariableOfHanatIsNoVariable) {
  std::filesystem::create_directories(folder / "spool/mail");
  write_text(folder / "spool/mail/1",
             "PATH=/nowhere\nHANAT_A=$(id) `id`\nHANAT_B[0]=x\nLD_PRELOAD=/x\nHANAT_lower=x\n\nHANAT_C=document\n");
  std::filesystem::create_symlink("/etc/passwd", folder / "spool/mail/2");
  std::filesystem::create_directory(folder / "spool/mail/3");
  script("programs/mail", "env | grep '^HANAT_[ABCl]\\|^LD_' | sort\necho \"$PATH\"\ncat\n");
  const Output run = sh(setting + hanat_hook + " --run mail");
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_THAT(run.out, StartsWith("HANAT_A=$(id) `id`\n/"));
  EXPECT_THAT(run.out, EndsWith("\nHANAT_C=document\n"));
  EXPECT_EQ(waiting(), 0U) << "a link and a folder are not handed on";
}

TEST_F(HookScripts, AtMostAHundredEventsWaitAndAProgramThatFailsLosesItsEventOnly) {
  std::filesystem::create_directories(folder / "spool/mail");
  for (int count = 1; count <= 98; ++count)
    write_text(folder / fmt::format("spool/mail/{:03}", count).c_str(), fmt::format("HANAT_COUNT={}\n\n{{}}\n", count));
  const Output full =
      sh(setting + "; for i in 99 100 101; do echo '{}' | env " + setting + "HANAT_COUNT=$i " + hanat_hook + " mail || exit 7; done");
  EXPECT_EQ(full.exit, 7);
  EXPECT_THAT(full.out, HasSubstr("100 events wait in " + (folder / "spool/mail") + ": systemctl enable --now hanat-hook@mail.path"));
  EXPECT_EQ(waiting(), 100U);
  script("programs/mail", fmt::format("echo $HANAT_COUNT >>{}\n[ $HANAT_COUNT != 50 ]\n", folder / "counts"));
  EXPECT_EQ(sh(setting + hanat_hook + " --run mail").exit, 1);
  EXPECT_EQ(waiting(), 0U);
  std::string wanted;
  for (int count = 1; count <= 100; ++count) wanted += fmt::format("{}\n", count);
  EXPECT_EQ(read_text(folder / "counts"), wanted) << "the oldest first";
}

TEST_F(HookScripts, NamesThatAreNoneAreRefused) {
  for (const char* arguments : {"", "''", "..", "a/b", ".a", "--run", "--run ../x", "--go mail", "--run mail more"})
    EXPECT_EQ(sh(setting + hanat_hook + " " + arguments + " </dev/null").exit, 2) << arguments;
  EXPECT_FALSE(std::filesystem::exists(folder / "spool"));
}

TEST_F(HookScripts, TheExampleForMailWritesAMail) {
  const std::string sendmail = script("sendmail", "echo \"$@\"\ncat\n");
  const Output mail = sh(fmt::format("echo '{{\"version\": 1}}' | HANAT_MAIL_TO=ops@example.com HANAT_MAIL_FROM=gw@example.com SENDMAIL={} "
                                     "HANAT_SERVICE=web HANAT_TO=backup "
                                     "HANAT_COUNT=3 HANAT_TEXT='new connections' {}",
                                     sendmail, example("mail")));
  EXPECT_EQ(mail.exit, 0) << mail.err;
  EXPECT_THAT(mail.out, StartsWith("-t -i\nTo: ops@example.com\nFrom: gw@example.com\nSubject: [hanat "));
  EXPECT_THAT(mail.out, HasSubstr("] web: new connections (and 2 before)\n"));
  EXPECT_THAT(mail.out, EndsWith("\n{\"version\": 1}\n"));
  write_text(
      folder / "document",
      R"({"events": [{"at": "10:00", "service": "web", "text": "primary is down"}, {"at": "10:01", "service": null, "text": "b"}]})");
  const Output several = sh(fmt::format("SENDMAIL={} HANAT_COUNT=2 {} <{}", sendmail, example("mail"), folder / "document"));
  EXPECT_THAT(several.out, HasSubstr("\n10:00 web: primary is down\n10:01 gateway: b\n\n{")) << several.err;
}

TEST_F(HookScripts, TheExampleForAWebhookPostsTheDocument) {
  write_text(folder / "server.py", R"(
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        with open(sys.argv[1] + '/posted.new', 'w') as out:
            out.write(self.headers['Content-Type'] + '\n' + self.headers['Authorization'] + '\n' + self.rfile.read(int(self.headers['Content-Length'])).decode())
        import os; os.rename(sys.argv[1] + '/posted.new', sys.argv[1] + '/posted')
        self.send_response(204); self.end_headers()
server = http.server.HTTPServer(('127.0.0.1', 8080), Handler)
open(sys.argv[1] + '/listens', 'w')
server.serve_forever()
)");
  const Process server = lab.spawn(Host::gateway, {"python3", folder / "server.py", folder.path().string()});
  write_text(folder / "webhook.conf", "url = \"http://127.0.0.1:8080/hanat\"\nheader = \"Authorization: Bearer secret\"\n");
  const std::string program = script("webhook", read_text(example("webhook")).substr(std::string{"#!/bin/sh\n"}.size()));
  ASSERT_TRUE(within(5s, [&] { return std::filesystem::exists(folder / "listens"); }));
  Hanatd hanatd{lab, fast_service({.extra = fmt::format("hook = [\"{}\", \"{}\"]", program, folder / "webhook.conf")})};
  hanatd.wait_target("web", "primary");
  ASSERT_TRUE(within(5s, [&] { return std::filesystem::exists(folder / "posted"); })) << hanatd.log();
  const std::string posted = read_text(folder / "posted"), head = "application/json\nBearer secret\n";
  ASSERT_THAT(posted, StartsWith(head));
  EXPECT_EQ(json::parse(posted.substr(head.size())).at("service"), "web");
}

TEST_F(HookScripts, TheExampleForKeepalivedsScriptsTellsTheState) {
  const std::string notify = script("notify", "echo \"$*\"\n");
  for (const auto& [to, state] :
       {std::pair{"primary", "INSTANCE web MASTER\n"}, {"backup2", "INSTANCE web BACKUP\n"}, {"none", "INSTANCE web FAULT\n"}, {"", ""}}) {
    EXPECT_EQ(sh(fmt::format("HANAT_SERVICE=web HANAT_TO={} {} {}", to, example("notify"), notify)).out, state);
    EXPECT_EQ(sh(fmt::format("HANAT_SERVICE=web HANAT_TO={} NOTIFY={} {}", to, notify, example("notify"))).out, state);
  }
}

TEST_F(HookScripts, TheExampleForServersMissesNoneOfSeveralEvents) {
  const std::string program = script("server-state", "echo \"$*\"\n[ \"$4\" != up ]\n");
  const auto event = [](const char* server, const char* state) {
    return fmt::format(R"({{"event": "health", "service": "web", "server": "{0}", "addresses": {{"server": "{0}:1"}}, "state": "{1}"}})",
                       server, state);
  };
  const std::string flip = R"({"event": "flip", "service": "web", "server": null, "addresses": {"server": null}, "state": null})";
  const auto run = [&](int count, const std::string& events) {
    write_text(folder / "document", fmt::format(R"({{"count": {}, "events": [{}]}})", count, events));
    return sh(fmt::format("HANAT_EVENT=flip HANAT_STATE= {} {} <{}", example("servers"), program, folder / "document"));
  };
  const Output death = run(2, event("primary", "down") + ", " + flip);
  EXPECT_EQ(death.out, "web primary primary:1 down\n");
  EXPECT_EQ(death.exit, 0) << death.err;
  const Output more = run(30, event("primary", "up") + ", " + event("backup", "full") + ", " + event("backup", "down"));
  EXPECT_EQ(more.out, "web primary primary:1 up\nweb backup backup:1 down\n") << "one that fails stops none";
  EXPECT_EQ(more.exit, 1);
  EXPECT_THAT(more.err, HasSubstr("27 older events are not in the document"));
}

} // namespace
} // namespace hanat::test
