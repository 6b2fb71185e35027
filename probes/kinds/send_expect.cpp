// Kind tcp with `send` or `expect`: sends bytes and looks for a pattern in the reply; with TLS the latter is optional.
// Not here: the handshake of TCP alone (tcp).
#include "probes/kinds/protocol.hpp"

namespace hanat::probes {
namespace {

class SendExpect final : public ProtocolClient {
public:
  explicit SendExpect(const SendExpectSpec& spec) : spec_(spec) {}
  Step begin() override { return {.send = spec_.send, .verdict = std::nullopt}; }
  /// Without anything to expect, the handshake is all that is checked.
  Step on_secured(const TlsStream& /*tls*/) override {
    if (!spec_.expect.empty()) return begin();
    return {.send = {}, .verdict = Verdict{}};
  }

private:
  // Everything stays unread, because the pattern may span pieces.
  Step read(std::string_view& unread) override {
    if (!spec_.expect.found_in(unread)) return {};
    return {.send = {}, .verdict = Verdict{.reason = Reason::answered}};
  }
  Verdict overflow() const override { return {Reason::wrong_answer, "64 KiB received without the expected text"}; }

  SendExpectSpec spec_;
};

} // namespace

std::unique_ptr<ProtocolClient> send_expect(const SendExpectSpec& spec) { return std::make_unique<SendExpect>(spec); }

} // namespace hanat::probes
