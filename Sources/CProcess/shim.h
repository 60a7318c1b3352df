// What Swift cannot call itself about this process.
#pragma once
#include <sys/prctl.h>
#include <sys/timex.h>
#include <unistd.h>

// Whether a crash may leave a core file and other processes of the user may read our memory,
// credentials included. Returns 0, or -1 with errno. prctl(2) is variadic.
static inline int wdsfs_set_dumpable(int dumpable) {
  return prctl(PR_SET_DUMPABLE, (unsigned long)dumpable, 0UL, 0UL, 0UL);
}

// Whether the kernel is told by somebody that its clock is right. Glibc's module has no timex.h.
static inline int wdsfs_clock_is_kept(void) {
  struct timex state = {0};
  return adjtimex(&state) != TIME_ERROR;
}

// The variables of the process. Swift takes the global for shared mutable state; it is read before
// any thread exists.
static inline char **wdsfs_environment(void) {
  extern char **environ;
  return environ;
}
