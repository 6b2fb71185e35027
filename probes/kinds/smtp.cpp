// Kind smtp: the greeting, EHLO, and QUIT at the end; with TLS: STARTTLS behind the first EHLO, and another one behind that.
// Not here: the TLS handshake (tls_client), mail.
#include <algorithm>
#include <cstdint>

#include "probes/kinds/protocol.hpp"

namespace hanat::probes {
namespace {

constexpr std::size_t longest_smtp_line = 4096; // RFC 5321 allows 512; some servers send more

bool same_word(std::string_view one, std::string_view other) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(one, other, {}, lower, lower);
}

class Smtp final : public LineProtocolClient {
public:
  Smtp(const SmtpSpec& spec, bool tls) : LineProtocolClient{longest_smtp_line}, hello_(spec.hello), tls_(tls) {}
  bool closes_with_fin() const override { return true; }
  bool begins_plain() const override { return true; }
  Step on_secured(const TlsStream& /*tls*/) override {
    next_ = Next::ehlo;
    return {.send = "EHLO " + hello_ + "\r\n", .verdict = std::nullopt};
  }
  std::string_view stage() const override {
    switch (next_) {
    case Next::greeting: return "no greeting";
    case Next::ehlo: return "no reply to EHLO";
    case Next::starttls: return "no reply to STARTTLS";
    }
    return {};
  }

private:
  enum class Next : std::uint8_t { greeting, ehlo, starttls };

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
    if (line.size() > 4 && same_word(line.substr(4), "STARTTLS")) offers_tls_ = true;
    if (code != (next_ == Next::ehlo ? "250" : "220"))
      end_with(Verdict{code == "421" ? Reason::full : Reason::wrong_answer, std::string{line}}, step); // RFC 5321, 3.8: not now
    else if (!more)
      go_on(step);
  }

  /// A reply is complete.
  void go_on(Step& step) {
    switch (next_) {
    case Next::greeting:
      step.send += "EHLO " + hello_ + "\r\n";
      next_ = Next::ehlo;
      return;
    case Next::ehlo:
      if (!tls_) return end_with(Verdict{}, step);
      if (!offers_tls_)
        return end_with(Verdict{.reason = Reason::tls_failed,
                                .detail = "the server offers no STARTTLS",
                                .remedy = "set it up there, or remove tls here"},
                        step);
      step.send += "STARTTLS\r\n";
      next_ = Next::starttls;
      return;
    case Next::starttls:
      tls_ = false;
      step.start_tls = true;
      return;
    }
  }

  static void end_with(Verdict verdict, Step& step) {
    step.verdict = std::move(verdict);
    step.send += "QUIT\r\n";
  }

  std::string hello_;
  std::string code_; // of the previous line, if more lines follow
  Next next_ = Next::greeting;
  bool tls_; // still to be started
  bool offers_tls_ = false;
};

} // namespace

std::unique_ptr<ProtocolClient> smtp(const SmtpSpec& spec, bool tls) { return std::make_unique<Smtp>(spec, tls); }

} // namespace hanat::probes
