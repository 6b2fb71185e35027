// Kind smtp: the greeting, EHLO, and QUIT as a farewell. Not here: STARTTLS, mail.
#include <algorithm>

#include "probes/dialogue.hpp"

namespace hanat::probes {
namespace {

constexpr std::size_t longest_smtp_line = 4096; // RFC 5321 says 512; some say more

class Smtp final : public LineDialogue {
public:
  explicit Smtp(const SmtpSpec& spec) : LineDialogue{longest_smtp_line}, hello_(spec.hello) {}
  bool leaves_politely() const override { return true; }
  std::string_view stage() const override { return greeted_ ? "no answer to EHLO" : "no greeting"; }

private:
  /// "250-SIZE" is followed by more, "250 SIZE" and "250" are the last.
  void hear_line(std::string_view line, Turn& turn) override {
    const std::string_view code = line.substr(0, 3);
    const bool more = line.size() > 3 && line[3] == '-';
    const bool well_formed = code.size() == 3 && std::ranges::all_of(code, [](char c) { return c >= '0' && c <= '9'; }) &&
                             (line.size() == 3 || more || line[3] == ' ');
    if (!well_formed || (!code_.empty() && code != code_)) {
      turn.verdict = Verdict{Reason::garbled, std::string{line}};
      return;
    }
    code_ = more ? code : std::string_view{};
    if (code != (greeted_ ? "250" : "220")) {
      turn.verdict = Verdict{Reason::wrong_answer, std::string{line}};
      turn.say += "QUIT\r\n";
    } else if (!more) {
      turn.say += greeted_ ? "QUIT\r\n" : "EHLO " + hello_ + "\r\n";
      if (greeted_) turn.verdict = Verdict{};
      greeted_ = true;
    }
  }

  std::string hello_;
  std::string code_; // of the lines before, where more follow
  bool greeted_ = false;
};

} // namespace

std::unique_ptr<Dialogue> smtp(const SmtpSpec& spec) { return std::make_unique<Smtp>(spec); }

} // namespace hanat::probes
