// The version of both programs, with the commit they were built from. Not here: how it is made (packaging/version.cmake).
#pragma once

namespace hanat {

/// "0.1.0~git.1a2b3c4d"; a release has "0.1.0", a package its own version. ".dirty": built with uncommitted changes.
const char* version();

} // namespace hanat
