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

// Has a spawned program inherit no descriptor from this number on; the first argument is a
// posix_spawn_file_actions_t. A GNU extension, which Swift does not see; since glibc 2.34. Its own
// header stays out: with it C types that Swift knows from Glibc would become this module's.
int wdsfs_spawn_close_from(void *actions, int first)
    __asm__("posix_spawn_file_actions_addclosefrom_np");

// A pipe, with O_CLOEXEC as its flags so that no program we start inherits its ends. A GNU extension.
int wdsfs_pipe(int ends[2], int flags) __asm__("pipe2");
