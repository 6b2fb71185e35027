// Where events go: the systemd journal, with fields, when hanatd runs under it; else lines on stderr.
#pragma once

#include "daemon/events.hpp"

namespace hanat {

class Journal {
public:
  Journal();
  void write(const Event& event) const;

private:
  bool to_systemd_ = false;
};

} // namespace hanat
