// A small HTTP server over libmicrohttpd, on hanatd's own loop: each request becomes an exchange that its handler replies to, at once or
// later. With TLS only a client with a certificate of the given authority, for its address, is heard. Limits keep clients from slowing the
// daemon down. Not here: what is served (report/metrics_server, peer/peer_listener).
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <uv.h>

#include "nat/address.hpp"

namespace hanat {

struct HttpReply {
  unsigned status = 200;
  std::string body = {};
  std::string type = "text/plain";
  std::vector<std::pair<std::string, std::string>> headers = {}; // beside Content-Type
  std::shared_ptr<const std::vector<std::string>> pieces = {};   // the rest of a long body, behind `body`
};

/// One request, and the reply to it.
class HttpExchange {
public:
  virtual ~HttpExchange() = default;
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  virtual std::string_view method() const = 0;
  virtual std::string_view path() const = 0;
  virtual const std::string& body() const = 0;
  /// Of "?name=value"; nullopt: the request has none of that name.
  virtual std::optional<std::string> argument(const char* name) const = 0;
  /// Once. Nothing happens when the client or the server is gone.
  virtual void reply(HttpReply reply) = 0;
  /// The client is gone as far as the server knows, or has its reply.
  virtual bool is_over() const = 0;

protected:
  HttpExchange() = default;
};

/// The server's own key and certificate, and the authority that its clients' certificates are of, as PEM.
struct HttpTls {
  std::string ca, cert, key;
};

struct HttpOptions {
  unsigned connections = 32; // at the same time
  std::chrono::seconds idle{10};
  std::size_t longest_body = 0;                     // bytes of a request
  std::optional<Address> only_from = std::nullopt;  // connections of others are closed at once
  std::optional<HttpTls> tls = std::nullopt;        // a client must show a certificate for the address that it comes from
  std::function<void(std::string)> on_refused = {}; // a client that may not connect: who and why
};

class HttpServer {
public:
  using Handler = std::function<void(const std::shared_ptr<HttpExchange>&)>;

  /// Listens, or throws std::system_error, or std::runtime_error for keys that do not serve.
  HttpServer(uv_loop_t* loop, const Endpoint& at, Handler handler, HttpOptions options = {});
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace hanat
