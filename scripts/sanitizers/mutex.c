// Tells ThreadSanitizer of the locks of Swift's Mutex, for LD_PRELOAD in scripts/test --long.
//
// On Linux, Mutex is a futex with priority inheritance: where it is contended, the kernel itself writes
// the word that says who holds it. ThreadSanitizer sees no such write, and would take everything under
// the lock for a race.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <sys/syscall.h>

extern void __tsan_acquire(void *address) __attribute__((weak));
extern void __tsan_release(void *address) __attribute__((weak));

static long (*real)(long, ...);

__attribute__((constructor)) static void find(void) { real = dlsym(RTLD_NEXT, "syscall"); }

long syscall(long number, ...) {
  long words[6];
  va_list list;
  va_start(list, number);
  for (int place = 0; place < 6; place++) words[place] = va_arg(list, long);
  va_end(list);
  if (!real) find();
  int operation = number == SYS_futex ? (int)words[1] & FUTEX_CMD_MASK : -1;
  if (operation == FUTEX_UNLOCK_PI && __tsan_release) __tsan_release((void *)words[0]);
  long status = real(number, words[0], words[1], words[2], words[3], words[4], words[5]);
  int is_taken = operation == FUTEX_LOCK_PI || operation == FUTEX_TRYLOCK_PI;
  if (is_taken && status == 0 && __tsan_acquire) __tsan_acquire((void *)words[0]);
  return status;
}
