#include "wdsfs_image.h"

#include <string.h>

// The compiler makes these of vectors as wide as the machine has them, which is found out at the
// program's start. Sums are not fused with products, so that every machine gives the same pixels.
#if defined(__x86_64__) && defined(__linux__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif
#pragma STDC FP_CONTRACT OFF

WIDE void wdsfs_sum_rows(float *sums, const uint8_t *first, float first_weight,
                         const uint8_t *second, float second_weight, size_t count, int is_new) {
  if (is_new)
    for (size_t i = 0; i < count; i++)
      sums[i] = first_weight * first[i] + second_weight * second[i];
  else
    for (size_t i = 0; i < count; i++)
      sums[i] += first_weight * first[i] + second_weight * second[i];
}

typedef float four __attribute__((vector_size(16)));

void wdsfs_sum_columns(const float *sums, const wdsfs_taps *places, const float *weights,
                       size_t count, uint8_t *row) {
  for (size_t place = 0; place < count; place++) {
    // Four floats are taken where three count.
    const float *pixel = sums + 3 * places[place].start;
    const float *weight = weights + places[place].weights;
    four sum = {0.5f, 0.5f, 0.5f, 0.5f};
    for (uint32_t tap = 0; tap < places[place].count; tap++) {
      four value;
      memcpy(&value, pixel + 3 * tap, sizeof value);
      sum += value * weight[tap];
    }
    // Weights are above 0 and together 1, so that no sum leaves the range.
    row[3 * place] = (uint8_t)(int)sum[0];
    row[3 * place + 1] = (uint8_t)(int)sum[1];
    row[3 * place + 2] = (uint8_t)(int)sum[2];
  }
}
