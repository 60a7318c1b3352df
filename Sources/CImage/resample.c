#include "wdsfs_image.h"

#include <string.h>

// The compiler makes these of vectors as wide as the machine has them, which is found out at the
// program's start. Whole numbers: every machine gives the same pixels. ThreadSanitizer's own code would be
// called there before it is set up.
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__x86_64__) && defined(__linux__) && !__has_feature(thread_sanitizer)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

typedef uint8_t eight_bytes __attribute__((vector_size(8)));
typedef int16_t eight_sums __attribute__((vector_size(16)));
typedef int32_t eight __attribute__((vector_size(32)));

// Bits of a weight, and of a sum's fraction.
enum { weight_bits = 14, sum_bits = 7 };

// A weight is positive and has 15 bits. Said to the compiler, that spares it half of each product.
enum { weight_mask = 0x7FFF };

WIDE void wdsfs_sum_rows(int16_t *sums, const wdsfs_rows *rows, size_t offset, size_t first,
                         const int32_t *weights, size_t taps, size_t count) {
  enum { blocks = wdsfs_row_padding / 8, round = 1 << (weight_bits - sum_bits - 1) };
  const uint8_t *end = rows->bytes + rows->count * rows->stride;
  const uint8_t *start = rows->bytes + first % rows->count * rows->stride;
  for (size_t place = 0; place < count; place += wdsfs_row_padding) {
    eight sum[blocks];
    for (int block = 0; block < blocks; block++) sum[block] = (eight){0} + round;
    const uint8_t *row = start;
    for (size_t tap = 0; tap < taps; tap++) {
      eight weight = (eight){0} + (weights[tap] & weight_mask);
      for (int block = 0; block < blocks; block++) {
        eight_bytes value;
        memcpy(&value, row + offset + place + 8 * block, sizeof value);
        sum[block] += __builtin_convertvector(value, eight) * weight;
      }
      row += rows->stride;
      if (row == end) row = rows->bytes;
    }
    for (int block = 0; block < blocks; block++) {
      eight_sums result = __builtin_convertvector(sum[block] >> (weight_bits - sum_bits), eight_sums);
      memcpy(sums + place + 8 * block, &result, sizeof result);
    }
  }
}

WIDE void wdsfs_sum_columns(const int16_t *sums, const wdsfs_taps *pairs, const int32_t *weights,
                            size_t count, uint8_t *row) {
  for (size_t place = 0; place < count; place += 2, pairs++) {
    const int16_t *first = sums + 3 * pairs->starts[0];
    const int16_t *second = sums + 3 * pairs->starts[1];
    eight sum = (eight){0} + (1 << (weight_bits + sum_bits - 1));
    for (uint32_t tap = 0; tap < pairs->count; tap++, weights += 8) {
      // Four sums are taken where three count.
      eight_sums value;
      eight weight;
      memcpy(&value, first + 3 * tap, 8);
      memcpy((char *)&value + 8, second + 3 * tap, 8);
      memcpy(&weight, weights, sizeof weight);
      sum += __builtin_convertvector(value, eight) * (weight & weight_mask);
    }
    // Weights are together 1, so that no sum leaves the range.
    eight_bytes result = __builtin_convertvector(sum >> (weight_bits + sum_bits), eight_bytes);
    result = __builtin_shufflevector(result, result, 0, 1, 2, 4, 5, 6, 3, 7);
    if (place + 1 < count)
      memcpy(row + 3 * place, &result, 6);
    else
      memcpy(row + 3 * place, &result, 3);
  }
}
