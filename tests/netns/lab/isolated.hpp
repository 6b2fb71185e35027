// Runs a piece of a test in a fresh network namespace of its own, with loopback up: nothing of the machine is seen or touched.
// The namespace has no name and dies with the thread. Not here: networks of several hosts (lab).
#pragma once

#include <functional>

namespace hanat::test {

/// Runs `body` on a new thread inside a new network namespace and waits for it. Needs root. Throws std::system_error; an exception of
/// `body` is thrown on to the caller.
void isolated(const std::function<void()>& body);

} // namespace hanat::test
