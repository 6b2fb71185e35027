// The status page that the metrics' listener serves at /: one reply with its style and its script, which a browser is told to run and no
// other. Not here: what the page shows (page_status), its three source files (page/).
#pragma once

#include <string_view>

#include "daemon/http/http_server.hpp"

namespace hanat {

// page/, put into the program by the build
extern const std::string_view page_html, page_style, page_script;

/// The page, and the headers that keep a browser from running anything else.
HttpReply status_page();

/// For every reply of the listener: nothing is kept, or taken for what it is not.
HttpReply with_common_headers(HttpReply reply);

} // namespace hanat
