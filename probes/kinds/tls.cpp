// Kind tls: a handshake, and when the certificate expires. Not here: the handshake itself (tls_client, tls_stream).
#include <chrono>
#include <memory>
#include <optional>
#include <string_view>

#include "probes/kinds/certificate.hpp"
#include "probes/kinds/protocol.hpp"
#include "probes/kinds/tls_stream.hpp"

namespace hanat::probes {
namespace {

class Tls final : public ProtocolClient {
public:
  explicit Tls(const TlsSpec& spec) : expires_within_(spec.expires_within) {}

  Step on_secured(const TlsStream& tls) override {
    Step step;
    step.verdict = judged(tls.certificate_left());
    return step;
  }

  bool closes_with_fin() const override { return true; } // many servers log what looks like an aborted handshake

private:
  Step read(std::string_view& unread) override {
    unread = {};
    return {};
  }

  Verdict judged(std::optional<std::chrono::seconds> left) const {
    if (expires_within_ == std::chrono::days::zero()) return {.certificate_left = left};
    if (!left) return {Reason::tls_failed, "no certificate with an expiry date"};
    if (*left > expires_within_) return {.certificate_left = left};
    return {Reason::certificate_expires, expiry_text(*left), left};
  }

  std::chrono::days expires_within_;
};

} // namespace

std::unique_ptr<ProtocolClient> tls(const TlsSpec& spec) { return std::make_unique<Tls>(spec); }

} // namespace hanat::probes
