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

// Leaves out rows before the first that is read. Returns 0, or -1 with a message.
int wdsfs_jpeg_skip(wdsfs_jpeg *jpeg, uint32_t rows, char message[wdsfs_image_message_bytes]);

// Reads the next row, of 3 bytes a pixel. Returns 0, or -1 with a message.
int wdsfs_jpeg_row(wdsfs_jpeg *jpeg, uint8_t *row, char message[wdsfs_image_message_bytes]);

void wdsfs_jpeg_close(wdsfs_jpeg *jpeg);

// Reads the size of a PNG. Returns 0, or -1 with a message.
int wdsfs_png_size(const uint8_t *bytes, size_t count, wdsfs_image_size *size,
                   char message[wdsfs_image_message_bytes]);

// Decodes a PNG of that size into rows of 3 bytes a pixel, one behind the other. Returns 0, or -1 with
// a message.
int wdsfs_png_decode(const uint8_t *bytes, size_t count, wdsfs_image_size size, uint8_t *rows,
                     char message[wdsfs_image_message_bytes]);

// Of which places of a row or column one of the result is made, and where their weights begin.
typedef struct {
  uint32_t start;
  uint32_t count;
  uint32_t weights;
} wdsfs_taps;

// Adds two rows of bytes, weighted, to sums, or begins them.
void wdsfs_sum_rows(float *sums, const uint8_t *first, float first_weight, const uint8_t *second,
                    float second_weight, size_t count, int is_new);

// Makes a row of 3 bytes a pixel of sums of 3 floats a pixel, behind which there is room for one more.
void wdsfs_sum_columns(const float *sums, const wdsfs_taps *places, const float *weights,
                       size_t count, uint8_t *row);
