// What Swift cannot call itself about this process.
#pragma once
#include <fcntl.h>
#include <linux/capability.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
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

// Gives up, for good, every capability that is not in the mask, for this thread and all that it will
// make, and for every program they start. Returns 0, or -1 with errno. prctl(2) is variadic, and
// capset(2) has no function in the C library.
static inline int wdsfs_keep_capabilities(unsigned long long mask) {
  // While CAP_SETPCAP is still there; without it there is nothing to take from later programs.
  for (unsigned long capability = 0; capability < 64; capability++)
    if (!(mask >> capability & 1)) prctl(PR_CAPBSET_DROP, capability, 0UL, 0UL, 0UL);
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data) != 0) return -1;
  for (int half = 0; half < 2; half++) {
    data[half].permitted &= (unsigned)(mask >> (32 * half));
    data[half].effective = data[half].permitted;
    data[half].inheritable = 0;
  }
  if (syscall(SYS_capset, &header, data) != 0) return -1;
  return prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL);
}

// What a process may allocate, from now on: RLIMIT_DATA. Returns 0, or -1 with errno. prlimit(2) is a
// GNU extension.
static inline int wdsfs_limit_data(int process, unsigned long long bytes) {
  unsigned long long limits[2] = {bytes, bytes};
  return (int)syscall(SYS_prlimit64, process, 2, limits, NULL);
}

// Reads and writes of it return where they would wait. fcntl(2) is variadic.
static inline int wdsfs_set_nonblocking(int file) {
  return fcntl(file, F_SETFL, O_NONBLOCK);
}
