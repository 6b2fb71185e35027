// Reads `primary`, `backup` and `snat`: an address, one address per family, or tables.
// Not here: whether servers match the listeners (validate).
#include "daemon/config/raw_config.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace hanat::config {
namespace {

constexpr std::size_t most_backups = 63;
constexpr std::string_view server_example = "\"10.0.0.11:8443\"";
constexpr std::string_view families_example = "[\"10.0.0.11:8443\", \"[fd00::11]:8443\"]";

/// Reads the servers of one key.
class ServerReader {
public:
  ServerReader(TableReader& reader, std::string_view key, std::string_view service, std::size_t file, Diagnostics& diagnostics)
      : reader_{reader}, key_{key}, table_{service.empty() ? "defaults" : fmt::format("service.{}", service)}, service_{service},
        file_{file}, diagnostics_{diagnostics} {}

  /// One address as text. nullopt after an error.
  std::optional<RawAddress> address(const toml::node& node) {
    const auto* string = node.as_string();
    if (string == nullptr) {
      reader_.wrong_type(node, key_, "an address", server_example);
      return std::nullopt;
    }
    if (const auto host = parse_host(string->get())) return named(node, *host);
    const auto parsed = parse_server(string->get());
    if (const auto* failed = std::get_if<Error>(&parsed)) {
      reader_.report_error(node, failed->text);
      return std::nullopt;
    }
    const auto& [endpoint, last] = std::get<ServerPorts>(parsed);
    return RawAddress{.location = reader_.location(node), .endpoint = endpoint, .last = last};
  }

  std::optional<RawAddress> named(const toml::node& node, const Parsed<HostName>& parsed) {
    if (const auto* failed = std::get_if<Error>(&parsed)) {
      reader_.report_error(node, failed->text);
      return std::nullopt;
    }
    const HostName& host = std::get<HostName>(parsed);
    return RawAddress{.location = reader_.location(node), .endpoint = {.address = {}, .port = host.port}, .last = 0, .host = host.name};
  }

  /// A list of addresses as text; empty after an error.
  std::vector<RawAddress> addresses(const toml::array& list) {
    std::vector<RawAddress> result;
    for (const toml::node& element : list)
      if (auto one = address(element)) result.push_back(*one);
    if (result.size() != list.size()) result.clear();
    return result;
  }

  RawServer server(const toml::node& node, std::vector<RawAddress> addresses) {
    return {.location = reader_.location(node), .addresses = std::move(addresses), .snat = {}, .probes = {}};
  }
  RawServer from_text(const toml::node& node) {
    std::vector<RawAddress> one;
    if (auto read = address(node)) one.push_back(*read);
    return server(node, std::move(one));
  }
  RawServer from_list(const toml::node& node, const toml::array& list);
  RawServer from_table(const toml::table& table);
  std::vector<RawServer> backups(const toml::node& node);

private:
  std::vector<RawServer> backups_from_list(const toml::array& list);

  TableReader& reader_;
  std::string_view key_;
  std::string table_; // for messages: "service.web"
  std::string_view service_;
  std::size_t file_;
  Diagnostics& diagnostics_;
};

bool has_name(const std::vector<RawAddress>& addresses) { return !std::ranges::all_of(addresses, &std::string::empty, &RawAddress::host); }

bool one_per_family(const std::vector<RawAddress>& addresses) {
  if (addresses.size() == 1) return true;
  return addresses.size() == 2 && !has_name(addresses) && addresses[0].endpoint.address.family() != addresses[1].endpoint.address.family();
}

/// Each of them is a server: a name stands for all its addresses.
bool of_one_family(const std::vector<RawAddress>& addresses) {
  const auto first = std::ranges::find_if(addresses, &std::string::empty, &RawAddress::host);
  return std::ranges::all_of(addresses, [&](const RawAddress& entry) {
    return !entry.host.empty() || entry.endpoint.address.family() == first->endpoint.address.family();
  });
}

RawServer ServerReader::from_list(const toml::node& node, const toml::array& list) {
  auto result = server(node, addresses(list));
  if (list.empty())
    reader_.report_error(node, fmt::format("{} = [] has no address: write {} = {}", key_, key_, server_example));
  else if (result.addresses.size() > 1 && has_name(result.addresses)) {
    reader_.report_error(node, fmt::format("{0} has a name among several entries, but a name stands for all addresses of its server: write "
                                           "{0} = \"db1.example.net:5432\"; list another server as a backup",
                                           key_));
    result.addresses.clear();
  } else if (!result.addresses.empty() && !one_per_family(result.addresses)) {
    reader_.report_error(node,
                         fmt::format("{} has {} addresses, but a server has one per family: write {} = {}; list another server as a backup",
                                     key_, grouped(list.size()), key_, families_example));
    result.addresses.clear();
  }
  return result;
}

RawServer ServerReader::from_table(const toml::table& table) {
  static constexpr std::string_view service_keys[] = {"down",      "up",      "failback", "on_failover", "on_failback",
                                                      "on_forced", "on_none", "mode",     "listen"};
  static constexpr std::string_view probe_keys[] = {"type", "interval", "fast_interval", "timeout", "slow"};
  TableReader fields{table, file_, fmt::format("{}.", key_), diagnostics_};
  ServerReader inner{fields, "address", service_, file_, diagnostics_};
  auto result = server(table, {});
  const toml::node* single = fields.find("address");
  const toml::node* several = fields.find("addresses");
  if (single != nullptr && several != nullptr)
    diagnostics_.add(fields.location(*several), fmt::format("{0}.address and {0}.addresses are both set: keep one of them", key_));
  else if (single != nullptr)
    result.addresses = inner.from_text(*single).addresses;
  else if (several != nullptr && several->is_array())
    result.addresses = ServerReader{fields, "addresses", service_, file_, diagnostics_}.from_list(*several, *several->as_array()).addresses;
  else if (several != nullptr)
    fields.wrong_type(*several, "addresses", "a list", families_example);
  else
    diagnostics_.add(result.location, fmt::format("the {} has no address: write address = {}", key_, server_example));
  result.snat = read_snat(fields);
  result.probes = read_probes(fields, file_, diagnostics_);
  fields.misplaced(service_keys, "it is a key of the service and applies to all its servers");
  fields.misplaced(probe_keys, "it is a key of the probe, as in probe = { type = \"tcp\", interval = \"1s\" }");
  static constexpr std::string_view port_keys[] = {"port"};
  fields.misplaced(port_keys, "the port is part of the address, as in \"10.0.0.11:8443\"");
  fields.finish();
  return result;
}

std::vector<RawServer> ServerReader::backups_from_list(const toml::array& list) {
  std::vector<RawServer> result;
  const bool tables = std::ranges::any_of(list, [](const toml::node& node) { return node.is_table(); });
  const bool others = std::ranges::any_of(list, [](const toml::node& node) { return !node.is_table(); });
  if (list.empty())
    reader_.report_error(list, "backup = [] has no server: write one, or remove backup");
  else if (tables && others)
    reader_.report_error(list, fmt::format("backup mixes addresses and tables: write each server as a [[{}.backup]] table", table_));
  else if (tables)
    for (const toml::node& element : list) result.push_back(from_table(*element.as_table()));
  else if (const auto entries = addresses(list); !entries.empty()) {
    if (of_one_family(entries))
      for (const RawAddress& entry : entries)
        result.push_back({.location = entry.location, .addresses = {entry}, .snat = {}, .probes = {}});
    else if (one_per_family(entries))
      result.push_back(server(list, entries));
    else
      reader_.report_error(
          list, fmt::format("backup mixes IPv4 and IPv6, so it is unclear which addresses belong to one server: write each server as "
                            "a [[{}.backup]] table with addresses = {}",
                            table_, families_example));
  }
  return result;
}

std::vector<RawServer> ServerReader::backups(const toml::node& node) {
  if (node.is_string()) return {from_text(node)};
  if (const auto* table = node.as_table()) return {from_table(*table)};
  const auto* list = node.as_array();
  if (list == nullptr) {
    reader_.wrong_type(node, key_, "an address, a list of addresses or a table", "\"10.0.0.12:8443\"");
    return {};
  }
  if (list->size() > most_backups) {
    reader_.report_error(node, fmt::format("{} backups are too many: write at most {}", grouped(list->size()), most_backups));
    return {};
  }
  return backups_from_list(*list);
}

} // namespace

Field<nat::Snat> read_snat(TableReader& reader) {
  static constexpr std::string_view known[] = {"none", "masquerade", "hairpin"};
  return reader.parsed<nat::Snat>("snat", "masquerade", [](std::string_view text) -> Parsed<nat::Snat> {
    if (text == "none") return nat::Snat{};
    if (text == "masquerade") return nat::Snat{.kind = nat::SnatKind::masquerade, .address = {}};
    if (text == "hairpin") return nat::Snat{.kind = nat::SnatKind::hairpin, .address = {}};
    if (const auto meant = nearest(text, known); !meant.empty())
      return error("snat = {} is not known: did you mean \"{}\"?", shown(text), meant);
    if (text.find_first_of(".:/") == std::string_view::npos)
      return error("snat = {} is not known: write \"none\", \"masquerade\", \"hairpin\" or an address of this gateway", shown(text));
    const auto address = parse_single_address(text, AddressUse::snat);
    if (const auto* failed = std::get_if<Error>(&address)) return *failed;
    return nat::Snat{.kind = nat::SnatKind::address, .address = std::get<Address>(address)};
  });
}

Field<RawServer> read_primary(TableReader& reader, std::size_t file, Diagnostics& diagnostics) {
  Field<RawServer> result;
  const toml::node* node = reader.find("primary");
  if (node == nullptr) return result;
  result.present = true;
  result.location = reader.location(*node);
  ServerReader servers{reader, "primary", {}, file, diagnostics};
  if (node->is_string())
    result.value = servers.from_text(*node);
  else if (const auto* table = node->as_table())
    result.value = servers.from_table(*table);
  else if (const auto* list = node->as_array(); list != nullptr && !list->empty() && list->is_homogeneous<toml::table>())
    reader.report_error(*node,
                        "primary is a list of tables, but a service has one primary: write primary = { address = \"10.0.0.11:8443\" }");
  else if (list != nullptr)
    result.value = servers.from_list(*node, *list);
  else
    reader.wrong_type(*node, "primary", "an address, a list of one address per family or a table", server_example);
  return result;
}

Field<std::vector<RawServer>> read_backups(TableReader& reader, std::string_view service, std::size_t file, Diagnostics& diagnostics) {
  Field<std::vector<RawServer>> result;
  const toml::node* node = reader.find("backup");
  if (node == nullptr) return result;
  result.present = true;
  result.location = reader.location(*node);
  result.value = ServerReader{reader, "backup", service, file, diagnostics}.backups(*node);
  return result;
}

} // namespace hanat::config
