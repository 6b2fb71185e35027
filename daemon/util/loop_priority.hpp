// The processor comes to hanatd's loop before it comes to busy programs: probes that start late find failures late.
// Not here: threads that step behind the loop by themselves.
#pragma once

namespace hanat {

/// Of the calling thread, and of none that it starts from then on; where hanatd leads a session, as a service does, of the session, too,
/// because the kernel shares the processor among sessions first (sched(7), autogroup). Nothing happens without CAP_SYS_NICE or
/// RLIMIT_NICE, nor where hanatd was given a nice value.
void prefer_this_thread();

} // namespace hanat
