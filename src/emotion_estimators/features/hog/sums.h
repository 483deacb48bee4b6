/* What the first loops of HOG have in common: magnitudes and bins in, sums for each cell out.
 *
 * Included once for each set of instructions, by loops.c, which says by NAME how the functions
 * of that set are called. Arrays are C-contiguous and have the shapes that stand beside them.
 */

/* Where the bins of each pixel's cell begin. first_bin: (rows * width), filled */
static inline void NAME(find_first_bins)(
    int64_t rows, int64_t width, int64_t cell_width, int64_t orientations, int32_t *first_bin)
{
    for (int64_t y = 0; y < rows; y++) {
        int32_t bin = 0;
        for (int64_t x = 0; x < width; x += cell_width, bin += (int32_t)orientations)
            for (int64_t in_cell = 0; in_cell < cell_width && x + in_cell < width; in_cell++)
                *first_bin++ = bin;
    }
}

/* Add each pixel's magnitude to its bin.
 *
 * Neighbouring steps go to different cells, so none waits for the sum before it; within a cell
 * the order is row by row, as the reference rounds in that order.
 *
 * target: (n_pixels); magnitude: (n_pixels); histogram: (cells_per_row * orientations)
 */
static inline void NAME(add_up)(
    int64_t rows, int64_t width, int64_t cell_width, const int32_t *restrict target,
    const double *restrict magnitude, float *restrict histogram)
{
    const int64_t cells_per_row = width / cell_width;
    for (int64_t y = 0; y < rows; y++) {
        for (int64_t x = 0; x < cell_width; x++) {
            int64_t pixel = y * width + x;
            for (int64_t c = 0; c < cells_per_row; c++) {
                const uint32_t to = (uint32_t)target[pixel];
                histogram[to] = (float)((double)histogram[to] + magnitude[pixel]);
                pixel += cell_width;
            }
        }
    }
}

static inline void NAME(divide)(float *restrict values, int64_t n, float divisor)
{
    for (int64_t k = 0; k < n; k++)
        values[k] /= divisor;
}
