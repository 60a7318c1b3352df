// Images to rows of RGB, as far as Swift cannot call the libraries itself: libjpeg and libpng leave by
// longjmp, which must not pass over Swift.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <webp/decode.h>

enum { wdsfs_image_message_bytes = 200 };

// A JPEG that is read row by row. Not for several threads at once.
typedef struct wdsfs_jpeg wdsfs_jpeg;

typedef struct {
  uint32_t width;
  uint32_t height;
} wdsfs_image_size;

// Reads the header; the bytes must stay until the end. NULL with a message if it is none.
wdsfs_jpeg *wdsfs_jpeg_open(const uint8_t *bytes, size_t count, wdsfs_image_size *size,
                            char message[wdsfs_image_message_bytes]);

// Begins to decode at eighths of its size (1 to 8), and says what size that is. Returns 0, or -1 with
// a message.
int wdsfs_jpeg_start(wdsfs_jpeg *jpeg, int eighths, wdsfs_image_size *size,
                     char message[wdsfs_image_message_bytes]);

// Leaves out columns that are not wanted, as far as it can: says from which one on how many there will
// be. After the start, before any row. Returns 0, or -1 with a message.
int wdsfs_jpeg_crop(wdsfs_jpeg *jpeg, uint32_t *first, uint32_t *count,
                    char message[wdsfs_image_message_bytes]);

// Leaves out rows before the first that is read. Returns 0, or -1 with a message.
int wdsfs_jpeg_skip(wdsfs_jpeg *jpeg, uint32_t rows, char message[wdsfs_image_message_bytes]);

// Reads the next rows, of 3 bytes a pixel, each so many bytes behind the one before. Returns 0, or -1
// with a message.
int wdsfs_jpeg_rows(wdsfs_jpeg *jpeg, uint8_t *rows, size_t stride, uint32_t count,
                    char message[wdsfs_image_message_bytes]);

void wdsfs_jpeg_close(wdsfs_jpeg *jpeg);

// Reads the size of a PNG. Returns 0, or -1 with a message.
int wdsfs_png_size(const uint8_t *bytes, size_t count, wdsfs_image_size *size,
                   char message[wdsfs_image_message_bytes]);

// Decodes a PNG of that size into rows of 3 bytes a pixel, one behind the other. Returns 0, or -1 with
// a message.
int wdsfs_png_decode(const uint8_t *bytes, size_t count, wdsfs_image_size size, uint8_t *rows,
                     char message[wdsfs_image_message_bytes]);

// Rows of bytes that are held, in a ring: row n lies in place n % count. Each has so many bytes of
// padding behind what counts of it, which may be read.
enum { wdsfs_row_padding = 32 };

typedef struct {
  const uint8_t *bytes;
  size_t stride;
  size_t count;
} wdsfs_rows;

// Of which places two neighbours in a row of the result are made: from each one's start so many.
typedef struct {
  uint32_t starts[2];
  uint32_t count;
} wdsfs_taps;

// Sums rows, from the first on, by weights of 14 bits that are together 1; from an offset in them on.
// Sums have 7 bits of fraction, and behind the count room for a padding.
void wdsfs_sum_rows(int16_t *sums, const wdsfs_rows *rows, size_t offset, size_t first,
                    const int32_t *weights, size_t taps, size_t count);

// Makes a row of so many pixels, of 3 bytes, of sums of 3 a pixel, pair by pair. For each tap of a pair
// there are eight weights of 14 bits: four times the first's, four times the second's.
void wdsfs_sum_columns(const int16_t *sums, const wdsfs_taps *pairs, const int32_t *weights,
                       size_t count, uint8_t *row);
