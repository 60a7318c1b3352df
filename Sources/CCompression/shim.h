// The decompressors of compressed shards, called directly.
#pragma once
#include <bzlib.h>
#include <lz4frame.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

// zlib's initialisers are macros that pass the version and size of the header in use.
static inline int wdsfs_inflate_init_gzip(z_stream *stream) {
  return inflateInit2(stream, 15 + 16);
}

static inline int wdsfs_deflate_init_gzip(z_stream *stream, int level) {
  return deflateInit2(stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
}

// A macro with a cast, which Swift does not see.
static const uint32_t wdsfs_lzma_tell_unsupported_check = LZMA_TELL_UNSUPPORTED_CHECK;
