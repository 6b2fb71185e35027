// The sentences about names of servers, and about interfaces that services listen on. Not here: all others (event_text).
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "daemon/report/event_sentences.hpp"

namespace hanat::events {

std::string Sentences::operator()(const NameChanged& changed) const {
  if (changed.after.empty())
    return fmt::format("{}: {} has the address of another server of the service, or of a listener of this gateway, and so none of its own; "
                       "correct its record in DNS, or the configuration",
                       changed.server.role, changed.name);
  if (changed.before.empty()) return fmt::format("{}: {} is {}", changed.server.role, changed.name, changed.after);
  return fmt::format("{}: {} is {} now, and was {}{}", changed.server.role, changed.name, changed.after, changed.before,
                     changed.has_traffic ? "; the traffic goes there as soon as it is up, and stays where it is until then" : "");
}

std::string Sentences::operator()(const NameFails& fails) const {
  const std::string then = !fails.kept.empty() ? fmt::format("its last good address, {}, stays in use", fails.kept)
                           : fails.other.empty()
                               ? std::string{"its servers count as down until it has an address"}
                               : fmt::format("only {} is in use, and clients of the other family are not served there", fails.other);
  return fmt::format("{} cannot be resolved ({}): {}; {}. It is asked for again; {}", fails.name, fails.record, fails.error, then,
                     fails.resolver ? "other names may fail, too: see hanatctl status, /etc/resolv.conf and the key resolver"
                                    : "see its record in DNS");
}

std::string Sentences::operator()(const NameResolves& resolves) const {
  if (resolves.resolver) return fmt::format("names are resolved again, the last one {} ({})", resolves.name, resolves.address);
  return fmt::format("{} is resolved ({}): {}", resolves.name, resolves.record, resolves.address);
}

std::string Sentences::operator()(const InterfaceChanged& changed) const {
  const std::string_view listen = changed.several ? "listen" : "listens";
  if (changed.come.empty() && changed.gone.empty())
    return fmt::format("{}: {} {} there as soon as it has one", changed.absent, changed.services, listen);
  if (changed.all.empty())
    return fmt::format("{} has lost {} ({}): connections to it are cut, and {} {} there again as soon as it has an address",
                       changed.interface, changed.gone, changed.absent, changed.services, listen);
  if (changed.come.empty())
    return fmt::format("{} has {} no more: connections to it are cut, and {} {} on {}", changed.interface, changed.gone, changed.services,
                       listen, changed.all);
  if (changed.gone.empty()) return fmt::format("{} has {} now: {} {} there", changed.interface, changed.come, changed.services, listen);
  return fmt::format("{} has {} now, and {} no more: {} {} on {}, and connections to {} are cut", changed.interface, changed.come,
                     changed.gone, changed.services, listen, changed.all, changed.gone);
}

std::string Sentences::operator()(const AddressHeld& address) const {
  const bool several = address.addresses.find(',') != std::string::npos;
  if (address.back)
    return fmt::format("{} {} back on {}: connections to {} go on", address.addresses, several ? "are" : "is", address.interface,
                       several ? "them" : "it");
  return fmt::format("{} {} gone from {}, and held for {:g} s: no connection is cut before", address.addresses, several ? "are" : "is",
                     address.interface, std::chrono::duration<double>(address.held).count());
}

std::string Sentences::operator()(const ListenOverlaps& overlaps) const {
  return fmt::format("it does not listen on all of {}: {}; change one of the two", overlaps.listen, overlaps.overlap);
}

} // namespace hanat::events
