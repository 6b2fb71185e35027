// File by file: the text that differs, as whole services; then whether these have to do with any other service.
#include "daemon/config/reread.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "daemon/config/credential_files.hpp"
#include "daemon/config/depth_limit.hpp"
#include "nat/port_range.hpp"

namespace hanat::config {
namespace {

constexpr std::string_view header = "[service."; // as it is written nearly everywhere
constexpr std::size_t most_changed = 1'000;      // more of them are read as fast with all others

using Starts = std::vector<std::size_t>;

/// Services that stand behind each other in one file, and what stands there now.
struct Piece {
  std::size_t first = 0, count = 0; // of the services of before
  std::string_view before, after;   // text
  std::size_t offset = 0;           // of both in their files
};

/// A file of before and of now, as far as there is one.
struct FilePair {
  const std::string* before = nullptr;
  const std::string* after = nullptr;
  const Starts* starts = nullptr; // of before
  bool is_main = false;
};

/// The service that the offset is in; nullopt: it stands before all of them.
std::optional<std::size_t> service_at(const Starts& starts, std::size_t offset) {
  const auto next = std::ranges::upper_bound(starts, offset);
  if (next == starts.begin()) return std::nullopt;
  return static_cast<std::size_t>(next - starts.begin()) - 1;
}

/// From the first service that differs to the last one. nullopt: something else differs.
std::optional<Piece> piece_of(const FilePair& file) {
  static const std::string none;
  static const Starts nowhere;
  const std::string &before = file.before != nullptr ? *file.before : none, &after = file.after != nullptr ? *file.after : none;
  const Starts& starts = file.starts != nullptr ? *file.starts : nowhere;
  if (file.before == nullptr || file.after == nullptr)
    return file.is_main ? std::nullopt : std::optional{Piece{.count = starts.size(), .before = before, .after = after}};
  const std::size_t shorter = std::min(before.size(), after.size());
  const auto same = static_cast<std::size_t>(
      std::mismatch(before.begin(), before.begin() + static_cast<std::ptrdiff_t>(shorter), after.begin()).first - before.begin());
  const auto tail = static_cast<std::size_t>(
      std::mismatch(before.rbegin(), before.rbegin() + static_cast<std::ptrdiff_t>(shorter - same), after.rbegin()).first -
      before.rbegin());
  const auto first = service_at(starts, same);
  if (!first) return std::nullopt;
  const auto last = std::ranges::lower_bound(starts, before.size() - tail) - starts.begin();
  const std::size_t begin = starts[*first],
                    behind = static_cast<std::size_t>(last) < starts.size() ? starts[static_cast<std::size_t>(last)] : before.size();
  const std::size_t behind_now = after.size() - (before.size() - behind);
  if (behind < before.size() && after[behind_now - 1] != '\n') return std::nullopt; // what follows does not begin a line any more
  return Piece{.first = *first,
               .count = static_cast<std::size_t>(last) - *first,
               .before = std::string_view{before}.substr(begin, behind - begin),
               .after = std::string_view{after}.substr(begin, behind_now - begin),
               .offset = begin};
}

/// Reads services and nothing else. False: there is more, or an error.
bool read_alone(std::string_view text, RawConfig& raw) {
  if (text.empty()) return true;
  if (too_deep(text)) return false;
  try {
    const toml::table root = toml::parse(text);
    if (root.size() > 1 || (root.size() == 1 && !root.contains("service"))) return false;
    Diagnostics diagnostics;
    read_tables(root, diagnostics.add_file({}), false, raw, diagnostics);
    return diagnostics.count() == 0;
  } catch (const toml::parse_error&) {
    return false;
  }
}

/// What a service has to do with others by: its endpoints, and where its servers and probes are.
struct Addresses {
  std::vector<Vip> listen;
  std::set<Address> listened_on, reached;

  void add(const ServiceConfig& service) {
    listen.insert(listen.end(), service.listen.begin(), service.listen.end());
    for (const Vip& vip : service.listen) listened_on.insert(vip.address);
    if (service.witness) reached.insert(service.witness->address);
    for (const ServerConfig& server : service.servers) {
      for (const Endpoint& address : server.addresses) reached.insert(address.address);
      for (const probes::ProbeSpec& probe : server.probes)
        if (probe.address) reached.insert(*probe.address);
    }
  }
  bool meets(const ServiceConfig& other) const {
    for (const Vip& vip : other.listen) {
      if (reached.contains(vip.address)) return true;
      if (listened_on.contains(vip.address) && std::ranges::any_of(listen, [&](const Vip& own) { return overlap(own, vip); })) return true;
    }
    const auto is_listened_on = [this](const Endpoint& one) { return listened_on.contains(one.address); };
    return (other.witness && is_listened_on(*other.witness)) || std::ranges::any_of(other.servers, [&](const ServerConfig& server) {
             return std::ranges::any_of(server.addresses, is_listened_on) ||
                    std::ranges::any_of(server.probes, [&](const probes::ProbeSpec& probe) {
                      return probe.address && listened_on.contains(*probe.address);
                    });
           });
  }
};

/// Where the services begin in the text of file number `file`.
Outline::Starts starts_of(std::string_view text, std::size_t file, const RawConfig& raw) {
  Starts starts;
  std::uint32_t line = 1;
  std::size_t offset = 0;
  std::uint32_t last = 0; // line of the service before
  for (const RawService& service : raw.services) {
    if (service.location.file != file) continue;
    if (service.location.line <= last) return std::nullopt;
    for (; line < service.location.line; ++line) {
      offset = text.find('\n', offset);
      if (offset == std::string_view::npos) return std::nullopt;
      ++offset;
    }
    if (!text.substr(offset).starts_with(header)) return std::nullopt;
    starts.push_back(offset);
    last = service.last_line;
  }
  return starts;
}

/// Whether it may depend on others what the service is: by its group, or by addresses that are not known here.
bool depends(const ServiceConfig& service) { return !service.group.empty() || !service.interfaces.empty(); }

/// One comparison of two versions of all files.
class Rereading {
public:
  Rereading(const Reading& before, const ConfigFiles& files) : before_(before), files_(files) {}

  std::optional<Reread> run() {
    if (!std::ranges::all_of(before_.outline.credentials, [](const FileStatus& file) { return status_of(file.name) == file; }))
      return std::nullopt;
    if (!pair_up() || !find_pieces() || !read_pieces()) return std::nullopt;
    Diagnostics diagnostics;
    diagnostics.add_file({});
    std::vector<Resolved> resolved = apply_defaults(now_, diagnostics);
    validate(resolved, diagnostics);
    if (diagnostics.count() != 0) return std::nullopt;
    for (Resolved& one : resolved) services_.push_back(shared(std::move(one.service)));
    if (!are_alone()) return std::nullopt;
    return merge();
  }

private:
  struct Part {
    FilePair file;
    std::size_t services_before = 0; // those of all files before it
    std::optional<Piece> piece = {}; // nullopt: the file is as it was
    std::size_t services_now = 0;    // in the piece
    Starts starts_now = {};          // of these, in the file
  };

  bool add_pair(FilePair file, const Outline::Starts* starts) {
    if (file.before != nullptr) {
      if (starts == nullptr || !*starts) return false;
      file.starts = &**starts;
    }
    parts_.push_back({.file = file, .services_before = services_seen_});
    if (file.starts != nullptr) services_seen_ += file.starts->size();
    return true;
  }

  /// Both have the files of conf.d in the order of their names.
  bool pair_up() {
    const auto* main_before = std::get_if<std::string>(&before_.files.content);
    const auto* main_now = std::get_if<std::string>(&files_.content);
    if (main_before == nullptr || main_now == nullptr) return false;
    if (!add_pair({.before = main_before, .after = main_now, .is_main = true}, &before_.outline.main)) return false;
    const std::vector<ExtraFile>&old = before_.files.extra, &now = files_.extra;
    if (old.size() != before_.outline.extra.size()) return false;
    const auto name_of = [](const ExtraFile& file) { return std::string_view{file.name}.substr(file.name.rfind('/') + 1); };
    for (std::size_t i = 0, j = 0; i < old.size() || j < now.size();) {
      const int order = i == old.size() ? 1 : j == now.size() ? -1 : name_of(old[i]).compare(name_of(now[j]));
      const auto* text_before = order <= 0 ? std::get_if<std::string>(&old[i].content) : nullptr;
      const auto* text_now = order >= 0 ? std::get_if<std::string>(&now[j].content) : nullptr;
      if ((order <= 0 && text_before == nullptr) || (order >= 0 && text_now == nullptr)) return false;
      if (!add_pair({.before = text_before, .after = text_now}, order <= 0 ? &before_.outline.extra[i] : nullptr)) return false;
      i += order <= 0;
      j += order >= 0;
    }
    return services_seen_ == before_.config.services.size();
  }

  bool find_pieces() {
    for (Part& part : parts_) {
      if (part.file.before != nullptr && part.file.after != nullptr && *part.file.before == *part.file.after) continue;
      part.piece = piece_of(part.file);
      if (!part.piece) return false;
      changed_ += part.piece->count;
    }
    return changed_ <= most_changed;
  }

  bool read_pieces() {
    for (Part& part : parts_) {
      if (!part.piece) continue;
      const Piece& piece = *part.piece;
      RawConfig old; // the same text of before: a group or [defaults] among it concerns others
      if (!read_alone(piece.before, old) || old.services.size() != piece.count) return false;
      for (std::size_t index = 0; index < piece.count; ++index)
        if (const auto& before = service_before(part, piece, index); old.services[index].name != before->name || depends(before))
          return false;
      RawConfig now;
      if (!read_alone(piece.after, now)) return false;
      auto starts = starts_of(piece.after, 0, now);
      if (!starts) return false;
      part.services_now = now.services.size();
      part.starts_now = *std::move(starts);
      for (std::size_t& start : part.starts_now) start += piece.offset;
      std::ranges::move(now.services, std::back_inserter(now_.services));
    }
    now_.defaults = before_.outline.defaults;
    return now_.services.size() <= most_changed;
  }

  const Shared<ServiceConfig>& service_before(const Part& part, const Piece& piece, std::size_t index) const {
    return before_.config.services[part.services_before + piece.first + index];
  }
  static bool is_replaced(const Part& part, std::size_t index) {
    return part.piece && index >= part.piece->first && index < part.piece->first + part.piece->count;
  }
  template <typename Visit> void each_kept(const Visit& visit) const {
    for (const Part& part : parts_) {
      const std::size_t count = part.file.starts != nullptr ? part.file.starts->size() : 0;
      for (std::size_t index = 0; index < count; ++index)
        if (!is_replaced(part, index)) visit(before_.config.services[part.services_before + index]);
    }
  }

  /// The one of before, where it is the same.
  Shared<ServiceConfig> shared(ServiceConfig service) const {
    for (const Part& part : parts_) {
      if (!part.piece) continue;
      const Piece& piece = *part.piece;
      for (std::size_t index = 0; index < piece.count; ++index)
        if (const auto& before = service_before(part, piece, index); before->name == service.name && *before == service) return before;
    }
    return service;
  }
  /// Nothing of the new ones has to do with any that stays.
  bool are_alone() const {
    Addresses addresses;
    std::set<std::string_view> names;
    std::size_t endpoints = 0;
    Config news;
    news.services = services_;
    if (!credential_files(news).empty()) return false; // they would have to be read for all
    for (const Shared<ServiceConfig>& service : services_) {
      if (depends(service)) return false;
      addresses.add(service);
      names.insert(service->name);
      endpoints += service->listen.size();
    }
    bool alone = true;
    each_kept([&](const Shared<ServiceConfig>& other) {
      endpoints += other->listen.size();
      alone = alone && !names.contains(other->name) && !addresses.meets(other);
    });
    return alone && endpoints <= most_vips;
  }

  Reread merge() {
    Config config = settings_of(before_.config);
    auto outline = std::make_shared<Outline>(
        Outline{.main = {}, .extra = {}, .defaults = before_.outline.defaults, .credentials = before_.outline.credentials});
    config.services.reserve(before_.config.services.size() + services_.size());
    auto next = services_.begin();
    for (const Part& part : parts_) {
      if (part.file.after == nullptr) continue;
      Starts starts;
      const auto take = [&] {
        starts.insert(starts.end(), part.starts_now.begin(), part.starts_now.end());
        for (std::size_t index = 0; index < part.services_now; ++index) config.services.push_back(*next++);
      };
      const std::size_t count = part.file.starts != nullptr ? part.file.starts->size() : 0;
      starts.reserve(count + part.services_now);
      for (std::size_t index = 0; index < count; ++index) {
        if (part.piece && index == part.piece->first) take();
        if (is_replaced(part, index)) continue;
        const bool moved = part.piece && index >= part.piece->first;
        starts.push_back((*part.file.starts)[index] + (moved ? part.piece->after.size() - part.piece->before.size() : 0)); // modulo 2^64
        config.services.push_back(before_.config.services[part.services_before + index]);
      }
      if (part.piece && part.piece->first >= count) take();
      (part.file.is_main ? outline->main : outline->extra.emplace_back()) = std::move(starts);
    }
    return {.config = std::move(config), .outline = std::move(outline)};
  }

  const Reading& before_;
  const ConfigFiles& files_;
  std::vector<Part> parts_;
  std::size_t services_seen_ = 0, changed_ = 0;
  RawConfig now_;                               // the services of all pieces
  std::vector<Shared<ServiceConfig>> services_; // the same, resolved
};

} // namespace

std::shared_ptr<const Outline> outline_of(const RawConfig& raw, const ConfigFiles& files, const Config& config, WallTime begun) {
  constexpr std::chrono::seconds clocks_differ{1}; // that of files ticks, and on another machine it is another one
  const auto starts = [&raw](const FileContent& content, std::size_t file) {
    const auto* text = std::get_if<std::string>(&content);
    return text != nullptr ? starts_of(*text, file, raw) : std::nullopt;
  };
  auto outline =
      std::make_shared<Outline>(Outline{.main = starts(files.content, 0), .extra = {}, .defaults = raw.defaults, .credentials = {}});
  for (const ExtraFile& file : files.extra) outline->extra.push_back(starts(file.content, outline->extra.size() + 1));
  for (const std::string& file : credential_files(config)) {
    outline->credentials.push_back(status_of(file));
    const auto changed =
        WallTime{std::chrono::duration_cast<WallTime::duration>(std::chrono::nanoseconds{outline->credentials.back().changed_ns})};
    if (changed + clocks_differ > begun) return nullptr; // perhaps behind our back
  }
  return outline;
}

std::optional<Reread> reread(const Reading& before, const ConfigFiles& files) { return Rereading{before, files}.run(); }

} // namespace hanat::config
