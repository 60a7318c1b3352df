// Lets ThreadSanitizer see a thread out that was cancelled within read(), for LD_PRELOAD in scripts/test --long.
//
// libfuse ends its threads so when a mount ends. ThreadSanitizer ignores what happens inside of the calls that it
// wraps, to each call's end; a thread that is cancelled in one goes without, and ThreadSanitizer ends the process
// for it. libfuse lets its threads be cancelled for the time of that call alone: one that ends meanwhile is told
// to ignore nothing any more, before ThreadSanitizer looks.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

extern void AnnotateIgnoreReadsEnd(const char *file, int line) __attribute__((weak));

static int (*real_set)(int state, int *old_state);
static pthread_key_t cancellable;

static void end_ignoring(void *value) {
  (void)value;
  if (AnnotateIgnoreReadsEnd) AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
}

__attribute__((constructor)) static void find(void) {
  real_set = (int (*)(int, int *))dlsym(RTLD_NEXT, "pthread_setcancelstate");
  pthread_key_create(&cancellable, end_ignoring);
}

int pthread_setcancelstate(int state, int *old_state) {
  // What is set when the thread ends has its destructor called.
  pthread_setspecific(cancellable, state == PTHREAD_CANCEL_ENABLE ? &cancellable : NULL);
  return real_set(state, old_state);
}
