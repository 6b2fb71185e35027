// Kind smtp: the greeting, EHLO, and QUIT at the end. Not here: STARTTLS, mail.
#include <algorithm>

#include "probes/kinds/protocol.hpp"

namespace hanat::probes {
namespace {

constexpr std::size_t longest_smtp_line = 4096; // RFC 5321 allows 512; some servers send more

class Smtp final : public LineProtocolClient {
public:
  explicit Smtp(const SmtpSpec& spec) : LineProtocolClient{longest_smtp_line}, hello_(spec.hello) {}
  bool closes_with_fin() const override { return true; }
  std::string_view stage() const override { return greeted_ ? "no reply to EHLO" : "no greeting"; }

private:
  /// "250-SIZE" is followed by more lines; "250 SIZE" and "250" are last lines.
  void on_line(std::string_view line, Step& step) override {
    const std::string_view code = line.substr(0, 3);
    const bool more = line.size() > 3 && line[3] == '-';
    const bool well_formed = code.size() == 3 && std::ranges::all_of(code, [](char c) { return c >= '0' && c <= '9'; }) &&
                             (line.size() == 3 || more || line[3] == ' ');
    if (!well_formed || (!code_.empty() && code != code_)) {
      step.verdict = Verdict{Reason::garbled, std::string{line}};
      return;
    }
    code_ = more ? code : std::string_view{};
    if (code != (greeted_ ? "250" : "220")) {
      step.verdict = Verdict{code == "421" ? Reason::full : Reason::wrong_answer, std::string{line}}; // RFC 5321, 3.8: not now
      step.send += "QUIT\r\n";
    } else if (!more) {
      step.send += greeted_ ? "QUIT\r\n" : "EHLO " + hello_ + "\r\n";
      if (greeted_) step.verdict = Verdict{};
      greeted_ = true;
    }
  }

  std::string hello_;
  std::string code_; // of the previous line, if more lines follow
  bool greeted_ = false;
};

} // namespace

std::unique_ptr<ProtocolClient> smtp(const SmtpSpec& spec) { return std::make_unique<Smtp>(spec); }

} // namespace hanat::probes
