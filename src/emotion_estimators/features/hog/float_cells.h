/* The first loops of HOG for floats: images in, cell histograms out.
 *
 * Included once for each set of instructions, by loops.c, which says by NAME how the functions
 * of that set are called. Arrays are C-contiguous and have the shapes that stand beside them.
 */

/* image: float64 (height, width, channels); g_x, g_y: (n_pixels) */
static inline void NAME(float_gradients)(
    const Strip *strip, const double *restrict image, int64_t channel, int64_t single,
    double *restrict g_x, double *restrict g_y)
{
    const int64_t width = strip->width, step = width * strip->channels;
    for (int64_t y = 0; y < strip->rows; y++) {
        const int64_t row = strip->first_row + y;
        /* The same row twice at the border: gradient 0. */
        const int64_t reach = 0 < row && row < strip->height - 1 ? step : 0;
        const double *here = image + row * step + channel;
        const double *above = here - reach, *below = here + reach;
        double *restrict to_x = g_x + y * width, *restrict to_y = g_y + y * width;
        if (strip->channels == 1) {
            for (int64_t x = 0; x < width; x++)
                to_y[x] = below[x] - above[x];
            for (int64_t x = 1; x < width - 1; x++)
                to_x[x] = here[x + 1] - here[x - 1];
        } else {
            for (int64_t x = 0; x < width; x++)
                to_y[x] = below[3 * x] - above[3 * x];
            for (int64_t x = 1; x < width - 1; x++)
                to_x[x] = here[3 * x + 3] - here[3 * x - 3];
        }
        to_x[0] = 0.0;
        to_x[width - 1] = 0.0;
    }
    if (single) {
        /* Rounding twice is harmless: 53 bits >= 2 * 24 + 2. */
        for (int64_t x = 0; x < strip->n_pixels; x++) {
            g_x[x] = (double)(float)g_x[x];
            g_y[x] = (double)(float)g_y[x];
        }
    }
}

/* Take the gradients of another channel where they are larger than those chosen so far.
 *
 * The channel of the largest magnitude counts, the first of equals; the reference compares
 * rounded roots. doubt: (n_pixels), scratch
 */
static inline void NAME(choose_larger_floats)(
    int64_t n_pixels, int64_t single, const double *restrict other_x,
    const double *restrict other_y, double *restrict chosen_x, double *restrict chosen_y,
    double *restrict doubt)
{
    /* Relative: what float32 roots cannot tell apart, and some ten roundings of float64. */
    const double tolerance = single ? 1e-6 : 1e-14;
    uint64_t doubtful = 0;
    for (int64_t x = 0; x < n_pixels; x++) {
        const double u = other_x[x], v = other_y[x];
        const double best_u = chosen_x[x], best_v = chosen_y[x];
        const double square = u * u + v * v;
        const double best = best_u * best_u + best_v * best_v;
        const double more = square - best, slight = tolerance * best;
        const int is_larger = more > slight;
        const double change = fabs(u - best_u) + fabs(v - best_v);
        doubt[x] = fabs(more) <= slight ? change : 0.0;
        doubtful |= bits(doubt[x]);
        chosen_x[x] = is_larger ? u : best_u;
        chosen_y[x] = is_larger ? v : best_v;
    }
    if (doubtful == 0)
        return;
    for (int64_t x = 0; x < n_pixels; x++) {
        if (doubt[x] == 0.0)
            continue;
        const double root = single ? (double)hypotf((float)other_x[x], (float)other_y[x])
                                   : hypot(other_x[x], other_y[x]);
        const double best = single ? (double)hypotf((float)chosen_x[x], (float)chosen_y[x])
                                   : hypot(chosen_x[x], chosen_y[x]);
        if (root > best) {
            chosen_x[x] = other_x[x];
            chosen_y[x] = other_y[x];
        }
    }
}

/* Turn directions, which are unsigned, into the upper half plane; find magnitudes.
 *
 * distance: (n_pixels), filled with the product of the magnitude and the sine of the angle to the
 *     edge at 0 degrees; infinity where that edge is met exactly
 */
static inline void NAME(turn_floats)(
    int64_t n_pixels, const double *restrict g_x, const double *restrict g_y,
    double *restrict turned_x, double *restrict turned_y, double *restrict magnitude,
    double *restrict distance)
{
    for (int64_t x = 0; x < n_pixels; x++) {
        double u = g_x[x];
        const double v = g_y[x];
        magnitude[x] = sqrt(u * u + v * v);
        u = v < 0.0 ? -u : u;
        turned_x[x] = v == 0.0 ? fabs(u) : u;
        turned_y[x] = fabs(v);
        distance[x] = v == 0.0 ? (double)INFINITY : fabs(v);
    }
}

static inline double NAME(closer)(double left_of, int exact, double closest)
{
    const double away = exact && left_of == 0.0 ? (double)INFINITY : fabs(left_of);
    return away < closest ? away : closest;
}

/* Find how many of four edges each gradient has passed, and how close it is to one.
 *
 * exact: a gradient along one of these edges is not near it; see histograms_of_float64
 * target: (n_pixels), counted up; distance: (n_pixels), made smaller; see turn_floats
 */
static inline void NAME(pass_floats)(
    int64_t n_pixels, const double *restrict cosines, const double *restrict sines, int exact,
    const double *restrict g_x, const double *restrict g_y, double *restrict distance,
    int32_t *restrict target)
{
    const double cos0 = cosines[0], cos1 = cosines[1], cos2 = cosines[2], cos3 = cosines[3];
    const double sin0 = sines[0], sin1 = sines[1], sin2 = sines[2], sin3 = sines[3];
    for (int64_t x = 0; x < n_pixels; x++) {
        const double u = g_x[x], v = g_y[x];
        const double left0 = cos0 * v - sin0 * u, left1 = cos1 * v - sin1 * u;
        const double left2 = cos2 * v - sin2 * u, left3 = cos3 * v - sin3 * u;
        double closest = distance[x];
        closest = NAME(closer)(left0, exact, closest);
        closest = NAME(closer)(left1, exact, closest);
        closest = NAME(closer)(left2, exact, closest);
        closest = NAME(closer)(left3, exact, closest);
        distance[x] = closest;
        target[x] += (left0 >= 0.0) + (left1 >= 0.0) + (left2 >= 0.0) + (left3 >= 0.0);
    }
}

/* Return whether a gradient is near an edge: closer than some twenty times the rounding errors of
 * arctan2 and of the products above.
 */
static inline int NAME(is_near)(double distance, double magnitude)
{
    return distance < 1e-14 * magnitude;
}

static inline int NAME(any_near)(
    int64_t n_pixels, const double *restrict distance, const double *restrict magnitude)
{
    uint64_t near = 0;
    for (int64_t x = 0; x < n_pixels; x++)
        near |= bits(NAME(is_near)(distance[x], magnitude[x]) ? 1.0 : 0.0);
    return near != 0;
}

/* Fill the cell histograms of float images, from the image `first` on.
 *
 * A gradient that points along a bin edge, up to rounding errors, is near: the reference's own
 * rounding decides there, so the caller asks the reference's formula.
 *
 * Returns the image that has near gradients whose bins are needed, and puts their number into
 * *n_near; or n and 0; or -1 where memory ends.
 *
 * images: float64 (n, height, width, channels), one channel or three
 * single: the pixels are float32 numbers, so round their differences as float32 does
 * edges: float64 (2, n_edges): cosine and sine of each inner bin edge, NaN in unused places; first
 *     n_inexact, then those whose cosine and sine are exact up to a common factor, so that a
 *     gradient along them is known to be; both numbers are multiples of 4
 * near_bins: int32 (n_near_bins): bins of the near gradients of the image `first`, `orientations`
 *     for none; empty where they are not known yet
 * near_vectors: float64 (2, height * width): filled with the near gradients, y and x, of the image
 *     that is returned
 * histograms: float32 (n, cell_rows, cells_per_row * orientations), filled
 */
EXPORT int64_t NAME(histograms_of_float64)(
    const double *images, int64_t n, int64_t height, int64_t width, int64_t channels,
    int64_t single, int64_t cell_height, int64_t cell_width, int64_t orientations,
    const double *edges, int64_t n_edges, int64_t n_inexact, int64_t first, const int32_t *near_bins,
    int64_t n_near_bins, double *near_vectors, float *histograms, int64_t *n_near)
{
    const int64_t n_pixels = cut_strip(height, width, channels, 0, cell_height).n_pixels;
    const int64_t cell_rows = height / cell_height, n_bins = width / cell_width * orientations;
    char *free_memory;
    void *memory = reserve(n_pixels * (6 * 8 + 2 * 4), 8, &free_memory);
    if (memory == NULL)
        return -1;
    double *chosen_x = take(&free_memory, n_pixels * 8);
    double *chosen_y = take(&free_memory, n_pixels * 8);
    double *other_x = take(&free_memory, n_pixels * 8);
    double *other_y = take(&free_memory, n_pixels * 8);
    double *magnitude = take(&free_memory, n_pixels * 8);
    double *distance = take(&free_memory, n_pixels * 8);
    int32_t *first_bin = take(&free_memory, n_pixels * 4);
    int32_t *target = take(&free_memory, n_pixels * 4);
    NAME(find_first_bins)(n_pixels / width, width, cell_width, orientations, first_bin);

    int64_t i = first, count = 0;
    for (; i < n; i++) {
        const double *image = images + i * height * width * channels;
        const int known = i == first && n_near_bins > 0;
        count = 0;
        for (int64_t r = 0; r < cell_rows; r++) {
            float *histogram = histograms + (i * cell_rows + r) * n_bins;
            memset(histogram, 0, (size_t)n_bins * sizeof(float));
            Strip strip;
            for (int64_t y = 0; y < cell_height; y += strip.rows) {
                strip = cut_strip(height, width, channels, r * cell_height + y, cell_height);
                NAME(float_gradients)(&strip, image, 0, single, chosen_x, chosen_y);
                for (int64_t k = 1; k < channels; k++) {
                    NAME(float_gradients)(&strip, image, k, single, other_x, other_y);
                    NAME(choose_larger_floats)(
                        strip.n_pixels, single, other_x, other_y, chosen_x, chosen_y, distance);
                }
                NAME(turn_floats)(
                    strip.n_pixels, chosen_x, chosen_y, other_x, other_y, magnitude, distance);
                memcpy(target, first_bin, (size_t)strip.n_pixels * sizeof(int32_t));
                for (int64_t e = 0; e < n_inexact; e += 4)
                    NAME(pass_floats)(
                        strip.n_pixels, edges + e, edges + n_edges + e, 0, other_x, other_y,
                        distance, target);
                for (int64_t e = n_inexact; e < n_edges; e += 4)
                    NAME(pass_floats)(
                        strip.n_pixels, edges + e, edges + n_edges + e, 1, other_x, other_y,
                        distance, target);
                const int any_near = NAME(any_near)(strip.n_pixels, distance, magnitude);
                for (int64_t x = 0; any_near && x < strip.n_pixels; x++) {
                    if (!NAME(is_near)(distance[x], magnitude[x]))
                        continue;
                    if (!known) {
                        near_vectors[count] = chosen_y[x];
                        near_vectors[height * width + count] = chosen_x[x];
                    /* fewer bins than gradients: another thread has changed the pixels */
                    } else if (count < n_near_bins && near_bins[count] < orientations) {
                        target[x] = first_bin[x] + near_bins[count];
                    } else {
                        magnitude[x] = 0.0;
                    }
                    count++;
                }
                NAME(add_up)(strip.rows, width, cell_width, target, magnitude, histogram);
            }
            NAME(divide)(histogram, n_bins, (float)(cell_height * cell_width));
        }
        if (count > 0 && !known)
            break;
    }
    free(memory);
    *n_near = i < n ? count : 0;
    return i;
}
