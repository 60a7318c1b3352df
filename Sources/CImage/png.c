#include "wdsfs_image.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <png.h>

typedef struct {
  const uint8_t *bytes;
  size_t rest;
  char *message;
} source;

static void fail(png_structp png, png_const_charp text) {
  source *from = png_get_error_ptr(png);
  snprintf(from->message, wdsfs_image_message_bytes, "%s", text);
  png_longjmp(png, 1);
}

static void say_nothing(png_structp png, png_const_charp text) {
  (void)png;
  (void)text;
}

static void take(png_structp png, png_bytep target, size_t count) {
  source *from = png_get_io_ptr(png);
  if (count > from->rest) png_error(png, "the image ends early");
  memcpy(target, from->bytes, count);
  from->bytes += count;
  from->rest -= count;
}

static png_structp begin(source *from, png_infop *info) {
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, from, fail, say_nothing);
  if (!png) {
    snprintf(from->message, wdsfs_image_message_bytes, "no memory");
    return NULL;
  }
  *info = png_create_info_struct(png);
  if (!*info) {
    snprintf(from->message, wdsfs_image_message_bytes, "no memory");
    png_destroy_read_struct(&png, NULL, NULL);
    return NULL;
  }
  png_set_read_fn(png, from, take);
  // Text and profiles are not looked at, and may be made to unpack to anything.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
  png_set_chunk_malloc_max(png, 8 << 20);
  png_set_chunk_cache_max(png, 128);
  png_set_user_limits(png, 65535, 65535);
  return png;
}

int wdsfs_png_size(const uint8_t *bytes, size_t count, wdsfs_image_size *size,
                   char message[wdsfs_image_message_bytes]) {
  source from = {bytes, count, message};
  png_infop info;
  png_structp png = begin(&from, &info);
  if (!png) return -1;
  if (setjmp(png_jmpbuf(png))) {
    png_destroy_read_struct(&png, &info, NULL);
    return -1;
  }
  png_read_info(png, info);
  size->width = png_get_image_width(png, info);
  size->height = png_get_image_height(png, info);
  png_destroy_read_struct(&png, &info, NULL);
  return 0;
}

int wdsfs_png_decode(const uint8_t *bytes, size_t count, wdsfs_image_size size, uint8_t *rows,
                     char message[wdsfs_image_message_bytes]) {
  source from = {bytes, count, message};
  png_infop info;
  png_structp png = begin(&from, &info);
  if (!png) return -1;
  if (setjmp(png_jmpbuf(png))) {
    png_destroy_read_struct(&png, &info, NULL);
    return -1;
  }
  png_read_info(png, info);
  // Palettes and few bits to 8, the high byte of 16, grey to three colours, and no alpha.
  png_set_expand(png);
  png_set_strip_16(png);
  png_set_gray_to_rgb(png);
  png_set_strip_alpha(png);
  int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);
  size_t row_bytes = png_get_rowbytes(png, info);
  if (png_get_image_width(png, info) != size.width ||
      png_get_image_height(png, info) != size.height || row_bytes != (size_t)size.width * 3)
    png_error(png, "an odd layout of its pixels");
  for (int pass = 0; pass < passes; pass++)
    for (uint32_t row = 0; row < size.height; row++)
      png_read_row(png, rows + row * row_bytes, NULL);
  png_read_end(png, NULL);
  png_destroy_read_struct(&png, &info, NULL);
  return 0;
}
