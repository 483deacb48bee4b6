/* The first loops of HOG for integers: images in, cell histograms out.
 *
 * Included once for each set of instructions, by loops.c, which says by NAME how the functions
 * of that set are called. Arrays are C-contiguous and have the shapes that stand beside them.
 */

/* Copy one channel of a strip, with a row above and below.
 *
 * image: uint8 (height, width, channels); padded: (1 + (rows + 2) * width + 1)
 */
static inline void NAME(pad_strip)(
    const Strip *strip, const uint8_t *restrict image, int64_t channel,
    uint8_t *restrict padded)
{
    const int64_t width = strip->width, channels = strip->channels, height = strip->height;
    const int64_t first_row = strip->first_row, end = first_row + strip->rows;
    const int64_t start = first_row > 0 ? first_row - 1 : 0;
    const int64_t stop = end + 1 < height ? end + 1 : height;
    const int64_t count = (stop - start) * width;
    const uint8_t *source = image + start * width * channels + channel;
    uint8_t *inner = padded + 1 + (start - first_row + 1) * width;
    if (channels == 1)
        memcpy(inner, source, (size_t)count);
    else
        for (int64_t x = 0; x < count; x++)
            inner[x] = source[3 * x];
    /* Outside the image stands the second row from its border: gradient 0 there. */
    if (start == first_row) {
        source = image + (height > 1 ? width * channels : 0) + channel;
        for (int64_t x = 0; x < width; x++)
            padded[1 + x] = source[channels * x];
    }
    if (stop == end) {
        source = image + (height > 1 ? height - 2 : 0) * width * channels + channel;
        for (int64_t x = 0; x < width; x++)
            padded[1 + strip->n_pixels + width + x] = source[channels * x];
    }
}

static inline void NAME(integer_gradients)(
    int64_t n_pixels, int64_t width, const uint8_t *restrict padded,
    float *restrict g_x, float *restrict g_y)
{
    const uint8_t *above = padded + 1, *below = padded + 1 + 2 * width;
    const uint8_t *left = padded + width, *right = padded + 2 + width;
    for (int64_t x = 0; x < n_pixels; x++) {
        g_x[x] = (float)(right[x] - left[x]);
        g_y[x] = (float)(below[x] - above[x]);
    }
    for (int64_t x = 0; x < n_pixels; x += width) {
        g_x[x] = 0.0f;
        g_x[x + width - 1] = 0.0f;
    }
}

/* Take the gradients of another channel where they are larger than those chosen so far.
 *
 * The channel of the largest magnitude counts, the first of equals. Returns how many pixels are
 * doubtful, and counts up their doubt: (n_pixels), see settle_integer_doubts
 */
static inline int32_t NAME(choose_larger_integers)(
    int64_t n_pixels, const float *restrict other_x, const float *restrict other_y,
    float *restrict chosen_x, float *restrict chosen_y, int32_t *restrict doubt)
{
    int32_t doubtful = 0;
    for (int64_t x = 0; x < n_pixels; x++) {
        const float u = other_x[x], v = other_y[x];
        const float best_u = chosen_x[x], best_v = chosen_y[x];
        const float square = u * u + v * v;
        const float best = best_u * best_u + best_v * best_v;
        const int32_t is_doubtful =
            (square == best) & (fabsf(u * v) != fabsf(best_u * best_v));
        doubtful += is_doubtful;
        doubt[x] += is_doubtful;
        chosen_x[x] = square > best ? u : best_u;
        chosen_y[x] = square > best ? v : best_v;
    }
    return doubtful;
}

/* Different sums of two squares that are equal, 49 + 1 and 25 + 25: the reference compares
 * rounded roots, and hypot may round the two differently.
 *
 * doubt: (n_pixels), not 0 where that is so
 */
static void NAME(settle_integer_doubts)(
    const Strip *strip, const uint8_t *image, const int32_t *doubt,
    float *chosen_x, float *chosen_y)
{
    const int64_t width = strip->width, step = 3 * width;
    for (int64_t x = 0; x < strip->n_pixels; x++) {
        if (doubt[x] == 0)
            continue;
        const int64_t column = x % width, row = strip->first_row + x / width;
        const uint8_t *here = image + (strip->first_row * width + x) * 3;
        double best = -1.0;
        for (int k = 0; k < 3; k++) {
            int u = 0, v = 0;
            if (0 < column && column < width - 1)
                u = here[3 + k] - here[k - 3];
            if (0 < row && row < strip->height - 1)
                v = here[step + k] - here[k - step];
            const double root = hypot((double)u, (double)v);
            if (root > best) {
                best = root;
                chosen_x[x] = (float)u;
                chosen_y[x] = (float)v;
            }
        }
    }
}

/* Turn directions, which are unsigned, into the upper half plane; find magnitudes, and how many
 * of the first four edges each gradient has passed.
 *
 * The roots are taken in the same loop as the edges: they keep another unit of the processor busy.
 */
static inline void NAME(bin_integers)(
    int64_t n_pixels, const float *restrict cotangents, const int32_t *restrict first_bin,
    float *restrict g_x, float *restrict g_y, double *restrict magnitude,
    int32_t *restrict target)
{
    const float cot0 = cotangents[0], cot1 = cotangents[1];
    const float cot2 = cotangents[2], cot3 = cotangents[3];
    for (int64_t x = 0; x < n_pixels; x++) {
        float u = g_x[x], v = g_y[x];
        magnitude[x] = sqrt((double)(u * u + v * v));
        u = v < 0.0f ? -u : u;
        u = v == 0.0f ? fabsf(u) : u;
        v = fabsf(v);
        g_x[x] = u;
        g_y[x] = v;
        target[x] = first_bin[x] + (u <= cot0 * v) + (u <= cot1 * v) + (u <= cot2 * v)
            + (u <= cot3 * v);
    }
}

/* Go on with four more edges. */
static inline void NAME(pass_integers)(
    int64_t n_pixels, const float *restrict cotangents, const float *restrict g_x,
    const float *restrict g_y, int32_t *restrict target)
{
    const float cot0 = cotangents[0], cot1 = cotangents[1];
    const float cot2 = cotangents[2], cot3 = cotangents[3];
    for (int64_t x = 0; x < n_pixels; x++) {
        const float u = g_x[x], v = g_y[x];
        target[x] += (u <= cot0 * v) + (u <= cot1 * v) + (u <= cot2 * v) + (u <= cot3 * v);
    }
}

/* Fill the cell histograms of integer images. Returns 0, or -1 where memory ends.
 *
 * images: uint8 (n, height, width, channels), one channel or three
 * cotangents: float32 (n_cotangents), a positive multiple of 4: of the inner bin edges; a gradient
 *     (x, y) with y > 0 lies behind an edge if x <= cotangent * y. NaN in unused places.
 * histograms: float32 (n, cell_rows, cells_per_row * orientations), filled
 */
EXPORT int64_t NAME(histograms_of_uint8)(
    const uint8_t *images, int64_t n, int64_t height, int64_t width, int64_t channels,
    int64_t cell_height, int64_t cell_width, int64_t orientations,
    const float *cotangents, int64_t n_cotangents, float *histograms)
{
    const int64_t n_pixels = cut_strip(height, width, channels, 0, cell_height).n_pixels;
    const int64_t cell_rows = height / cell_height, n_bins = width / cell_width * orientations;
    const int64_t n_padded = n_pixels + 2 * width + 2;
    char *free_memory;
    void *memory = reserve(n_pixels * (8 + 6 * 4) + n_padded, 8, &free_memory);
    if (memory == NULL)
        return -1;
    double *magnitude = take(&free_memory, n_pixels * 8);
    float *chosen_x = take(&free_memory, n_pixels * 4);
    float *chosen_y = take(&free_memory, n_pixels * 4);
    float *other_x = take(&free_memory, n_pixels * 4);
    float *other_y = take(&free_memory, n_pixels * 4);
    int32_t *first_bin = take(&free_memory, n_pixels * 4);
    int32_t *target = take(&free_memory, n_pixels * 4);
    uint8_t *padded = take(&free_memory, n_padded);
    memset(padded, 0, (size_t)n_padded);
    NAME(find_first_bins)(n_pixels / width, width, cell_width, orientations, first_bin);

    for (int64_t i = 0; i < n; i++, images += height * width * channels) {
        for (int64_t r = 0; r < cell_rows; r++, histograms += n_bins) {
            memset(histograms, 0, (size_t)n_bins * sizeof(float));
            Strip strip;
            for (int64_t y = 0; y < cell_height; y += strip.rows) {
                strip = cut_strip(height, width, channels, r * cell_height + y, cell_height);
                NAME(pad_strip)(&strip, images, 0, padded);
                NAME(integer_gradients)(strip.n_pixels, width, padded, chosen_x, chosen_y);
                if (channels > 1) {
                    int32_t *doubt = target, doubtful = 0;
                    memset(doubt, 0, (size_t)strip.n_pixels * sizeof(int32_t));
                    for (int64_t k = 1; k < channels; k++) {
                        NAME(pad_strip)(&strip, images, k, padded);
                        NAME(integer_gradients)(strip.n_pixels, width, padded, other_x, other_y);
                        doubtful += NAME(choose_larger_integers)(
                            strip.n_pixels, other_x, other_y, chosen_x, chosen_y, doubt);
                    }
                    if (doubtful > 0)
                        NAME(settle_integer_doubts)(&strip, images, doubt, chosen_x, chosen_y);
                }
                NAME(bin_integers)(
                    strip.n_pixels, cotangents, first_bin, chosen_x, chosen_y, magnitude, target);
                for (int64_t e = 4; e < n_cotangents; e += 4)
                    NAME(pass_integers)(
                        strip.n_pixels, cotangents + e, chosen_x, chosen_y, target);
                NAME(add_up)(strip.rows, width, cell_width, target, magnitude, histograms);
            }
            NAME(divide)(histograms, n_bins, (float)(cell_height * cell_width));
        }
    }
    free(memory);
    return 0;
}
