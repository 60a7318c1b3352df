// Tells ThreadSanitizer of the locks of Swift's Mutex, for LD_PRELOAD in scripts/test --long.
//
// What of Mutex is compiled into its users, the quick way in and out, ThreadSanitizer sees. Where a lock is
// contended it is taken and handed on in Swift's own library and in the kernel, which it does not see, and
// it would take whatever lies under the lock for a race. So these two functions of the library are
// wrapped. Swift's calling convention has `self` in a register of its own.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

#define SELF __attribute__((swift_context)) void *self
#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

extern void __tsan_acquire(void *address) __attribute__((weak));
extern void __tsan_release(void *address) __attribute__((weak));

typedef __attribute__((swiftcall)) void lock_slow_t(uint32_t thread, SELF);
typedef __attribute__((swiftcall)) void unlock_slow_t(SELF);

static lock_slow_t *real_lock;
static unlock_slow_t *real_unlock;

__attribute__((constructor)) static void find(void) {
  real_lock = (lock_slow_t *)dlsym(RTLD_NEXT, LOCK_SLOW);
  real_unlock = (unlock_slow_t *)dlsym(RTLD_NEXT, UNLOCK_SLOW);
}

__attribute__((swiftcall)) void lock_slow(uint32_t thread, SELF) __asm__(LOCK_SLOW);
__attribute__((swiftcall)) void unlock_slow(SELF) __asm__(UNLOCK_SLOW);

__attribute__((swiftcall)) void lock_slow(uint32_t thread, SELF) {
  real_lock(thread, self);
  if (__tsan_acquire) __tsan_acquire(self);
}

__attribute__((swiftcall)) void unlock_slow(SELF) {
  if (__tsan_release) __tsan_release(self);
  real_unlock(self);
}
