// A command can be copied from the screen: it begins on a line of its own, and is whole. Not here: which remedies there are (doctor).
#include "cli/remedy.hpp"

#include <gmock/gmock.h>

namespace hanat::cli {
namespace {

using testing::ElementsAre;

TEST(RemedyLines, ACommandIsWholeHoweverLong) {
  const std::string rule = "iptables -I FORWARD -m conntrack --ctstate DNAT --ctorigdst 203.0.113.10 -j ACCEPT";
  EXPECT_THAT(remedy_lines(rule, 40, 3), ElementsAre("   -> " + rule));
}

TEST(RemedyLines, SeveralCommandsAreALineEach) {
  EXPECT_THAT(remedy_lines("firewall-cmd --permanent --new-policy=hanat; firewall-cmd --reload", 40, 0),
              ElementsAre("-> firewall-cmd --permanent --new-policy=hanat", "-> firewall-cmd --reload"));
  EXPECT_THAT(remedy_lines("hanatctl plan; hanatctl reload", 80, 3), ElementsAre("   -> hanatctl plan", "   -> hanatctl reload"));
}

TEST(RemedyLines, WhereItIsRunAndANoteStandOnLinesOfTheirOwn) {
  EXPECT_THAT(remedy_lines("sysctl -w net.ipv4.ip_forward=1   (to keep it: a file in /etc/sysctl.d)", 80, 3),
              ElementsAre("   -> sysctl -w net.ipv4.ip_forward=1", "      (to keep it: a file in /etc/sysctl.d)"));
  EXPECT_THAT(remedy_lines("on the server: ip route replace default via 198.18.1.1   (or snat = \"masquerade\" here)", 80, 3),
              ElementsAre("   on the server:", "   -> ip route replace default via 198.18.1.1", "      (or snat = \"masquerade\" here)"));
  EXPECT_THAT(remedy_lines("there: ip route get 198.18.1.2; nft list ruleset", 80, 0),
              ElementsAre("there:", "-> ip route get 198.18.1.2", "-> nft list ruleset"));
}

TEST(RemedyLines, ASentenceIsWrapped) {
  EXPECT_THAT(remedy_lines("on the server: see what listens on its port and for whom   (ss -ltn)", 40, 3),
              ElementsAre("   -> on the server: see what listens on", "      its port and for whom", "      (ss -ltn)"));
  EXPECT_THAT(remedy_lines("check its cable, VLAN and address", 0, 0), ElementsAre("-> check its cable, VLAN and address"));
}

TEST(WrappedMessage, KeepsLinesAndWhatCanBeCopied) {
  EXPECT_EQ(wrapped_message("no hanatd at /s: it is not running (systemctl start hanatd), or it has another --socket", 50),
            "no hanatd at /s: it is not running\n  (systemctl start hanatd), or it has another\n  --socket");
  EXPECT_EQ(wrapped_message("web: traffic goes to backup. To end that:\n-> hanatctl auto a-service-with-a-long-name\n", 30),
            "web: traffic goes to backup.\n  To end that:\n-> hanatctl auto a-service-with-a-long-name\n");
  EXPECT_EQ(wrapped_message("one line (of any length)", 0), "one line (of any length)");
}

} // namespace
} // namespace hanat::cli
