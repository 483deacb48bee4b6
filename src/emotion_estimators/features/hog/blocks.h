/* The last loops of HOG: cell histograms in, block descriptors out.
 *
 * Included once for each set of instructions, by loops.c, which says by NAME how the functions
 * of that set are called. Arrays are C-contiguous and have the shapes that stand beside them.
 */

/* values: (n_blocks, block_height, run), filled */
static inline void NAME(gather_blocks)(
    const float *restrict histograms, int64_t row_size, int64_t orientations, int64_t n_blocks,
    int64_t block_height, int64_t run, double *restrict values)
{
    for (int64_t c = 0; c < n_blocks; c++) {
        for (int64_t a = 0; a < block_height; a++) {
            const float *source = histograms + a * row_size + c * orientations;
            for (int64_t b = 0; b < run; b++)
                *values++ = (double)source[b];
        }
    }
}

/* Find what the values of each block are to be multiplied by.
 *
 * values: (n_blocks, size); scales: (n_blocks), filled
 */
static inline void NAME(find_scales)(
    const double *restrict values, int64_t n_blocks, int64_t size, int64_t norm,
    double *restrict scales)
{
    const double epsilon = 1e-5;
    for (int64_t c = 0; c < n_blocks; c++, values += size) {
        /* Four sums at a time: none has to wait for the last addition. */
        double sum[4] = {0.0, 0.0, 0.0, 0.0};
        int64_t b = 0;
        if (norm < 2) {
            for (; b + 4 <= size; b += 4)
                for (int k = 0; k < 4; k++)
                    sum[k] += values[b + k];
            for (; b < size; b++)
                sum[0] += values[b];
            scales[c] = 1.0 / ((sum[0] + sum[2]) + (sum[1] + sum[3]) + epsilon);
        } else {
            for (; b + 4 <= size; b += 4)
                for (int k = 0; k < 4; k++)
                    sum[k] += values[b + k] * values[b + k];
            for (; b < size; b++)
                sum[0] += values[b] * values[b];
            scales[c] =
                1.0 / sqrt((sum[0] + sum[2]) + (sum[1] + sum[3]) + epsilon * epsilon);
        }
    }
}

static inline void NAME(scale_and_clip)(
    double *restrict values, int64_t n_blocks, int64_t size, const double *restrict scales)
{
    for (int64_t c = 0; c < n_blocks; c++, values += size) {
        const double scale = scales[c];
        for (int64_t b = 0; b < size; b++) {
            const double scaled = values[b] * scale;
            values[b] = scaled > 0.2 ? 0.2 : scaled;
        }
    }
}

/* scales: (n_blocks), 1 afterwards */
static inline void NAME(scale_and_root)(
    double *restrict values, int64_t n_blocks, int64_t size, double *restrict scales)
{
    for (int64_t c = 0; c < n_blocks; c++, values += size) {
        const double scale = scales[c];
        for (int64_t b = 0; b < size; b++)
            values[b] = sqrt(values[b] * scale);
        scales[c] = 1.0;
    }
}

static inline void NAME(scale_to_float)(
    const double *restrict values, int64_t n_blocks, int64_t size,
    const double *restrict scales, float *restrict result)
{
    for (int64_t c = 0; c < n_blocks; c++, values += size, result += size) {
        const double scale = scales[c];
        for (int64_t b = 0; b < size; b++)
            result[b] = (float)(values[b] * scale);
    }
}

static inline void NAME(scale_to_double)(
    const double *restrict values, int64_t n_blocks, int64_t size,
    const double *restrict scales, double *restrict result)
{
    for (int64_t c = 0; c < n_blocks; c++, values += size, result += size) {
        const double scale = scales[c];
        for (int64_t b = 0; b < size; b++)
            result[b] = values[b] * scale;
    }
}

/* Normalise every block of cells. Returns 0, or -1 where memory ends.
 *
 * histograms: float32 (n, cell_rows, cells_per_row, orientations)
 * norm: 0 is L1, 1 is L1-sqrt, 2 is L2, 3 is L2-Hys
 * descriptors: float32 if single, else float64 (n, block_rows, blocks_per_row, block_height,
 *     block_width, orientations), filled
 */
EXPORT int64_t NAME(normalise_blocks)(
    const float *histograms, int64_t n, int64_t cell_rows, int64_t cells_per_row,
    int64_t orientations, int64_t block_height, int64_t block_width, int64_t norm,
    int64_t single, void *descriptors)
{
    /* Neighbouring cells of one row lie side by side. */
    const int64_t run = block_width * orientations, size = block_height * run;
    const int64_t block_rows = cell_rows - block_height + 1;
    const int64_t blocks_per_row = cells_per_row - block_width + 1;
    char *free_memory;
    void *memory = reserve((size + 1) * blocks_per_row * 8, 2, &free_memory);
    if (memory == NULL)
        return -1;
    double *values = take(&free_memory, size * blocks_per_row * 8);
    double *scales = take(&free_memory, blocks_per_row * 8);
    int64_t to = 0;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t r = 0; r < block_rows; r++, to += blocks_per_row * size) {
            /* Step by step for all blocks of a row: no step of a block waits for the one before. */
            NAME(gather_blocks)(
                histograms + (i * cell_rows + r) * cells_per_row * orientations,
                cells_per_row * orientations, orientations, blocks_per_row, block_height, run,
                values);
            NAME(find_scales)(values, blocks_per_row, size, norm, scales);
            if (norm == 3) {
                NAME(scale_and_clip)(values, blocks_per_row, size, scales);
                NAME(find_scales)(values, blocks_per_row, size, norm, scales);
            }
            if (norm == 1)
                NAME(scale_and_root)(values, blocks_per_row, size, scales);
            if (single)
                NAME(scale_to_float)(
                    values, blocks_per_row, size, scales, (float *)descriptors + to);
            else
                NAME(scale_to_double)(
                    values, blocks_per_row, size, scales, (double *)descriptors + to);
        }
    }
    free(memory);
    return 0;
}
