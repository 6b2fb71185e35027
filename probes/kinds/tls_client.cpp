// A protocol client inside TLS: from the first byte, or from where its protocol starts TLS. What the inner client sends and reads is plain;
// what this one sends and reads is what the network sees.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "probes/kinds/protocol.hpp"
#include "probes/kinds/tls_stream.hpp"

namespace hanat::probes {
namespace {

constexpr std::size_t longest_handshake = std::size_t{256} << 10; // OpenSSL's own limit for a chain is 100 KiB

class TlsClient final : public ProtocolClient {
public:
  TlsClient(std::unique_ptr<ProtocolClient> inner, const TlsOptions& options, const Probe& probe, TlsSessions* sessions)
      : ProtocolClient(longest_handshake), inner_(std::move(inner)), stream_(options, probe) {
    if (sessions != nullptr) stream_.use_sessions(*sessions, probe);
    phase_ = inner_->begins_plain() ? Phase::plain : Phase::handshake;
  }

  Step begin() override {
    if (phase_ == Phase::plain) return plain(inner_->begin());
    Step step;
    advance(step);
    return step;
  }
  Step on_worked() override {
    if (phase_ == Phase::plain) return plain(inner_->on_worked());
    Step step;
    pass_on(inner_->on_worked(), step);
    advance(step); // what came meanwhile
    return step;
  }
  Verdict closed() const override { return phase_ == Phase::handshake ? ProtocolClient::closed() : inner_->closed(); }
  bool closes_with_fin() const override { return phase_ == Phase::handshake || inner_->closes_with_fin(); } // many log an aborted handshake
  std::string_view stage() const override {
    if (phase_ != Phase::handshake) return inner_->stage();
    return stream_.certificate_requested() ? "TLS handshake incomplete, the server asked for a client certificate"
                                           : "connected, TLS handshake incomplete";
  }

private:
  enum class Phase : std::uint8_t { plain, handshake, secured };

  Step read(std::string_view& unread) override {
    const std::string_view bytes = std::exchange(unread, {});
    if (phase_ == Phase::plain) return plain(inner_->on_data(bytes));
    Step step;
    stream_.receive(bytes);
    advance(step);
    return step;
  }

  /// A step of the inner client without TLS, and the beginning of the handshake where it asks for that.
  Step plain(Step step) {
    if (!std::exchange(step.start_tls, false) || step.verdict) return step;
    phase_ = Phase::handshake;
    advance(step);
    return step;
  }

  /// As far as what has been received goes.
  void advance(Step& step) {
    if (!step.verdict && phase_ == Phase::handshake) shake_hands(step);
    while (!step.verdict && !step.work && phase_ == Phase::secured && read_on(step)) {
    }
    stream_.take_output(step.send);
  }

  void shake_hands(Step& step) {
    switch (stream_.handshake()) {
    case TlsStream::State::open: phase_ = Phase::secured; return pass_on(inner_->on_secured(stream_), step);
    case TlsStream::State::failed: step.verdict = stream_.failure(); return;
    case TlsStream::State::pending:
    case TlsStream::State::closed: return;
    }
  }

  /// False: nothing has come.
  bool read_on(Step& step) {
    std::string came;
    const auto state = stream_.read(came);
    if (!came.empty()) {
      pass_on(inner_->on_data(came), step);
    } else if (state == TlsStream::State::closed) {
      step.verdict = inner_->closed();
    } else if (state == TlsStream::State::failed) { // as when a server of TLS 1.3 wants a certificate
      step.verdict = stream_.failure();
    }
    return !came.empty();
  }

  void pass_on(Step next, Step& step) {
    stream_.write(next.send);
    step.work = std::move(next.work);
    if (!next.verdict) return;
    step.verdict = std::move(next.verdict);
    if (!step.verdict->certificate_left) step.verdict->certificate_left = stream_.certificate_left();
    stream_.close();
  }

  std::unique_ptr<ProtocolClient> inner_;
  TlsStream stream_;
  Phase phase_ = Phase::handshake;
};

} // namespace

std::unique_ptr<ProtocolClient> tls_client(std::unique_ptr<ProtocolClient> inner, const TlsOptions& options, const Probe& probe,
                                           TlsSessions* sessions) {
  return std::make_unique<TlsClient>(std::move(inner), options, probe, sessions);
}

} // namespace hanat::probes
