// Reads `tls`: true, or a table. With it, the certificates that it names.
// Not here: `host` and `verify` of the types that are about TLS (their own files), reading PEM (credential_files).
#include <array>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "daemon/config/credential_files.hpp"
#include "daemon/config/probe/keys.hpp"
#include "probes/kinds/tls_context.hpp"

namespace hanat::config {
namespace {

using probes::Kind;
using File = probes::TlsMaterialError::File;

constexpr std::string_view table_example = "{ ca = \"/etc/hanat/ca.pem\" }";

/// The types that have `host` and `verify` of their own.
bool is_about_tls(Kind kind) { return kind == Kind::tls || kind == Kind::https || kind == Kind::grpc; }

std::string host_of(const probes::ProbeSpec& spec) {
  if (spec.kind == Kind::tls) return spec.of<probes::TlsSpec>().host;
  return spec.kind == Kind::https ? spec.of<probes::HttpSpec>().host : spec.of<probes::GrpcSpec>().host;
}

void set_verify(probes::ProbeSpec& spec, bool verify) {
  if (spec.kind == Kind::tls) spec.edit<probes::TlsSpec>().verify = verify;
  if (spec.kind == Kind::https) spec.edit<probes::HttpSpec>().verify = verify;
  if (spec.kind == Kind::grpc) spec.edit<probes::GrpcSpec>().verify = verify;
}

class TlsTable {
public:
  TlsTable(TableReader& probe, TableReader& table, probes::ProbeSpec& spec, Diagnostics& diagnostics)
      : probe_(probe), table_(table), spec_(spec), diagnostics_(diagnostics) {}

  void read() {
    static constexpr std::array versions{Choice<probes::TlsVersion>{.text = "1.2", .value = probes::TlsVersion::tls12},
                                         Choice<probes::TlsVersion>{.text = "1.3", .value = probes::TlsVersion::tls13}};
    ca_ = table_.text("ca", "/etc/hanat/ca.pem");
    cert_ = table_.text("cert", "/etc/hanat/client.pem");
    key_ = table_.text("key", "/etc/hanat/client.key");
    verify_ = table_.flag("verify");
    options_.min = table_.choice<probes::TlsVersion>("min", versions).value.value_or(probes::TlsVersion::any);
    read_name();
    table_.finish();
    choose_verify();
    if (cert_.present != key_.present)
      diagnostics_.add(cert_.present ? cert_.location : key_.location,
                       fmt::format("probe.tls.{} without {} is half of an identity: write both", cert_.present ? "cert" : "key",
                                   cert_.present ? "key" : "cert"));
    probes::TlsMaterial material{.verify = options_.verify, .min = options_.min};
    options_.ca = content("ca", ca_, Privacy::is_public, material.ca);
    options_.cert = content("cert", cert_, Privacy::is_public, material.cert);
    options_.key = content("key", key_, Privacy::is_secret, material.key);
    if (complete_ && cert_.present == key_.present) make_context(material);
    spec_.tls = options_;
  }

private:
  void read_name() {
    const auto name = table_.parsed<std::string>("name", "db.example.com", [](std::string_view text) -> Parsed<std::string> {
      if (Address::parse(text)) return std::string{text};
      return parse_host(text, "tls.name");
    });
    if (is_about_tls(spec_.kind) && name.present)
      diagnostics_.add(name.location, "probe.tls.name is written as probe.host here, which is also sent in the request");
    options_.name = is_about_tls(spec_.kind) ? host_of(spec_) : name.value.value_or("");
  }

  /// An authority is there to verify something.
  void choose_verify() {
    const toml::node* own = is_about_tls(spec_.kind) ? probe_.find("verify") : nullptr;
    if (own != nullptr && verify_.present)
      diagnostics_.add(verify_.location, "probe.tls.verify and probe.verify are both set: keep one of them");
    const std::optional<bool> written = own != nullptr && own->is_boolean() ? std::optional{own->as_boolean()->get()} : verify_.value;
    if (ca_.present && written == false)
      diagnostics_.add(ca_.location, "probe.tls.ca has no effect with verify = false: remove one of them");
    options_.verify = written.value_or(ca_.present);
    set_verify(spec_, options_.verify);
  }

  /// Returns the path, and sets what is in the file.
  std::string content(std::string_view key, const Field<std::string>& path, Privacy privacy, std::string& pem) {
    if (!path.value) {
      complete_ = complete_ && !path.present;
      return {};
    }
    auto read = path.value->starts_with('/')
                    ? read_pem(*path.value, privacy)
                    : Parsed<std::string>{error("this is not a path from the root: write one like \"/etc/hanat/{}.pem\"", key)};
    if (const auto* failed = std::get_if<Error>(&read))
      report(key, path, failed->text);
    else
      pem = std::move(std::get<std::string>(read));
    return *path.value;
  }

  void report(std::string_view key, const Field<std::string>& path, std::string_view why) {
    complete_ = false;
    diagnostics_.add(path.location, fmt::format("probe.tls.{} = {}: {}", key, shown(path.value.value_or("")), why));
  }

  void make_context(const probes::TlsMaterial& material) {
    try {
      options_.context = probes::TlsContext::make(material);
    } catch (const probes::TlsMaterialError& failure) {
      const auto why = [&](std::string_view remedy) { return fmt::format("{}{}", failure.what(), remedy); };
      if (failure.file() == File::ca) report("ca", ca_, why(": name a file with the certificates of authorities in PEM format"));
      if (failure.file() == File::cert)
        report("cert", cert_, why(": name a file with our certificate, and those that lead to its authority, in PEM format"));
      if (failure.file() == File::key) report("key", key_, why(": name the file with the private key of tls.cert"));
    } catch (const std::exception& failure) {
      probe_.report_error(*probe_.find("type"), fmt::format("{}: check OpenSSL's configuration, /etc/ssl/openssl.cnf", failure.what()));
    }
  }

  TableReader &probe_, &table_;
  probes::ProbeSpec& spec_;
  Diagnostics& diagnostics_;
  probes::TlsOptions options_;
  Field<std::string> ca_, cert_, key_;
  Field<bool> verify_;
  bool complete_ = true;
};

} // namespace

void read_tls_table(TableReader& reader, probes::ProbeSpec& spec, Diagnostics& diagnostics) {
  static const toml::table nothing;
  const toml::node* node = reader.find("tls");
  const bool needs_tls = spec.kind == Kind::tls || spec.kind == Kind::https;
  const toml::table* table = node == nullptr ? &nothing : node->as_table();
  bool wanted = needs_tls || node != nullptr;
  if (node != nullptr && node->is_boolean()) {
    wanted = node->as_boolean()->get();
    table = &nothing;
    if (needs_tls && !wanted)
      reader.report_error(*node, fmt::format("probe.tls = false contradicts type = \"{}\": remove it, or write type = \"{}\"",
                                             to_text(spec.kind), spec.kind == Kind::tls ? "tcp" : "http"));
  } else if (table == nullptr) {
    return reader.wrong_type(*node, "tls", "true, false or a table", table_example);
  }
  if (spec.kind == Kind::grpc) {
    spec.edit<probes::GrpcSpec>().tls = wanted;
    if (!wanted && spec.of<probes::GrpcSpec>().verify)
      reader.report_error(*reader.find("verify"), "probe.verify = true without TLS checks nothing: write tls = true as well");
  }
  if (!wanted) return;
  TableReader inner{*table, reader.file(), "probe.tls.", diagnostics};
  TlsTable{reader, inner, spec, diagnostics}.read();
}

} // namespace hanat::config
