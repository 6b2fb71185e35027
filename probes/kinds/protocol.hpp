// What to send to a server over one TCP connection and what its replies mean: a state machine that is fed bytes, in pieces of any size,
// until it reaches a verdict. A new protocol is one file with one ProtocolClient. Not here: sockets and deadlines (tcp_session).
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "probes/result.hpp"

namespace hanat::probes {

class TlsSessions;
class TlsStream;

/// What to do next: bytes to send, and perhaps the verdict. With a verdict, the bytes are a last message that needs no reply.
struct Step {
  std::string send;
  std::optional<Verdict> verdict;
  bool start_tls = false;          // behind `send`; then on_secured() is called
  std::function<void()> work = {}; // takes milliseconds: done on another thread, then on_worked() is called; may outlive the client
};

class ProtocolClient {
public:
  static constexpr std::size_t longest_input = std::size_t{64} << 10; // of a whole session; a real one is far shorter

  explicit ProtocolClient(std::size_t limit = longest_input) : limit_(limit) {}
  virtual ~ProtocolClient() = default;
  ProtocolClient(const ProtocolClient&) = delete;
  ProtocolClient& operator=(const ProtocolClient&) = delete;

  /// The first message, after the TCP handshake; empty if the server sends first.
  virtual Step begin() { return {}; }
  /// Takes the next bytes of the server. Not called after a verdict.
  Step on_data(std::string_view bytes);
  /// The TLS handshake is complete: the next message. `tls` lives as long as the session.
  virtual Step on_secured(const TlsStream& /*tls*/) { return begin(); }
  /// The work of the last step is done.
  virtual Step on_worked() { return {}; }
  /// With TLS: whether the session begins without it, until a step asks for it.
  virtual bool begins_plain() const { return false; }
  /// The server closed the connection before the verdict.
  virtual Verdict closed() const { return {Reason::closed, std::string{stage()}}; }
  /// How far the session got.
  virtual std::string_view stage() const { return received_ == 0 ? "connected, no reply" : "incomplete reply"; }
  /// Whether to close with FIN: some servers log, or count against a client, every close with RST. FIN costs a TIME_WAIT here.
  virtual bool closes_with_fin() const { return false; }

protected:
  /// Consumes complete messages from the front of `unread`; the rest is passed again, with more bytes appended.
  virtual Step read(std::string_view& unread) = 0;
  /// The limit is reached without a verdict.
  virtual Verdict overflow() const { return {Reason::too_large, {}}; }

private:
  std::size_t limit_, received_ = 0;
  std::string unread_;
};

/// A client for a protocol of text lines.
class LineProtocolClient : public ProtocolClient {
protected:
  /// A line of more than `longest` characters is garbled.
  explicit LineProtocolClient(std::size_t longest) : longest_(longest) {}
  /// Adds to the step what follows from a line, which comes without its line ending. Not called after a verdict.
  virtual void on_line(std::string_view line, Step& step) = 0;

private:
  Step read(std::string_view& unread) final;
  std::size_t longest_;
};

/// The user name where none is configured.
inline constexpr const char* default_login = "hanat";

// The clients, each in a file of its name. `tls`: whether the client asks for TLS, where its protocol has a way to do so.
std::unique_ptr<ProtocolClient> send_expect(const SendExpectSpec& spec);
std::unique_ptr<ProtocolClient> redis(const RedisSpec& spec);
std::unique_ptr<ProtocolClient> postgres(const SqlSpec& spec, bool tls = false);
std::unique_ptr<ProtocolClient> mysql(const SqlSpec& spec, bool tls = false);
std::unique_ptr<ProtocolClient> smtp(const SmtpSpec& spec, bool tls = false);
std::unique_ptr<ProtocolClient> agent(const AgentSpec& spec);
/// The handshake alone, inside tls_client().
std::unique_ptr<ProtocolClient> tls(const TlsSpec& spec);

/// tls_client.cpp: the session of `inner` inside TLS. Throws std::runtime_error with OpenSSL's message when OpenSSL fails.
std::unique_ptr<ProtocolClient> tls_client(std::unique_ptr<ProtocolClient> inner, const TlsOptions& options, const Probe& probe,
                                           TlsSessions* sessions);

/// The client for a probe; null for a kind without one. `sessions`: where TLS sessions are kept from probe to probe; null: nowhere. It and
/// `probe` outlive the client.
std::unique_ptr<ProtocolClient> protocol_client_for(const Probe& probe, TlsSessions* sessions = nullptr);

} // namespace hanat::probes
