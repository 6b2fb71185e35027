// Asks the kernel's scheduler for little time at once, and soon. Not here: who does (main), the priority (the unit).
#pragma once

namespace hanat {

/// The calling thread, and those that it starts from now on, get the processor in short slices: one that wakes up need not wait until a
/// busy neighbour has used its own, which is 3 ms and more. Their share stays the same. Needs no privilege, and Linux 6.12; else, and where
/// a sandbox forbids it, nothing changes.
void use_short_slices();

} // namespace hanat
