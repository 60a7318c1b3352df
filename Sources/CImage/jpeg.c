#include "wdsfs_image.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

struct wdsfs_jpeg {
  struct jpeg_decompress_struct decoder;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  jmp_buf leave;
  char *message;
  // A row of four inks, where it is made of them.
  uint8_t *inks;
};

static void fail(j_common_ptr common) {
  wdsfs_jpeg *jpeg = common->client_data;
  char text[JMSG_LENGTH_MAX];
  common->err->format_message(common, text);
  snprintf(jpeg->message, wdsfs_image_message_bytes, "%s", text);
  longjmp(jpeg->leave, 1);
}

// A warning is passed over as every viewer does, but for an end that comes early: libjpeg would fill
// the rest with grey.
static void warn(j_common_ptr common, int level) {
  if (level < 0 && common->err->msg_code == JWRN_JPEG_EOF) fail(common);
}

// Each scan of a progressive image passes over all of it, and a small file may have thousands.
enum { max_scans = 256 };

static void watch(j_common_ptr common) {
  wdsfs_jpeg *jpeg = common->client_data;
  if (jpeg->decoder.input_scan_number <= max_scans) return;
  snprintf(jpeg->message, wdsfs_image_message_bytes, "more than %d scans", max_scans);
  longjmp(jpeg->leave, 1);
}

static void say_nothing(j_common_ptr common) { (void)common; }

wdsfs_jpeg *wdsfs_jpeg_open(const uint8_t *bytes, size_t count, wdsfs_image_size *size,
                            char message[wdsfs_image_message_bytes]) {
  wdsfs_jpeg *jpeg = calloc(1, sizeof *jpeg);
  if (!jpeg) {
    snprintf(message, wdsfs_image_message_bytes, "no memory");
    return NULL;
  }
  jpeg->message = message;
  jpeg->decoder.err = jpeg_std_error(&jpeg->errors);
  jpeg->errors.error_exit = fail;
  jpeg->errors.emit_message = warn;
  jpeg->errors.output_message = say_nothing;
  jpeg->decoder.client_data = jpeg;
  if (setjmp(jpeg->leave)) {
    wdsfs_jpeg_close(jpeg);
    return NULL;
  }
  jpeg_create_decompress(&jpeg->decoder);
  jpeg->progress.progress_monitor = watch;
  jpeg->decoder.progress = &jpeg->progress;
  // A progressive image is held whole before its first row; more than this no image of the allowed
  // size takes.
  jpeg->decoder.mem->max_memory_to_use = 1L << 30;
  jpeg_mem_src(&jpeg->decoder, bytes, count);
  jpeg_read_header(&jpeg->decoder, TRUE);
  size->width = jpeg->decoder.image_width;
  size->height = jpeg->decoder.image_height;
  return jpeg;
}

int wdsfs_jpeg_start(wdsfs_jpeg *jpeg, int eighths, wdsfs_image_size *size,
                     char message[wdsfs_image_message_bytes]) {
  struct jpeg_decompress_struct *decoder = &jpeg->decoder;
  jpeg->message = message;
  if (setjmp(jpeg->leave)) return -1;
  int has_inks =
      decoder->jpeg_color_space == JCS_CMYK || decoder->jpeg_color_space == JCS_YCCK;
  decoder->out_color_space = has_inks ? JCS_CMYK : JCS_RGB;
  decoder->scale_num = (unsigned)eighths;
  decoder->scale_denom = 8;
  jpeg_start_decompress(decoder);
  if (has_inks) {
    jpeg->inks = malloc((size_t)decoder->output_width * 4);
    if (!jpeg->inks) {
      snprintf(message, wdsfs_image_message_bytes, "no memory");
      return -1;
    }
  }
  size->width = decoder->output_width;
  size->height = decoder->output_height;
  return 0;
}

// Whether a column's colour depends on its own block's and its neighbours' alone.
static int can_crop(const struct jpeg_decompress_struct *decoder) {
  if (decoder->num_components > 3 || decoder->max_h_samp_factor > 2) return 0;
  for (int component = 0; component < decoder->num_components; component++)
    if (decoder->max_h_samp_factor % decoder->comp_info[component].h_samp_factor != 0) return 0;
  return 1;
}

int wdsfs_jpeg_crop(wdsfs_jpeg *jpeg, uint32_t *first, uint32_t *count,
                    char message[wdsfs_image_message_bytes]) {
  struct jpeg_decompress_struct *decoder = &jpeg->decoder;
  jpeg->message = message;
  if (setjmp(jpeg->leave)) return -1;
  // The first and the last column lack a neighbour to take their colour from.
  enum { margin = 2 };
  JDIMENSION start = *first > margin ? *first - margin : 0;
  JDIMENSION end = decoder->output_width - *first > *count + margin
                       ? *first + *count + margin
                       : decoder->output_width;
  JDIMENSION width = end - start;
  if (can_crop(decoder) && width < decoder->output_width) {
    jpeg_crop_scanline(decoder, &start, &width);
  } else {
    start = 0;
    width = decoder->output_width;
  }
  *first = start;
  *count = width;
  return 0;
}

int wdsfs_jpeg_skip(wdsfs_jpeg *jpeg, uint32_t rows, char message[wdsfs_image_message_bytes]) {
  jpeg->message = message;
  if (setjmp(jpeg->leave)) return -1;
  if (jpeg_skip_scanlines(&jpeg->decoder, rows) == rows) return 0;
  snprintf(message, wdsfs_image_message_bytes, "the image ends early");
  return -1;
}

// Of inks as Adobe's programs write them, inverted: as PIL converts them to RGB.
static uint8_t mixed(uint8_t ink, uint8_t black) {
  unsigned product = (255u - ink) * black + 128;
  int value = (int)black - (int)((product + (product >> 8)) >> 8);
  return value < 0 ? 0 : (uint8_t)value;
}

static int read_row(wdsfs_jpeg *jpeg, uint8_t *row) {
  JSAMPROW target = jpeg->inks ? jpeg->inks : row;
  if (jpeg_read_scanlines(&jpeg->decoder, &target, 1) != 1) return -1;
  if (!jpeg->inks) return 0;
  for (size_t pixel = 0; pixel < jpeg->decoder.output_width; pixel++) {
    const uint8_t *inks = jpeg->inks + 4 * pixel;
    for (int color = 0; color < 3; color++) row[3 * pixel + color] = mixed(inks[color], inks[3]);
  }
  return 0;
}

int wdsfs_jpeg_rows(wdsfs_jpeg *jpeg, uint8_t *rows, size_t stride, uint32_t count,
                    char message[wdsfs_image_message_bytes]) {
  jpeg->message = message;
  if (setjmp(jpeg->leave)) return -1;
  for (uint32_t row = 0; row < count; row++) {
    if (read_row(jpeg, rows + row * stride) == 0) continue;
    snprintf(message, wdsfs_image_message_bytes, "the image ends early");
    return -1;
  }
  return 0;
}

void wdsfs_jpeg_close(wdsfs_jpeg *jpeg) {
  // Never fails, also halfway through an image.
  jpeg_destroy_decompress(&jpeg->decoder);
  free(jpeg->inks);
  free(jpeg);
}
