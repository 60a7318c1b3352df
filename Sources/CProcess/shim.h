// What Swift cannot call itself about this process.
#pragma once
#include <fcntl.h>
#include <spawn.h>
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

// Has a spawned program inherit no descriptor from this number on. A GNU extension, which Swift does
// not see; since glibc 2.34.
static inline int wdsfs_spawn_close_from(posix_spawn_file_actions_t *actions, int first) {
  extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *, int);
  return posix_spawn_file_actions_addclosefrom_np(actions, first);
}

// A pipe whose ends no program that we start inherits. A GNU extension as well.
static inline int wdsfs_pipe(int ends[2]) {
  extern int pipe2(int *, int);
  return pipe2(ends, O_CLOEXEC);
}
