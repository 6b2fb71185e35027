// Small servers and clients that tests put on the Lab's hosts. A server answers with its name, so that a client can say who answered.
// All of them run on threads of the test. Not here: many clients at once (load), the network (lab).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/netns/lab/lab.hpp"

namespace hanat::test {

using TestClock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// ---- servers: IPv4 and IPv6 on one port

/// Accepts connections and answers what a function makes of their bytes.
class StreamServer {
public:
  /// Takes from `input` what it understood and returns the bytes to send.
  using Answer = std::function<std::string(std::string& input)>;

  StreamServer(Lab& lab, Host host, std::uint16_t port, Answer answer);
  virtual ~StreamServer();
  StreamServer(const StreamServer&) = delete;
  StreamServer& operator=(const StreamServer&) = delete;

  /// What the death of a process does: the listening socket and every connection are closed by the kernel.
  void kill();
  void start(); // again, after kill()
  /// Connections are still accepted, by the kernel at least, and nothing is answered: an application that hangs.
  void hang(bool on) { hanging_ = on; }
  std::size_t accepted() const { return accepted_; }
  std::size_t open() const { return open_; }

private:
  struct Loop;
  void serve(Loop& loop);

  Lab& lab_;
  Host host_;
  std::uint16_t port_;
  Answer answer_;
  std::atomic<bool> hanging_ = false;
  std::atomic<std::size_t> accepted_ = 0, open_ = 0;
  std::unique_ptr<Loop> loop_;
  std::thread thread_;
};

/// Answers each line with its name and a newline.
class TcpServer : public StreamServer {
public:
  TcpServer(Lab& lab, Host host, std::uint16_t port, const std::string& name);
};

/// Answers each HTTP/1.1 request with a status and its name as the body; keeps connections open.
class HttpServer : public StreamServer {
public:
  HttpServer(Lab& lab, Host host, std::uint16_t port, const std::string& name);
  void status(int code) { *status_ = code; }
  std::size_t requests() const { return *requests_; }

private:
  HttpServer(Lab& lab, Host host, std::uint16_t port, const std::string& name, std::shared_ptr<std::atomic<int>> status,
             std::shared_ptr<std::atomic<std::size_t>> requests);
  std::shared_ptr<std::atomic<int>> status_;
  std::shared_ptr<std::atomic<std::size_t>> requests_;
};

/// Answers each datagram with its name, a space and the datagram.
class UdpServer {
public:
  UdpServer(Lab& lab, Host host, std::uint16_t port, std::string name);
  ~UdpServer();
  UdpServer(const UdpServer&) = delete;
  UdpServer& operator=(const UdpServer&) = delete;
  void kill();
  void start();
  std::size_t received() const { return received_; }
  /// A datagram that nobody asked for, from the server's own port.
  void send(const Endpoint& to, const std::string& text) const;

private:
  void serve(int socket, int stop);

  Lab& lab_;
  Host host_;
  std::uint16_t port_;
  std::string name_;
  std::atomic<std::size_t> received_ = 0;
  Fd socket_, stop_;
  std::thread thread_;
};

// ---- clients

enum class Result : std::uint8_t {
  answered,
  refused,     // ECONNREFUSED: RST to a SYN, or ICMP port unreachable
  reset,       // ECONNRESET: RST on a connection that stood
  closed,      // the server closed it without an answer
  timeout,     // nothing until the deadline
  unreachable, // EHOSTUNREACH, ENETUNREACH
  prohibited,  // EPERM, EACCES: a rule on the client's own machine
  failed,      // anything else: text has the errno in words
};
std::string_view to_text(Result result);
Result result_of(int error);

/// One question of a client and what became of it.
struct Attempt {
  Result result = Result::failed;
  std::chrono::nanoseconds latency{}; // from the start to the result
  std::string text;                   // the answer: for our servers, the name
  bool operator==(const Attempt&) const = default;
};
/// "answered by primary after 0.31 ms": what a failed expectation prints.
std::ostream& operator<<(std::ostream& stream, const Attempt& attempt);

/// Connects, sends one line, reads the answer, closes. source_port 0: any.
Attempt connect_once(Lab& lab, Host host, const Endpoint& to, milliseconds deadline = milliseconds{3000}, std::uint16_t source_port = 0);
/// The same with an HTTP request: text is the body's, and a status other than 200 is "failed" with the status line as text.
Attempt http_once(Lab& lab, Host host, const Endpoint& to, milliseconds deadline = milliseconds{3000});

/// A connection that stays.
class TcpClient {
public:
  /// Connects; throws std::runtime_error when that fails.
  TcpClient(Lab& lab, Host host, const Endpoint& to, milliseconds deadline = milliseconds{3000}, std::uint16_t source_port = 0);
  /// Sends a line and waits for the answer.
  Attempt ask(milliseconds deadline = milliseconds{3000});
  /// Sends nothing and waits for the end of the connection: reset or closed, or timeout when it lives on.
  Attempt wait_for_end(milliseconds deadline);
  std::uint16_t local_port() const;
  int fd() const { return socket_.get(); }

private:
  Fd socket_;
};

/// One UDP socket with one source port.
class UdpClient {
public:
  UdpClient(Lab& lab, Host host, const Endpoint& to, std::uint16_t source_port = 0);
  /// Sends a datagram and waits for its answer, or for ICMP's refusal.
  Attempt ask(milliseconds deadline = milliseconds{1000});

private:
  Fd socket_;
  unsigned asked_ = 0;
};

/// A steady flow of datagrams from one socket, in the background.
class UdpStream {
public:
  struct MessageBatch {
    TestClock::time_point sent_at;
    std::optional<TestClock::time_point> answered_at;
    std::string by; // who answered; empty: nobody
    bool refused = false;
  };
  UdpStream(Lab& lab, Host host, const Endpoint& to, milliseconds interval, std::uint16_t source_port = 0);
  ~UdpStream();
  UdpStream(const UdpStream&) = delete;
  UdpStream& operator=(const UdpStream&) = delete;
  /// Stops sending, waits a moment for late answers.
  std::vector<MessageBatch> finish();

private:
  void run(milliseconds interval);
  void read_answers();

  Fd socket_;
  std::atomic<bool> ending_ = false;
  std::vector<MessageBatch> sent_;
  std::thread thread_;
};

} // namespace hanat::test
