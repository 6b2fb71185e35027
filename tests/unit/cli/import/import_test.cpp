// Imports of a few lines: what is counted, where an address is given, and what is said of a file that is none.
// Not here: whole files (samples_test).
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "cli/import/import.hpp"
#include "tests/unit/cli/import/import_fixture.hpp"

namespace hanat::cli::imports {
namespace {

using test::import_error;
using test::imported;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::string head = "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n";

std::string nat_table(const std::string& rules) { return head + rules + "COMMIT\n"; }

TEST(Import, CountsServicesAndLines) {
  const auto all = imported(
      System::iptables, nat_table("-A PREROUTING -d 203.0.113.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 198.18.1.2:80\n"));
  EXPECT_EQ(all.counts.services, 1U);
  EXPECT_EQ(all.counts.lost, 0U) << all.toml;
  EXPECT_EQ(summary(all.counts), "1 service carried over, nothing lost");
  const auto none = imported(System::iptables, nat_table("-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 198.18.1.2:80\n"
                                                         "-A POSTROUTING -o eth0 -j MASQUERADE\n"));
  EXPECT_EQ(none.counts.services, 0U);
  EXPECT_EQ(none.counts.lost, 1U);
  EXPECT_EQ(none.counts.needless, 1U);
  EXPECT_EQ(summary(none.counts),
            "0 services carried over; 1 setting was not carried over: look for LOST in the output; 1 line not needed, listed at the end");
}

TEST(Import, TakesTheAddressThatTheFileLeavesOpen) {
  const std::vector<Address> any{*Address::parse("203.0.113.9"), *Address::parse("2001:db8::9")};
  EXPECT_THAT(
      imported(System::iptables, nat_table("-A PREROUTING -i eth0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 198.18.1.2\n"), any)
          .toml,
      HasSubstr("listen = \"203.0.113.9:80/tcp\""));
  const std::string proxy = "listen a\n mode tcp\n bind {}\n server x 198.18.1.2:80\n server y [fd00::2]:80\n";
  EXPECT_THAT(imported(System::haproxy, fmt::format(fmt::runtime(proxy), "*:80"), any).toml, HasSubstr("listen = \"203.0.113.9:80/tcp\""));
  EXPECT_THAT(imported(System::haproxy, fmt::format(fmt::runtime(proxy), "[::]:80"), any).toml,
              HasSubstr("listen = \"[2001:db8::9]:80/tcp\""));
  EXPECT_THAT(imported(System::haproxy, fmt::format(fmt::runtime(proxy), ":80")).toml,
              AllOf(HasSubstr("--address ADDRESS"), HasSubstr("# [service.a]")));
}

// The configuration's own parser has the last word: here the server is a loopback address.
TEST(Import, LeavesAServiceThatHanatWouldRefuseAsAComment) {
  const auto outcome = imported(System::haproxy, "listen web\n mode tcp\n bind 203.0.113.10:80\n server a 127.0.0.1:8080\n"
                                                 "listen good\n mode tcp\n bind 203.0.113.10:81\n server a 198.18.1.2:81\n");
  EXPECT_EQ(outcome.counts.services, 1U);
  EXPECT_EQ(outcome.counts.refused, 1U);
  EXPECT_THAT(outcome.toml,
              AllOf(HasSubstr("# LOST: old:1: all of service web: it stands here as a comment\n#   \"127.0.0.1:8080\" is a loopback"),
                    HasSubstr("\n# [service.web]\n"), HasSubstr("\n[service.good]\n")));
}

TEST(Import, KeepsTheOldLinesReadable) {
  const auto outcome =
      imported(System::haproxy, "listen w\xc3\xa4rme\n mode tcp\n bind 203.0.113.10:80\n server a 198.18.1.2:80\n acl \x1b[2J\n");
  EXPECT_THAT(outcome.toml, AllOf(HasSubstr("[service.w-rme]"), HasSubstr("old:5: acl \\x1b[2J"), Not(HasSubstr("\x1b"))));
}

TEST(Import, RefusesFilesThatAreNone) {
  EXPECT_EQ(import_error(System::iptables, "#!/bin/sh\niptables -t nat -A PREROUTING -j DNAT\n").substr(0, 19), "old:1: is a script,");
  EXPECT_THAT(import_error(System::iptables, "iptables -t nat -F\n"), HasSubstr("run iptables-save"));
  EXPECT_THAT(import_error(System::iptables, "table ip nat {\n"), AllOf(StartsWith("old:1: "), HasSubstr("nftables")));
  EXPECT_THAT(import_error(System::iptables, head), AllOf(StartsWith("old:3: "), HasSubstr("no COMMIT: the file is cut off")));
  EXPECT_THAT(import_error(System::iptables, nat_table("-A PREROUTING -m comment --comment \"x -j DNAT\n")),
              StartsWith("old:4: a quotation mark"));
  EXPECT_THAT(import_error(System::iptables, nat_table("nonsense\n")),
              AllOf(StartsWith("old:4: \"nonsense\""), HasSubstr("iptables-save")));
  EXPECT_THAT(import_error(System::iptables, ""), HasSubstr("run iptables-save"));
  EXPECT_THAT(import_error(System::iptables, std::string{"*nat\n\0x", 7}), AllOf(StartsWith("old:2: "), HasSubstr("NUL")));
  EXPECT_THAT(import_error(System::haproxy, "virtual_server 203.0.113.10 80 {\n}\n"),
              AllOf(StartsWith("old:1: "), HasSubstr("no haproxy.cfg")));
  EXPECT_THAT(import_error(System::haproxy, "listen a\n bind \"203.0.113.10:80\n"),
              StartsWith("old:2: a quotation mark (\") is not closed"));
  EXPECT_THAT(import_error(System::haproxy, "listen a from nothing\n"), HasSubstr("no section \"defaults nothing\""));
  EXPECT_THAT(import_error(System::haproxy, "# nothing\n"), HasSubstr("nothing to import"));
  EXPECT_THAT(import_error(System::keepalived, "global\n  daemon\n"), HasSubstr("neither a virtual_server nor a vrrp_instance"));
  EXPECT_THAT(import_error(System::keepalived, "virtual_server 203.0.113.10 80 {\n real_server 198.18.1.2 80 {\n}\n"),
              AllOf(StartsWith("old:1: "), HasSubstr("its } is missing")));
  EXPECT_THAT(import_error(System::keepalived, "global_defs {\n}\n}\n"), StartsWith("old:3: a closing brace"));
  EXPECT_THAT(import_error(System::keepalived, "global_defs {\n router_id \"a\n}\n"), StartsWith("old:2: a quotation mark"));
}

TEST(Import, EndsIncludesThatGoInACircle) {
  const Includes itself = [](const std::string& pattern, const std::string&) {
    return std::vector<SourceText>{{.name = pattern, .text = "include a.conf\n"}};
  };
  try {
    import_text(System::keepalived, {.name = "old", .text = "include a.conf\n"}, itself, {});
    FAIL();
  } catch (const ImportError& error) {
    EXPECT_THAT(error.what(), AllOf(StartsWith("a.conf:1: "), HasSubstr("it probably includes itself")));
  }
}

TEST(Import, SaysWhereAnIncludeIsThatCannotBeRead) {
  const Includes secret = [](const std::string&, const std::string&) -> std::vector<SourceText> {
    throw std::runtime_error("Permission denied");
  };
  try {
    import_text(System::keepalived, {.name = "old", .text = "\ninclude a.conf\n"}, secret, {});
    FAIL();
  } catch (const ImportError& error) {
    EXPECT_STREQ(error.what(), "old:2: a.conf cannot be read: Permission denied");
  }
}

TEST(Import, WarnsOfAFilterThatKnowsTheOldServersAlone) {
  const std::string nat = nat_table("-A PREROUTING -d 203.0.113.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 198.18.1.2:80\n");
  const auto drops = imported(System::iptables, "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -d 198.18.1.2/32 -j ACCEPT\nCOMMIT\n" + nat);
  EXPECT_EQ(drops.counts.lost, 0U);
  EXPECT_THAT(drops.toml, AllOf(HasSubstr("# NOTE: old:2: :FORWARD DROP [0:0]\n"),
                                HasSubstr("\n#     iptables -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT\n")));
  EXPECT_THAT(imported(System::iptables, "*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n" + nat).toml, Not(HasSubstr("# NOTE: ")));
}

// Ranges, shifted and not, in the words of iptables.
TEST(Import, MapsRangesAsTheKernelDid) {
  const auto toml_of = [](const std::string& ports, const std::string& to) {
    return imported(
               System::iptables,
               nat_table(fmt::format("-A PREROUTING -d 203.0.113.10/32 -p udp -m udp --dport {} -j DNAT --to-destination {}\n", ports, to)))
        .toml;
  };
  EXPECT_THAT(toml_of("5000:5100", "198.18.1.2"), HasSubstr("primary = \"198.18.1.2\"\n"));
  EXPECT_THAT(toml_of("5000:5100", "198.18.1.2:5000-5100"), HasSubstr("primary = \"198.18.1.2\"\n"));
  EXPECT_THAT(toml_of("5000:5100", "198.18.1.2:4000-6000"), HasSubstr("primary = \"198.18.1.2\"\n"));
  EXPECT_THAT(toml_of("5000:5100", "198.18.1.2:6000-6100/5000"), HasSubstr("primary = \"198.18.1.2:6000-6100\"\n"));
  EXPECT_THAT(toml_of("5000:5100", "198.18.1.2:6000-6100"),
              AllOf(HasSubstr("primary = \"198.18.1.2:6000-6100\"\n"), HasSubstr("one to one")));
  EXPECT_THAT(toml_of("5000", "198.18.1.2:6000-6100"), AllOf(HasSubstr("primary = \"198.18.1.2:6000\"\n"), HasSubstr("takes its first")));
  EXPECT_THAT(toml_of("5000:5100", "198.18.1.2:6000"), HasSubstr("# [service."));
}

// A search for LOST finds what is missing, and nothing else.
TEST(Import, MarksWhatIsLostApartFromWhatIsExplained) {
  const auto outcome = imported(System::keepalived, "virtual_server 203.0.113.10 80 {\n quorum 2\n sorry_server 198.18.1.9 80\n"
                                                    " real_server 198.18.1.2 80 {\n weight 1 }\n}\n");
  EXPECT_EQ(outcome.counts.lost, 1U);
  EXPECT_THAT(outcome.toml, AllOf(HasSubstr("\n# LOST: old:2: quorum 2\n#   hanat needs one server that is up"),
                                  HasSubstr("\n# NOTE: old:3: sorry_server 198.18.1.9 80\n#   it is the last backup")));
}

TEST(Import, SaysOfOneLineOnceWhatIsLost) {
  const auto outcome =
      imported(System::haproxy, "listen a\n mode tcp\n bind 203.0.113.10:80 accept-proxy interface eth0\n server x 198.18.1.2:80\n");
  EXPECT_EQ(outcome.counts.lost, 1U);
  EXPECT_THAT(outcome.toml,
              HasSubstr("# LOST: old:3: bind 203.0.113.10:80 accept-proxy interface eth0\n#   hanat does not read the PROXY protocol: "
                        "what sends it must stop to, or its server must read it\n#   it was for clients that come in by eth0"));
}

TEST(Import, AWildcardOfAnInterfaceBecomesThatInterface) {
  const auto text = [](const char* binds) { return fmt::format("listen a\n mode tcp\n{} server x 198.18.1.2:443\n", binds); };
  const auto outcome = imported(System::haproxy, text(" bind *:443 interface eth0\n"));
  EXPECT_EQ(outcome.counts.lost, 0U);
  EXPECT_THAT(outcome.toml, AllOf(HasSubstr("\nlisten = \"eth0:443/tcp\"\n"),
                                  HasSubstr("# NOTE: old:3: bind *:443 interface eth0\n#   it was for whatever came in by eth0; hanat "
                                            "serves what goes to an address of eth0")));
  EXPECT_THAT(imported(System::haproxy, text(" bind *:443 interface eth0\n bind :::443 v6only interface eth0\n")).toml,
              HasSubstr("\nlisten = \"eth0:443/tcp\"\n"))
      << "once";
  EXPECT_THAT(imported(System::haproxy, text(" bind *:443 interface eth+\n")).toml, HasSubstr("run the import again with --address"));
}

TEST(Import, SaysWhereThePairHasItsAddressFrom) {
  const std::string instance = "vrrp_instance VI_1 {\n virtual_ipaddress {\n  203.0.113.9/24 dev eth0\n  203.0.113.10/24 dev eth0\n }\n}\n";
  EXPECT_THAT(imported(System::keepalived, instance).toml,
              AllOf(HasSubstr("# NOTE: old:1: vrrp_instance VI_1\n"),
                    HasSubstr("from old:3: 203.0.113.9/24 dev eth0; it is the first of the instance, and no service"),
                    HasSubstr("\n#   Remove [pair] where there is no second gateway: "),
                    HasSubstr("\n[pair]\naddress = \"203.0.113.9\"\n")));
  EXPECT_THAT(imported(System::keepalived, instance + "virtual_server 203.0.113.10 80 {\n real_server 198.18.1.2 80 {\n }\n}\n").toml,
              AllOf(HasSubstr("from old:4: 203.0.113.10/24 dev eth0; it is the first that a service listens on."),
                    HasSubstr("\n[pair]\naddress = \"203.0.113.10\"\n")));
}

TEST(Import, HasAHookForMailsAndScripts) {
  const std::string server = "virtual_server 203.0.113.10 80 {\n real_server 198.18.1.2 80 {\n  notify_down /x\n  notify_up /x\n }\n}\n";
  const std::string mails = "global_defs {\n notification_email {\n  ops@example.com\n }\n smtp_server 198.18.1.25\n}\n";
  const auto toml = imported(System::keepalived, mails + server).toml;
  EXPECT_THAT(toml, AllOf(HasSubstr("# LOST: old:2: notification_email { ops@example.com }\n"),
                          HasSubstr("#     hook = [\"/usr/lib/hanat/hanat-hook\", \"mail\"]\n"), HasSubstr("examples/hooks/mail"),
                          HasSubstr("#     systemctl enable --now hanat-hook@mail.path\n"), HasSubstr("HANAT_MAIL_TO=ops@example.com\n"),
                          HasSubstr("# LOST: old:5: smtp_server 198.18.1.25\n")));
  EXPECT_THAT(toml, AllOf(HasSubstr("# LOST: old:9: notify_down /x\n#   in hanat the hook of [hanatd]"), HasSubstr("hanat-hook@NAME.path"),
                          HasSubstr("\n#     hook = [\"/etc/hanat/hooks/servers\", \"/path/of/script\"]\n"),
                          HasSubstr("\n#     [ \"$4\" = down ] && exec /x\n"),
                          HasSubstr("# LOST: old:10: notify_up /x\n#   a hook calls a program of yours, as for old:9\n")));
  const auto vrrp_alone = imported(System::keepalived, mails + "vrrp_instance VI_1 {\n virtual_ipaddress {\n  203.0.113.9\n }\n}\n");
  EXPECT_EQ(vrrp_alone.counts.lost, 0U) << vrrp_alone.toml; // keepalived has the addresses, and mails about them
  const auto silent = imported(System::keepalived, "global_defs {\n smtp_alert_checker off\n smtp_server 198.18.1.25\n}\n" + server);
  EXPECT_THAT(silent.toml, Not(HasSubstr("LOST: old:3")));
}

TEST(Import, SaysHowToBeginBesideServicesThatAreLive) {
  const auto toml = imported(System::keepalived, "virtual_server 203.0.113.10 80 {\n real_server 198.18.1.2 80 {\n }\n}\n").toml;
  EXPECT_THAT(toml.substr(0, toml.find("\n\n")),
              AllOf(HasSubstr("a file of its own in /etc/hanat/conf.d"), HasSubstr("remove [defaults]"), HasSubstr("each [service.NAME]")));
}

TEST(Import, SaysWhyServersSeeTheGatewaysAddress) {
  const auto toml = imported(System::haproxy, "listen a\n mode tcp\n bind 203.0.113.10:80\n server x 198.18.1.2:80\n"
                                              "listen b\n mode tcp\n bind 203.0.113.10:81\n server x 198.18.1.2:81\n")
                        .toml;
  EXPECT_THAT(toml,
              AllOf(HasSubstr("# HAProxy's servers saw the proxy's address"), HasSubstr("clients would hang.\nsnat = \"masquerade\"\n"),
                    HasSubstr("# as in service a: the servers see this gateway's address\nsnat = \"masquerade\"\n")));
  EXPECT_THAT(
      imported(System::haproxy, "listen a\n mode tcp\n bind 203.0.113.10:80\n server x 198.18.1.2:80 source 0.0.0.0 usesrc clientip\n")
          .toml,
      Not(HasSubstr("snat")));
}

TEST(Import, FollowsFallAndRiseAndTheirTimes) {
  const auto toml = imported(System::haproxy, "defaults\n mode tcp\n timeout check 7s\nlisten a\n bind 203.0.113.10:80\n"
                                              " server x 198.18.1.2:80 check inter 10s fastinter 2s fall 4 rise 3\n")
                        .toml;
  EXPECT_THAT(toml, AllOf(HasSubstr("probe = { type = \"tcp\", interval = \"10s\", fast_interval = \"2s\", timeout = \"7s\" }"),
                          HasSubstr("down = { fails = 4, within = \"20s\" }"), HasSubstr("up = { passes = 3 }")));
}

TEST(Import, AHaproxyCheckThatSendsABodyBecomesOneWhereTheMethodHasBodies) {
  const std::string proxy = "listen a\n mode http\n bind 203.0.113.10:80\n server x 198.18.1.2:80 check\n option httpchk\n"
                            " http-check send meth {} uri /q hdr Content-Type text/plain body ping\n";
  EXPECT_THAT(
      imported(System::haproxy, fmt::format(fmt::runtime(proxy), "PUT")).toml,
      AllOf(HasSubstr("method = \"PUT\""), HasSubstr("headers = [\"Content-Type: text/plain\"]"), HasSubstr("request_body = \"ping\"")));
  EXPECT_THAT(imported(System::haproxy, fmt::format(fmt::runtime(proxy), "GET")).toml,
              AllOf(Not(HasSubstr("request_body = \"")), HasSubstr("# LOST: ")));
}

} // namespace
} // namespace hanat::cli::imports
