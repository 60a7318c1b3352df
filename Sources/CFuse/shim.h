// What Swift cannot call of libfuse itself: macros, and calls that became macros in later versions.
#pragma once
#include <stddef.h>  // the fuse headers leave NULL undefined to a clang module
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

static inline struct fuse_session *wdsfs_session_new(int argc, char **argv,
                                                     const struct fuse_lowlevel_ops *operations,
                                                     size_t operations_size, void *context) {
  struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
  struct fuse_session *session = fuse_session_new(&args, operations, operations_size, context);
  fuse_opt_free_args(&args);
  return session;
}

static inline int wdsfs_notify_store(struct fuse_session *session, fuse_ino_t inode,
                                     const void *bytes, size_t count) {
  struct fuse_bufvec buffers = FUSE_BUFVEC_INIT(count);
  buffers.buf[0].mem = (void *)bytes;
  return fuse_lowlevel_notify_store(session, inode, 0, &buffers, 0);
}
