// Opens and reads small files with checks of type, size and mode.
#include "daemon/config/credential_files.hpp"

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <variant>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nat/fd.hpp"

namespace hanat::config {
namespace {

constexpr std::size_t longest_pem = std::size_t{256} << 10; // bytes: a bundle of authorities
constexpr std::size_t longest_password = 1'024;             // bytes

std::string open_failure(int code) {
  switch (code) {
  case ENOENT: return "no such file: name one that exists";
  case EACCES:
  case EPERM: return "permission denied: allow the user that hanatd runs as, as in `chgrp hanat FILE` and `chmod 640 FILE`";
  default: return std::string{std::strerror(code)} + ": name a readable file";
  }
}

Parsed<std::string> read_small(const std::string& path, std::size_t longest, std::string_view what, Privacy privacy) {
  const Fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  if (!fd) return error("{}", open_failure(errno));
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return error("this is no regular file: name {}", what);
  if (privacy == Privacy::is_secret && (status.st_mode & (S_IROTH | S_IWOTH)) != 0)
    return error("everybody on this machine can {} this file: run `chmod o= FILE`, and change what is in it if others have been there",
                 (status.st_mode & S_IROTH) != 0 ? "read" : "write");
  std::string text(longest + 1, '\0');
  std::size_t length = 0;
  while (length < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + length, text.size() - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return error("{}", open_failure(errno));
    if (got == 0) break;
    length += static_cast<std::size_t>(got);
  }
  if (length > longest) return error("it has more than {} bytes: name {}", grouped(longest), what);
  text.resize(length);
  return text;
}

struct PasswordFile {
  const std::string* operator()(const probes::RedisSpec& redis) const { return &redis.password.file; }
  const std::string* operator()(const probes::SqlSpec& sql) const { return &sql.password.file; }
  const std::string* operator()(const auto&) const { return nullptr; }
};

} // namespace

Parsed<std::string> read_pem(const std::string& path, Privacy privacy) {
  auto text = read_small(path, longest_pem, "a file in PEM format", privacy);
  const auto* pem = std::get_if<std::string>(&text);
  if (pem != nullptr && pem->find("-----BEGIN ") == std::string::npos)
    return error("it has no \"-----BEGIN\" line: name a file in PEM format");
  return text;
}

Parsed<probes::Secret> read_password(const std::string& path) {
  auto read = read_small(path, longest_password, "a file that holds a password and nothing else", Privacy::is_secret);
  if (auto* failed = std::get_if<Error>(&read)) return std::move(*failed);
  auto& text = std::get<std::string>(read);
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  if (text.empty()) return error("it is empty: write the password into it");
  if (text.find_first_of(std::string_view{"\n\r\0", 3}) != std::string::npos)
    return error("it has more than one line: write the password, and nothing else, into it");
  return probes::Secret{std::move(text)};
}

std::set<std::string> credential_files(const Config& config) {
  std::set<std::string> files;
  const auto add = [&files](const auto&... paths) {
    for (const std::string* path : {&paths...})
      if (!path->empty()) files.insert(*path);
  };
  if (config.pair && config.pair->peer && config.pair->peer->tls) {
    const PeerTls& tls = *config.pair->peer->tls;
    add(tls.ca, tls.cert, tls.key);
  }
  for (const ServiceConfig& service : config.services)
    for (const ServerConfig& server : service.servers)
      for (const probes::ProbeSpec& probe : server.probes) {
        if (const probes::TlsOptions* tls = probe.tls.get()) add(tls->ca, tls->cert, tls->key);
        const std::string* password = probe.details.get() != nullptr ? std::visit(PasswordFile{}, *probe.details.get()) : nullptr;
        if (password != nullptr) add(*password);
      }
  return files;
}

} // namespace hanat::config
